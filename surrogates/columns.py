"""Many synthesis records in one small file: columns of numbers in numpy's npz, read without pickle.

    write_columns(Dataset(records, failures), "records.npz")
    dataset = read_columns("records.npz")

Four tables, each a set of arrays of one length whose names begin with the table's:

- `network_*`: one row for each description: input_bits, positions, channels, parts (how many rows it has in `part_*`),
  and an index into `families`, `weights` and `data` (what the weights are and what they were trained on).
- `part_*`: one row for each layer or operation, in order: kind (index into `kinds`; the first two are layers), n_in,
  n_out, weight_bits, activation_bits, activation (index into `activations`), sparsity, strategy (1: reuse),
  reuse_factor, positions, the window's height, width, kernel, stride and padding, groups, start, length, and `sources`,
  how many rows it has in `source`, the parts that it reads (-1: the input).
- `record_*`: one row for each result of a tool: network (row of `network_*`), target (row of `targets`), stage, tool
  version, lut, ff, dsp, bram_18k, latency_cycles, initiation_interval, carry and delay_ns (-1: not said by the tool),
  verified_vectors, wall_time_s, peak_memory_bytes, and layers: how many rows it has in `weights_*`. Digests of
  reports are not kept.
- `weights_*`: the counts of `surrogates.weights.LayerWeights`, one row for each layer of which they are known.
- `failure_*`: one row for each tool that ended without a result: network, target, stage, kind (index into
  `failure_kinds`), wall_time_s, limit_s, memory_limit_bytes.

`header` is a JSON text with the schema's number and the lists that indices point into.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from surrogates.dataset import Dataset, FailedSynthesis, Origin
from surrogates.errors import SpecError
from surrogates.layers import ACTIVATIONS, OPERATIONS, LayerSpec, OperationSpec, Window
from surrogates.records import Stage, SynthesisRecord
from surrogates.spec import HardwareTarget, ModelSpec
from surrogates.weights import LayerWeights

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

SCHEMA = 2
KINDS = ("dense", "conv", *OPERATIONS)
WHOLE = ("lut", "ff", "dsp", "bram_18k", "latency_cycles", "initiation_interval", "carry", "delay_ns")
COUNTS = tuple(count.name for count in fields(LayerWeights))
UNKNOWN = -1.0  # of what may be None


def write_columns(dataset: Dataset, path: Path | str) -> None:
    """Write records and failures; the bytes depend on the content and its order alone."""
    networks: dict[ModelSpec, int] = {}
    results: list[SynthesisRecord | FailedSynthesis] = [*dataset.records, *dataset.failures]
    for result in results:
        networks.setdefault(result.spec, len(networks))
    lists = _Lists()
    columns = {
        **_networks(list(networks), dataset, lists),
        **_records(dataset.records, networks, lists),
        **_failures(dataset.failures, networks, lists),
    }
    header = {"schema": SCHEMA, **lists.named, "kinds": KINDS, "activations": ACTIVATIONS}
    columns["header"] = np.frombuffer(json.dumps(header, sort_keys=True).encode(), np.uint8)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, column in sorted(columns.items()):
            held = io.BytesIO()
            np.lib.format.write_array(held, column, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), held.getvalue(), zipfile.ZIP_DEFLATED)


def read_columns(path: Path | str, stages: Iterable[Stage] = tuple(Stage), *, complete: bool = False) -> Dataset:
    """Read records and failures of these stages; with `complete` of networks that have a record of each of them.

    Raises `SpecError` for another file or schema, and says the mend.
    """
    columns, header = _open(Path(path))
    wanted = [int(stage) for stage in stages]
    kept = _complete(columns, wanted) if complete else np.ones(len(columns["network_parts"]), dtype=bool)
    chosen = {
        name: np.flatnonzero(np.isin(columns[f"{name}_stage"], wanted) & kept[columns[f"{name}_network"]])
        for name in ("record", "failure")
    }
    needed = {int(row) for name, rows in chosen.items() for row in columns[f"{name}_network"][rows]}
    specs = _specs(columns, header, needed)
    targets = [HardwareTarget(**target) for target in header["targets"]]
    records = _read_records(columns, header, chosen["record"], specs, targets)
    failures = tuple(
        FailedSynthesis(
            specs[int(columns["failure_network"][row])],
            targets[int(columns["failure_target"][row])],
            Stage(int(columns["failure_stage"][row])),
            header["failure_kinds"][int(columns["failure_kind"][row])],
            float(columns["failure_wall_time_s"][row]),
            float(columns["failure_limit_s"][row]),
            int(columns["failure_memory_limit_bytes"][row]),
        )
        for row in chosen["failure"]
    )
    names = [(header[name], columns[f"network_{name}"]) for name in ("families", "weights", "data")]
    origins = {
        spec.digest: Origin(*(listed[int(column[row])] for listed, column in names)) for row, spec in specs.items()
    }
    return Dataset(tuple(records), failures, origins)


@final
class _Lists:
    """Texts and targets by number, in the order in which they are first asked for."""

    def __init__(self) -> None:
        self.named: dict[str, list[Any]] = {
            name: [] for name in ("families", "weights", "data", "targets", "tools", "failure_kinds")
        }

    def __call__(self, name: str, value: Any) -> int:
        listed = self.named[name]
        if value not in listed:
            listed.append(value)
        return listed.index(value)


PART = (
    "kind", "n_in", "n_out", "weight_bits", "activation_bits", "activation", "sparsity", "strategy", "reuse_factor",
    "positions", "height", "width", "kernel", "stride", "padding", "groups", "start", "length",
)  # fmt: skip


def _part_row(part: LayerSpec | OperationSpec) -> tuple[float, ...]:
    if isinstance(part, OperationSpec):
        return (KINDS.index(part.kind), 0, 0, 0, part.activation_bits, *[0] * 10, part.groups, part.start, part.length)
    seen = part.window
    window = (0,) * 5 if seen is None else (seen.height, seen.width, seen.kernel, seen.stride, seen.padding)
    layer = (part.n_in, part.n_out, part.weight_bits, part.activation_bits, ACTIVATIONS.index(part.activation))
    hardware = (part.sparsity, part.strategy == "reuse", part.reuse_factor, part.positions)
    return (KINDS.index(part.kind), *layer, *hardware, *window, 0, 0, 0)


def _part(row: Mapping[str, Any], header: Mapping[str, Any]) -> LayerSpec | OperationSpec:
    kind = header["kinds"][int(row["kind"])]
    whole = {name: int(value) for name, value in row.items()}
    if kind in OPERATIONS:
        return OperationSpec(kind, whole["groups"], whole["activation_bits"], whole["start"], whole["length"])
    names = ("height", "width", "kernel", "stride", "padding")
    return LayerSpec(
        whole["n_in"],
        whole["n_out"],
        whole["weight_bits"],
        whole["activation_bits"],
        header["activations"][whole["activation"]],
        float(row["sparsity"]),
        "reuse" if whole["strategy"] else "distributed_arithmetic",
        whole["reuse_factor"],
        kind,
        whole["positions"],
        Window(*(whole[name] for name in names)) if kind == "conv" else None,
    )


def _networks(specs: Sequence[ModelSpec], dataset: Dataset, lists: _Lists) -> dict[str, NDArray[Any]]:
    origins = [dataset.origin(spec) for spec in specs]
    parts = [part for spec in specs for part in spec.layers]
    sources = [found for spec in specs for found in spec.sources]
    rows = np.array([_part_row(part) for part in parts], np.float64).reshape(-1, len(PART))
    return {
        "network_input_bits": _narrow([spec.input_bits for spec in specs]),
        "network_positions": _narrow([spec.input_shape[0] for spec in specs]),
        "network_channels": _narrow([spec.input_shape[1] for spec in specs]),
        "network_parts": _narrow([len(spec.layers) for spec in specs]),
        "network_families": _narrow([lists("families", origin.family) for origin in origins]),
        "network_weights": _narrow([lists("weights", origin.weights) for origin in origins]),
        "network_data": _narrow([lists("data", origin.data) for origin in origins]),
        **{f"part_{name}": _narrow(rows[:, place]) for place, name in enumerate(PART)},
        "part_sources": _narrow([len(found) for found in sources]),
        "source": _narrow([source for found in sources for source in found]),
    }


def _records(
    records: Sequence[SynthesisRecord], networks: Mapping[ModelSpec, int], lists: _Lists
) -> dict[str, NDArray[Any]]:
    def column(name: str) -> NDArray[Any]:
        values = [getattr(record, name) for record in records]
        return _narrow([UNKNOWN if value is None else value for value in values])

    counts = np.array([layer.to_list() for record in records for layer in record.weights]).reshape(-1, len(COUNTS))
    return {
        "record_network": _narrow([networks[record.spec] for record in records]),
        "record_target": _narrow([lists("targets", record.target.to_dict()) for record in records]),
        "record_stage": _narrow([int(record.stage) for record in records]),
        "record_tool": _narrow([lists("tools", record.tool_version) for record in records]),
        **{f"record_{name}": column(name) for name in (*WHOLE, "verified_vectors", "peak_memory_bytes")},
        "record_wall_time_s": np.array([record.wall_time_s for record in records], np.float32),
        "record_layers": _narrow([len(record.weights) for record in records]),
        **{f"weights_{name}": _narrow(counts[:, place]) for place, name in enumerate(COUNTS)},
    }


def _failures(
    failures: Sequence[FailedSynthesis], networks: Mapping[ModelSpec, int], lists: _Lists
) -> dict[str, NDArray[Any]]:
    return {
        "failure_network": _narrow([networks[failure.spec] for failure in failures]),
        "failure_target": _narrow([lists("targets", failure.target.to_dict()) for failure in failures]),
        "failure_stage": _narrow([int(failure.stage) for failure in failures]),
        "failure_kind": _narrow([lists("failure_kinds", failure.kind) for failure in failures]),
        "failure_wall_time_s": np.array([failure.wall_time_s for failure in failures], np.float32),
        "failure_limit_s": np.array([failure.limit_s for failure in failures], np.float32),
        "failure_memory_limit_bytes": _narrow([failure.memory_limit_bytes for failure in failures]),
    }


def _narrow(values: Sequence[float] | NDArray[Any]) -> NDArray[Any]:
    """The narrowest whole numbers that hold all values, else float64."""
    column = np.asarray(values, np.float64)
    if (column != np.rint(column)).any():
        return column
    low, high = column.min(initial=0.0), column.max(initial=0.0)
    kinds = (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.int64)
    kind = next(kind for kind in kinds if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max)
    return column.astype(kind)


def _open(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            columns = {name: archive[name] for name in archive.files}
        header = json.loads(bytes(columns.pop("header")))
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        mend = "is not a file of synthesis records; write_columns makes them"
        raise SpecError(str(path), str(error), mend) from error
    if header.get("schema") != SCHEMA:
        mend = f"this version reads schema {SCHEMA}; write the records anew with this version"
        raise SpecError(f"{path}: schema", header.get("schema"), mend)
    return columns, header


def _complete(columns: Mapping[str, NDArray[Any]], stages: Sequence[int]) -> NDArray[np.bool_]:
    """Which networks have records of all these stages."""
    of, at = columns["record_network"], columns["record_stage"]
    networks = np.arange(len(columns["network_parts"]))
    kept: NDArray[np.bool_] = np.logical_and.reduce([np.isin(networks, of[at == stage]) for stage in stages])
    return kept


def _specs(
    columns: Mapping[str, NDArray[Any]], header: Mapping[str, Any], needed: Iterable[int]
) -> dict[int, ModelSpec]:
    """The descriptions in these rows of `network_*`."""
    first_part = _starts(columns["network_parts"])
    first_source = _starts(columns["part_sources"])
    specs = {}
    for row in sorted(needed):
        parts = range(first_part[row], first_part[row + 1])
        layers = [_part({name: columns[f"part_{name}"][part] for name in PART}, header) for part in parts]
        edges = [
            (int(source), place)
            for place, part in enumerate(parts)
            for source in columns["source"][first_source[part] : first_source[part + 1]]
        ]
        shape = int(columns["network_positions"][row]), int(columns["network_channels"][row])
        specs[row] = ModelSpec(int(columns["network_input_bits"][row]), tuple(layers), tuple(edges), shape)
    return specs


def _starts(lengths: NDArray[Any]) -> list[int]:
    return [0, *np.cumsum(lengths, dtype=np.int64).tolist()]


def _read_records(
    columns: Mapping[str, NDArray[Any]],
    header: Mapping[str, Any],
    rows: NDArray[np.intp],
    specs: Mapping[int, ModelSpec],
    targets: Sequence[HardwareTarget],
) -> list[SynthesisRecord]:
    first = _starts(columns["record_layers"])
    weights = list(zip(*(columns[f"weights_{name}"].tolist() for name in COUNTS), strict=True))

    def value(name: str, row: int) -> float:
        return float(columns[f"record_{name}"][row])

    def known(name: str, row: int) -> float | None:
        return None if value(name, row) == UNKNOWN else value(name, row)

    return [
        SynthesisRecord(
            spec=specs[int(columns["record_network"][row])],
            target=targets[int(columns["record_target"][row])],
            stage=Stage(int(columns["record_stage"][row])),
            tool_version=header["tools"][int(columns["record_tool"][row])],
            lut=value("lut", row),
            ff=known("ff", row),
            dsp=value("dsp", row),
            bram_18k=value("bram_18k", row),
            latency_cycles=value("latency_cycles", row),
            initiation_interval=int(value("initiation_interval", row)),
            carry=known("carry", row),
            delay_ns=known("delay_ns", row),
            weights=tuple(LayerWeights(*counts) for counts in weights[first[row] : first[row + 1]]),
            verified_vectors=int(columns["record_verified_vectors"][row]),
            wall_time_s=float(columns["record_wall_time_s"][row]),
            peak_memory_bytes=int(columns["record_peak_memory_bytes"][row]),
        )
        for row in rows.tolist()
    ]
