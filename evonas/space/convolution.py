"""Convolutional networks for small images: blocks of two convolutions or of attention, and a dense head.

The hierarchical space of Neural Architecture Codesign for Bragg peaks (Weitz et al., arXiv:2501.05515): a stem, blocks
that are Conv, ConvAttn or None, a head of dense layers. A block that is None there is one block less here, so that no
network has two genomes. Convolutions are not padded, as there; a kernel that no longer fits the image becomes the
largest that does.

Attention between the n positions of an image takes 2 * n * n * hidden products of two variables, each a multiplier:
9 x 9 positions and 8 hidden channels are 104,976 of them, beyond any FPGA at one result a clock cycle. It is for images
that convolutions have made small, so a space offers it only where it is asked for.
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

BLOCK_KINDS = ("conv", "attention")


@final
@dataclass(frozen=True, kw_only=True)
class ConvolutionSpace(ComposedSpace):
    """Networks for images of `height` x `width` pixels with `image_channels`.

    `stem` channels come from a convolution of `stem_kernel`; `blocks` is the (lowest, highest) number of blocks,
    `head_depth` counts the dense layers before the output. A block is a pair of convolutions ("conv") or, where
    `block_kinds` offers it, "attention": a non-local block (Wang et al., arXiv:1711.07971) that adds to its input what
    each position gathers from all others through `attention_hidden` channels.
    """

    sizes: ClassVar[tuple[str, ...]] = ("stem", "channels", "kernels", "attention_hidden", "widths")
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
    block_kinds: tuple[str, ...] = ("conv",)
    attention_hidden: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    head_depth: tuple[int, int] = (1, 3)
    widths: tuple[int, ...] = (4, 8, 16, 32, 64)
    family = "convolution"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "block_kinds", choices.names("space.block_kinds", self.block_kinds, BLOCK_KINDS))
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
        """Number of blocks, the stem, what each block is and its layers, the head."""
        low, high = self.blocks
        yield Gene("blocks", tuple(range(low, high + 1)))
        yield from self.layer("stem", channels=self.stem)
        for number in range(high):
            there = tuple(range(max(number + 1, low), high + 1))
            condition = Condition("blocks", there) if number >= low else None
            yield from self._block(f"block{number}", condition)
        yield from self.stack("head", self.head_depth, self.widths)
        yield from self.layer("output", last=True)

    def _block(self, name: str, there: Condition | None) -> Iterable[Gene]:
        """Its kind, where there is a choice, and the layers that it has as each of them."""
        conditions = dict.fromkeys(self.block_kinds, there)
        if len(self.block_kinds) > 1:
            yield Gene(f"{name}.kind", self.block_kinds, ordered=False, condition=there)
            conditions = {kind: Condition(f"{name}.kind", (kind,)) for kind in self.block_kinds}
        if "conv" in conditions:
            for part in "ab":
                layer = f"{name}{part}"
                yield from self.layer(layer, conditions["conv"], kernel=self.kernels, channels=self.channels)
        if "attention" in conditions:
            yield from self.layer(f"{name}qkv", conditions["attention"], width=self.attention_hidden)
            yield from self.layer(f"{name}back", conditions["attention"])

    def draw(self, values: Mapping[str, Choice], draft: Draft) -> int:
        """Stem, blocks, head."""
        image = (self.height, self.width)
        words, image = draft.conv("stem", draft.input, image, self.stem_kernel)
        for name in (f"block{number}" for number in range(int(values["blocks"]))):
            if values.get(f"{name}.kind", self.block_kinds[0]) == "attention":
                words = draft.non_local(name, words)
                continue
            for layer in (f"{name}a", f"{name}b"):
                wanted = int(values[f"{layer}.kernel"])
                kernel = draft.settled[f"{layer}.kernel"] = max(k for k in self.kernels if k <= min(wanted, *image))
                words, image = draft.conv(layer, words, image, kernel)
        return draft.output("output", draft.layers("head", draft.join("flatten", words)), self.n_outputs)
