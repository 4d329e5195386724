"""yosys in killable subprocesses: logic synthesis of pipelined Verilog, and its simulation clock by clock."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from evonas.errors import ConfigurationError, FailureKind, ToolError
from evonas.synthesis.process import ToolRun, run_tool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SCRIPT = Path(__file__).with_name("_pyosys.py")
FAMILIES = (("xcvu", "xcup"), ("xcku", "xcup"), ("xczu", "xcup"), ("xcu", "xcup"), ("xc7", "xc7"))
LUT_CELLS = frozenset({"LUT1", "LUT2", "LUT3", "LUT4", "LUT5", "LUT6", "LUT6_2"})
MEMORY_LUTS = {"SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1, "RAM32X1S": 1, "RAM64X1S": 1, "RAM32X1D": 2, "RAM64X1D": 2}
MEMORY_LUTS |= {"RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8, "RAM128X1S": 2, "RAM128X1D": 4}
FLIP_FLOPS = frozenset({"FDRE", "FDSE", "FDCE", "FDPE", "FDRE_1", "FDSE_1", "FDCE_1", "FDPE_1"})
DSP_CELLS = frozenset({"DSP48E1", "DSP48E2"})
BRAM_18K_CELLS = {"RAMB18E1": 1, "RAMB18E2": 1, "RAMB36E1": 2, "RAMB36E2": 2}


@final
@dataclass(frozen=True)
class Utilisation:
    """Cells of a synthesised design. `lut` includes `memory_lut` (shift registers and LUT RAM); `carry` is CARRY4.

    `delay_ns` is the longest register-to-register path by static timing with the cell delays of the 7 series and no
    wires: comparable between designs, not a clock period. None if yosys found no path.
    """

    lut: int
    memory_lut: int
    ff: int
    dsp: int
    bram_18k: int
    carry: int
    delay_ns: float | None
    cells: dict[str, int]


def yosys_version() -> str | None:
    """Version of the yosys that is installed as the package pyosys; None without it."""
    try:
        return version("pyosys")
    except PackageNotFoundError:
        return None


def family(part: str) -> str:
    """yosys's name for the family of a vendor part. Raises `ConfigurationError` for an unknown part."""
    for prefix, name in FAMILIES:
        if part.lower().startswith(prefix):
            return name
    known = ", ".join(f"{prefix}*" for prefix, _ in FAMILIES)
    raise ConfigurationError("target.part", part, f"must be a part that yosys can map to: {known}")


def sources(rtl: Path) -> list[Path]:
    """Verilog files of a design written by alkaid, without its wrapper."""
    files = sorted((rtl / "src").glob("*.v")) + sorted((rtl / "src" / "static").glob("*.v"))
    return [file for file in files if not file.stem.endswith("_wrapper")]


def _run(
    commands: Sequence[str],
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
    timeout_s: float,
    memory_limit_bytes: int | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[Utilisation, ToolRun]:
    """Map the Verilog under `rtl` to cells of `part`'s family; scripts, log and figures go to `directory`.

    Raises `ConfigurationError` for an unknown part and `ToolError` for what yosys does.
    """
    name = family(part)
    commands = [
        *_read(rtl),
        f"synth_xilinx -family {name} -flatten -noiopad -noclkbuf -top {top} -run begin:map_luts",
        "opt_expr -mux_undef -noclkinv",
        "abc -luts 2:2,3,6:5",
        "clean",
        "xilinx_srl -fixed -minlen 3",
        "techmap -map +/xilinx/lut_map.v -map +/xilinx/cells_map.v -D LUT_WIDTH=6",
        "xilinx_dffopt",
        "opt_lut_ins -tech xilinx",
        "clean",
        "tee -q -o sta.txt sta",
        "tee -q -o stat.json stat -tech xilinx -json",
    ]
    run = _run(
        commands,
        directory=directory,
        step="synthesis",
        timeout_s=timeout_s,
        memory_limit_bytes=memory_limit_bytes,
        cancelled=cancelled,
    )
    return read_reports(directory), run


def read_reports(directory: Path) -> Utilisation:
    """Figures from `stat.json` and `sta.txt`. Raises `ToolError` (REPORT_MISSING, REPORT_BROKEN)."""
    try:
        text = (directory / "stat.json").read_text()
        timing = (directory / "sta.txt").read_text()
    except OSError as error:
        raise ToolError(FailureKind.REPORT_MISSING, f"yosys wrote no {Path(str(error.filename)).name}") from error
    try:
        cells = {str(k): int(v) for k, v in json.loads(text)["design"]["num_cells_by_type"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolError(FailureKind.REPORT_BROKEN, f"yosys's stat.json cannot be read: {error}") from error
    return count(cells, parse_delay_ns(timing))


def parse_delay_ns(text: str) -> float | None:
    """Longest path of yosys's `sta` in nanoseconds; None if it found none."""
    match = re.search(r"Latest arrival time in '[^']*' is (\d+)", text)
    return int(match[1]) / 1000 if match else None


def count(cells: dict[str, int], delay_ns: float | None) -> Utilisation:
    """Add up cells by kind. Raises `ToolError` (REPORT_BROKEN) for a cell that belongs to no kind."""
    known: dict[str, int] = dict.fromkeys(("lut", "memory", "ff", "dsp", "bram", "carry"), 0)
    for cell, number in cells.items():
        if cell == "$scopeinfo":  # a remnant of the hierarchy, no hardware
            continue
        if cell in LUT_CELLS:
            known["lut"] += number
        elif cell in MEMORY_LUTS:
            known["memory"] += number * MEMORY_LUTS[cell]
        elif cell in FLIP_FLOPS:
            known["ff"] += number
        elif cell in DSP_CELLS:
            known["dsp"] += number
        elif cell in BRAM_18K_CELLS:
            known["bram"] += number * BRAM_18K_CELLS[cell]
        elif cell in ("CARRY4", "CARRY8"):
            known["carry"] += number
        elif cell not in ("INV", "MUXF7", "MUXF8", "MUXF9", "GND", "VCC", "BUFG"):
            raise ToolError(FailureKind.REPORT_BROKEN, f"yosys left a cell of unknown kind: {cell}")
    return Utilisation(
        lut=known["lut"] + known["memory"],
        memory_lut=known["memory"],
        ff=known["ff"],
        dsp=known["dsp"],
        bram_18k=known["bram"],
        carry=known["carry"],
        delay_ns=delay_ns,
        cells=dict(sorted(cells.items())),
    )


def simulate(
    rtl: Path,
    directory: Path,
    stimulus: Sequence[int],
    width: int,
    *,
    top: str = "dut",
    timeout_s: float,
    memory_limit_bytes: int | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[list[int | None], ToolRun]:
    """Apply one word per clock edge to `model_inp` and read `model_out` before each edge.

    `stimulus` are the input words as non-negative integers of `width` bits. The k-th
    element of the result is the output word just before the k-th edge; None while it is undefined.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "stimulus.yw").write_text(json.dumps(_witness(stimulus, width)))
    commands = [
        *_read(rtl),
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


def _witness(stimulus: Sequence[int], width: int) -> dict[str, Any]:
    """The stimulus as a Yosys witness: the clock is implied by each step."""
    return {
        "format": "Yosys Witness Trace",
        "generator": "evonas",
        "clocks": [{"path": ["\\clk"], "edge": "posedge", "offset": 0}],
        "signals": [{"path": ["\\model_inp"], "offset": 0, "width": width, "init_only": False}],
        "steps": [{"bits": format(word, f"0{width}b")} for word in stimulus],
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
