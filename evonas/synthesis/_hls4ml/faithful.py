"""Whether hls4ml's front end kept the torch network's structure: both computed without any rounding must agree.

The front end drops slices, and with `channels_last_conversion="off"` it leaves the weights of `Linear` as they lie,
without an error. Rounding cannot hide or excuse that here, because the comparison has none: weights are those of the
network, nothing is cast, and only the tables of activation functions differ slightly from the function itself.
"""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.errors import FailureKind, ToolError
from evonas.synthesis import evaluate
from evonas.synthesis import graph as g
from evonas.synthesis._hls4ml.reader import read

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Words = NDArray[np.float64]  # (n, size)

SAMPLES = 64
LARGEST_DEVIATION = 0.02  # of the outputs' spread; what tables and single precision leave is a hundred times less


def check(model: Any) -> None:
    """Raise `ToolError` (UNSUPPORTED) if a model that came from torch computes something else than the network."""
    found = deviation(model)
    if found is not None and not found <= LARGEST_DEVIATION:
        how = f"differ by {found:.0%} of their spread" if not np.isinf(found) else "have other shapes"
        message = (
            f"hls4ml's model is not the torch network: without any rounding its outputs {how}. hls4ml drops slices "
            "such as x[:, 4:] without a word, gives only the last step of a recurrent layer, and "
            "channels_last_conversion='off' leaves the weights of Linear untransposed"
        )
        raise ToolError(FailureKind.UNSUPPORTED, message)


def deviation(model: Any) -> float | None:
    """Root mean square difference of the unrounded outputs over their spread; None if torch has no part in `model`."""
    network = model.config.config.get("PytorchModel")
    if not hasattr(network, "forward"):
        return None
    graph = read(model, unrounded=True)
    inputs = [np.random.default_rng(0).normal(size=(SAMPLES, *shape)) for shape in shapes(model)]
    ours = unrounded(graph, *inputs)
    theirs = torch_outputs(network, [torch_layout(model, data, index) for index, data in enumerate(inputs)])
    return max(min(_distance(mine, torch) for torch in _layouts(its)) for mine, its in zip(ours, theirs, strict=True))


def shapes(model: Any) -> list[tuple[int, ...]]:
    """The shape of each input, without the batch."""
    return [tuple(int(n) for n in variable.shape) for variable in model.get_input_variables()]


def torch_layout(model: Any, data: Words, index: int) -> Words:
    """Input number `index` as the torch network takes it.

    "internal" conversion leaves the user to put the channels last; "full" transposes, but for a single channel hls4ml
    takes the transposition out and wants that input with its channel last.
    """
    conversion = str(model.config.config["HLSConfig"].get("Model", {}).get("ChannelsLastConversion", "full")).lower()
    given = model.config.config.get("InputShape")
    wanted = given[index] if isinstance(given, list) else given
    single = wanted is not None and data.shape[1:] != tuple(wanted) and data.shape[-1] == 1
    return np.moveaxis(data, -1, 1) if conversion == "internal" or single else data


def torch_outputs(network: Any, inputs: list[Words]) -> list[Words]:
    """Outputs of the network in evaluation mode, (n, ...) each."""
    import torch

    kind = next((weight.dtype for weight in network.parameters()), torch.float32)
    training = network.training
    network.eval()
    try:
        with torch.no_grad():
            outputs = network(*(torch.as_tensor(np.ascontiguousarray(data), dtype=kind) for data in inputs))
    finally:
        network.train(training)
    return [out.double().numpy() for out in (outputs if isinstance(outputs, list | tuple) else [outputs])]


def _layouts(data: Words) -> list[Words]:
    """The outputs flat, as they lie and with the channels last, which is how hls4ml usually leaves them."""
    return [layout.reshape(len(data), -1) for layout in (data, np.moveaxis(data, 1, -1))]


def _distance(ours: Words, theirs: Words) -> float:
    if ours.shape != theirs.shape:
        return float("inf")
    spread = np.sqrt(((theirs - theirs.mean(axis=0)) ** 2).mean()) or np.abs(theirs).max() or 1.0
    return float(np.sqrt(((ours - theirs) ** 2).mean()) / spread)


def unrounded(graph: g.Graph, *inputs: Words) -> tuple[Words, ...]:
    """Outputs of the graph, one (n, size) per output tensor, with no cast anywhere."""
    values: dict[str, Words] = {}
    sources = iter(inputs)
    for node in graph.nodes:
        if isinstance(node, g.Input):
            data = next(sources)
            values[node.name] = data.reshape(len(data), -1)
        else:
            values[node.name] = exactly(node, [values[name] for name in node.inputs])
    return tuple(values[name] for name in graph.outputs)


@singledispatch
def exactly(node: g.Node, x: list[Words]) -> Words:
    """What the node computes, (n, size), where casts are all that `evaluate` would do besides."""
    return evaluate.compute(node, x, [])


def _windows(x: Words, gather: NDArray[np.int64], absent: float) -> Words:
    return np.asarray(np.concatenate([x, np.full((len(x), 1), absent)], axis=1)[:, gather])


@exactly.register(g.Linear)
def _linear(node: g.Linear, x: list[Words]) -> Words:
    products = np.einsum("ngpk,gkf->npgf", _windows(x[0], node.gather, 0.0), node.weight, optimize=True)
    return np.asarray(products + node.bias).reshape(len(products), -1)


@exactly.register(g.Table)
def _table(node: g.Table, x: list[Words]) -> Words:
    """Between the entries, which are the function's own values."""
    entries = np.arange(len(node.values))
    looked_up = np.interp(x[0] * node.scale + node.offset, entries, node.values)
    return looked_up if node.positive_slope is None else np.where(x[0] >= 0, x[0] * node.positive_slope, looked_up)


@exactly.register(g.Pool)
def _pool(node: g.Pool, x: list[Words]) -> Words:
    if node.kind == "max":
        return np.asarray(_windows(x[0], node.gather, -np.inf).max(axis=2))
    return np.asarray(_windows(x[0], node.gather, 0.0).sum(axis=2) / node.lengths)


@exactly.register(g.Merge)
def _merge(node: g.Merge, x: list[Words]) -> Words:
    return evaluate.merged(node, x)


@exactly.register(g.Contract)
def _contract(node: g.Contract, x: list[Words]) -> Words:
    return np.asarray((x[0][:, node.left] * x[1][:, node.right]).sum(axis=2))


@exactly.register(g.Softmax)
def _softmax(node: g.Softmax, x: list[Words]) -> Words:
    result = np.zeros((len(x[0]), node.size))
    for row in node.rows:
        powers = np.exp(x[0][:, row] - x[0][:, row].max(axis=1, keepdims=True))
        result[:, row] = powers == 1.0 if node.kind == "argmax" else powers / powers.sum(axis=1, keepdims=True)
    return result
