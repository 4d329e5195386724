"""Deep Sets: the same network phi for every constituent, an aggregate over them, and a network rho for the whole.

Zaheer et al., arXiv:1703.06114; for jets at trigger level Odagiu et al., arXiv:2402.01876. The result does not depend
on the order of the constituents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from evonas.space import choices
from evonas.space.composed import ComposedSpace
from evonas.space.genes import Choice, Gene

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evonas.space.draft import Draft
    from surrogates.layers import Kind

AGGREGATORS: tuple[Kind, ...] = ("mean", "max", "sum")


@final
@dataclass(frozen=True, kw_only=True)
class DeepSetsSpace(ComposedSpace):
    """Deep Sets over `constituents` of `features` each.

    `phi_depth` counts the layers of phi, whose last one is the bottleneck; `rho_depth` the hidden layers of rho. The
    mean divides by the least power of two that is not below the number of constituents.
    """

    constituents: int
    features: int
    n_outputs: int
    phi_depth: tuple[int, int] = (1, 3)
    rho_depth: tuple[int, int] = (1, 3)
    widths: tuple[int, ...] = (4, 8, 16, 32, 64)
    bottleneck: tuple[int, ...] = (4, 8, 16, 32, 64)
    aggregators: tuple[str, ...] = AGGREGATORS
    family = "deep_sets"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("widths", "bottleneck"):
            object.__setattr__(self, name, choices.integers(f"space.{name}", getattr(self, name), 1, 4096))
        for name in ("phi_depth", "rho_depth"):
            object.__setattr__(self, name, choices.bounds(f"space.{name}", getattr(self, name), 1, 32))
        object.__setattr__(self, "aggregators", choices.names("space.aggregators", self.aggregators, AGGREGATORS))

    @property
    def input_shape(self) -> tuple[int, int]:
        """Constituents and their features."""
        return self.constituents, self.features

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
