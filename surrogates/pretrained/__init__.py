"""Records of our own synthesis runs, shipped with the package: what `start_surrogate` has learnt from."""

from __future__ import annotations

from importlib.resources import as_file, files

from surrogates.errors import SurrogateError
from surrogates.records import SynthesisRecord, read_records

RECORDS = "records.jsonl.gz"
SURROGATE = "surrogate.json.gz"  # of the default kind, fitted on them: experiments/synthesis_records/pretrain.py


def start_records() -> list[SynthesisRecord]:
    """The shipped synthesis records. Raises `SurrogateError` if the installation lacks the file."""
    resource = files("surrogates.pretrained") / RECORDS
    if not resource.is_file():
        raise SurrogateError(
            f"surrogates/pretrained/{RECORDS} is missing: this installation is incomplete; install the package again, "
            "or fit on your own records with fit_surrogate(records)"
        )
    with as_file(resource) as path:
        return read_records(path)
