"""Immutable descriptions of a network and of the hardware it is meant for."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal, final

from surrogates.reuse import legal_reuse_factors, nearest_legal

Activation = Literal["relu", "leaky_relu", "hard_tanh", "linear"]
Strategy = Literal["distributed_arithmetic", "reuse"]
ACTIVATIONS: tuple[Activation, ...] = ("relu", "leaky_relu", "hard_tanh", "linear")
STRATEGIES: tuple[Strategy, ...] = ("distributed_arithmetic", "reuse")


class SpecError(ValueError):
    """A description of a network is impossible: names the field, the value and the mend."""

    def __init__(self, field: str, value: object, mend: str) -> None:
        self.field, self.value, self.mend = field, value, mend
        super().__init__(f"{field} = {value!r}: {mend}")


def _within(field: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise SpecError(field, value, f"must lie between {low} and {high}")


@final
@dataclass(frozen=True)
class LayerSpec:
    """One dense layer y = activation(x W + b) with the bit widths of its weights and of what leaves it.

    `sparsity` is the fraction of weights pruned to zero. `activation_bits` is the width of the quantised
    output; the last layer keeps its accumulator at full precision and has activation "linear" and 0 bits.

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
    kind: Literal["dense"] = "dense"

    def __post_init__(self) -> None:
        _within("n_in", self.n_in, 1, 4096)
        _within("n_out", self.n_out, 1, 4096)
        _within("weight_bits", self.weight_bits, 1, 16)
        _within("sparsity", self.sparsity, 0.0, 1.0)
        if self.activation not in ACTIVATIONS:
            raise SpecError("activation", self.activation, f"must be one of {', '.join(ACTIVATIONS)}")
        if self.strategy not in STRATEGIES:
            raise SpecError("strategy", self.strategy, f"must be one of {', '.join(STRATEGIES)}")
        self._check_reuse_factor()
        if self.kind != "dense":
            raise SpecError("kind", self.kind, "must be 'dense'")
        if self.activation == "linear":
            _within("activation_bits of a linear layer (0 = full precision)", self.activation_bits, 0, 0)
        else:
            _within("activation_bits", self.activation_bits, 1, 16)

    def _check_reuse_factor(self) -> None:
        if self.reuse_factor == 1:
            return
        if self.strategy != "reuse":
            raise SpecError("reuse_factor", self.reuse_factor, f"must be 1 with the strategy {self.strategy}")
        if self.reuse_factor not in legal_reuse_factors(self.n_in, self.n_out):
            nearest = nearest_legal(self.reuse_factor, self.n_in, self.n_out)
            mend = f"is not legal for {self.n_in} x {self.n_out} weights; the nearest legal one is {nearest}"
            raise SpecError("reuse_factor", self.reuse_factor, mend)

    @property
    def n_weights(self) -> int:
        """Number of weights before pruning, without biases."""
        return self.n_in * self.n_out

    @property
    def n_nonzero(self) -> int:
        """Number of weights that survive pruning."""
        return self.n_weights - round(self.sparsity * self.n_weights)


@final
@dataclass(frozen=True)
class ModelSpec:
    """A network as the search describes it: input width, layers in order, and the edges between them.

    `edges` are (from, to) pairs of layer indices with -1 for the input; the default is a chain. Equal networks
    have equal digests. `input_bits` is the width of each input word.
    """

    input_bits: int
    layers: tuple[LayerSpec, ...]
    edges: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        _within("input_bits", self.input_bits, 1, 16)
        if not self.layers:
            raise SpecError("layers", self.layers, "needs at least one layer")
        chain = tuple((index - 1, index) for index in range(len(self.layers)))
        if not self.edges:
            object.__setattr__(self, "edges", chain)
        if self.edges != chain:
            raise SpecError("edges", self.edges, "only chains of layers are supported")
        for index, (first, second) in enumerate(zip(self.layers, self.layers[1:], strict=False)):
            if first.n_out != second.n_in:
                field = f"layers[{index + 1}].n_in"
                raise SpecError(field, second.n_in, f"must equal the {first.n_out} outputs before it")
            if first.activation == "linear":
                raise SpecError(f"layers[{index}].activation", "linear", "is only for the last layer")

    @property
    def n_inputs(self) -> int:
        """Number of input words."""
        return self.layers[0].n_in

    @property
    def n_outputs(self) -> int:
        """Number of output words."""
        return self.layers[-1].n_out

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON form; the key of caches and of the search for duplicates."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    @property
    def topology(self) -> str:
        """Readable shape such as `16-32-16-5`."""
        return "-".join(str(n) for n in (self.n_inputs, *(layer.n_out for layer in self.layers)))

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON; `from_dict` takes it back."""
        return {
            "input_bits": self.input_bits,
            "layers": [asdict(layer) for layer in self.layers],
            "edges": [list(edge) for edge in self.edges],
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ModelSpec:
        """Read what `to_dict` wrote. Raises `SpecError` naming an unknown or missing field."""
        try:
            unknown = set(data) - {"input_bits", "layers", "edges"}
            if unknown:
                raise SpecError("spec", sorted(unknown), "holds unknown fields")
            layers = tuple(LayerSpec(**layer) for layer in data["layers"])
            edges = tuple((int(a), int(b)) for a, b in data.get("edges", ()))
            return cls(int(data["input_bits"]), layers, edges)
        except KeyError as error:
            raise SpecError("spec", str(error), "is missing this field") from error
        except TypeError as error:
            raise SpecError("spec", str(error), "has a field of the wrong name or type") from error


@final
@dataclass(frozen=True)
class HardwareTarget:
    """What a network is synthesised for. `part` is a vendor part name; the clock period is in nanoseconds."""

    part: str = "xcvu13p-flga2577-2-e"
    clock_period_ns: float = 5.0
    io_type: Literal["io_parallel"] = "io_parallel"
    tool: Literal["openrtl", "vitis", "quartus", "oneapi", "catapult"] = "openrtl"

    def __post_init__(self) -> None:
        _within("clock_period_ns", self.clock_period_ns, 0.5, 1000.0)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        return asdict(self)
