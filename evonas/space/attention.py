"""Self-attention between the constituents of a jet: each gathers from all what its query asks of their keys.

Vaswani et al., arXiv:1706.03762. Between n constituents there are n * n scores and as many weights, so that one block
takes 2 * n * n * width products of two variables. Unlike products with constants they take a multiplier each, and
cost more than all layers together where n is large.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

from evonas.space import choices
from evonas.space.constituents import AGGREGATORS, SetSpace
from evonas.space.genes import Choice, Condition, Gene

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evonas.space.draft import Draft
    from surrogates.layers import Kind


@final
@dataclass(frozen=True, kw_only=True)
class AttentionSpace(SetSpace):
    """Self-attention over `constituents` of `features` each, then an aggregate.

    `embed_depth` dense layers at every constituent, whose last one sets the `channels`, precede `blocks`. Each block
    has as many `heads` as the gene says, of `head_width`, and a layer that brings what they gather back to the
    channels; where the gene `skip` says so, the block's input is added to it. The result does not depend on the order
    of the constituents.
    """

    sizes: ClassVar[tuple[str, ...]] = ("channels", "head_width", "heads", "widths")
    depths: ClassVar[Mapping[str, tuple[int, int]]] = {"embed_depth": (1, 32), "blocks": (1, 32), "head_depth": (0, 32)}

    embed_depth: tuple[int, int] = (1, 2)
    blocks: tuple[int, int] = (1, 2)
    heads: tuple[int, ...] = (1, 2)
    head_width: tuple[int, ...] = (2, 4, 8)
    head_depth: tuple[int, int] = (0, 2)
    channels: tuple[int, ...] = (4, 8, 16)
    widths: tuple[int, ...] = (8, 16, 32)
    skips: tuple[str, ...] = ("no", "yes")
    aggregators: tuple[str, ...] = AGGREGATORS
    family = "attention"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "skips", choices.names("space.skips", self.skips, ("no", "yes")))

    def layout(self) -> Iterable[Gene]:
        """Numbers of blocks and heads, skip connections, aggregator, embedding, two kinds of layers a block, head."""
        (shallow, deep), (low, high) = self.embed_depth, self.blocks
        yield Gene("blocks", tuple(range(low, high + 1)))
        yield Gene("heads", self.heads)
        yield Gene("skip", self.skips, ordered=False)
        yield Gene("aggregator", self.aggregators, ordered=False)
        yield from self.stack("phi", (shallow - 1, deep - 1), self.widths)
        yield from self.layer("embed", width=self.channels)
        for number in range(high):
            there = tuple(range(max(number + 1, low), high + 1))
            condition = Condition("blocks", there) if number >= low else None
            yield from self.layer(f"block{number}qkv", condition, width=self.head_width)
            yield from self.layer(f"block{number}back", condition)
        yield from self.stack("head", self.head_depth, self.widths)
        yield from self.layer("output", last=True)

    def draw(self, values: Mapping[str, Choice], draft: Draft) -> int:
        """Embedding, blocks, aggregate, head."""
        words = draft.dense("embed", draft.layers("phi", draft.input))
        for number in range(int(values["blocks"])):
            words = draft.non_local(f"block{number}", words, int(values["heads"]), skip=values["skip"] == "yes")
        aggregator: Kind = values["aggregator"]  # type: ignore[assignment]  # one of AGGREGATORS
        return draft.output("output", draft.layers("head", draft.join(aggregator, words)), self.n_outputs)
