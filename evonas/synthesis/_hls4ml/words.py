"""How hls4ml's layers that pick, merge and move words are read: pooling, merges, concatenation, padding, embedding."""

from __future__ import annotations

from typing import Literal

import numpy as np

from evonas.synthesis import graph as g
from evonas.synthesis._hls4ml.reader import Layer, rule, unsupported
from evonas.synthesis._hls4ml.windows import windows


@rule("Pooling1D", "Pooling2D", "GlobalPooling1D", "GlobalPooling2D")
def _pooling(layer: Layer) -> list[g.Node]:
    patches = windows(layer)
    gather = patches.transpose(0, 2, 1).reshape(layer.size, -1)
    present = (gather != g.ABSENT).sum(axis=1)
    kind: Literal["max", "mean"] = "max" if str(layer.get("pool_op")).lower() == "max" else "mean"
    if kind == "max" and present.min() < gather.shape[1] and not layer.input_type().signed:
        unsupported(
            f"{layer.name}: hls4ml's padding of an unsigned type is half its range, not its least value; pad first"
        )
    padded = np.full_like(present, gather.shape[1])
    lengths = padded if layer.get("count_pad", False) else present
    if kind == "mean" and layer.is_integer("accum_t"):
        unsupported(f"{layer.name}: a mean with an integer accum_t, which hls4ml's C++ divides as unsigned; use fixed")
    return [g.Pool(**layer.common(), kind=kind, gather=gather, lengths=lengths, accumulator=layer.type("accum_t"))]


@rule("Merge")
def _merge(layer: Layer) -> list[g.Node]:
    kind = str(layer.get("op")).lower()
    small, large = sorted(
        (layer.input_shape(index) for index in range(2)), key=lambda shape: (int(np.prod(shape)), len(shape))
    )
    if large[len(large) - len(small) :] != small:  # hls4ml repeats the smaller one from its beginning
        unsupported(f"{layer.name}: {kind} of shapes {small} and {large}; make them equal first")
    if kind not in ("add", "subtract", "multiply", "average", "maximum", "minimum"):
        unsupported(f"{layer.name}: no path for the merge {kind}")
    return [g.Merge(**layer.common(), kind=kind)]  # type: ignore[arg-type]


@rule("Concatenate")
def _concatenate(layer: Layer) -> list[g.Node]:
    first, second = (np.arange(int(np.prod(layer.input_shape(i)))).reshape(layer.input_shape(i)) for i in range(2))
    axis = layer.integer("axis")
    both = np.concatenate([first, second + first.size], axis=axis - 1 if axis > 0 else axis)
    return [g.Rearrange(**layer.common(), gather=both.ravel())]


@rule("Reshape")
def _reshape(layer: Layer) -> list[g.Node]:
    return [g.Rearrange(**layer.common(), gather=np.arange(layer.size))]


@rule("Transpose")
def _transpose(layer: Layer) -> list[g.Node]:
    shape = layer.input_shape()
    order = np.arange(layer.size).reshape(shape).transpose([int(axis) for axis in layer.get("perm")])
    return [g.Rearrange(**layer.common(), gather=order.ravel())]


@rule("ZeroPadding1D", "ZeroPadding2D", "Cropping1D", "Cropping2D")
def _pad_or_crop(layer: Layer) -> list[g.Node]:
    layer.channels_last()
    shape = layer.input_shape()
    words = np.arange(int(np.prod(shape))).reshape(shape)
    sides = [("left", "right")] if len(shape) == 2 else [("top", "bottom"), ("left", "right")]
    if layer.raw.class_name.startswith("Zero"):
        pads = [(layer.integer(f"pad_{low}"), layer.integer(f"pad_{high}")) for low, high in sides]
        words = np.pad(words, [*pads, (0, 0)], constant_values=g.ABSENT)
    else:
        for axis, (low, high) in enumerate(sides):
            keep = range(layer.integer(f"crop_{low}"), words.shape[axis] - layer.integer(f"crop_{high}"))
            words = np.take(words, list(keep), axis=axis)
    return [g.Rearrange(**layer.common(), gather=words.ravel())]


@rule("Resize")
def _resize(layer: Layer) -> list[g.Node]:
    layer.channels_last()
    if layer.get("algorithm") != "nearest":
        unsupported(f"{layer.name}: resizing by {layer.get('algorithm')}; only nearest has a path")
    shape, target = layer.input_shape(), layer.shape
    words = np.arange(int(np.prod(shape))).reshape(shape)
    for axis in range(len(shape) - 1):
        words = np.take(words, np.arange(target[axis]) * shape[axis] // target[axis], axis=axis)
    return [g.Rearrange(**layer.common(), gather=words.ravel())]


@rule("Repack", "Clone")
def _copy(layer: Layer) -> list[g.Node]:
    return [g.Rearrange(**layer.common(), gather=np.arange(layer.size))]


@rule("Embedding")
def _embedding(layer: Layer) -> list[g.Node]:
    return [g.Embedding(**layer.common(), vectors=layer.values("embeddings").reshape(layer.integer("vocab_size"), -1))]
