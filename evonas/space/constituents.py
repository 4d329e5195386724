"""What families share whose inputs are the constituents of a jet, or any others, with as many features each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evonas.space import choices
from evonas.space.composed import ComposedSpace
from evonas.space.genes import Choice, Gene

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evonas.space.draft import Draft
    from surrogates.layers import Kind

AGGREGATORS: tuple[Kind, ...] = ("mean", "max", "sum")


@dataclass(frozen=True, kw_only=True)
class ConstituentSpace(ComposedSpace):
    """Base of families whose inputs are `constituents` of `features` each.

    `constituents_used` and `features_used` are choices of how many of them the network reads: the first ones, which
    are the hardest where constituents come sorted. Without choices it reads all and has no gene for it.
    """

    constituents: int
    features: int
    n_outputs: int
    constituents_used: tuple[int, ...] = ()
    features_used: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, most in (("constituents_used", self.constituents), ("features_used", self.features)):
            values = getattr(self, name)
            chosen = () if values in ((), []) else choices.integers(f"space.{name}", values, 1, most)
            object.__setattr__(self, name, chosen)

    def input_genes(self) -> Iterable[Gene]:
        """How many constituents and features are read, each where there are choices."""
        offered = {"constituents_used": self.constituents_used, "features_used": self.features_used}
        return (Gene(name, values) for name, values in offered.items() if values)

    def read_input(self, values: Mapping[str, Choice], draft: Draft) -> None:
        """The first constituents and features."""
        draft.input = draft.select(draft.input, 0, int(values.get("constituents_used", self.constituents)))
        draft.input = draft.first_channels(draft.input, int(values.get("features_used", self.features)))

    @property
    def input_shape(self) -> tuple[int, int]:
        """Constituents and their features."""
        return self.constituents, self.features


@dataclass(frozen=True, kw_only=True)
class SetSpace(ConstituentSpace):
    """Base of families that end in an aggregate over the constituents, whose order then does not matter."""

    aggregators: tuple[str, ...] = ("sum", "mean")

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "aggregators", choices.names("space.aggregators", self.aggregators, AGGREGATORS))
