"""Save and load fitted surrogates as JSON, without pickle.

A file holds parameters, training records and their weights, and what a fit takes time to find: the exponents of laws,
which learner is best, its length scales or trees, calibration. What follows from these by algebra is computed again, so
that loading takes a fraction of a second. Nothing in a file is executed, and no change of a library's internals makes
it unreadable.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np

from surrogates.errors import PersistenceError, SpecError
from surrogates.estimators import ResidualSurrogate
from surrogates.records import Stage, SynthesisRecord
from surrogates.trace import TraceSurrogate

FORMAT, TRACE_FORMAT = "surrogates.ResidualSurrogate", "surrogates.TraceSurrogate"
FORMAT_SCHEMA = 4


def save_surrogate(surrogate: ResidualSurrogate | TraceSurrogate, path: Path | str) -> None:
    """Write a fitted surrogate (gzip when the name ends in .gz); the bytes depend on its content alone.

    Raises `NotFittedError` for one without records.
    """
    path = Path(path)
    content = {
        "format": TRACE_FORMAT if isinstance(surrogate, TraceSurrogate) else FORMAT,
        "schema": FORMAT_SCHEMA,
        "version": surrogate.version,
        "parameters": surrogate.parameters,
        "records": [record.to_dict() for record in surrogate.records],
        "settings": surrogate.settings,
    }
    if isinstance(surrogate, ResidualSurrogate):
        content["weights"] = [float(weight) for weight in surrogate.weights]
    data = json.dumps(content, sort_keys=True).encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def load_surrogate(path: Path | str) -> ResidualSurrogate:
    """Read what `save_surrogate` wrote.

    Raises `PersistenceError` for another file or schema, or if this version of the package would predict otherwise.
    """
    path = Path(path)
    content = _read(path, FORMAT)
    parameters, records = content["parameters"], _records(path, content)
    try:
        surrogate = ResidualSurrogate(
            parameters["kind"],
            seed=int(parameters["seed"]),
            stage=Stage[parameters["stage"].upper()],
            foreseen={name: tuple(scores) for name, scores in parameters["foreseen"].items()},
            law=parameters["law"],
        )
        surrogate.restore(records, np.asarray(content["weights"], dtype=np.float64), content["settings"])
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise PersistenceError(f"{path}: parameters, weights, records or settings are damaged: {error!r}") from error
    _check_version(path, content["version"], surrogate.version)
    return surrogate


def load_trace_surrogate(path: Path | str) -> TraceSurrogate:
    """Read what `save_surrogate` wrote of a `TraceSurrogate`; raises as `load_surrogate`."""
    path = Path(path)
    content = _read(path, TRACE_FORMAT)
    records = _records(path, content)
    try:
        surrogate = TraceSurrogate(seed=int(content["parameters"]["seed"])).restore(records, content["settings"])
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise PersistenceError(f"{path}: parameters, records or settings are damaged: {error!r}") from error
    _check_version(path, content["version"], surrogate.version)
    return surrogate


def _check_version(path: Path, saved: str, fitted: str) -> None:
    if saved != fitted:
        raise PersistenceError(
            f"{path}: saved as version {saved}, but this package fits version {fitted} from "
            "the same records; take saved_records(path), fit a new surrogate and save that"
        )


def saved_records(path: Path | str) -> list[SynthesisRecord]:
    """Only the training records of a saved surrogate: the way out when `load_surrogate` refuses the file."""
    path = Path(path)
    return _records(path, _read(path, FORMAT, TRACE_FORMAT))


def _records(path: Path, content: dict[str, Any]) -> list[SynthesisRecord]:
    try:
        return [SynthesisRecord.from_dict(record) for record in content["records"]]
    except (KeyError, SpecError) as error:
        raise PersistenceError(f"{path}: the records cannot be read: {error}") from error


def _read(path: Path, *formats: str) -> dict[str, Any]:
    data = path.read_bytes()
    try:
        content: Any = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
    except (OSError, EOFError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise PersistenceError(f"{path}: is not a saved surrogate: {error}") from error
    held: dict[str, Any] = content if isinstance(content, dict) else {}
    found = held.get("format")
    if found not in formats:
        what = f"is a {found}, not a {formats[0]}" if found in (FORMAT, TRACE_FORMAT) else "is not a saved surrogate"
        raise PersistenceError(f"{path}: {what}; save_surrogate writes them")
    if held.get("schema") != FORMAT_SCHEMA:
        raise PersistenceError(
            f"{path}: has schema {content.get('schema')!r}, this version reads {FORMAT_SCHEMA}; load it with the "
            "version that wrote it, write its records with write_records, and fit again here"
        )
    needed = {"version", "parameters", "records", "settings", *(["weights"] if found == FORMAT else [])}
    missing = needed - set(held)
    if missing:
        raise PersistenceError(f"{path}: lacks {', '.join(sorted(missing))}")
    return held
