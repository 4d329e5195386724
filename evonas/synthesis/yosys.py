"""yosys in killable subprocesses: logic synthesis of pipelined Verilog, and its simulation clock by clock."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evonas.errors import ConfigurationError, FailureKind, ToolError
from evonas.synthesis.cells import Utilisation, count
from evonas.synthesis.flows import LUT_INPUTS, script
from evonas.synthesis.packing import packed_luts
from evonas.synthesis.parts import family
from evonas.synthesis.process import ToolRun, run_tool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from evonas.synthesis.flows import Command, Family

__all__ = ["Utilisation", "count", "family", "read_reports", "simulate", "sources", "synthesise", "yosys_version"]

SCRIPT = Path(__file__).with_name("_pyosys.py")
CELL_MODELS = "read_verilog -icells +/xilinx/cells_sim.v"


def yosys_version() -> str | None:
    """Version of the yosys that is installed as the package pyosys; None without it."""
    try:
        return version("pyosys")
    except PackageNotFoundError:
        return None


def sources(rtl: Path) -> list[Path]:
    """Verilog files of a design written by alkaid, without its wrapper."""
    files = sorted((rtl / "src").glob("*.v")) + sorted((rtl / "src" / "static").glob("*.v"))
    return [file for file in files if not file.stem.endswith("_wrapper")]


def _run(
    commands: Sequence[Command],
    *,
    directory: Path,
    step: str,
    timeout_s: float,
    memory_limit_bytes: int | None,
    cancelled: Callable[[], bool] | None,
) -> ToolRun:
    if yosys_version() is None:
        raise ToolError(FailureKind.TOOL_MISSING, "yosys is missing: install the package pyosys")
    directory.mkdir(parents=True, exist_ok=True)
    job = directory / f"{step}.json"
    job.write_text(json.dumps({"commands": list(commands)}, indent=1))
    return run_tool(
        [sys.executable, "-P", str(SCRIPT), str(job.resolve())],
        name=f"yosys ({step})",
        log=directory / f"{step}.log",
        timeout_s=timeout_s,
        cwd=directory,
        memory_limit_bytes=memory_limit_bytes,
        cancelled=cancelled,
    )


def _read(rtl: Path) -> list[str]:
    return ["read_verilog -sv " + " ".join(f'"{file.resolve()}"' for file in sources(rtl))]


def synthesise(
    rtl: Path,
    directory: Path,
    part: str,
    *,
    top: str = "dut",
    per_module: bool = False,
    netlist: bool = False,
    timeout_s: float,
    memory_limit_bytes: int | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[Utilisation, ToolRun]:
    """Map the Verilog under `rtl` to cells of `part`'s family; scripts, log and figures go to `directory`.

    Products with the attribute use_dsp go through `rtl`/techmap.v first, if there is one (Xilinx families).

    `per_module` keeps the modules that `top` instantiates and says what each takes (Xilinx families): measured on
    unrolled networks it takes half as long again, with up to 1 % more LUTs and 2 % more FFs than the flat design.
    `netlist` writes the mapped design to `directory`/netlist.json. Raises `ConfigurationError` for an unknown part, or
    one of Lattice with `per_module`, and `ToolError` for what yosys does.
    """
    name = family(part)
    xilinx = LUT_INPUTS[name] == 6
    if per_module and not xilinx:
        raise ConfigurationError("per_module", per_module, f"is not possible for {part}: its flow is flat")
    stat = f"stat {'-tech xilinx ' if xilinx else ''}-json"
    dsp_map = rtl / "techmap.v"
    flow = script(name, top, per_module=per_module, dsp_map=dsp_map if dsp_map.exists() else None)
    commands: list[Command] = [*_read(rtl), *flow]
    if per_module:
        commands += [f"tee -q -o modules.json {stat}", "flatten", "rename -hide w:*", "clean"]
    commands += ["tee -q -o sta.txt sta", f"tee -q -o stat.json {stat}"]
    if xilinx:
        commands += ["write_blif packing.blif"]
    if netlist:
        commands += ["blackbox =A:whitebox", "write_json netlist.json"]
    for stale in ("stat.json", "sta.txt", "modules.json", "packing.blif", "netlist.json"):
        (directory / stale).unlink(missing_ok=True)
    run = _run(
        commands,
        directory=directory,
        step="synthesis",
        timeout_s=timeout_s,
        memory_limit_bytes=memory_limit_bytes,
        cancelled=cancelled,
    )
    used = read_reports(directory, name)
    if xilinx:
        blif = directory / "packing.blif"
        used = replace(used, lut_packed=packed_luts(blif.read_text()) + used.memory_lut)
        blif.unlink()  # only for this: it is the largest file of all
    if per_module:
        used = replace(used, modules=_modules(directory / "modules.json", name))
    return used, run


def read_reports(directory: Path, family: Family = "xcup") -> Utilisation:
    """Figures from `stat.json` and `sta.txt`. Raises `ToolError` (REPORT_MISSING, REPORT_BROKEN)."""
    cells = _cells(_report(directory / "stat.json"), "design")
    return count(cells, parse_delay_ns(_report(directory / "sta.txt")), family)


def _modules(path: Path, family: Family) -> dict[str, Utilisation]:
    """Figures of each module of the design that has cells of its own."""
    text = _report(path)
    names = [name for name, module in json.loads(text)["modules"].items() if module["num_cells_by_type"]]
    found = {name: _cells(text, "modules", name) for name in names}
    kept = {
        name.removeprefix("\\"): {cell: number for cell, number in cells.items() if f"\\{cell}" not in found}
        for name, cells in found.items()
    }
    return {name: count(cells, None, family) for name, cells in kept.items()}


def _report(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise ToolError(FailureKind.REPORT_MISSING, f"yosys wrote no {path.name}") from error


def _cells(text: str, *keys: str) -> dict[str, int]:
    """The numbers of cells by type in a report of yosys's `stat`."""
    try:
        section = json.loads(text)
        for key in keys:
            section = section[key]
        return {str(k): int(v) for k, v in section["num_cells_by_type"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolError(FailureKind.REPORT_BROKEN, f"yosys's stat.json cannot be read: {error}") from error


def parse_delay_ns(text: str) -> float | None:
    """Longest path of yosys's `sta` in nanoseconds; None if it found none."""
    match = re.search(r"Latest arrival time in '[^']*' is (\d+)", text)
    return int(match[1]) / 1000 if match else None


def simulate(
    rtl: Path,
    directory: Path,
    stimulus: Sequence[int],
    width: int,
    *,
    top: str = "dut",
    controls: Sequence[str] = (),
    netlist: Path | None = None,
    timeout_s: float,
    memory_limit_bytes: int | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[list[int | None], ToolRun]:
    """Apply one word per clock edge to `model_inp` and read `model_out` before each edge.

    `stimulus` are the input words as non-negative integers of `width` bits. Input ports of one bit, `controls`, take
    the bits above those. The k-th element of the result is the output word just before the k-th edge; None while it
    is undefined. The waveform of all ports stays in `directory`/out.vcd. With `netlist`, a netlist.json of
    `synthesise`, its cells are simulated in place of the Verilog: Xilinx families, and no DSP48E2 or RAMB36E2, which
    have no model.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "stimulus.yw").write_text(json.dumps(_witness(stimulus, width, controls)))
    mapped = [] if netlist is None else [f'read_json "{netlist.resolve()}"', "delete =A:blackbox", CELL_MODELS]
    commands: list[Command] = [
        *(mapped or _read(rtl)),
        f"hierarchy -top {top}",
        "proc",
        "flatten",
        "opt_clean -purge",
        "rename -hide",  # only ports keep public names: a waveform without the inner wires
        f"sim -r stimulus.yw -vcd out.vcd {top}",
    ]
    run = _run(
        commands,
        directory=directory,
        step="simulation",
        timeout_s=timeout_s,
        memory_limit_bytes=memory_limit_bytes,
        cancelled=cancelled,
    )
    try:
        text = (directory / "out.vcd").read_text()
    except OSError as error:
        raise ToolError(FailureKind.REPORT_MISSING, "yosys's simulation wrote no waveform") from error
    return read_waveform(text, "model_out", len(stimulus)), run


def _witness(stimulus: Sequence[int], width: int, controls: Sequence[str] = ()) -> dict[str, Any]:
    """The stimulus as a Yosys witness: the clock is implied by each step."""
    ports = [("model_inp", width), *((control, 1) for control in controls)]
    return {
        "format": "Yosys Witness Trace",
        "generator": "evonas",
        "clocks": [{"path": ["\\clk"], "edge": "posedge", "offset": 0}],
        "signals": [{"path": [f"\\{port}"], "offset": 0, "width": size, "init_only": False} for port, size in ports],
        "steps": [{"bits": format(word, f"0{width + len(controls)}b")} for word in stimulus],
    }


def read_waveform(text: str, port: str, steps: int, step_time: int = 10) -> list[int | None]:
    """Words of `port` at the steps of a value change dump; None where a bit is undefined."""
    declared = re.search(rf"\$var \w+ \d+ (\S+) {port}\b", text)
    if declared is None:
        raise ToolError(FailureKind.REPORT_BROKEN, f"the waveform of yosys's simulation has no port {port}")
    changes: dict[int, str] = {}
    time = 0
    for line in text[declared.end() :].splitlines():
        if line.startswith("#"):
            time = int(line[1:])
        elif line.startswith("b") and line.endswith(f" {declared[1]}"):
            changes[time] = line[1:].split(" ", 1)[0]
    words: list[int | None] = []
    latest: int | None = None
    for step in range(steps):
        bits = changes.get(step * step_time)
        if bits is not None:
            latest = int(bits, 2) if set(bits) <= {"0", "1"} else None
        words.append(latest)
    return words
