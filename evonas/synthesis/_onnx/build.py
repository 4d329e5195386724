"""A `QuantisedNetwork` as plain ONNX operators that give its outputs bit for bit.

An input quantiser, and per layer MatMul, Add, the activation and an output quantiser. Single precision is used where
every sum fits 24 bits, so that no order of summation can round; double precision otherwise. The input quantiser always
works in double precision. Words at one position are (n, channels), else (n, positions, channels).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from evonas.models.fixed_point import LEAKY_SLOPE
from evonas.models.operations import QuantisedOperation, halvings, ordered_pairs
from surrogates import LayerSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from evonas.models.fixed_point import FixedPoint, QuantisedDense
    from evonas.models.quantised_network import QuantisedNetwork
    from evonas.models.softmax import Softmax
    from surrogates.layers import Shape

OPSET = 17
IR_VERSION = 8
FLOAT32_BITS = 24
METADATA = "evonas.network"


class _Builder:
    """Collects nodes and constants; each call appends one operator and returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self.dtype: type[np.float32 | np.float64] = np.float64

    def constant(self, name: str, value: NDArray[np.float64] | float) -> str:
        self.constants[name] = np.asarray(value, self.dtype)
        return name

    def integers(self, values: Any) -> str:
        name = f"integers_{len(self.constants)}"
        self.constants[name] = np.asarray(values, np.int64)
        return name

    def add(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        output = name or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name=output, **attributes))
        return output

    def scaled(self, x: str, factor: float) -> str:
        return self.add("Mul", x, self.constant(f"factor_{len(self.nodes)}", factor))

    def reshaped(self, x: str, *shape: int) -> str:
        """(n, ...) with this shape behind n."""
        return self.add("Reshape", x, self.integers([-1, *shape]))

    def cast(self, x: str, dtype: type[np.float32 | np.float64]) -> str:
        self.dtype = dtype
        return self.add("Cast", x, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def quantise(self, x: str, kind: FixedPoint) -> str:
        """Scale to codes, round, overflow, scale back: all exact in either precision."""
        index = len(self.nodes)
        codes = self.scaled(x, 2.0**kind.fraction)
        if kind.rounding == "RND":
            codes = self.add("Add", codes, self.constant(f"half_{index}", 0.5))
        codes = self.add("Round" if kind.rounding == "RND_CONV" else "Floor", codes)
        low, high = kind.low / kind.lsb, kind.high / kind.lsb
        if kind.overflow == "SAT":
            limits = self.constant(f"low_{index}", low), self.constant(f"high_{index}", high)
            codes = self.add("Clip", codes, *limits)
        else:
            shifted = self.add("Sub", codes, self.constant(f"low_{index}", low))
            turns = self.add("Floor", self.scaled(shifted, 2.0**-kind.width))
            codes = self.add("Sub", codes, self.scaled(turns, 2.0**kind.width))
        return self.scaled(codes, kind.lsb)

    def leaky_relu(self, x: str) -> str:
        if self.dtype is np.float32:
            return self.add("LeakyRelu", x, alpha=LEAKY_SLOPE)
        return self.add("Max", x, self.scaled(x, LEAKY_SLOPE))  # onnxruntime has no LeakyRelu in double precision

    def under_window(self, x: str, spec: LayerSpec) -> str:
        """Words (n, positions, taps * channels) under the window, x itself without one; a row of zeros is the rim."""
        if spec.window is None:
            return x
        reads = np.array(spec.window.reads())
        padded = self.add("Pad", x, self.integers([0, 0, 0, 0, 1, 0]))
        places = self.integers(np.where(reads < 0, spec.positions, reads))
        return self.reshaped(self.add("Gather", padded, places, axis=1), len(reads), spec.fan_in)

    def layer(self, index: int, x: str, layer: QuantisedDense) -> str:
        """The weights, the bias and the activation, every bit kept."""
        x = self.add("MatMul", x, self.constant(f"weight_{index}", layer.weight))
        x = self.add("Add", x, self.constant(f"bias_{index}", layer.bias))
        if layer.activation == "relu":
            return self.add("Relu", x)
        if layer.table_type is not None:  # negative codes count from the end
            return self.looked_up(x, layer.table_type, np.roll(layer.table, len(layer.table) // 2))
        return self.leaky_relu(x) if layer.activation == "leaky_relu" else x

    def operation(self, operation: QuantisedOperation, inputs: Sequence[str], shapes: Sequence[Shape]) -> str:
        """What joins layers, every bit kept."""
        spec, x, (positions, channels) = operation.spec, inputs[0], shapes[0]
        if spec.kind in ("sum", "mean", "max"):
            terms = positions // spec.groups
            parts = self.reshaped(x, spec.groups, terms, channels)
            if spec.kind == "max":
                return self.add("ReduceMax", parts, axes=[2], keepdims=0)
            total = self.add("ReduceSum", parts, self.integers([2]), keepdims=0)
            return self.scaled(total, 2.0 ** -halvings(terms)) if spec.kind == "mean" else total
        if spec.kind == "pairs":
            ends = [self.add("Gather", x, self.integers(end), axis=1) for end in ordered_pairs(positions)]
            return self.add("Concat", *ends, axis=2)
        if spec.kind == "broadcast":
            return self.add("Tile", x, self.integers([1, spec.groups, 1]))
        if spec.kind == "transpose":
            return self.add("Transpose", x, perm=[0, 2, 1])
        if spec.kind == "matmul":
            return self.add("MatMul", *inputs)
        if spec.kind == "softmax":
            return self.softmax(operation.softmax(channels), x)
        if spec.kind == "select":
            bounds = [self.integers([bound]) for bound in (spec.start, spec.start + spec.length, 1)]
            return self.add("Slice", x, *bounds)
        if spec.kind == "flatten":
            return self.reshaped(x, 1, positions * channels)
        return self.add("Concat", *inputs, axis=2) if spec.kind == "concatenate" else self.add("Add", *inputs)

    def softmax(self, softmax: Softmax, x: str) -> str:
        """Over the last axis: the differences and their sum become codes, which look up two tables."""
        largest = self.add("ReduceMax", x, axes=[2], keepdims=1)
        exps = self.looked_up(self.add("Sub", largest, x), softmax.difference, softmax.exp)
        total = self.add("ReduceSum", exps, self.integers([2]), keepdims=1)
        return self.add("Mul", exps, self.looked_up(total, softmax.total, softmax.inverse))

    def looked_up(self, x: str, kind: FixedPoint, table: NDArray[np.float64]) -> str:
        """The word of the table at the code of x, which is quantised to `kind`."""
        codes = self.add("Cast", self.scaled(self.quantise(x, kind), 1 / kind.lsb), to=TensorProto.INT64)
        return self.add("Gather", self.constant(f"table_{len(self.nodes)}", table), codes)


def precision(network: QuantisedNetwork) -> type[np.float32 | np.float64]:
    """The narrowest floating-point type in which every sum of the network is exact."""
    widest = max(kind.width for kind in network.exact_types)
    return np.float32 if widest <= FLOAT32_BITS else np.float64


def _body(builder: _Builder, network: QuantisedNetwork, x: str) -> str:
    """All parts behind the quantised input (n, n_inputs); the name of the output (n, n_outputs)."""
    spec = network.spec
    values = [x if spec.is_chain else builder.reshaped(x, *spec.input_shape)]
    for index, (part, sources) in enumerate(zip(network.layers, spec.sources, strict=True)):
        inputs = [values[source + 1] for source in sources]
        if isinstance(part, QuantisedOperation):
            y = builder.operation(part, inputs, [spec.shapes[source + 1] for source in sources])
        else:
            layer = spec.layers[index]
            assert isinstance(layer, LayerSpec)
            y = builder.layer(index, builder.under_window(inputs[0], layer), part)
        values.append(y if part.output_type is None else builder.quantise(y, part.output_type))
    return values[-1] if spec.is_chain else builder.reshaped(values[-1], spec.n_outputs)


def build(network: QuantisedNetwork) -> Any:
    """The network as a checked `ModelProto` with input `x` (n, n_inputs) and output `y` (n, n_outputs)."""
    dtype = precision(network)
    builder = _Builder()
    x = builder.quantise(builder.cast("x", np.float64), network.input_type)
    builder.add("Identity", _body(builder, network, builder.cast(x, dtype)), name="y")
    kind = TensorProto.FLOAT if dtype is np.float32 else TensorProto.DOUBLE
    graph = helper.make_graph(
        builder.nodes,
        "evonas",
        [helper.make_tensor_value_info("x", kind, ["n", network.spec.n_inputs])],
        [helper.make_tensor_value_info("y", kind, ["n", network.spec.n_outputs])],
        [numpy_helper.from_array(value, name) for name, value in builder.constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="evonas")
    model.ir_version = IR_VERSION
    helper.set_model_props(model, {METADATA: json.dumps(describe(network), sort_keys=True)})
    onnx.checker.check_model(model, full_check=True)
    return model


def describe(network: QuantisedNetwork) -> dict[str, Any]:
    """Everything of a network but the codes, as plain data."""
    return {"version": 1, "digest": network.digest, **network.describe()}
