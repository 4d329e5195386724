"""Deep Sets: the same network phi for every constituent, an aggregate over them, and a network rho for the whole.

Zaheer et al., arXiv:1703.06114; for jets at trigger level Odagiu et al., arXiv:2402.01876. The result does not depend
on the order of the constituents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

from evonas.space.constituents import AGGREGATORS, SetSpace
from evonas.space.genes import Choice, Gene

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evonas.space.draft import Draft
    from surrogates.layers import Kind


@final
@dataclass(frozen=True, kw_only=True)
class DeepSetsSpace(SetSpace):
    """Deep Sets over `constituents` of `features` each.

    `phi_depth` counts the layers of phi, whose last one is the bottleneck; `rho_depth` the hidden layers of rho. The
    mean divides by the least power of two that is not below the number of constituents.
    """

    sizes: ClassVar[tuple[str, ...]] = ("widths", "bottleneck")
    depths: ClassVar[Mapping[str, tuple[int, int]]] = {"phi_depth": (1, 32), "rho_depth": (1, 32)}

    phi_depth: tuple[int, int] = (1, 3)
    rho_depth: tuple[int, int] = (1, 3)
    widths: tuple[int, ...] = (4, 8, 16, 32, 64)
    bottleneck: tuple[int, ...] = (4, 8, 16, 32, 64)
    aggregators: tuple[str, ...] = AGGREGATORS
    family = "deep_sets"

    def layout(self) -> Iterable[Gene]:
        """Aggregator, the layers of phi before the bottleneck, the bottleneck, rho, the output layer."""
        low, high = self.phi_depth
        yield Gene("aggregator", self.aggregators, ordered=False)
        yield from self.stack("phi", (low - 1, high - 1), self.widths)
        yield from self.layer("bottleneck", width=self.bottleneck)
        yield from self.stack("rho", self.rho_depth, self.widths)
        yield from self.layer("output", last=True)

    def draw(self, values: Mapping[str, Choice], draft: Draft) -> int:
        """phi at every constituent, the aggregate, rho."""
        words = draft.dense("bottleneck", draft.layers("phi", draft.input))
        aggregator: Kind = values["aggregator"]  # type: ignore[assignment]  # one of AGGREGATORS
        words = draft.layers("rho", draft.join(aggregator, words))
        return draft.output("output", words, self.n_outputs)
