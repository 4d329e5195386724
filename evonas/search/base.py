"""The contract between a study and a search algorithm: strict ask and tell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, final

from evonas.errors import Failure, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


@final
@dataclass(frozen=True)
class Evaluated:
    """What became of one candidate.

    Either it has `losses` (all to be minimised), or it failed, or it was dropped as infeasible before training; in
    the last case some of its `violations` (one per constraint, 0 when satisfied) is positive. Only candidates with
    losses ever reach an algorithm's numbers.
    """

    genome: tuple[int, ...]
    losses: tuple[float, ...] | None
    violations: tuple[float, ...] = ()
    failure: Failure | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "genome", tuple(int(index) for index in self.genome))
        object.__setattr__(self, "violations", tuple(float(value) for value in self.violations))
        if any(not math.isfinite(value) or value < 0 for value in self.violations):
            raise ProtocolError(f"violations must be finite and not negative, got {self.violations}")
        if self.losses is not None:
            object.__setattr__(self, "losses", tuple(float(value) for value in self.losses))
        if self.failure is not None and self.losses is not None:
            raise ProtocolError(f"a failed candidate has no losses, got {self.losses} and {self.failure}")
        if self.losses is None and self.failure is None and not any(self.violations):
            raise ProtocolError("a candidate without losses needs a failure or a positive violation")

    @property
    def violation(self) -> float:
        """Sum of the violations; 0 when feasible."""
        return math.fsum(self.violations)

    @property
    def feasible(self) -> bool:
        """Measured, and inside all constraints."""
        return self.losses is not None and self.violation == 0.0


class SearchAlgorithm(Protocol):
    """Proposes candidates and learns what became of them; knows nothing of networks, training or files.

    Deterministic: the same constructor arguments and the same tells give the same asks, bit for bit, so that a log
    of tells can be replayed.
    """

    @property
    def generation(self) -> int:
        """Number of completed generations, that is of tells."""

    def ask(self, n: int | None = None) -> NDArray[np.int64]:
        """The next candidates (n, n_genes): canonical, different from each other and from all asked before.

        As many as the population has if `n` is not given. Fewer when the space runs out, and (0, n_genes) when nothing
        is left; an empty answer is not told, and asking again gives it again. `ProtocolError` when a tell is due,
        `ConfigurationError` for an `n` below 1.
        """

    def select(self, genomes: Sequence[tuple[int, ...]]) -> None:
        """Go on with some of the asked candidates alone, in their order: only these will be told.

        The others are as if they had never been asked, and can be asked again; with none the whole ask is withdrawn.
        `ProtocolError`, and nothing changes, for others than asked ones.
        """

    def tell(self, evaluated: Sequence[Evaluated]) -> None:
        """What became of the asked candidates, all of them, in the asked order.

        `ProtocolError`, and nothing changes, if no tell is due, or if candidates, numbers of losses or violations
        are not as asked for, or if a loss is not finite.
        """

    def rescore(self, evaluated: Sequence[Evaluated]) -> None:
        """Replace the losses of the survivors, in the order of `population`, after the measure has changed.

        Only between a tell and the next ask. Survivors that come back without losses leave the population.
        """

    def population(self) -> tuple[Evaluated, ...]:
        """The survivors; all have losses."""
