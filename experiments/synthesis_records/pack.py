"""Put the records of finished units into one columnar file (`surrogates.columns`).

    python experiments/synthesis_records/pack.py runs/synthesis_records --to records.npz

`--to` may hold records already; those of the units come behind them, and what is there already is not added twice.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from generate import done_units

from surrogates import HardwareTarget, ModelSpec, Stage, SynthesisRecord
from surrogates.columns import read_columns, write_columns
from surrogates.dataset import Dataset, FailedSynthesis, Origin
from surrogates.weights import LayerWeights

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def dataset(networks: Iterable[Mapping[str, Any]]) -> Dataset:
    """Records, failures and origins of networks as `generate.py` writes them."""
    records, failures, origins = [], [], {}
    for network in networks:
        spec = ModelSpec.from_dict(network["spec"])
        weights = tuple(LayerWeights(*counts) for counts in network["layers"])
        for record in map(SynthesisRecord.from_dict, network["records"]):
            assert record.weights in ((), weights)
            records.append(record)
        if "failure" in network:
            failures.append(_failure(spec, network["target"], network["failure"]))
        origins[spec.digest] = Origin(network["family"], network["weights"], network["data"])
    return Dataset(tuple(records), tuple(failures), origins)


def _failure(spec: ModelSpec, target: Mapping[str, Any], found: Mapping[str, Any]) -> FailedSynthesis:
    limits = float(found["limit_s"]), int(found["memory_limit_bytes"])
    stage = Stage[found["stage"].upper()]
    return FailedSynthesis(spec, HardwareTarget(**target), stage, found["kind"], float(found["wall_time_s"]), *limits)


def joined(first: Dataset, second: Dataset) -> Dataset:
    """What is in either; each once, whatever its time and memory."""
    same = {"wall_time_s": 0.0, "peak_memory_bytes": 0, "report_digest": ""}
    records = {replace(record, **same): record for record in (*first.records, *second.records)}
    failures = {replace(f, wall_time_s=0.0): f for f in (*first.failures, *second.failures)}
    return Dataset(tuple(records.values()), tuple(failures.values()), {**first.origins, **second.origins})


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="DIR")
    parser.add_argument("--to", type=Path, required=True, metavar="FILE")
    options = parser.parse_args()
    found = read_columns(options.to) if options.to.exists() else Dataset(())
    for directory in options.runs:
        units = done_units(directory / "units.jsonl")
        found = joined(found, dataset(network for number in sorted(units) for network in units[number]))
    write_columns(found, options.to)
    stages = Counter(record.stage.label for record in found.records)
    print(f"{options.to}: {dict(stages)}, {len(found.failures)} failures, {options.to.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
