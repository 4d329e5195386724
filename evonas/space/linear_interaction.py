"""Linear interaction networks: every constituent meets the mean of all, so that the cost grows with N, not N squared.

Que et al., JEDI-linear, arXiv:2508.15468.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

from evonas.space.constituents import SetSpace
from evonas.space.genes import Choice, Gene

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evonas.space.draft import Draft
    from surrogates.layers import Kind


@final
@dataclass(frozen=True, kw_only=True)
class LinearInteractionSpace(SetSpace):
    """Linear interaction networks over `constituents` of `features` each.

    `embed` at every constituent; then `blocks` times: the mean of all is broadcast and set beside each, and a layer
    follows; then an aggregate and the stack `head`.
    """

    sizes: ClassVar[tuple[str, ...]] = ("widths",)
    depths: ClassVar[Mapping[str, tuple[int, int]]] = {"embed_depth": (1, 32), "blocks": (1, 32), "head_depth": (1, 32)}

    embed_depth: tuple[int, int] = (1, 2)
    blocks: tuple[int, int] = (1, 2)
    head_depth: tuple[int, int] = (1, 2)
    widths: tuple[int, ...] = (4, 6, 8, 12, 16, 24, 32)
    family = "linear_interaction"

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
            everywhere = draft.join("broadcast", mean, groups=draft.shape(words)[0])
            words = draft.dense(f"block{number}", draft.join("concatenate", words, everywhere))
        aggregator: Kind = values["aggregator"]  # type: ignore[assignment]  # one of AGGREGATORS
        return draft.output("output", draft.layers("head", draft.join(aggregator, words)), self.n_outputs)
