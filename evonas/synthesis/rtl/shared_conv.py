"""A convolution whose multipliers are shared: its windows take turns at a few dense layers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, final

import numpy as np

from evonas.errors import ConfigurationError
from evonas.synthesis.graph import ABSENT, Port
from evonas.synthesis.rtl.shared_dense import SharedDense, Storage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evonas.models.fixed_point import FixedPoint


@final
@dataclass(frozen=True, eq=False)
class SharedConv:
    """Matrix-vector products of many windows of one input as a Verilog module `name`, exact in every bit.

    Window p of group g has the words `gather[g, p, :]` of the input, ABSENT for a padded zero: `gather` has the shape
    (groups, positions, taps), `weight` (groups, taps, filters), `bias` (groups, filters). Word (p, g, f) of what
    leaves, of shape (positions, groups, filters), is `SharedDense`'s product of that window and the group's weights.

    `parallel` positions are computed at the same time, each by multipliers of its own with `reuse_factor`, all with
    the same weights, which stand in one memory. So a new input may come every (positions / parallel) * `reuse_factor`
    clock cycles. Raises `ConfigurationError` for what does not fit together and what `SharedDense` raises.
    """

    name: str
    inputs: Port
    gather: NDArray[np.int64]
    weight: NDArray[np.float64]
    weight_type: FixedPoint
    bias: NDArray[np.float64]
    accumulator: FixedPoint
    parallel: int = 1
    reuse_factor: int = 1
    storage: Storage = "distributed"

    def __post_init__(self) -> None:
        shape, words = self.gather.shape, len(self.inputs.widths)
        if len(shape) != 3 or not self.gather.size:
            raise self._wrong("gather.shape", shape, "must be (groups, positions, taps)")
        if self.gather.min() < ABSENT or self.gather.max() >= words:
            raise self._wrong("gather", int(self.gather.max()), f"reads a word that is not there: there are {words}")
        if self.weight.ndim != 3 or self.weight.shape[:2] != (shape[0], shape[2]):
            raise self._wrong("weight.shape", self.weight.shape, f"must be ({shape[0]}, {shape[2]}, filters)")
        if self.bias.shape != self.weight.shape[::2]:
            raise self._wrong("bias.shape", self.bias.shape, f"must be {self.weight.shape[::2]}")
        if self.parallel < 1 or shape[1] % self.parallel:
            raise self._wrong("parallel", self.parallel, f"must divide the {shape[1]} positions")
        assert self.cores  # which checks the rest

    def _wrong(self, field: str, value: object, mend: str) -> ConfigurationError:
        return ConfigurationError(f"{self.name}: {field}", value, mend)

    @property
    def steps(self) -> int:
        """How often windows are given to the multipliers for one input."""
        return int(self.gather.shape[1]) // self.parallel

    @property
    def turns(self) -> NDArray[np.int64]:
        """`gather` by who reads it when: (groups, parallel, taps, steps); a word of no bits is ABSENT."""
        groups, _, taps = self.gather.shape
        present = np.array([*self.inputs.widths, 0]) > 0  # ABSENT, -1, reads the last
        words = np.where(present[self.gather], self.gather, ABSENT)
        return words.reshape(groups, self.steps, self.parallel, taps).transpose(0, 2, 3, 1)

    @cached_property
    def cores(self) -> tuple[SharedDense, ...]:
        """The dense layer of each group, which the windows of `parallel` positions enter side by side."""
        return tuple(
            SharedDense(
                name=f"{self.name}_group{group}",
                inputs=_window(self.inputs, self.gather[group]),
                weight=self.weight[group],
                weight_type=self.weight_type,
                bias=self.bias[group],
                accumulator=self.accumulator,
                reuse_factor=self.reuse_factor,
                storage=self.storage,
            )
            for group in range(len(self.gather))
        )

    @property
    def outputs(self) -> Port:
        """The accumulators: positions, in each the groups, in each the filters."""
        return Port.of([self.accumulator.kif] * (self.gather.shape[1] * self.bias.size))

    @property
    def initiation_interval(self) -> int:
        """Clock cycles from one input to the next."""
        return self.steps * self.reuse_factor

    @property
    def latency_cycles(self) -> int:
        """Clock edges from the one that takes the input, counted, to the one after which the result stands."""
        waiting = 1 + (self.steps - 1) * self.reuse_factor if self.steps > 1 else 0  # held, and until the last step
        return waiting + self.cores[0].latency_cycles

    @property
    def multipliers(self) -> int:
        """Multipliers that synthesis makes of the Verilog; those that only ever meet padding are not there."""
        count = 0
        reads = (self.turns != ABSENT).any(axis=3)
        for core, pixels in zip(self.cores, reads, strict=True):
            plan = core.schedule
            met = pixels.reshape(self.parallel, plan.positions, plan.taps).any(axis=1)
            count += int((met * core.tap_multipliers).sum())
        return count

    @property
    def memory_bits(self) -> int:
        """Bits of the memories that hold the weights; 0 for R = 1, where they are constants."""
        return sum(core.memory_bits for core in self.cores)


def _window(port: Port, gather: NDArray[np.int64]) -> Port:
    """The words of a window, of types that hold those of all positions; one bit of zero if all there is is zero."""
    window = Port.of(_holds_all(port, words) for words in gather.T)
    return window if any(window.widths) else Port.of([(0, 1, 0)] * len(window.widths))


def _holds_all(port: Port, words: NDArray[np.int64]) -> tuple[int, int, int]:
    """Sign, integer and fraction bits of a type that has every value of these words."""
    used = [word for word in set(words.tolist()) if word != ABSENT and port.widths[word]]
    if not used:
        return 0, 0, 0
    return (
        int(any(port.signed[word] for word in used)),
        max(port.integer[word] for word in used),
        max(port.fraction[word] for word in used),
    )
