"""Networks of one structure but different widths as one tensor program: the widest of each, and what is real in it.

What is beyond a member's width has no weights, is not pruned, calibrated or exported, and nothing reads it. So the
structure holds every width that such room would change: those of channels that become positions or that a softmax sums
over, and the number of outputs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from surrogates import LayerSpec, ModelSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from surrogates import OperationSpec
    from surrogates.layers import Shape

_OF_CHANNELS = ("transpose", "softmax")
_POOLING = ("sum", "mean", "max")


def needs_no_room(spec: ModelSpec) -> bool:
    """Whether it is a chain of dense layers and pooling without tables, whose members can be trained side by side."""
    chain = spec.sources == tuple((index - 1,) for index in range(len(spec.layers)))
    return chain and spec.shapes[-1][0] == 1 and all(map(_simple, spec.layers))


def _simple(part: LayerSpec | OperationSpec) -> bool:
    return part.kind == "dense" and not part.table_bits if isinstance(part, LayerSpec) else part.kind in _POOLING


def structure(spec: ModelSpec) -> tuple[object, ...]:
    """What members of a stack share: parts, windows, edges, positions, and the widths that cannot differ."""
    parts: list[tuple[object, ...]] = []
    settled = _settled(spec)
    for index, part in enumerate(spec.layers):
        if isinstance(part, LayerSpec):
            width = part.n_out if index in settled else 0
            parts.append((part.positions, part.window, part.activation == "linear", width))
        else:
            parts.append((part.kind, part.groups, part.start, part.length))
    return (spec.input_shape, spec.edges, *parts)


def _settled(spec: ModelSpec) -> set[int]:
    """Layers whose channels reach an operation over channels, or the output."""
    reached, found = {len(spec.layers) - 1}, set()
    for index in reversed(range(len(spec.layers))):
        part = spec.layers[index]
        if isinstance(part, LayerSpec):
            if index in reached:
                found.add(index)
        elif index in reached or part.kind in _OF_CHANNELS:
            reached.update(spec.sources[index])
    return found


def flattened_channels(spec: ModelSpec, index: int) -> int | None:
    """Channels of the image whose flattened words part `index` reads; None if it reads other words."""
    (source, *_) = spec.sources[index]
    flattened = source >= 0 and spec.layers[source].kind == "flatten"
    return spec.shapes[spec.sources[source][0] + 1][1] if flattened else None


def widest(specs: Sequence[ModelSpec]) -> ModelSpec:
    """The network with the largest width of each layer, for specs of one structure; its bits mean nothing."""
    first, settled = specs[0], _settled(specs[0])
    shapes: list[Shape] = [first.shapes[0]]
    parts: list[LayerSpec | OperationSpec] = []
    for index, sources in enumerate(first.sources):
        part, inputs = first.layers[index], [shapes[source + 1] for source in sources]
        if isinstance(part, LayerSpec):
            n_out = max(spec.shapes[index + 1][1] for spec in specs)
            n_out = n_out if index in settled else max(n_out, 2)  # a column alone is summed in another order
            plain = replace(part, strategy="distributed_arithmetic", reuse_factor=1, sparsity=0.0)
            part = replace(plain, n_in=inputs[0][1], n_out=n_out)
            shapes.append(part.shape)
        else:
            shapes.append(part.shape(*inputs))
        parts.append(part)
    return replace(first, layers=tuple(parts))


def rows(spec: ModelSpec, room: ModelSpec) -> list[NDArray[np.intp]]:
    """For each part of `spec` the words of `room` that its weights are for; none for an operation.

    Words are those that a weight of `room` (fan_in, n_out) meets: channels, or taps times channels.
    """
    present = [np.ones(room.input_shape, np.bool_)]
    found = []
    for index, sources in enumerate(spec.sources):
        part, wide = spec.layers[index], room.layers[index]
        inputs = [present[source + 1] for source in sources]
        if isinstance(part, LayerSpec) and isinstance(wide, LayerSpec):
            taps = 1 if part.window is None else part.window.taps
            found.append(np.flatnonzero(np.tile(inputs[0][0], taps)))
            present.append(np.broadcast_to(np.arange(wide.n_out) < part.n_out, wide.shape))
        elif not isinstance(part, LayerSpec):
            found.append(np.array([], np.intp))
            present.append(_through(part, inputs, room.shapes[index + 1]))
    return found


def _through(part: OperationSpec, inputs: Sequence[NDArray[np.bool_]], shape: Shape) -> NDArray[np.bool_]:
    """What is real in the result of an operation."""
    x = inputs[0]
    if part.kind == "concatenate":
        return np.concatenate(inputs, axis=1)
    if part.kind == "flatten":
        return x.reshape(1, -1)
    if part.kind == "transpose":
        return x.T
    channels = np.tile(x[0], 2) if part.kind == "pairs" else inputs[-1][0]
    return np.broadcast_to(channels, shape)  # the same at every position
