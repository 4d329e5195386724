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
from evonas.models.fixed_point import QuantisedDense
from surrogates import Stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from evonas.models.quantised_network import QuantisedNetwork
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
    Stage.TRACED: "counted from the adders of the trained weights: no logic synthesis",
    Stage.CSYNTH: "estimate of C synthesis: no logic synthesis",
    Stage.SYNTHESISED: "logic synthesis without place and route; a delay of the open tools is relative: no wires",
    Stage.ROUTED: "after place and route",
}
TREES = ("hls4ml", "verilog")
REPORT = "synthesis_report.json"
VECTORS = 256


def hand_over(
    network: QuantisedNetwork,
    measurements: Sequence[Mapping[str, Any]],
    records: Sequence[SynthesisRecord],
    files: Mapping[str, Path],
    directory: Path | str,
    *,
    preparation: Mapping[str, Any] | None = None,
    vectors: NDArray[np.floating] | None = None,
) -> Path:
    """Write everything about one design to `directory` (made if needed) and return the path of its `design.json`.

    `measurements` are the numbers of the study as plain data (accuracy and the like); those of `records` are added.
    `files` are a synthesis result's. `preparation` says what happens to a feature ahead of the network: the keys
    `feature_names`, `mean`, `scale` (one entry per input) and `clip` are understood, others are kept. The ONNX file is
    checked on `vectors` (random ones if None). Raises `ToolError` (MISMATCH) if it differs from the network in any
    bit, `ConfigurationError` for what is not plain, finite data.
    """
    from evonas.synthesis import _onnx

    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    prepared = _preparation(network, preparation or {})
    _onnx.write_onnx(network, _vectors(network) if vectors is None else vectors, folder / "model.onnx")
    description = _onnx.describe(network)
    _write_weights(network, description, folder / "weights.npz")
    stages = sorted({record.stage for record in records})
    design = {
        "format": FORMAT,
        "version": VERSION,
        "topology": network.spec.topology,
        "network": description,
        "nonzero_weights": list(network.nonzero_weights),
        "input_preparation": prepared,
        "measurements": [*map(dict, measurements), *(row for record in records for row in rows(record))],
        "records": [record.to_dict() for record in records],
        "notes": {stage.label: NOTES[stage] for stage in stages if stage in NOTES},
        "files": {"onnx": "model.onnx", "weights": "weights.npz"} | _copy_files(files, records, folder),
    }
    path = folder / "design.json"
    try:
        text = json.dumps(design, indent=1, default=_plain, allow_nan=False)
    except (TypeError, ValueError) as error:
        mend = "must be finite numbers, text, lists and tables"
        raise ConfigurationError("measurements or preparation", str(error), mend) from error
    path.write_text(text + "\n")
    return path


def rows(record: SynthesisRecord) -> list[dict[str, Any]]:
    """One row per number of a record: metric, value, unit, stage, tool and its version; what is unknown is left out."""
    origin = {"stage": record.stage.label, "tool": record.target.tool, "tool_version": record.tool_version}
    values = ((metric, getattr(record, metric), unit) for metric, unit in UNITS.items())
    return [{"metric": m, "value": value, "unit": unit, **origin} for m, value, unit in values if value is not None]


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
            weighted = [i for i, layer in enumerate(design["network"]["layers"]) if "weight_type" in layer]
            codes = [(archive[f"weight_codes_{i}"], archive[f"bias_codes_{i}"]) for i in weighted]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"its weights cannot be read: {error}", path) from error
    return _onnx.restore(design["network"], codes)


def _write_weights(network: QuantisedNetwork, description: dict[str, Any], path: Path) -> None:
    """Codes as int64 and the types as JSON text; readable without pickle."""
    arrays: dict[str, NDArray[Any]] = {"description": np.array(json.dumps(description, sort_keys=True))}
    for index, layer in enumerate(network.layers):
        if not isinstance(layer, QuantisedDense):
            continue
        arrays[f"weight_codes_{index}"] = layer.weight_codes
        arrays[f"bias_codes_{index}"] = layer.bias_codes
    np.savez_compressed(path, allow_pickle=False, **arrays)


def _vectors(network: QuantisedNetwork) -> NDArray[np.float64]:
    """Random inputs over the whole range of the input type and a little beyond; always the same."""
    kind = network.input_type
    low, high = kind.low - kind.lsb, kind.high + kind.lsb
    return np.random.default_rng(0).uniform(low, high, (VECTORS, network.spec.n_inputs))


def _copy_files(files: Mapping[str, Path], records: Sequence[SynthesisRecord], folder: Path) -> dict[str, str]:
    """Copy projects, and the tool's report together with the records. Returns role -> path within `folder`."""
    copied: dict[str, str] = {}
    for role in TREES:
        source = files.get(role)
        if source is not None and source.is_dir():
            shutil.rmtree(folder / role, ignore_errors=True)
            shutil.copytree(source, folder / role)
            copied[role] = role
    report: dict[str, Any] = {"records": [record.to_dict() for record in records]}
    if "report" in files and files["report"].is_file():
        report["tool"] = json.loads(files["report"].read_text())
    (folder / REPORT).write_text(json.dumps(report, indent=1, sort_keys=True) + "\n")
    return copied | {"report": REPORT}


def _preparation(network: QuantisedNetwork, given: Mapping[str, Any]) -> dict[str, Any]:
    """What happens to a feature before the network, checked for its length."""
    for key in ("feature_names", "mean", "scale"):
        if key in given and len(given[key]) != network.spec.n_inputs:
            mend = f"must have one entry for each of the {network.spec.n_inputs} inputs"
            raise ConfigurationError(f"preparation.{key}", len(given[key]), mend)
    formula = "(feature - mean) / scale, clipped to [-clip, clip] if there is a clip, then cast to input_type"
    return {"input_type": str(network.input_type), "formula": formula, **given}


def _plain(value: object) -> object:
    """NumPy values and paths for JSON."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not plain data")
