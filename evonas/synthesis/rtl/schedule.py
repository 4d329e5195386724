"""Which product of a matrix-vector product is computed by which multiplier in which clock cycle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

OPERAND_AND_PRODUCT = 2  # registers from a multiplier's inputs to its product: a DSP block contains them


@final
@dataclass(frozen=True)
class DenseSchedule:
    """The order of work of n_in x n_out products with a legal reuse factor R.

    Multipliers stand in `lanes` of `taps`. A lane computes `groups` outputs one after the other, each in `positions`
    cycles: cycle `group * positions + position` of R adds the products of the inputs `position * taps + tap` to
    output `lane * groups + group`. R up to n_in gives one group, R from n_in on one tap.
    """

    n_in: int
    n_out: int
    reuse_factor: int

    @property
    def taps(self) -> int:
        """Inputs that a lane handles in one cycle."""
        return max(self.n_in // self.reuse_factor, 1)

    @property
    def groups(self) -> int:
        """Outputs that a lane computes one after the other."""
        return max(self.reuse_factor // self.n_in, 1)

    @property
    def positions(self) -> int:
        """Cycles that one output takes."""
        return self.n_in // self.taps

    @property
    def lanes(self) -> int:
        """Outputs that are computed at the same time."""
        return self.n_out // self.groups

    @property
    def tree_levels(self) -> int:
        """Registered levels of the tree that adds the products of a lane."""
        return (self.taps - 1).bit_length()

    @property
    def latency_cycles(self) -> int:
        """Clock edges from the one that takes the input, counted, to the one after which the result stands."""
        holding = self.reuse_factor if self.reuse_factor > 1 else 0  # R = 1 has no need to hold its input
        return holding + OPERAND_AND_PRODUCT + self.tree_levels + 1

    def arrange(self, weights: NDArray[np.int64]) -> NDArray[np.int64]:
        """Weights (n_in, n_out) as what each multiplier meets: (lane, tap, cycle)."""
        parts = weights.reshape(self.positions, self.taps, self.lanes, self.groups)
        return np.ascontiguousarray(parts.transpose(2, 1, 3, 0)).reshape(self.lanes, self.taps, self.reuse_factor)
