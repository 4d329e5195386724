"""The parts of a network: layers with weights, and operations without. Shapes are (positions, channels).

A word vector is one position; the constituents of a jet and the pixels of an image are many, and a layer applies the
same weights at each of them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, final, get_args

from surrogates.errors import SpecError
from surrogates.reuse import legal_reuse_factors, nearest_legal

Activation = Literal["relu", "leaky_relu", "hard_tanh", "linear", "identity", "gelu", "tanh", "sigmoid"]
Strategy = Literal["distributed_arithmetic", "reuse"]
Kind = Literal[
    "sum", "mean", "max", "pairs", "broadcast", "concatenate", "add", "transpose", "flatten", "select",
    "matmul", "softmax",
]  # fmt: skip
Shape = tuple[int, int]
ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)
TABLES: tuple[Activation, ...] = ("gelu", "tanh", "sigmoid")  # looked up, not computed
UNSIGNED: tuple[Activation, ...] = ("relu", "sigmoid")
TABLE_MARGIN = 2  # bits by which the input of a table is wider than its output
WIDEST_TABLE = 12  # bits of its input
STRATEGIES: tuple[Strategy, ...] = ("distributed_arithmetic", "reuse")
LARGEST = 4096


def within(field: str, value: float, low: float, high: float) -> None:
    """Raise `SpecError` unless low <= value <= high."""
    if not low <= value <= high:
        raise SpecError(field, value, f"must lie between {low} and {high}")


@final
@dataclass(frozen=True)
class Window:
    """Where a convolution looks: a square `kernel` over an image, moved by `stride`, the rim padded with zeros."""

    height: int
    width: int
    kernel: int
    stride: int = 1
    padding: int = 0

    def __post_init__(self) -> None:
        within("window.height", self.height, 1, LARGEST)
        within("window.width", self.width, 1, LARGEST)
        within("window.padding", self.padding, 0, max(self.kernel - 1, 0))
        within("window.kernel", self.kernel, 1, min(self.height, self.width) + 2 * self.padding)
        within("window.stride", self.stride, 1, LARGEST)

    @property
    def image(self) -> tuple[int, int]:
        """Height and width of what comes out."""
        height, width = (side + 2 * self.padding - self.kernel for side in (self.height, self.width))
        return height // self.stride + 1, width // self.stride + 1

    @property
    def taps(self) -> int:
        """Positions that one output reads, those in the rim included."""
        return self.kernel**2

    def reads(self) -> list[list[int]]:
        """For each output position, row-major, the input positions that it reads; -1 in the rim."""
        rows, columns = self.image
        offsets = [(dy, dx) for dy in range(self.kernel) for dx in range(self.kernel)]
        corners = [(self.stride * row - self.padding, self.stride * column - self.padding)
                   for row in range(rows) for column in range(columns)]  # fmt: skip
        return [[self._place(top + dy, left + dx) for dy, dx in offsets] for top, left in corners]

    def _place(self, row: int, column: int) -> int:
        inside = 0 <= row < self.height and 0 <= column < self.width
        return row * self.width + column if inside else -1


@final
@dataclass(frozen=True)
class LayerSpec:
    """A layer y = activation(x W + b) with the bit widths of its weights and of what leaves it.

    Kind "dense" applies the same weights (n_in, n_out) at each of `positions`; kind "conv" at each place of a `window`,
    to all the channels that it covers. `sparsity` is the fraction of weights pruned to zero. `activation_bits` is the
    width of the quantised output; a layer of activation "linear" keeps its accumulator at full precision and has 0,
    "identity" only cuts it to these bits. "gelu", "tanh" and "sigmoid" are looked up: the accumulator is cut to
    `table_bits`, for each of whose codes a table has the output.

    `strategy` "distributed_arithmetic" unrolls all products into adders; "reuse" computes them in DSP slices, each of
    which takes `reuse_factor` of the weights one after the other (1: every weight has a multiplier of its own). Only
    some reuse factors are legal for a shape (`surrogates.reuse`). A pruned weight saves its adders or its own
    multiplier, but nothing where it shares one: a zero takes its turn like any other weight, and only a multiplier
    that meets nothing but zeros is left out.
    """

    n_in: int
    n_out: int
    weight_bits: int
    activation_bits: int
    activation: Activation = "relu"
    sparsity: float = 0.0
    strategy: Strategy = "distributed_arithmetic"
    reuse_factor: int = 1
    kind: Literal["dense", "conv"] = "dense"
    positions: int = 1
    window: Window | None = None

    def __post_init__(self) -> None:
        within("n_in", self.n_in, 1, LARGEST)
        within("n_out", self.n_out, 1, LARGEST)
        within("positions", self.positions, 1, LARGEST)
        within("weight_bits", self.weight_bits, 1, 16)
        within("sparsity", self.sparsity, 0.0, 1.0)
        if self.activation not in ACTIVATIONS:
            raise SpecError("activation", self.activation, f"must be one of {', '.join(ACTIVATIONS)}")
        if self.strategy not in STRATEGIES:
            raise SpecError("strategy", self.strategy, f"must be one of {', '.join(STRATEGIES)}")
        if self.kind not in ("dense", "conv"):
            raise SpecError("kind", self.kind, "must be 'dense' or 'conv'")
        if (self.kind == "conv") != (self.window is not None):
            raise SpecError("window", self.window, "belongs to a layer of kind 'conv', and to no other")
        if self.window is not None and self.positions != self.window.height * self.window.width:
            raise SpecError("positions", self.positions, "must be those of the window's image")
        self._check_reuse_factor()
        if self.activation == "linear":
            within("activation_bits of a linear layer (0 = full precision)", self.activation_bits, 0, 0)
        else:
            within("activation_bits", self.activation_bits, 1, 16)

    def _check_reuse_factor(self) -> None:
        if self.reuse_factor == 1:
            return
        if self.strategy != "reuse":
            raise SpecError("reuse_factor", self.reuse_factor, f"must be 1 with the strategy {self.strategy}")
        if self.reuse_factor not in legal_reuse_factors(self.fan_in, self.n_out):
            nearest = nearest_legal(self.reuse_factor, self.fan_in, self.n_out)
            mend = f"is not legal for {self.fan_in} x {self.n_out} weights; the nearest legal one is {nearest}"
            raise SpecError("reuse_factor", self.reuse_factor, mend)

    @property
    def fan_in(self) -> int:
        """Words that one output is computed from."""
        return self.n_in * (1 if self.window is None else self.window.taps)

    @property
    def input_shape(self) -> Shape:
        """Positions and channels of what goes in."""
        return self.positions, self.n_in

    @property
    def shape(self) -> Shape:
        """Positions and channels of what comes out."""
        if self.window is None:
            return self.positions, self.n_out
        height, width = self.window.image
        return height * width, self.n_out

    @property
    def n_weights(self) -> int:
        """Number of weights before pruning, without biases; weights used at many positions count once."""
        return self.fan_in * self.n_out

    @property
    def n_nonzero(self) -> int:
        """Number of weights that survive pruning."""
        return self.n_weights - round(self.sparsity * self.n_weights)

    @property
    def signed(self) -> bool:
        """Whether what leaves it can be negative."""
        return self.activation not in UNSIGNED

    @property
    def table_bits(self) -> int:
        """Width of what its activation's table is looked up with: activation bits + 2, at most 12; 0 without one."""
        return min(self.activation_bits + TABLE_MARGIN, WIDEST_TABLE) if self.activation in TABLES else 0

    @property
    def label(self) -> str:
        """Its part of a topology: 32, or 32k3 for a convolution with a kernel of 3 x 3."""
        if self.window is None:
            return str(self.n_out)
        parts = (("k", self.window.kernel, 0), ("s", self.window.stride, 1), ("p", self.window.padding, 0))
        return str(self.n_out) + "".join(f"{letter}{value}" for letter, value, usual in parts if value != usual)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> LayerSpec:
        """Read what `to_dict` wrote."""
        window = data.get("window")
        return cls(**{**data, "window": Window(**window)}) if window else cls(**data)

    def to_dict(self) -> dict[str, Any]:
        """Plain data; what a dense layer at one position does not need is left out."""
        data = asdict(self)
        if self.window is None:
            del data["window"]
        if self.positions == 1:
            del data["positions"]
        return data


@final
@dataclass(frozen=True)
class OperationSpec:
    """What joins layers and has no weights. A scale by a power of two is free in hardware, a division is not.

    - "sum", "mean", "max" over positions, in `groups` of as many neighbours: (groups * m, c) -> (groups, c). The mean
      of m words is their sum divided by the least power of two that is not below m; the layer behind learns the rest.
    - "pairs": all ordered pairs (receiver, sender) of different positions, by receiver: (n, c) -> (n * (n - 1), 2c).
      The adjacency is constant, so nothing is multiplied (Que et al., LL-GNN, arXiv:2209.14065).
    - "broadcast": one position, `groups` times: (1, c) -> (groups, c).
    - "concatenate" channels and "add" words of two inputs.
    - "transpose" (n, c) -> (c, n), "flatten" (n, c) -> (1, n * c).
    - "select" the positions `start` to `start + length - 1`: (n, c) -> (length, c). Words that nothing reads are no
      hardware.

    - "matmul" of two inputs, position by position (n, k) x (k, m) -> (n, m): products of two variables, which cost far
      more than those with a constant. A "transpose" ahead of the second gives q k^T.
    - "softmax" over the channels of each position, (n, c) -> (n, c), with tables for exp and 1 / x. Its results are
      unsigned, below 1, and always cut: they need `activation_bits`, which settle the tables too
      (`evonas.models.softmax`).

    `activation_bits` is the width that the result is cut to, 0 keeps every bit.
    """

    kind: Kind
    groups: int = 1
    activation_bits: int = 0
    start: int = 0
    length: int = 0

    def __post_init__(self) -> None:
        if self.kind not in OPERATIONS:
            raise SpecError("kind", self.kind, f"must be one of {', '.join(OPERATIONS)}")
        within("groups", self.groups, 1, LARGEST)
        if self.groups > 1 and self.kind not in (*REDUCTIONS, "broadcast"):
            raise SpecError("groups", self.groups, f"means nothing for {self.kind!r}; leave it 1")
        within("activation_bits", self.activation_bits, 0, 16)
        if self.activation_bits and self.kind not in ("sum", "mean", "add", "matmul", "softmax"):
            raise SpecError("activation_bits", self.activation_bits, f"{self.kind!r} needs no new bits; leave it 0")
        if self.kind == "softmax" and not self.activation_bits:
            raise SpecError("activation_bits", self.activation_bits, "must be 1 or more: no softmax keeps every bit")
        if self.kind == "select":
            within("start", self.start, 0, LARGEST)
            within("length", self.length, 1, LARGEST)
        elif self.start or self.length:
            raise SpecError("length", self.length, f"and start mean nothing for {self.kind!r}; leave both 0")

    @property
    def n_inputs(self) -> int:
        """How many parts it joins."""
        return 2 if self.kind in ("concatenate", "add", "matmul") else 1

    def shape(self, *inputs: Shape) -> Shape:
        """Positions and channels of the result. Raises `SpecError` for inputs that do not fit."""
        self._check_inputs(inputs[0], inputs[-1])
        (n, c), last = inputs[0], inputs[-1]
        shapes = {
            "pairs": (n * (n - 1), 2 * c),
            "concatenate": (n, c + last[1]),
            "add": (n, c),
            "matmul": (n, last[1]),
            "softmax": (n, c),
            "transpose": (c, n),
            "flatten": (1, n * c),
            "select": (self.length, c),
        }
        return shapes.get(self.kind, (self.groups, c))

    def _check_inputs(self, first: Shape, last: Shape) -> None:
        n = first[0]
        if self.kind in REDUCTIONS and n % self.groups:
            raise SpecError("groups", self.groups, f"must divide the {n} positions")
        if self.kind == "pairs" and n < 2:
            raise SpecError("kind", self.kind, "needs two positions at least")
        if self.kind == "broadcast" and n != 1:
            raise SpecError("kind", self.kind, f"needs one position, not {n}")
        if self.kind == "concatenate" and n != last[0]:
            raise SpecError("kind", self.kind, f"needs as many positions in both inputs, not {n} and {last[0]}")
        if self.kind == "add" and first != last:
            raise SpecError("kind", self.kind, f"needs two inputs of one shape, not {first} and {last}")
        if self.kind == "matmul" and first[1] != last[0]:
            raise SpecError("kind", self.kind, f"needs as many channels as positions behind, not {first} and {last}")
        if self.kind == "select" and self.start + self.length > n:
            raise SpecError("length", self.length, f"from position {self.start} on leaves the {n} positions")

    @property
    def label(self) -> str:
        """Its part of a topology."""
        if self.kind == "select":
            return f"select{self.start}+{self.length}"
        return self.kind if self.groups == 1 else f"{self.kind}{self.groups}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data; `start` and `length` only where they mean something."""
        data = asdict(self)
        if self.kind != "select":
            del data["start"], data["length"]
        return data


REDUCTIONS: tuple[Kind, ...] = ("sum", "mean", "max")
WIRES: tuple[Kind, ...] = ("transpose", "flatten", "select")  # no hardware
OPERATIONS: tuple[Kind, ...] = (*REDUCTIONS, "pairs", "broadcast", "concatenate", "add", *WIRES, "matmul", "softmax")
Part = LayerSpec | OperationSpec
