"""What a surrogate needs to know of a network that evonas did not make: its description, from its exact arithmetic."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NoReturn, final

import numpy as np

from evonas.errors import FailureKind, ToolError
from evonas.models.fixed_point import LEAKY_SLOPE
from evonas.synthesis import graph as g
from surrogates import LayerSpec, ModelSpec
from surrogates.layers import UNSIGNED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evonas.synthesis.file_build import Conversion
    from surrogates import HardwareTarget
    from surrogates.layers import Activation


@final
@dataclass(frozen=True)
class Description:
    """A network's description, and what of the network is not in it."""

    spec: ModelSpec
    notes: tuple[str, ...] = ()


def describe_file(path: Path, target: HardwareTarget, conversion: Conversion) -> Description:
    """Of an ONNX, QONNX or Keras file as hls4ml reads it.

    Raises as `describe`, `DataError` for a damaged file and `ToolError` for one that hls4ml does not read.
    """
    from evonas.synthesis._hls4ml import frontends, reader

    options = conversion.precision, conversion.reuse_factor, conversion.strategy
    with TemporaryDirectory() as directory:
        converted, warnings = frontends.load(path, target, Path(directory), *options)
        found = describe(reader.read(converted))
    return replace(found, notes=(*warnings, *found.notes))


def describe(graph: g.Graph) -> Description:
    """Of a chain of dense layers, the same at each position if there are several.

    Bits are those that the numbers use: of weights what their codes need, of words what their types have. Raises
    `ToolError` (UNSUPPORTED) for other networks, and `SpecError` for numbers beyond the range of a description.
    """
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        _unsupported(f"it has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs")
    layers: list[LayerSpec] = []
    leaving: list[g.Node] = []  # what the words of each layer leave it through
    notes: list[str] = []
    before: g.Node = graph.inputs[0]
    for node in (node for node in graph.nodes if not isinstance(node, g.Input)):
        if node.inputs != (before.name,):
            _unsupported(f"{node.name} reads {', '.join(node.inputs)}, not what comes before it")
        if isinstance(node, g.Linear):
            layers.append(_layer(node))
            leaving.append(node)
        elif isinstance(node, g.Softmax):
            notes.append(f"{node.name}, a softmax, is not counted")
        elif not layers and not _only_cast(node):
            _unsupported(f"it begins with {node.name}, {_kind(node)}")
        elif layers:
            layers[-1], leaving[-1] = _with_activation(layers[-1], node), node
        before = node
    if not layers:
        _unsupported("it has no layer with weights")
    if layers[-1].activation not in ("linear", "identity"):
        notes.append(f"the {layers[-1].activation} behind the last layer is not counted")
    hidden = map(_quantised, layers[:-1], leaving)
    bits = max(kind.width for kind in graph.inputs[0].results)
    last = replace(layers[-1], activation="linear", activation_bits=0)
    return Description(ModelSpec(bits, (*hidden, last)), tuple(notes))


def _unsupported(message: str) -> NoReturn:
    mend = "a prediction is made of chains of dense layers; `evonas synth` takes other networks"
    raise ToolError(FailureKind.UNSUPPORTED, f"{message}: {mend}")


def _kind(node: g.Node) -> str:
    return f"of kind {type(node).__name__}"


def _layer(node: g.Linear) -> LayerSpec:
    """The layer alone, before its activation is known."""
    groups, positions, terms = node.gather.shape
    in_order = node.gather[0] if groups == 1 else None
    if in_order is None or not np.array_equal(in_order.ravel(), np.arange(positions * terms)):
        _unsupported(f"{node.name} is no dense layer")
    weights = node.weight[0]
    codes = np.rint(weights / node.weight_type.lsb).astype(np.int64)
    shared = node.implementation != "distributed_arithmetic"
    return LayerSpec(
        terms,
        weights.shape[1],
        _bits(codes),
        0,
        "linear",
        float(np.mean(codes == 0)),
        "reuse" if shared else "distributed_arithmetic",
        node.reuse_factor if shared else 1,
        positions=positions,
    )


def _bits(codes: NDArray[np.int64]) -> int:
    """Of two's complement words for the codes of each output (n_in, n_out), zeros behind the last one cut off."""
    lowest = np.bitwise_or.reduce(codes, axis=0)
    shifts = np.where(lowest == 0, 0, np.log2((lowest & -lowest).clip(1)).astype(np.int64))
    shifted = codes >> shifts
    return max(int(np.maximum(shifted, -1 - shifted).max(initial=0)).bit_length() + 1, 2)


def _with_activation(layer: LayerSpec, node: g.Node) -> LayerSpec:
    """The layer with the activation that `node` is, if it is more than a cast."""
    if _only_cast(node):
        return layer
    if layer.activation != "linear":
        _unsupported(f"{node.name}, {_kind(node)}, follows another activation")
    return replace(layer, activation=_activation(node), activation_bits=1)


def _quantised(layer: LayerSpec, node: g.Node) -> LayerSpec:
    """A hidden layer with the bits of the words that leave it through `node`."""
    activation: Activation = "identity" if layer.activation == "linear" else layer.activation
    never_negative = activation in UNSIGNED  # then the sign of the type is no bit of theirs
    bits = max(kind.width - (kind.signed and never_negative) for kind in node.results)
    return replace(layer, activation=activation, activation_bits=bits)


def _activation(node: g.Node) -> Activation:
    if isinstance(node, g.Rectify):
        slopes = set(node.slope.tolist())
        if slopes <= {0.0}:
            return "relu"
        if slopes == {LEAKY_SLOPE}:
            return "leaky_relu"
    if isinstance(node, g.Clip):
        return "hard_tanh"
    if isinstance(node, g.Table):
        low, high = float(node.values.min()), float(node.values.max())
        if high > 1:
            return "gelu"
        return "sigmoid" if low >= 0 else "tanh"
    _unsupported(f"{node.name}, {_kind(node)}, is no activation that descriptions have")


def _only_cast(node: g.Node) -> bool:
    """Whether the words stay the same but for their types."""
    if isinstance(node, g.Rearrange):
        return np.array_equal(node.gather, np.arange(len(node.gather)))
    return isinstance(node, g.Scale) and bool((node.scale == 1).all() and (node.bias == 0).all())
