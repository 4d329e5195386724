"""Interaction networks: a message for every ordered pair of constituents, summed at the receiver.

Battaglia et al., arXiv:1612.00222; for jets Moreno et al., arXiv:1908.05318; on FPGAs Que et al., LL-GNN,
arXiv:2209.14065. The adjacency is constant, so pairs are gathered and nothing is multiplied by it.
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
class InteractionSpace(SetSpace):
    """Interaction networks over `constituents` of `features` each.

    Stacks of dense layers: `edge` on pairs (the last of its widths is the message), `node` on a constituent and the sum
    of its messages, `head` on the aggregate of all nodes.
    """

    sizes: ClassVar[tuple[str, ...]] = ("widths",)
    depths: ClassVar[Mapping[str, tuple[int, int]]] = dict.fromkeys(
        ("edge_depth", "node_depth", "head_depth"), (1, 32)
    )

    edge_depth: tuple[int, int] = (1, 2)
    node_depth: tuple[int, int] = (1, 2)
    head_depth: tuple[int, int] = (1, 2)
    widths: tuple[int, ...] = (4, 6, 8, 12, 16, 24, 32)
    family = "interaction"

    def layout(self) -> Iterable[Gene]:
        """Aggregator, bits of the sums of messages, the three stacks, the output layer."""
        yield Gene("aggregator", self.aggregators, ordered=False)
        yield Gene("message_bits", self.activation_bits)
        yield from self.stack("edge", self.edge_depth, self.widths)
        yield from self.stack("node", self.node_depth, self.widths)
        yield from self.stack("head", self.head_depth, self.widths)
        yield from self.layer("output", last=True)

    def draw(self, values: Mapping[str, Choice], draft: Draft) -> int:
        """Messages between all pairs, their sums beside each constituent, an aggregate of what comes of it."""
        messages = draft.layers("edge", draft.join("pairs", draft.input))
        received = draft.join("sum", messages, groups=draft.shape(draft.input)[0], bits=int(values["message_bits"]))
        nodes = draft.layers("node", draft.join("concatenate", draft.input, received))
        aggregator: Kind = values["aggregator"]  # type: ignore[assignment]  # one of AGGREGATORS
        return draft.output("output", draft.layers("head", draft.join(aggregator, nodes)), self.n_outputs)
