"""ONNX files: those that evonas writes and reads back, and those of others, as hls4ml reads them."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError
from onnx import helper, numpy_helper

from evonas.errors import ConfigurationError, DataError
from evonas.models.fixed_point import FixedPoint
from evonas.models.quantised_network import QuantisedNetwork
from evonas.synthesis._onnx.build import IR_VERSION, METADATA, build, precision
from evonas.synthesis.verification import compare

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

SUPPORTED = "evonas reads ONNX files that evonas wrote: they carry their fixed-point types as metadata"


def restore(description: dict[str, Any], codes: list[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> QuantisedNetwork:
    """The network from what `describe` gave and the codes of weights and biases of each layer with weights.

    Raises `DataError` if they do not belong together.
    """
    network = QuantisedNetwork.restore(description, [array for pair in codes for array in pair])
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
        weighted = ((index, layer) for index, layer in enumerate(description["layers"]) if "weight_type" in layer)
        for index, layer in weighted:
            kinds = (FixedPoint.parse(layer[f"{what}_type"]) for what in ("weight", "bias"))
            arrays = (values[f"{what}_{index}"] for what in ("weight", "bias"))
            weight, bias = ((array / kind.lsb).astype(np.int64) for array, kind in zip(arrays, kinds, strict=True))
            codes.append((weight, bias))
        return restore(description, codes)
    except KeyError as error:
        raise DataError(f"holds no {error}", path) from error
