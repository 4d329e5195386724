"""LUTs and flip-flops of a shared layer before synthesis: those of its dense layers, and of what a convolution adds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from evonas.synthesis.graph import ABSENT, Port
from evonas.synthesis.rtl.shared_dense import SharedDense

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evonas.synthesis.rtl.shared_conv import SharedConv

    Estimate = Callable[[SharedDense], float]

LUT_CHOICE = 4  # words of which a LUT of six inputs chooses one bit
WALK_CELLS = 30.0  # measured: LUTs of the walk over the windows; it has about as many flip-flops
CONTROL_FF = 20.0  # of a dense layer's counters and flags, which several windows share
WEIGHT_FF = 0.75  # for each bit of a weight; equal ones are merged


def luts(layer: SharedDense | SharedConv, dense: Estimate) -> float:
    """LUTs of a shared layer, with `dense` for those of a dense one."""
    if isinstance(layer, SharedDense):
        return dense(layer)
    memories = sum(dense(core) - dense(replace(core, storage="block")) for core in layer.cores)
    total = sum(count * dense(replace(core, storage="block")) for core, count in _windows(layer)) + memories
    return total + _choice_bits(layer) + WALK_CELLS if layer.steps > 1 else total


def flip_flops(layer: SharedDense | SharedConv, dense: Estimate) -> float:
    """Flip-flops of a shared layer, with `dense` for those of a dense one: its held input and earlier results too."""
    if isinstance(layer, SharedDense):
        return dense(layer)
    total = sum(count * dense(core) for core, count in _windows(layer))
    if layer.reuse_factor > 1:
        weights = sum(int(core.live.sum()) * core.weight_type.width for core in layer.cores)
        total -= (layer.parallel - 1) * (CONTROL_FF * len(layer.cores) + WEIGHT_FF * weights)
    if layer.steps == 1:
        return max(total, 0.0)
    held = sum(layer.inputs.widths[word] for word in np.unique(layer.turns).tolist() if word != ABSENT)
    earlier = sum(layer.outputs.widths) * (layer.steps - 1) / layer.steps
    return float(max(total, 0.0) + held + earlier + WALK_CELLS)


def _windows(layer: SharedConv) -> Iterator[tuple[SharedDense, int]]:
    """The dense layers that stand side by side, without inputs that are always padding, and how many are equal."""
    reads = (layer.turns != ABSENT).any(axis=3)
    for core, pixels in zip(layer.cores, reads, strict=True):
        kinds = list(zip(core.inputs.signed, core.inputs.integer, core.inputs.fraction, strict=True))
        for taps, count in zip(*np.unique(pixels, axis=0, return_counts=True), strict=True):
            if taps.any():
                words = [
                    (int(kind[0]), *kind[1:]) if read else (0, 0, 0) for kind, read in zip(kinds, taps, strict=True)
                ]
                yield replace(core, inputs=Port.of(words)), int(count)


def _choice_bits(layer: SharedConv) -> int:
    """LUTs that choose the words of the windows: of four each, then of four such choices; equal ones are made once."""
    choices = {
        (tuple(turns), width)
        for core, pixels in zip(layer.cores, layer.turns.tolist(), strict=True)
        for taps in pixels
        for turns, width in zip(taps, core.inputs.widths, strict=True)
    }
    total, steps = 0, layer.steps
    block = LUT_CHOICE
    while block < LUT_CHOICE * steps:
        parts = {(turns[k : k + block], width) for turns, width in choices for k in range(0, steps, block)}
        total += sum(width for turns, width in parts if len(set(turns)) > 1)
        block *= LUT_CHOICE
    return total
