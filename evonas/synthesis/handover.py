"""One finished design as a folder that stands on its own: for the engineer who builds it and for the next study.

The folder holds `model.onnx`, `weights.npz` (codes and types), `hls4ml/`, `verilog/`, `synthesis_report.json` and
`design.json`, which has every number with its stage, tool, version and unit.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.errors import ConfigurationError, DataError
from evonas.synthesis.backend import SynthesisResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from evonas.models.fixed_point import QuantisedNetwork
    from surrogates import SynthesisRecord

FORMAT = "evonas-design"
VERSION = 1
UNITS = {
    "lut": "cells",
    "ff": "cells",
    "dsp": "cells",
    "bram_18k": "blocks of 18 kbit",
    "carry": "cells",
    "latency_cycles": "clock cycles",
    "latency_ns": "ns",
    "initiation_interval": "clock cycles",
    "delay_ns": "ns",
}
NOTES = {
    "traced": "the arithmetic compiler's estimate: no logic synthesis",
    "csynth": "estimate of C synthesis: no logic synthesis",
    "synthesised": "logic synthesis without place and route; a delay of the open tools has no wires and is relative",
    "routed": "after place and route",
}
TREES = ("hls4ml", "verilog")
VECTORS = 256


def hand_over(
    network: QuantisedNetwork,
    metadata: Mapping[str, Any],
    results: SynthesisResult | Sequence[SynthesisResult],
    directory: Path | str,
    *,
    vectors: NDArray[np.floating] | None = None,
) -> Path:
    """Write everything about one design to `directory` (made if needed) and return the path of its `design.json`.

    `metadata` says what the numbers at the inputs mean and is kept as it is; the keys `feature_names`, `mean`, `scale`
    and `clip` are repeated as the input preparation. The ONNX file is checked on `vectors` (random ones if None)
    against the network; raises `ToolError` if a bit differs, `ConfigurationError` for metadata that is not plain data.
    """
    from evonas.synthesis import _onnx

    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    if vectors is None:
        kind = network.input_type
        low, high = kind.low - kind.lsb, kind.high + kind.lsb
        vectors = np.random.default_rng(0).uniform(low, high, (VECTORS, network.spec.n_inputs))
    _onnx.write_onnx(network, vectors, folder / "model.onnx")
    description = _onnx.describe(network)
    _write_weights(network, description, folder / "weights.npz")
    results = (results,) if isinstance(results, SynthesisResult) else tuple(results)
    files = {"onnx": "model.onnx", "weights": "weights.npz"} | _copy_files(results, folder)
    records = [record for result in results for record in result.records]
    design = {
        "format": FORMAT,
        "version": VERSION,
        "topology": network.spec.topology,
        "network": description,
        "nonzero_weights": list(network.nonzero_weights),
        "input_preparation": _input_preparation(network, metadata),
        "metadata": dict(metadata),
        "measurements": [row for record in records for row in measurements(record)],
        "records": [record.to_dict() for record in records],
        "failures": [{"kind": r.failure.kind, "message": r.failure.message} for r in results if r.failure is not None],
        "notes": {
            stage: NOTES[stage] for stage in sorted({record.stage.label for record in records}) if stage in NOTES
        },
        "files": files,
    }
    path = folder / "design.json"
    try:
        path.write_text(json.dumps(design, indent=1, default=_plain, allow_nan=False) + "\n")
    except (TypeError, ValueError) as error:
        raise ConfigurationError("metadata", str(error), "must be finite numbers, text, lists and tables") from error
    return path


def measurements(record: SynthesisRecord) -> list[dict[str, Any]]:
    """One row per number of a record: metric, value, unit, stage, tool and its version; what is unknown is left out."""
    origin = {"stage": record.stage.label, "tool": record.target.tool, "tool_version": record.tool_version}
    rows = ((metric, getattr(record, metric), unit) for metric, unit in UNITS.items())
    return [{"metric": m, "value": value, "unit": unit, **origin} for m, value, unit in rows if value is not None]


def load_design(path: Path | str) -> QuantisedNetwork:
    """The network of a handed-over folder, its `design.json`, or a `model.onnx` that evonas wrote.

    Raises `DataError` for what is missing or damaged, `ConfigurationError` for another kind of file.
    """
    from evonas.synthesis import _onnx

    path = Path(path)
    if path.is_dir():
        path /= "design.json"
    if path.suffix == ".onnx":
        return _onnx.read_onnx(path)
    if path.suffix != ".json":
        raise ConfigurationError("design", str(path), "must be a folder, a design.json or a model.onnx")
    try:
        design = json.loads(path.read_text())
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path) from error
    except ValueError as error:
        raise DataError(f"is no JSON: {error}", path) from error
    if not isinstance(design, dict) or (design.get("format"), design.get("version")) != (FORMAT, VERSION):
        raise DataError(f"is no {FORMAT} of version {VERSION}", path)
    try:
        weights = path.parent / design["files"]["weights"]
        with np.load(weights, allow_pickle=False) as archive:
            count = len(design["network"]["layers"])
            codes = [(archive[f"weight_codes_{i}"], archive[f"bias_codes_{i}"]) for i in range(count)]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"its weights cannot be read: {error}", path) from error
    return _onnx.restore(design["network"], codes)


def _write_weights(network: QuantisedNetwork, description: dict[str, Any], path: Path) -> None:
    """Codes as int64 and the types as JSON text; readable without pickle."""
    arrays: dict[str, NDArray[Any]] = {"description": np.array(json.dumps(description, sort_keys=True))}
    for index, layer in enumerate(network.layers):
        arrays[f"weight_codes_{index}"] = layer.weight_codes
        arrays[f"bias_codes_{index}"] = layer.bias_codes
    np.savez_compressed(path, allow_pickle=False, **arrays)


def _copy_files(results: Sequence[SynthesisResult], folder: Path) -> dict[str, str]:
    """Copy projects and reports; those of a second result get its tool's name. Returns role -> relative path."""
    files: dict[str, str] = {}
    reports = {}
    for number, result in enumerate(results):
        tool = result.records[0].target.tool if result.records else str(number)
        for role in TREES:
            source = result.files.get(role)
            if source is not None and source.is_dir():
                name = role if role not in files else f"{role}_{tool}"
                shutil.rmtree(folder / name, ignore_errors=True)
                shutil.copytree(source, folder / name)
                files[name] = name
        report = result.files.get("report")
        if report is not None and report.is_file():
            reports[tool] = json.loads(report.read_text())
    (folder / "synthesis_report.json").write_text(json.dumps(reports, indent=1, sort_keys=True) + "\n")
    return files | {"report": "synthesis_report.json"}


def _input_preparation(network: QuantisedNetwork, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What happens to a feature before the network: (feature - mean) / scale, clipped, cast to the input type."""
    given = {key: metadata[key] for key in ("feature_names", "mean", "scale", "clip") if key in metadata}
    for key in ("feature_names", "mean", "scale"):
        if key in given and len(given[key]) != network.spec.n_inputs:
            mend = f"must have one entry for each of the {network.spec.n_inputs} inputs"
            raise ConfigurationError(f"metadata.{key}", len(given[key]), mend)
    formula = "(feature - mean) / scale, then clipped to [-clip, clip] if given, then cast to input_type"
    return {"input_type": str(network.input_type), "formula": formula, **given}


def _plain(value: object) -> object:
    """NumPy values and paths for JSON."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not plain data")
