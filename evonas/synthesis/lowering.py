"""A trained network of any family as a `Graph`, part by part: the way to hardware that needs no hls4ml.

Every cast is that of the `QuantisedNetwork`; accumulators hold their sums exactly, so nothing rounds in between.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.models.fixed_point import LEAKY_SLOPE, FixedPoint, QuantisedDense
from evonas.models.operations import halvings, ordered_pairs
from evonas.synthesis import graph as g
from surrogates import LayerSpec, OperationSpec
from surrogates.shared_multipliers import BLOCK_RAM_WORDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evonas.models.operations import QuantisedOperation
    from evonas.models.quantised_network import QuantisedNetwork
    from evonas.models.softmax import Softmax

SLOPES = {"relu": 0.0, "leaky_relu": LEAKY_SLOPE}


def lower(network: QuantisedNetwork) -> g.Graph:
    """The network as a graph with the same bits: one input and one output tensor, words by position, then channel."""
    nodes: list[g.Node] = [g.Input("x", (), network.spec.n_inputs, network.input_type)]
    names = ["x"]  # of the nodes whose words leave the input and each part
    for index, (part, sources) in enumerate(zip(network.layers, network.spec.sources, strict=True)):
        inputs, spec = tuple(names[source + 1] for source in sources), network.spec.layers[index]
        if isinstance(part, QuantisedDense):
            assert isinstance(spec, LayerSpec)
            nodes += _layer(f"layer{index}", inputs, part, spec, network.entering(index))
        else:
            shapes = [network.spec.shapes[source + 1] for source in sources]
            nodes.append(_operation(f"{part.spec.kind}{index}", inputs, part, shapes, network.exact_types[index]))
            nodes[-1] = replace(nodes[-1], result=network.result_types[index + 1])
        names.append(nodes[-1].name)
    return g.Graph(tuple(nodes), (names[-1],))


def _layer(
    name: str, inputs: tuple[str, ...], layer: QuantisedDense, spec: LayerSpec, entering: FixedPoint
) -> list[g.Node]:
    """A dense layer or convolution, and its activation."""
    accumulator = layer.accumulator_type(entering)
    size, result = spec.shape[0] * spec.shape[1], layer.result_type(entering)
    slope = SLOPES.get(layer.activation)
    linear = g.Linear(
        name,
        inputs,
        size,
        layer.table_type or (result if slope is None else accumulator),
        gather=_reads(spec)[None],
        weight=layer.weight[None],
        bias=layer.bias[None, None],
        weight_type=layer.weight_type,
        accumulator=accumulator,
        **_implementation(spec),
    )
    if layer.table_type is not None:
        scale, offset = 2.0**layer.table_type.fraction, len(layer.table) // 2
        return [linear, g.Table(f"{name}_{layer.activation}", (name,), size, result, scale, offset, layer.table)]
    if slope is None:
        return [linear]
    return [linear, g.Rectify(f"{name}_{layer.activation}", (name,), size, result, slope=np.full(size, slope))]


def _reads(spec: LayerSpec) -> NDArray[np.int64]:
    """Words (positions, fan-in) that each output position reads."""
    channels = np.arange(spec.n_in)
    if spec.window is None:
        return np.arange(spec.positions)[:, None] * spec.n_in + channels
    places = np.array(spec.window.reads())[:, :, None]
    words = np.where(places < 0, g.ABSENT, places * spec.n_in + channels)
    return words.reshape(len(words), -1)


def _implementation(spec: LayerSpec) -> dict[str, Any]:
    if spec.strategy == "distributed_arithmetic":
        return {}
    kind = "block_ram" if spec.reuse_factor >= BLOCK_RAM_WORDS else "dsp"
    return {"implementation": kind, "reuse_factor": spec.reuse_factor}


def _operation(
    name: str,
    inputs: tuple[str, ...],
    operation: QuantisedOperation,
    shapes: list[tuple[int, int]],
    exact: FixedPoint,
) -> g.Node:
    """An operation whose result has every bit, of type `exact`."""
    spec = operation.spec
    shape = spec.shape(*shapes)
    size = shape[0] * shape[1]
    if spec.kind in ("sum", "mean"):
        return _sum(name, inputs, spec, shapes[0], exact)
    if spec.kind == "max":
        gather = _grouped(shapes[0], spec.groups).reshape(size, -1)
        return g.Pool(name, inputs, size, exact, "max", gather, np.full(size, gather.shape[1]), exact)
    if spec.kind == "matmul":
        return _matmul(name, inputs, shapes[0], shapes[1], exact)
    if spec.kind == "softmax":
        return _softmax(name, inputs, operation.softmax(shape[1]), np.arange(size).reshape(shape))
    if spec.kind == "add":
        return g.Merge(name, inputs, size, exact, "add")
    return g.Rearrange(name, inputs, size, exact, gather=_order(spec, shapes).ravel())


def _grouped(shape: tuple[int, int], groups: int) -> NDArray[np.int64]:
    """Words (groups, channels, terms) that each word of a reduction reads."""
    positions, channels = shape
    return np.arange(positions * channels).reshape(groups, positions // groups, channels).transpose(0, 2, 1)


def _sum(
    name: str, inputs: tuple[str, ...], spec: OperationSpec, shape: tuple[int, int], exact: FixedPoint
) -> g.Linear:
    """A sum is a product with ones, a mean with a power of two: adders and no more."""
    positions, channels = shape
    terms = positions // spec.groups
    shift = halvings(terms) if spec.kind == "mean" else 0
    return g.Linear(
        name,
        inputs,
        spec.groups * channels,
        exact,
        gather=_grouped(shape, spec.groups).transpose(1, 0, 2),
        weight=np.full((channels, terms, 1), 2.0**-shift),
        bias=np.zeros((1, channels, 1)),
        weight_type=FixedPoint(False, 1, 1 - shift),
        accumulator=exact,
    )


def _matmul(
    name: str, inputs: tuple[str, ...], first: tuple[int, int], second: tuple[int, int], exact: FixedPoint
) -> g.Contract:
    """Rows of the first operand times columns of the second."""
    rows, columns = np.arange(first[0] * first[1]).reshape(first), np.arange(second[0] * second[1]).reshape(second).T
    left, right = np.repeat(rows, second[1], axis=0), np.tile(columns, (first[0], 1))
    return g.Contract(name, inputs, len(left), exact, left, right, accumulator=exact)


def _softmax(name: str, inputs: tuple[str, ...], softmax: Softmax, rows: NDArray[np.int64]) -> g.Softmax:
    return g.Softmax(
        name,
        inputs,
        rows.size,
        softmax.exact_type,
        "stable",
        rows,
        difference=softmax.difference,
        accumulator=softmax.accumulator,
        total=softmax.total,
        exp=softmax.exp,
        inverse=softmax.inverse,
    )


def _order(spec: OperationSpec, shapes: list[tuple[int, int]]) -> NDArray[np.int64]:
    """Which word of all inputs, one after the other, stands where in what only rearranges."""
    (positions, channels), words = shapes[0], np.arange(sum(n * c for n, c in shapes))
    first = words[: positions * channels].reshape(positions, channels)
    if spec.kind == "pairs":
        receivers, senders = ordered_pairs(positions)
        return np.concatenate([first[receivers], first[senders]], axis=1)
    if spec.kind == "broadcast":
        return np.repeat(first, spec.groups, axis=0)
    if spec.kind == "concatenate":
        return np.concatenate([first, words[first.size :].reshape(shapes[1])], axis=1)
    if spec.kind == "select":
        return first[spec.start : spec.start + spec.length]
    return first.T if spec.kind == "transpose" else first
