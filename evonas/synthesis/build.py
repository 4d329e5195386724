"""`model.build()` of the hls4ml backend: Verilog, its simulation, logic synthesis, and a report as hls4ml gives."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.errors import ConfigurationError
from evonas.synthesis import firmware, openrtl, vivado, yosys
from evonas.synthesis.evaluate import evaluate
from evonas.synthesis.figures import Figures
from evonas.synthesis.parts import find_part
from evonas.synthesis.per_layer import per_layer
from evonas.synthesis.verification import compare

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from evonas.synthesis.graph import Graph
    from evonas.synthesis.yosys import Utilisation

VECTORS = 256
LIMITS = (
    "Logic synthesis without place and route. LUT counts cells; lut_packed estimates their sites. The delay has cell "
    "delays and no wires, so it compares designs and promises no clock. CSynthesisReport has estimates from before "
    "logic synthesis, VivadoSynthReport the cells that yosys counted."
)


def build(
    graph: Graph,
    directory: Path,
    *,
    part: str,
    clock_period_ns: float,
    synth: bool = True,
    cosim: bool = True,
    vsynth: bool = True,
    export: bool = True,
    layers: bool = False,
    csim: bool = False,
    reset: bool = False,
    simulator: str = "yosys",
    vectors: Sequence[NDArray[np.floating]] | None = None,
    timeout_s: float = 3600.0,
    memory_limit_bytes: int | None = None,
) -> dict[str, Any]:
    """Make the firmware of `graph` in `directory` and return its report.

    `synth` writes the Verilog and compares alkaid's interpreter; `cosim` simulates it clock by clock, `vsynth` maps it
    to cells, `export` adds scripts for Vivado, and `layers` makes and maps every layer by itself as well. `vectors`
    are real-valued inputs, one (n, ...) array per input tensor; by default 256 random ones over each input type.
    `simulator` is "yosys", which is shown the first 128 of them at most, "verilator", which is shown all of them and
    must be installed, or "auto" (see `firmware.choose`). `reset` removes an earlier build first. `csim` must be False:
    `predict` has its arithmetic. The report has hls4ml's keys (texts), and our own section "OpenRTL".

    Raises `ToolError` for a mismatch and for what a tool does, `ConfigurationError` for an unsuitable option.
    """
    if csim:
        raise ConfigurationError("csim", csim, "must be False: predict() already has the bits of the C simulation")
    firmware.choose(simulator, 0)
    if not synth:
        return {}
    if reset:
        for stale in ("verilog", "yosys", "vivado"):
            shutil.rmtree(directory / stale, ignore_errors=True)
    deadline = time.monotonic() + timeout_s
    make(graph, directory, part, clock_period_ns, vectors)
    limits: dict[str, Any] = {"timeout_s": deadline - time.monotonic(), "memory_limit_bytes": memory_limit_bytes}
    steps: dict[str, Any] = {"cosim": cosim, "vsynth": vsynth, "export": export, "simulator": simulator}
    report = finish(directory, part, clock_period_ns, **steps, **limits)
    if layers:
        limits["timeout_s"] = deadline - time.monotonic()
        report["OpenRTL"]["layers"] = per_layer(graph, directory / "layers", part, clock_period_ns, **limits)
        _write(report, directory)
    return report


def make(
    graph: Graph,
    directory: Path,
    part: str,
    clock_period_ns: float,
    vectors: Sequence[NDArray[np.floating]] | None = None,
) -> None:
    """Write the Verilog of `graph`, compare alkaid's interpreter with `evaluate`, and keep the vectors for `finish`.

    Raises `ToolError` (UNSUPPORTED, MISMATCH).
    """
    rtl = directory / "verilog"
    shutil.rmtree(rtl, ignore_errors=True)
    inputs = _quantised(graph, random_inputs(graph, VECTORS) if vectors is None else vectors)
    expected = np.concatenate(evaluate(graph, *inputs), axis=1)
    flat = np.concatenate(inputs, axis=1)
    verilog = openrtl.emit(graph, rtl, part, clock_period_ns)
    compare(flat, expected, verilog.interpret(*inputs), ("predict", "alkaid's interpreter"))
    np.savez(directory / "vectors.npz", inputs=flat, outputs=expected)


def finish(
    directory: Path,
    part: str,
    clock_period_ns: float,
    *,
    cosim: bool = True,
    vsynth: bool = True,
    export: bool = True,
    simulator: str = "yosys",
    progress: Callable[[str], None] | None = None,
    timeout_s: float = 3600.0,
    memory_limit_bytes: int | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """Simulate and synthesise what `make` wrote to `directory`; returns the report, also as `openrtl_report.json`."""
    began, deadline = time.monotonic(), time.monotonic() + timeout_s
    say = progress or (lambda _: None)
    rtl, folder = directory / "verilog", directory / "yosys"
    figures = Figures.read(rtl)
    with np.load(directory / "vectors.npz") as saved:
        inputs, expected = saved["inputs"], saved["outputs"]
    own: dict[str, Any] = {"limits": LIMITS, "verified_vectors": len(inputs), "simulated_vectors": 0}
    own["figures"] = {k: v for k, v in asdict(figures).items() if k not in ("inputs", "outputs")}
    report = {"CSynthesisReport": _estimates(figures, None, part, clock_period_ns), "OpenRTL": own}
    if export:
        vivado.write_project(rtl, directory / "vivado", part, clock_period_ns)
    bounds: dict[str, Any] = {"memory_limit_bytes": memory_limit_bytes, "cancelled": cancelled}
    if cosim:
        say("RTL simulation")
        left = {"timeout_s": deadline - time.monotonic()}
        outputs, _ = firmware.simulate(rtl, folder, figures, inputs, simulator=simulator, **bounds, **left)
        compare(inputs[: len(outputs)], expected[: len(outputs)], outputs, ("predict", "the Verilog's simulation"))
        own |= {"simulated_vectors": len(outputs), "simulator": firmware.choose(simulator, len(inputs))}
    if vsynth:
        say("logic synthesis")
        used, run = yosys.synthesise(rtl, folder, part, timeout_s=deadline - time.monotonic(), **bounds)
        own |= {"utilisation": asdict(used), "peak_memory_bytes": run.peak_memory_bytes}
        report["CSynthesisReport"] = _estimates(figures, used.delay_ns, part, clock_period_ns)
        report["VivadoSynthReport"] = _cells(used)
    own |= {"tool": f"pyosys {yosys.yosys_version()}", "wall_time_s": time.monotonic() - began}
    _write(report, directory)
    return report


def _write(report: dict[str, Any], directory: Path) -> None:
    (directory / "openrtl_report.json").write_text(json.dumps(report, indent=1, sort_keys=True) + "\n")


def random_inputs(graph: Graph, count: int) -> list[NDArray[np.float64]]:
    """Random inputs over the whole range of each input type, (`count`, size) per tensor; always the same."""
    rng = np.random.default_rng(0)
    limits = [([k.low for k in n.results], [k.high + k.lsb for k in n.results], (count, n.size)) for n in graph.inputs]
    return _quantised(graph, [rng.uniform(*limit) for limit in limits])


def _quantised(graph: Graph, vectors: Sequence[NDArray[np.floating]]) -> list[NDArray[np.float64]]:
    """Inputs on their grids, (n, size) per tensor."""
    result = []
    for node, given in zip(graph.inputs, vectors, strict=True):
        data = np.asarray(given, np.float64).reshape(len(given), -1)
        columns = [kind.quantise(data[:, word]) for word, kind in enumerate(node.results)]
        result.append(np.stack(columns, axis=1))
    return result


def _estimates(figures: Figures, delay_ns: float | None, part: str, clock_period_ns: float) -> dict[str, str]:
    """hls4ml's keys for C synthesis, with what is known before logic synthesis."""
    numbers: dict[str, object] = {
        "TargetClockPeriod": f"{clock_period_ns:g}",
        "EstimatedClockPeriod": f"{delay_ns:.3f}" if delay_ns is not None else "",
        "BestLatency": figures.latency_cycles,
        "WorstLatency": figures.latency_cycles,
        "IntervalMin": figures.initiation_interval,
        "IntervalMax": figures.initiation_interval,
        "BRAM_18K": figures.block_ram_18k,
        "DSP": figures.multipliers,
        "FF": round(figures.ff),
        "LUT": round(figures.lut),
        "URAM": 0,
    }
    with contextlib.suppress(ConfigurationError):  # a part of a known family whose totals are not
        total = find_part(part)
        numbers |= {"AvailableBRAM_18K": total.bram_18k, "AvailableDSP": total.dsp, "AvailableFF": total.ff}
        numbers |= {"AvailableLUT": total.lut, "AvailableURAM": total.uram}
    return {key: str(value) for key, value in numbers.items()}


def _cells(used: Utilisation) -> dict[str, str]:
    """hls4ml's keys for logic synthesis; its BRAM_18K is really tiles of 36 kbit."""
    numbers = {"LUT": used.lut, "FF": used.ff, "BRAM_18K": used.bram_18k / 2, "URAM": 0, "DSP48E": used.dsp}
    return {key: f"{value:g}" if isinstance(value, float) else str(value) for key, value in numbers.items()}
