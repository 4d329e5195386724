"""Readout networks: which part of a trace is read, how many of its samples are averaged, and a dense network behind.

For superconducting qubits Di Guglielmo et al., arXiv:2501.14663, read 400 samples from the 100th of a trace of 770;
where the window begins and how long it is decides fidelity and cost alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

from evonas.errors import ConfigurationError
from evonas.space import choices
from evonas.space.composed import ComposedSpace
from evonas.space.genes import Choice, Condition, Gene

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evonas.space.draft import Draft

PARTS = 8  # of a trace: the grid of windows, unless told otherwise


@final
@dataclass(frozen=True, kw_only=True)
class ReadoutSpace(ComposedSpace):
    """Dense networks on a window of a trace of `positions`, each of `features` words such as I and Q.

    `window_start` and `window_size` count positions of the trace that the task hands over: if that averages 10 samples
    to a position, `window_start` 5 is the 50th sample. A window that leaves the trace becomes the largest of
    `window_size` that does not. Without choices windows begin and end at eighths of the trace, and begin in its first
    half. Positions outside the window are no hardware.

    `decimation` positions in a row are averaged by adders ahead of the network, whatever the task has averaged outside
    of it. Such a mean divides by the least power of two that is not below their number. `depth` counts hidden layers; a
    network without any is linear, a matched filter that is learnt.
    """

    sizes: ClassVar[tuple[str, ...]] = ("decimation", "widths")
    depths: ClassVar[Mapping[str, tuple[int, int]]] = {"depth": (0, 32)}

    positions: int
    features: int
    n_outputs: int
    window_start: tuple[int, ...] = ()
    window_size: tuple[int, ...] = ()
    decimation: tuple[int, ...] = (1, 2, 4)
    depth: tuple[int, int] = (0, 2)
    widths: tuple[int, ...] = (2, 4, 6, 8, 12, 16)
    family = "readout"

    def __post_init__(self) -> None:
        super().__post_init__()
        multiple = math.lcm(*self.decimation)
        if multiple > self.positions:
            mend = f"must have a common multiple of at most {self.positions}, the positions of a trace"
            raise ConfigurationError("space.decimation", self.decimation, mend)
        step = max(self.positions // PARTS // multiple, 1) * multiple
        sizes = self.window_size or range(step, self.positions + 1, step)
        sizes = choices.integers("space.window_size", sizes, 1, self.positions)
        if uneven := [size for size in sizes if size % multiple]:
            mend = f"must be a multiple of every decimation, that is of {multiple}"
            raise ConfigurationError("space.window_size", uneven[0], mend)
        last = self.positions - sizes[0]  # so that the smallest window fits behind every start
        starts = self.window_start or range(0, min(max(self.positions // 2, 1), last + 1), step)
        object.__setattr__(self, "window_start", choices.integers("space.window_start", starts, 0, last))
        object.__setattr__(self, "window_size", sizes)

    @property
    def input_shape(self) -> tuple[int, int]:
        """Positions of a trace and the words of each."""
        return self.positions, self.features

    def layout(self) -> Iterable[Gene]:
        """The window, the decimation and the bits of its means, the hidden layers, the output layer."""
        yield Gene("window_start", self.window_start)
        yield Gene("window_size", self.window_size)
        yield Gene("decimation", self.decimation)
        if averaged := tuple(d for d in self.decimation if d > 1):
            yield Gene("mean_bits", self.activation_bits, condition=Condition("decimation", averaged))
        yield from self.stack("hidden", self.depth, self.widths)
        yield from self.layer("output", last=True)

    def draw(self, values: Mapping[str, Choice], draft: Draft) -> int:
        """The window, the means, the dense network."""
        start, wanted, decimation = (int(values[name]) for name in ("window_start", "window_size", "decimation"))
        size = max(size for size in self.window_size if size <= min(wanted, self.positions - start))
        draft.settled["window_size"] = size
        words = draft.select(draft.input, start, size)
        if decimation > 1:
            words = draft.join("mean", words, groups=size // decimation, bits=int(values["mean_bits"]))
        words = draft.layers("hidden", draft.join("flatten", words))
        return draft.output("output", words, self.n_outputs)
