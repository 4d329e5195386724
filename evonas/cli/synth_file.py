"""`evonas synth` for a network file that evonas did not train."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evonas.cli.synth import say, show
from evonas.errors import DataError

if TYPE_CHECKING:
    from evonas.errors import Failure
    from evonas.synthesis.backend import SynthesisBackend
    from evonas.synthesis.file_build import Conversion, FileResult
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
    tool: "SynthesisBackend",
    target: "HardwareTarget",
    conversion: "Conversion",
    vectors: int,
    timeout_s: float,
    *,
    as_json: bool,
) -> "Failure | None":
    """Make the firmware and print its numbers; returns why it failed, if it did."""
    from evonas.cli.output import json_object, machine_output
    from evonas.synthesis.file_build import synthesise_file as synthesise

    options: dict[str, Any] = {"vectors": vectors, "timeout_s": timeout_s}
    try:
        if as_json:
            with machine_output() as stream:
                result = synthesise(model, tool, target, out, conversion, **options)
                stream.write(json_object(result_data(model, target, tool.name, result)) + "\n")
        else:
            result = synthesise(model, tool, target, out, conversion, progress=say, **options)
            show(f"{model.name} by {tool.name} for {target.part}", result.records, result.files, result.notes)
    except DataError:
        shutil.rmtree(out, ignore_errors=True)  # it was new or empty: the mended file can go there
        raise
    return result.failure


def result_data(model: Path, target: "HardwareTarget", tool: str, result: "FileResult") -> dict[str, Any]:
    """What `evonas synth --json` prints of a network file; "report" is hls4ml's, of the open tools only."""
    failure = result.failure
    data = {
        "succeeded": failure is None,
        "failure": None if failure is None else {"kind": failure.kind.value, "message": failure.message},
        "backend": tool,
        "target": target.to_dict(),
        "model": str(model),
        "records": [record.to_dict() for record in result.records],
        "files": {role: str(path) for role, path in sorted(result.files.items())},
        "notes": list(result.notes),
    }
    return data | ({"report": result.report} if result.report else {})
