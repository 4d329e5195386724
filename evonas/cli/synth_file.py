"""`evonas synth` for a network file that evonas did not train."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from evonas.cli._typer import echo
from evonas.cli.guard import fail
from evonas.errors import ConfigurationError, ToolError

if TYPE_CHECKING:
    from evonas.synthesis.file_build import Conversion
    from surrogates import HardwareTarget

SUFFIXES = (".onnx", ".keras", ".h5")


def is_foreign(model: Path) -> bool:
    """Whether the file is a network for hls4ml's front ends rather than a design of evonas."""
    if model.suffix not in SUFFIXES or not model.is_file():
        return False
    if model.suffix != ".onnx":
        return True
    from evonas.synthesis import _onnx

    return not _onnx.is_ours(model)


def synthesise_file(
    model: Path,
    out: Path,
    backend: str,
    target: "HardwareTarget",
    conversion: "Conversion",
    timeout_s: float,
    *,
    as_json: bool,
) -> None:
    """Make the firmware and print its numbers. Raises `ConfigurationError` for a backend other than the open one."""
    from evonas.cli.output import json_object, machine_output
    from evonas.synthesis.file_build import build_file

    if backend not in ("auto", "openrtl"):
        mend = "makes firmware of designs that evonas trained; for a network file use openrtl"
        raise ConfigurationError("--backend", backend, mend)
    out.mkdir(parents=True, exist_ok=True)

    def say(step: str) -> None:
        if not as_json:
            echo(f"{step} ...", err=True)

    try:
        if as_json:
            with machine_output() as stream:
                report = build_file(model, target, out, conversion, timeout_s=timeout_s, progress=say)
                stream.write(json_object({"succeeded": True, "model": str(model), "report": report}) + "\n")
        else:
            report = build_file(model, target, out, conversion, timeout_s=timeout_s, progress=say)
            _show(model, out, target, report)
    except ToolError as error:
        raise fail(f"synthesis failed: {error.failure.kind.value}: {error.failure.message}") from error


def _show(model: Path, out: Path, target: "HardwareTarget", report: dict[str, Any]) -> None:
    from evonas.cli._rich import console, line, table

    estimates, cells, own = report["CSynthesisReport"], report["VivadoSynthReport"], report["OpenRTL"]
    timing = [estimates["BestLatency"], estimates["IntervalMax"]]
    rows = [
        ["traced", *(estimates[name] for name in ("LUT", "FF", "DSP", "BRAM_18K")), *timing],
        ["synthesised", cells["LUT"], cells["FF"], cells["DSP48E"], f"{2 * float(cells['BRAM_18K']):g}", *timing],
    ]
    columns = ["stage", "LUT", "FF", "DSP", "BRAM", "cycles", "II"]
    console_ = console()
    console_.print(
        table(
            [(name, "left" if name == "stage" else "right") for name in columns],
            rows,
            title=f"{model.name} by openrtl for {target.part}",
            caption=f"compared bit for bit: {own['verified_vectors']} inputs by the interpreter, "
            f"{own['simulated_vectors']} in the Verilog's simulation",
        )
    )
    for role in ("verilog", "vivado", "openrtl_report.json"):
        line(console_, f"{role:<20} {out / role}")
