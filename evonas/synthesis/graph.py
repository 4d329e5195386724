"""A network as exact fixed-point arithmetic: the plain data between the doors.

hls4ml's model graph is read into a `Graph`; `evaluate` computes it in numpy, alkaid and the Verilog generator turn it
into hardware. Every node says all that decides its bits: which words it reads, its constants, and each cast on the way,
following the generated C++ of hls4ml. Tensors are flat lists of words, row-major, channels last.
"""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final

from evonas.models.fixed_point import FixedPoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

Types = FixedPoint | tuple[FixedPoint, ...]  # one type for all words, or one for each
ABSENT = -1  # in a gather: no word, a padded zero
Implementation = Literal["distributed_arithmetic", "dsp", "block_ram"]


@dataclass(frozen=True, eq=False)
class Node(ABC):
    """An operation. `inputs` are names of nodes; `size` words of type `result` leave it."""

    name: str
    inputs: tuple[str, ...]
    size: int
    result: Types

    @property
    def results(self) -> tuple[FixedPoint, ...]:
        """The type of each word."""
        return (self.result,) * self.size if isinstance(self.result, FixedPoint) else self.result


@final
@dataclass(frozen=True, eq=False)
class Input(Node):
    """Words from outside, quantised with `result`."""


@final
@dataclass(frozen=True, eq=False)
class Linear(Node):
    """Matrix-vector products with constants: dense, convolution, einsum with a kernel.

    Output word (p, g, f) of shape (P, G, F) is the cast of
    bias[p, g, f] + sum_k input[gather[g, p, k]] * weight[g, k, f]: the bias is cast to `accumulator`, every product on
    its own too, and every partial sum, k ascending. Weights and biases are already cast to their types; `bias` has
    shape (P, G, F) or (1, G, F).

    `implementation`, `reuse_factor` and `parallel` say how it becomes hardware; they do not change a bit. Multipliers
    that are shared compute `parallel` of the P positions at the same time; unrolled into adders, all are.
    """

    gather: NDArray[np.int64]
    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    weight_type: FixedPoint
    accumulator: FixedPoint
    implementation: Implementation = "distributed_arithmetic"
    reuse_factor: int = 1
    parallel: int = 1


@final
@dataclass(frozen=True, eq=False)
class Scale(Node):
    """y = cast(x * scale + bias), `scale` and `bias` per word: batch normalisation."""

    scale: NDArray[np.float64]
    bias: NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class Rectify(Node):
    """y = cast(x where x > 0 else slope * x), `slope` per word: ReLU (0), leaky ReLU, PReLU."""

    slope: NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class Clip(Node):
    """y = cast(gain * clip(slope * x + shift, low, high) + offset): ReLU6, hard sigmoid, hard tanh."""

    slope: float
    shift: float
    low: float
    high: float
    gain: float = 1.0
    offset: float = 0.0


@final
@dataclass(frozen=True, eq=False)
class Steps(Node):
    """y = cast(values[number of edges that x reaches, x >= edge]), edges ascending: binary and ternary tanh."""

    edges: tuple[float, ...]
    values: tuple[float, ...]


@final
@dataclass(frozen=True, eq=False)
class Table(Node):
    """y = cast(values[clip(truncate towards zero(x * scale) + offset)]); x * `positive_slope` instead where x >= 0.

    `values` (N,) are already cast to the table's type; `positive_slope` None means that the table covers all x.
    """

    scale: float
    offset: int
    values: NDArray[np.float64]
    positive_slope: float | None = None


@final
@dataclass(frozen=True, eq=False)
class Lookup(Node):
    """y = cast(values[the bits of x as an unsigned number]): a truth table over the input's codes."""

    values: NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class Pool(Node):
    """Maximum or mean over windows: output word i reads input[gather[i, :]], ABSENT where padded.

    The mean casts every partial sum to `accumulator` and cuts the quotient by `lengths[i]` towards zero at the
    accumulator's last bit; a padded word is 0 for the mean and not there for the maximum.
    """

    kind: Literal["max", "mean"]
    gather: NDArray[np.int64]
    lengths: NDArray[np.int64]
    accumulator: FixedPoint


@final
@dataclass(frozen=True, eq=False)
class Merge(Node):
    """Two operands word by word: output i reads first[i % its size] and second[i % its size]; one cast."""

    kind: Literal["add", "subtract", "multiply", "average", "maximum", "minimum"]


@final
@dataclass(frozen=True, eq=False)
class Rearrange(Node):
    """y[i] = cast(all inputs one after the other[gather[i]]): reshape, transpose, concatenate, pad, crop, repeat."""

    gather: NDArray[np.int64]


@final
@dataclass(frozen=True, eq=False)
class Contract(Node):
    """y[i] = cast(sum_k first[left[i, k]] * second[right[i, k]]), every partial sum cast to `accumulator`, from zero.

    `cast_products` casts each product on its own before it is added (hls4ml's dot does, its einsum does not).
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    accumulator: FixedPoint
    cast_products: bool = False


@final
@dataclass(frozen=True, eq=False)
class Softmax(Node):
    """hls4ml's softmax over the rows of `rows` (n_rows, n), indices of words.

    "latency" looks up exp(x), "stable" exp(-(max - x)) after a cast to `difference`. Each table is indexed by the
    leading bits of its argument's type: `exp` by `difference` ("latency": by the input's type), `inverse` by `total`.
    Exponentials are cast to `accumulator` and added in a balanced tree, each node cast; the sum is cast to `total`.
    "argmax" gives 1 to the first largest word and 0 to the others.
    """

    kind: Literal["latency", "stable", "argmax"]
    rows: NDArray[np.int64]
    difference: FixedPoint
    accumulator: FixedPoint
    total: FixedPoint
    exp: NDArray[np.float64]
    inverse: NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class Embedding(Node):
    """y[i, :] = cast(vectors[truncate(x[i])]) with `vectors` (vocabulary, dimension), already cast to their type."""

    vectors: NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes in an order in which every input comes first; `outputs` are names of nodes, one per output tensor."""

    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]

    def __getitem__(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The inputs in order."""
        return tuple(node for node in self.nodes if isinstance(node, Input))


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
    def of(cls, words: Iterable[tuple[int, int, int]]) -> Port:
        """The port of one word or more, each as `FixedPoint.kif`: sign, integer bits without it, fraction bits."""
        signed, integer, fraction = zip(*words, strict=True)
        return cls(tuple(map(bool, signed)), tuple(map(int, integer)), tuple(map(int, fraction)))

    def pick(self, words: Sequence[int]) -> Port:
        """The port of these words, by position and in this order; a word may come twice."""
        return Port(
            tuple(self.signed[word] for word in words),
            tuple(self.integer[word] for word in words),
            tuple(self.fraction[word] for word in words),
        )

    def __add__(self, other: Port) -> Port:
        """These words and, above them, those of the other port."""
        return Port(self.signed + other.signed, self.integer + other.integer, self.fraction + other.fraction)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Port:
        """Read the JSON form of `dataclasses.asdict`."""
        return cls(*(tuple(data[name]) for name in ("signed", "integer", "fraction")))
