"""A family of one's own: dense networks with skip connections.

After an embedding come blocks of two layers; the sum of a block's input and output goes on. The widths within a block
are free, the width between blocks is one gene, because what is added must have one shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

from evonas.space import ComposedSpace, Condition, Gene

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evonas.space import Draft


@final
@dataclass(frozen=True, kw_only=True)
class ResidualSpace(ComposedSpace):
    """Fields of these names come from the task; what has a default can be set under `[space]`."""

    sizes: ClassVar[tuple[str, ...]] = ("trunk", "widths")  # fields that are widths
    depths: ClassVar[Mapping[str, tuple[int, int]]] = {"blocks": (1, 8)}  # and (lowest, highest), with their limits

    n_inputs: int
    n_outputs: int
    blocks: tuple[int, int] = (1, 3)  # fewest and most
    trunk: tuple[int, ...] = (8, 12, 16, 24, 32)  # width between blocks
    widths: tuple[int, ...] = (8, 12, 16, 24, 32)  # width within a block
    family = "residual"

    @property
    def input_shape(self) -> tuple[int, int]:
        """One position with all features."""
        return 1, self.n_inputs

    def layout(self) -> Iterable[Gene]:
        """The genes beside bits of the input, activation and learning rate, which every family has.

        A gene with a condition counts only while another has one of these values; genes of absent blocks do not.
        """
        low, high = self.blocks
        yield Gene("blocks", tuple(range(low, high + 1)))
        yield Gene("trunk", self.trunk)
        yield Gene("sum_bits", self.activation_bits)
        yield from self.layer("embed")
        for number in range(high):
            there = tuple(range(max(number + 1, low), high + 1))
            condition = Condition("blocks", there) if number >= low else None
            yield from self.layer(f"inner{number}", condition, width=self.widths)
            yield from self.layer(f"outer{number}", condition)
        yield from self.layer("output", last=True)

    def draw(self, values: Mapping[str, int | float | str], draft: Draft) -> int:
        """The network of these values, part by part; `draft` follows the shapes."""
        width = int(values["trunk"])
        words = draft.dense("embed", draft.input, width)
        for number in range(int(values["blocks"])):
            inner = draft.dense(f"inner{number}", words)
            outer = draft.dense(f"outer{number}", inner, width)
            words = draft.join("add", outer, words, bits=int(values["sum_bits"]))
        return draft.output("output", words, self.n_outputs)
