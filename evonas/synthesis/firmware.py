"""Emitted Verilog, simulated clock by clock through whatever handshake it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.errors import ConfigurationError, FailureKind, ToolError
from evonas.synthesis import verilator, yosys
from evonas.synthesis.rtl import simulation
from evonas.synthesis.verification import MINIMUM_VECTORS, pack, unpack

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from evonas.synthesis.figures import Figures
    from evonas.synthesis.process import ToolRun

SIMULATED_VECTORS = 128  # at most: clock by clock simulation costs 10 to 200 ms a clock edge
SIMULATED_EDGES = 1024  # about: designs that take an input every R edges are shown fewer vectors
MANY_VECTORS = 1000  # from here on compiling the Verilog, which takes as long as synthesising it, is worth it
SIMULATORS = ("yosys", "verilator", "auto")


def choose(simulator: str, vectors: int) -> str:
    """The simulator that is meant: by "auto" verilator, if it is installed and there are at least 1000 `vectors`.

    Raises `ConfigurationError` for a simulator that does not exist.
    """
    if simulator not in SIMULATORS:
        raise ConfigurationError("simulator", simulator, f"must be one of {', '.join(SIMULATORS)}")
    if simulator != "auto":
        return simulator
    return "verilator" if vectors >= MANY_VECTORS and verilator.find_program() else "yosys"


def simulate(
    rtl: Path,
    folder: Path,
    figures: Figures,
    inputs: NDArray[np.float64],
    *,
    simulator: str = "yosys",
    **bounds: Any,
) -> tuple[NDArray[np.float64], ToolRun]:
    """Outputs (n, words) of the Verilog under `rtl` for the first n of `inputs` (m, words): all, if verilator does it.

    Inputs come back to back at the design's initiation interval; behind a handshake the second half comes after
    random pauses. That each output comes at exactly the claimed clock edge is part of the check: raises `ToolError`
    (MISMATCH) if one does not, or is undefined, and what the simulator fails with; an undefined bit is random in
    verilator. `simulator` as for `choose`, `bounds` as for `yosys.simulate`.
    """
    interval = figures.initiation_interval
    compiled = choose(simulator, len(inputs)) == "verilator"
    count = int(np.clip(SIMULATED_EDGES // interval, MINIMUM_VECTORS, SIMULATED_VECTORS))
    words = pack(inputs if compiled else inputs[:count], figures.inputs)
    gaps: list[int] = []
    if figures.handshake:
        pauses = np.random.default_rng(len(words)).integers(0, 2 * interval + 2, len(words))
        gaps = [0 if index < len(words) // 2 else int(pause) for index, pause in enumerate(pauses)]
    if compiled:
        answers, run = verilator.simulate(rtl, folder / "verilator", figures, words, gaps, **bounds)
        return unpack(answers, figures.outputs), run
    if figures.handshake:
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
