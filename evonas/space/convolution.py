"""Convolutional networks for small images: blocks of two convolutions, and a dense head.

The hierarchical space of Neural Architecture Codesign for Bragg peaks (Weitz et al., arXiv:2501.05515): a stem, blocks,
a head of dense layers. A block that is None there is one block less here, so that no network has two genomes.
Convolutions are not padded, as there; a kernel that no longer fits the image becomes the largest that does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

from evonas.errors import ConfigurationError
from evonas.space import choices
from evonas.space.composed import ComposedSpace
from evonas.space.genes import Choice, Condition, Gene

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evonas.space.draft import Draft


@final
@dataclass(frozen=True, kw_only=True)
class ConvolutionSpace(ComposedSpace):
    """Networks for images of `height` x `width` pixels with `image_channels`.

    `stem` channels come from a convolution of `stem_kernel`; `blocks` is the (lowest, highest) number of
    pairs of convolutions, `head_depth` counts the dense layers before the output.
    """

    sizes: ClassVar[tuple[str, ...]] = ("stem", "channels", "kernels", "widths")
    depths: ClassVar[Mapping[str, tuple[int, int]]] = {"blocks": (0, 8), "head_depth": (0, 32)}

    height: int
    width: int
    n_outputs: int
    image_channels: int = 1
    stem: tuple[int, ...] = (4, 8, 16, 32)
    stem_kernel: int = 3
    blocks: tuple[int, int] = (0, 3)
    channels: tuple[int, ...] = (2, 4, 8, 16, 32)
    kernels: tuple[int, ...] = (1, 3)
    head_depth: tuple[int, int] = (1, 3)
    widths: tuple[int, ...] = (4, 8, 16, 32, 64)
    family = "convolution"

    def __post_init__(self) -> None:
        super().__post_init__()
        smallest = min(self.height, self.width)
        if not choices.is_integer(self.stem_kernel) or not 1 <= self.stem_kernel <= smallest:
            mend = f"must be an integer between 1 and {smallest}"
            raise ConfigurationError("space.stem_kernel", self.stem_kernel, mend)
        if self.kernels[0] != 1:
            raise ConfigurationError("space.kernels", self.kernels, "must offer 1, for images too small for others")

    @property
    def input_shape(self) -> tuple[int, int]:
        """Pixels and their channels."""
        return self.height * self.width, self.image_channels

    def layout(self) -> Iterable[Gene]:
        """Number of blocks, the stem, two convolutions for each block, the head."""
        low, high = self.blocks
        yield Gene("blocks", tuple(range(low, high + 1)))
        yield from self.layer("stem", channels=self.stem)
        for number in range(high):
            there = tuple(range(max(number + 1, low), high + 1))
            condition = Condition("blocks", there) if number >= low else None
            for part in "ab":
                name = f"block{number}{part}"
                yield from self.layer(name, condition, kernel=self.kernels, channels=self.channels)
        yield from self.stack("head", self.head_depth, self.widths)
        yield from self.layer("output", last=True)

    def draw(self, values: Mapping[str, Choice], draft: Draft) -> int:
        """Stem, blocks, head."""
        image = (self.height, self.width)
        words, image = draft.conv("stem", draft.input, image, self.stem_kernel)
        for name in (f"block{number}{part}" for number in range(int(values["blocks"])) for part in "ab"):
            wanted = int(values[f"{name}.kernel"])
            kernel = draft.settled[f"{name}.kernel"] = max(k for k in self.kernels if k <= min(wanted, *image))
            words, image = draft.conv(name, words, image, kernel)
        return draft.output("output", draft.layers("head", draft.join("flatten", words)), self.n_outputs)
