"""Plain data between the doors: layers from hls4ml to alkaid, and the ports of the hardware that comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from evonas.models.fixed_point import FixedPoint

NodeKind = Literal["input", "dense", "relu", "leaky_relu"]


@final
@dataclass(frozen=True, eq=False)
class GraphNode:
    """One layer of hls4ml's graph, with everything that decides its bits.

    `result` is the type of what leaves the node. A dense node has the weights (n_in, n_out) and biases (n_out,) as
    the generated C++ sees them, and the type of its `accumulator`; a leaky ReLU has its `slope`.
    """

    name: str
    kind: NodeKind
    size: int
    result: FixedPoint
    weight: NDArray[np.float64] | None = None
    bias: NDArray[np.float64] | None = None
    accumulator: FixedPoint | None = None
    slope: float = 0.0


@final
@dataclass(frozen=True)
class Port:
    """Fixed-point layout of the words of a port, least significant word first."""

    signed: tuple[bool, ...]
    integer: tuple[int, ...]  # without the sign
    fraction: tuple[int, ...]

    @property
    def widths(self) -> tuple[int, ...]:
        """Bits of each word; 0 for a word that is constantly zero or never read."""
        return tuple(max(int(s) + i + f, 0) for s, i, f in zip(self.signed, self.integer, self.fraction, strict=True))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Port:
        """Read the JSON form of `dataclasses.asdict`."""
        return cls(*(tuple(data[name]) for name in ("signed", "integer", "fraction")))
