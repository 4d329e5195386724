"""Emitted Verilog, simulated clock by clock through whatever handshake it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.errors import FailureKind, ToolError
from evonas.synthesis import yosys
from evonas.synthesis.rtl import simulation
from evonas.synthesis.verification import pack, unpack

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from evonas.synthesis.figures import Figures
    from evonas.synthesis.process import ToolRun

SIMULATED_VECTORS = 128  # at most: clock by clock simulation costs 10 to 200 ms a clock edge
SIMULATED_EDGES = 1024  # about: designs that take an input every R edges are shown fewer vectors
FEWEST_VECTORS = 16


def simulate(
    rtl: Path, folder: Path, figures: Figures, inputs: NDArray[np.float64], **bounds: Any
) -> tuple[NDArray[np.float64], ToolRun]:
    """Outputs (n, words) of the Verilog under `rtl` for the first n of `inputs` (m, words).

    Inputs come back to back at the design's initiation interval; behind a handshake the second half comes after
    random pauses. That each output comes at exactly the claimed clock edge is part of the check: raises `ToolError`
    (MISMATCH) if one does not, or is undefined, and what yosys fails with. `bounds` as for `yosys.simulate`.
    """
    interval = figures.initiation_interval
    count = int(np.clip(SIMULATED_EDGES // interval, FEWEST_VECTORS, SIMULATED_VECTORS))
    words = pack(inputs[:count], figures.inputs)
    if figures.handshake:
        pauses = np.random.default_rng(len(words)).integers(0, 2 * interval + 2, len(words))
        gaps = [0 if index < len(words) // 2 else int(pause) for index, pause in enumerate(pauses)]
        answers, run = simulation.simulate(figures, rtl, folder, words, gaps, **bounds)
        return unpack(answers, figures.outputs), run
    latency = figures.latency_cycles
    found, run = yosys.simulate(rtl, folder, words + [0] * latency, sum(figures.inputs.widths), **bounds)
    behind = [word for word in found[latency:] if word is not None]
    if len(behind) < len(words):
        index = found.index(None, latency) - latency
        message = f"the Verilog's output for vector {index} is undefined {latency} clock edges after its input"
        raise ToolError(FailureKind.MISMATCH, message)
    return unpack(behind, figures.outputs), run
