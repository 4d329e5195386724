"""Linear interaction networks: every constituent meets the mean of all, so that the cost grows with N, not N squared.

Que et al., JEDI-linear, arXiv:2508.15468.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from evonas.space import choices
from evonas.space.composed import ComposedSpace
from evonas.space.deep_sets import AGGREGATORS
from evonas.space.genes import Choice, Gene

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evonas.space.draft import Draft
    from surrogates.layers import Kind


@final
@dataclass(frozen=True, kw_only=True)
class LinearInteractionSpace(ComposedSpace):
    """Linear interaction networks over `constituents` of `features` each.

    `embed` at every constituent; then `blocks` times: the mean of all is broadcast and set beside each, and a layer
    follows; then an aggregate and the stack `head`.
    """

    constituents: int
    features: int
    n_outputs: int
    embed_depth: tuple[int, int] = (1, 2)
    blocks: tuple[int, int] = (1, 2)
    head_depth: tuple[int, int] = (1, 2)
    widths: tuple[int, ...] = (4, 6, 8, 12, 16, 24, 32)
    aggregators: tuple[str, ...] = ("sum", "mean")
    family = "linear_interaction"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "widths", choices.integers("space.widths", self.widths, 1, 4096))
        for name in ("embed_depth", "blocks", "head_depth"):
            object.__setattr__(self, name, choices.bounds(f"space.{name}", getattr(self, name), 1, 32))
        object.__setattr__(self, "aggregators", choices.names("space.aggregators", self.aggregators, AGGREGATORS))

    @property
    def input_shape(self) -> tuple[int, int]:
        """Constituents and their features."""
        return self.constituents, self.features

    def layout(self) -> Iterable[Gene]:
        """Aggregator, bits of the means, the embedding, the blocks, the head, the output layer."""
        yield Gene("aggregator", self.aggregators, ordered=False)
        yield Gene("mean_bits", self.activation_bits)
        yield from self.stack("embed", self.embed_depth, self.widths)
        yield from self.stack("block", self.blocks, self.widths)
        yield from self.stack("head", self.head_depth, self.widths)
        yield from self.layer("output", last=True)

    def draw(self, values: Mapping[str, Choice], draft: Draft) -> int:
        """The embedding, the blocks, the aggregate, the head."""
        words = draft.layers("embed", draft.input)
        for number in range(int(values["block.depth"])):
            mean = draft.join("mean", words, bits=int(values["mean_bits"]))
            everywhere = draft.join("broadcast", mean, groups=self.constituents)
            words = draft.dense(f"block{number}", draft.join("concatenate", words, everywhere))
        aggregator: Kind = values["aggregator"]  # type: ignore[assignment]  # one of AGGREGATORS
        return draft.output("output", draft.layers("head", draft.join(aggregator, words)), self.n_outputs)
