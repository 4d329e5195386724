"""How hls4ml's layers with products are read: dense, convolution, einsum, normalisation, dot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.synthesis import graph as g
from evonas.synthesis._hls4ml import activations, words  # noqa: F401 - register their rules
from evonas.synthesis._hls4ml.reader import Layer, rule, unsupported
from evonas.synthesis._hls4ml.windows import windows
from surrogates.reuse import nearest_legal

if TYPE_CHECKING:
    from numpy.typing import NDArray

STRATEGIES = {"latency", "distributed_arithmetic", "da", "unrolled", "resource", "resource_unrolled"}
BLOCK_RAM_WORDS = 64  # weights that take turns at a multiplier before block RAM is the better store than LUTs


@rule("Input")
def _input(layer: Layer) -> list[g.Node]:
    return [g.Input(**layer.common() | {"inputs": ()})]


def implementation(layer: Layer) -> dict[str, Any]:
    """Strategy and reuse factor of a product as fields of `Linear`.

    "latency" with reuse factor 1 and "distributed_arithmetic" unroll into adders; any reuse factor above 1 and
    "resource" take multipliers, with weights in block RAM where at least `BLOCK_RAM_WORDS` share one.
    """
    strategy, reuse = str(layer.get("strategy", "latency")).lower(), layer.integer("reuse_factor", 1)
    # What the user wrote: hls4ml takes a strategy that it does not know for "latency".
    wanted = str(layer.raw.model.config.get_strategy(layer.raw) or "latency").lower()
    for name in (strategy, wanted):
        if name not in STRATEGIES:
            unsupported(f"{layer.name}: Strategy {name} has no path to Verilog; one of {', '.join(sorted(STRATEGIES))}")
    if strategy in ("resource", "resource_unrolled") or reuse > 1:
        kind = "block_ram" if reuse >= BLOCK_RAM_WORDS else "dsp"
        return {"implementation": kind, "reuse_factor": reuse}
    return {"implementation": "distributed_arithmetic", "reuse_factor": 1}


def _once(layer: Layer, what: str) -> dict[str, Any]:
    """For layers that are only ever unrolled: a reuse factor would be ignored, so it is refused."""
    chosen = implementation(layer)
    if chosen["implementation"] != "distributed_arithmetic":
        unsupported(f"{layer.name}: {what} is only unrolled; set ReuseFactor 1 and Strategy Latency")
    return chosen


@rule("Dense")
def _dense(layer: Layer) -> list[g.Node]:
    weight = layer.kernel().reshape(layer.integer("n_in"), layer.integer("n_out"))
    if int(np.prod(layer.input_shape())) != len(weight):
        unsupported(f"{layer.name}: Dense on an input of shape {layer.input_shape()}; flatten it first")
    order = _order_of_sum(layer, len(weight), layer.integer("reuse_factor", 1))
    return [
        g.Linear(
            **layer.common(),
            gather=order[None, None],
            weight=weight[order][None],
            bias=layer.values("bias").reshape(1, 1, -1),
            weight_type=layer.weight_type("weight"),
            accumulator=layer.type("accum_t"),
            **implementation(layer),
        )
    ]


def _order_of_sum(layer: Layer, n_in: int, step: int) -> NDArray[np.int64]:
    """The order in which hls4ml's loops add products: with "resource" every `step`-th, from the first, the second..."""
    if str(layer.get("strategy")).lower() != "resource" or step > n_in:
        return np.arange(n_in)
    return np.concatenate([np.arange(first, n_in, step) for first in range(step)])


@rule("Conv1D", "Conv2D", "PointwiseConv1D", "PointwiseConv2D", "Conv2DBatchnorm")
def _convolution(layer: Layer) -> list[g.Node]:
    patches = windows(layer)  # (P, taps, channels)
    taps = patches.shape[1] * patches.shape[2]
    chosen = implementation(layer)
    if str(layer.get("strategy")).lower() == "resource":  # hls4ml forgets its correction where it goes on to pointwise
        chosen["reuse_factor"] = nearest_legal(chosen["reuse_factor"], taps, layer.shape[-1])
    order = _order_of_sum(layer, taps, chosen["reuse_factor"])
    return [
        g.Linear(
            **layer.common(),
            gather=patches.reshape(1, -1, taps)[:, :, order],
            weight=layer.kernel().reshape(1, taps, -1)[:, order],
            bias=layer.values("bias").reshape(1, 1, -1),
            weight_type=layer.weight_type("weight"),
            accumulator=layer.type("accum_t"),
            parallel=len(patches) // layer.integer("n_partitions"),
            **chosen,
        )
    ]


@rule("DepthwiseConv1D", "DepthwiseConv2D")
def _depthwise(layer: Layer) -> list[g.Node]:
    if layer.integer("depth_multiplier", 1) != 1:
        unsupported(f"{layer.name}: a depth multiplier above 1 (hls4ml's C++ does not have it either)")
    patches, chosen = windows(layer), implementation(layer)
    factor, taps = chosen["reuse_factor"], patches.shape[1]
    if taps % factor:  # hls4ml's rule takes the products of all channels for those of one
        unsupported(f"{layer.name}: ReuseFactor {factor} of a depthwise convolution must divide its {taps} taps")
    return [
        g.Linear(
            **layer.common(),
            gather=patches.transpose(2, 0, 1),
            weight=layer.kernel().reshape(patches.shape[1], -1).T[:, :, None],
            bias=layer.values("bias").reshape(1, -1, 1),
            weight_type=layer.weight_type("weight"),
            accumulator=layer.type("accum_t"),
            parallel=len(patches) // layer.integer("n_partitions"),
            **chosen,
        )
    ]


@rule("SeparableConv1D", "SeparableConv2D")
def _separable(layer: Layer) -> list[g.Node]:
    if layer.integer("depth_multiplier", 1) != 1:
        unsupported(f"{layer.name}: a depth multiplier above 1 (hls4ml's C++ does not have it either)")
    patches = windows(layer)
    positions, taps, channels = patches.shape
    middle = f"{layer.name}_depthwise"
    once = _once(layer, "a separable convolution")
    depthwise = g.Linear(
        name=middle,
        inputs=layer.feeds,
        size=positions * channels,
        result=layer.type("dw_output_t"),
        gather=patches.transpose(2, 0, 1),
        weight=layer.values("depthwise").reshape(taps, channels).T[:, :, None],
        bias=np.zeros((1, channels, 1)),
        weight_type=layer.weight_type("depthwise"),
        accumulator=layer.type("depthwise_accum_t"),
        **once,
    )
    pointwise = g.Linear(
        **layer.common() | {"inputs": (middle,)},
        gather=np.arange(positions * channels).reshape(1, positions, channels),
        weight=layer.values("pointwise").reshape(1, channels, -1),
        bias=layer.values("bias").reshape(1, 1, -1),
        weight_type=layer.weight_type("pointwise"),
        accumulator=layer.type("pointwise_accum_t"),
        **once,
    )
    return [depthwise, pointwise]


@rule("EinsumDense")
def _einsum_dense(layer: Layer) -> list[g.Node]:
    free, kernel, contracted, inplace = (
        layer.integer(f"n_{name}") for name in ("free_data", "free_kernel", "contract", "inplace")
    )
    source = np.arange(int(np.prod(layer.get("inp_shape")))).reshape(layer.get("inp_shape"))
    gather = source.transpose(layer.get("inp_tpose_idxs")).reshape(inplace, free, contracted)
    weight = layer.kernel().reshape(inplace, contracted, kernel)
    bias = np.broadcast_to(layer.values("bias").reshape(inplace, -1, kernel), (inplace, free, kernel))
    inner = f"{layer.name}_products"
    products = g.Linear(
        **layer.common(inner),
        gather=gather,
        weight=weight,
        bias=bias.transpose(1, 0, 2),
        weight_type=layer.weight_type("weight"),
        accumulator=layer.type("accum_t"),
        **_once(layer, "an einsum with a kernel"),
    )
    order = np.arange(layer.size).reshape(free, inplace, kernel).transpose(1, 0, 2)  # (I, L0, L1), hls4ml's order
    order = order.reshape(layer.get("out_interpert_shape")).transpose(layer.get("out_tpose_idxs"))
    return [products, g.Rearrange(**layer.common() | {"inputs": (inner,)}, gather=order.ravel())]


@rule("Einsum")
def _einsum(layer: Layer) -> list[g.Node]:
    free0, free1, contracted, inplace = (
        layer.integer(f"n_{name}") for name in ("free0", "free1", "contract", "inplace")
    )
    _once(layer, "an einsum")
    sides = []
    for index, free in ((0, free0), (1, free1)):
        shape = layer.get(f"inp{index}_shape")
        source = np.arange(int(np.prod(shape))).reshape(shape).transpose(layer.get(f"inp{index}_tpose_idxs"))
        sides.append(source.reshape(inplace, free, contracted))
    left = np.broadcast_to(sides[0][:, :, None], (inplace, free0, free1, contracted)).reshape(-1, contracted)
    right = np.broadcast_to(sides[1][:, None], (inplace, free0, free1, contracted)).reshape(-1, contracted)
    order = (
        np.arange(len(left)).reshape(layer.get("out_interpert_shape")).transpose(layer.get("out_tpose_idxs")).ravel()
    )
    return [
        g.Contract(
            **layer.common(),
            left=left[order],
            right=right[order],
            accumulator=layer.type("accum_t"),
            cast_products=layer.is_integer("accum_t"),
        )
    ]


@rule("BatchNormalization", "ApplyAlpha")
def _batch_normalisation(layer: Layer) -> list[g.Node]:
    _once(layer, "batch normalisation")
    scale = layer.kernel("scale").ravel()
    repeats = layer.size // len(scale)
    bias = np.tile(layer.values("bias").ravel(), repeats)
    return [g.Scale(**layer.common(), scale=np.tile(scale, repeats), bias=bias)]


@rule("Dot")
def _dot(layer: Layer) -> list[g.Node]:
    taps = np.arange(layer.input_shape()[0])[None]
    return [g.Contract(**layer.common(), left=taps, right=taps, accumulator=layer.type("accum_t"), cast_products=True)]
