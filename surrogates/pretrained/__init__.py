"""Our own synthesis runs, shipped with the package, and what has learnt from them."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import TYPE_CHECKING

from surrogates.errors import SurrogateError
from surrogates.records import Stage, SynthesisRecord, read_records

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.resources.abc import Traversable

    from surrogates.dataset import Dataset

RECORDS = "records.jsonl.gz"  # of dense networks
DATASET = "records.npz"  # of networks of all families, each traced and some synthesised; columns: `surrogates.columns`
SURROGATE = "surrogate.json.gz"  # of the default kind, fitted on `start_records`: experiments/synthesis_records
TRACE_SURROGATE = "trace_surrogate.json.gz"  # fitted on `traced_records`, likewise


def start_records() -> list[SynthesisRecord]:
    """The trained networks that studies start from: dense ones, and those of `shipped_dataset`'s calibration part.

    The layer-graph network has seen none of them (`surrogates.splits.part_of`), so that what it gets wrong here is what
    it gets wrong on new architectures. Raises `SurrogateError` if the installation lacks a file.
    """
    from surrogates.splits import part_of

    with as_file(_found(RECORDS)) as path:
        records = read_records(path)
    held = shipped_dataset([Stage.SYNTHESISED]).of(Stage.SYNTHESISED, weights="trained")
    return [*records, *(record for record in held if part_of(record.spec) == "calibration")]


def traced_records() -> list[SynthesisRecord]:
    """The trained networks of `shipped_dataset` that are synthesised, with what their traces say; raises as that."""
    dataset = shipped_dataset([Stage.TRACED, Stage.SYNTHESISED], complete=True)
    return [record for record in dataset.records if dataset.origin(record.spec).weights == "trained"]


def shipped_dataset(stages: Iterable[Stage] = tuple(Stage), *, complete: bool = False) -> Dataset:
    """Networks of all families with what tools made of them, and what tools failed on, at these stages.

    With `complete` only the networks that have a record of every one of them.

    Raises `SurrogateError` if the installation lacks the file.
    """
    from surrogates.columns import read_columns

    with as_file(_found(DATASET)) as path:
        return read_columns(path, stages, complete=complete)


def _found(name: str) -> Traversable:
    resource = files("surrogates.pretrained") / name
    if not resource.is_file():
        raise SurrogateError(
            f"surrogates/pretrained/{name} is missing: this installation is incomplete; install the package again, "
            "or fit on your own records with fit_surrogate(records)"
        )
    return resource
