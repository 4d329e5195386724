"""The door to onnx and onnxruntime: the only module that imports them.

A `QuantisedNetwork` becomes plain ONNX operators that give its outputs bit for bit: an input quantiser, and per layer
MatMul, Add, the activation and an output quantiser. Single precision is used where every accumulator fits 24 bits, so
that no order of summation can round; double precision otherwise. The input quantiser always works in double precision.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

from evonas.errors import ConfigurationError, DataError
from evonas.models.fixed_point import LEAKY_SLOPE, FixedPoint, QuantisedDense, QuantisedNetwork
from evonas.synthesis.verification import compare
from surrogates import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

OPSET = 17
IR_VERSION = 8
FLOAT32_BITS = 24
METADATA = "evonas.network"
SUPPORTED = "evonas reads ONNX files that evonas wrote: they carry their fixed-point types as metadata"


class _Builder:
    """Collects nodes and constants; each call appends one operator and returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self.dtype: type[np.float32 | np.float64] = np.float64

    def constant(self, name: str, value: NDArray[np.float64] | float) -> str:
        self.constants[name] = np.asarray(value, self.dtype)
        return name

    def add(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        output = name or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name=output, **attributes))
        return output

    def scaled(self, x: str, factor: float) -> str:
        return self.add("Mul", x, self.constant(f"factor_{len(self.nodes)}", factor))

    def cast(self, x: str, dtype: type[np.float32 | np.float64]) -> str:
        self.dtype = dtype
        return self.add("Cast", x, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def quantise(self, x: str, kind: FixedPoint) -> str:
        """Scale to codes, round, overflow, scale back: all exact in either precision."""
        codes = self.scaled(x, 2.0**kind.fraction)
        index = len(self.nodes)
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


def precision(network: QuantisedNetwork) -> type[np.float32 | np.float64]:
    """The narrowest floating-point type in which every sum of the network is exact."""
    pairs = zip(network.layers, network.input_types(), strict=True)
    widest = max(layer.accumulator_type(input_type).width for layer, input_type in pairs)
    return np.float32 if widest <= FLOAT32_BITS else np.float64


def build(network: QuantisedNetwork) -> Any:
    """The network as a checked `ModelProto` with input `x` (n, n_inputs) and output `y` (n, n_outputs)."""
    dtype = precision(network)
    builder = _Builder()
    x = builder.quantise(builder.cast("x", np.float64), network.input_type)
    x = builder.cast(x, dtype)
    for index, layer in enumerate(network.layers):
        x = builder.add("MatMul", x, builder.constant(f"weight_{index}", layer.weight))
        x = builder.add("Add", x, builder.constant(f"bias_{index}", layer.bias))
        if layer.activation == "relu":
            x = builder.add("Relu", x)
        elif layer.activation == "leaky_relu":
            x = builder.leaky_relu(x)
        if layer.output_type is not None:
            x = builder.quantise(x, layer.output_type)
    builder.add("Identity", x, name="y")
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
    layers = [
        {
            "weight_type": str(layer.weight_type),
            "bias_type": str(layer.bias_type),
            "activation": layer.activation,
            "output_type": None if layer.output_type is None else str(layer.output_type),
        }
        for layer in network.layers
    ]
    types = {"input_type": str(network.input_type), "layers": layers}
    return {"version": 1, "digest": network.digest, "spec": network.spec.to_dict(), **types}


def restore(description: dict[str, Any], codes: list[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> QuantisedNetwork:
    """The network from what `describe` gave and the codes of weights and biases of each layer.

    Raises `DataError` if they do not belong together.
    """
    layers = []
    for layer, (weight, bias) in zip(description["layers"], codes, strict=True):
        output = layer["output_type"]
        layers.append(
            QuantisedDense(
                weight,
                FixedPoint.parse(layer["weight_type"]),
                bias,
                FixedPoint.parse(layer["bias_type"]),
                layer["activation"],
                None if output is None else FixedPoint.parse(output),
            )
        )
    spec = ModelSpec.from_dict(description["spec"])
    network = QuantisedNetwork(spec, FixedPoint.parse(description["input_type"]), tuple(layers))
    if network.digest != description["digest"]:
        raise DataError("the weights are not those that were written with these types")
    return network


def run(model: Any, vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Outputs of a `ModelProto` by onnxruntime, on one thread, without its graph optimisations."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    dtype = np.float32 if session.get_inputs()[0].type == "tensor(float)" else np.float64
    (outputs,) = session.run(None, {"x": np.asarray(vectors, dtype)})
    return np.asarray(outputs, np.float64)


def write_onnx(network: QuantisedNetwork, vectors: NDArray[np.floating], path: Path) -> None:
    """Write the network and hold onnxruntime's outputs for real-valued `vectors` against `predict`.

    Raises `ToolError` (MISMATCH) if any bit differs; the file is not written then.
    """
    model = build(network)
    inputs = np.asarray(vectors, precision(network)).astype(np.float64)
    compare(inputs, network.predict(inputs), run(model, inputs), ("QuantisedNetwork.predict", "onnxruntime"))
    path.write_bytes(model.SerializeToString())


def _read(path: Path) -> Any:
    try:
        model = onnx.load_model_from_string(path.read_bytes())
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path) from error
    except DecodeError as error:
        raise DataError(f"is no ONNX file, or damaged: export it again ({error})", path) from error
    if not model.graph.node:  # what an empty file is to protobuf
        raise DataError("is no ONNX file, or holds no network: export it again", path)
    return model


@contextmanager
def modest_format() -> Iterator[None]:
    """Models made meanwhile are in a format that onnxruntime reads: onnx is often a version ahead of it."""
    newest = onnx.IR_VERSION
    onnx.IR_VERSION = min(newest, IR_VERSION)  # type: ignore[assignment]
    try:
        yield
    finally:
        onnx.IR_VERSION = newest


def check_sound(path: Path) -> None:
    """Raise `DataError` if an ONNX file contradicts itself, as one does that was cut off or written to by mistake."""
    try:
        onnx.checker.check_model(_read(path))
    except onnx.checker.ValidationError as error:
        what = next(line for line in [*str(error).splitlines(), "unknown"] if line.strip())
        raise DataError(f"is damaged or no network, export it again: {what}", path) from error


def load_model(path: Path) -> Any:
    """Any ONNX file as hls4ml reads it: shapes known, plain names. Raises `DataError` for a missing or damaged one."""
    model = _read(path)
    _split_gemm(model.graph)
    used = {name for node in model.graph.node for name in node.input}
    kept = [entry for entry in model.graph.initializer if entry.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    _plain_names(model.graph)
    for entry in model.graph.initializer:  # hls4ml asks for the shapes of constants as well
        model.graph.value_info.append(helper.make_tensor_value_info(entry.name, entry.data_type, list(entry.dims)))
    return onnx.shape_inference.infer_shapes(model)


def _split_gemm(graph: Any) -> None:
    """Gemm with constant weights as MatMul and Add: what torch exports for a linear layer, and hls4ml does not read."""
    constants = {entry.name: entry for entry in graph.initializer}
    for index in range(len(graph.node) - 1, -1, -1):
        node = graph.node[index]
        options = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        plain = options.get("alpha", 1.0) == options.get("beta", 1.0) == 1.0 and not options.get("transA", 0)
        if node.op_type != "Gemm" or not plain or node.input[1] not in constants:
            continue
        weight = numpy_helper.to_array(constants[node.input[1]])
        name = f"{node.output[0]}_weight"
        graph.initializer.append(numpy_helper.from_array(weight.T if options.get("transB", 0) else weight, name))
        middle = f"{node.output[0]}_product" if len(node.input) > 2 else node.output[0]
        product = helper.make_node("MatMul", [node.input[0], name], [middle], name=f"{node.name}_matmul")
        sums = [helper.make_node("Add", [middle, node.input[2]], [node.output[0]], name=f"{node.name}_bias")]
        parts = [product, *sums[: len(node.input) - 2]]
        del graph.node[index]
        for offset, part in enumerate(parts):
            graph.node.insert(index + offset, part)


def _plain_names(graph: Any) -> None:
    """Names of letters, digits and underscores, which is all that hls4ml keeps apart; layers by operator and place."""
    plain: dict[str, str] = {"": ""}

    def rename(name: str) -> str:
        return plain.setdefault(name, f"t{len(plain)}_" + "".join(c if c.isalnum() else "_" for c in name))

    for index, node in enumerate(graph.node):
        node.name = f"{node.op_type.lower()}_{index}"
        for names in (node.input, node.output):
            names[:] = [rename(name) for name in names]
    for entry in (*graph.initializer, *graph.input, *graph.output, *graph.value_info):
        entry.name = rename(entry.name)


def is_ours(path: Path) -> bool:
    """Whether `read_onnx` can restore a network from the file."""
    return any(entry.key == METADATA for entry in _read(path).metadata_props)


def read_onnx(path: Path) -> QuantisedNetwork:
    """Restore a network from its ONNX file.

    Raises `DataError` for a file that is missing, damaged or changed, `ConfigurationError` for a foreign ONNX file.
    """
    model = _read(path)
    text = next((entry.value for entry in model.metadata_props if entry.key == METADATA), None)
    if text is None:
        raise ConfigurationError("model", str(path), SUPPORTED)
    description = json.loads(text)
    values = {entry.name: numpy_helper.to_array(entry).astype(np.float64) for entry in model.graph.initializer}
    codes = []
    try:
        for index, layer in enumerate(description["layers"]):
            kinds = (FixedPoint.parse(layer[f"{what}_type"]) for what in ("weight", "bias"))
            arrays = (values[f"{what}_{index}"] for what in ("weight", "bias"))
            weight, bias = ((array / kind.lsb).astype(np.int64) for array, kind in zip(arrays, kinds, strict=True))
            codes.append((weight, bias))
        return restore(description, codes)
    except KeyError as error:
        raise DataError(f"holds no {error}", path) from error
