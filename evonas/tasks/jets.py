"""Jet tagging: is a jet of about 1 TeV from a gluon, a light quark, a top quark, a W or a Z?

Sources: the embedded sample of our own simulation (50 000 jets), the public sets on OpenML and Zenodo, or a file.
The origin is in the task's `provenance`; accuracies on different sources are different quantities.
"""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from evonas.errors import ConfigurationError, DataError
from evonas.seeding import stream
from evonas.tasks.arrays import check_every_class, labels, numeric, read_npz
from evonas.tasks.base import ArrayTask, check_arrays
from evonas.tasks.jet_features import CLASSES, FEATURES, Inputs, RawJets, constituent_names

if TYPE_CHECKING:
    from numpy.typing import NDArray

SOURCES = ("embedded", "openml", "zenodo")


def jets(
    source: str | Path = "embedded",
    inputs: Inputs = "hlf",
    n_constituents: int = 8,
    seed: int = 0,
    n_jets: int | None = None,
    base_url: str | None = None,
    cache_dir: Path | str | None = None,
) -> ArrayTask:
    """The jet-tagging task.

    Parameters:
        source: `embedded`, `openml`, `zenodo`, or a path: `.npz` in the layout of the embedded sample, `.arff`,
            `.h5`, or a directory of `.h5` files in the layout of the Zenodo record.
        inputs: `hlf`, the sixteen features of `FEATURES` (masses in GeV, the rest dimensionless), or `constituents`,
            pt, eta and phi relative to the jet of the hardest particles.
        n_constituents: how many of them; 1 to 8 in the embedded sample.
        seed: fixes the splits and the choice of `n_jets`.
        n_jets: use so many jets, drawn at random; all by default.
        base_url: another server with the interface of openml.org or zenodo.org.
        cache_dir: where downloads are kept; the user's cache directory by default.

    Raises: `ConfigurationError` for an unknown option, `DataError` for whatever is wrong with a file or a download.
    """
    _check_options(inputs, n_constituents, n_jets)
    raw = _load(source, inputs, n_constituents, n_jets, base_url, cache_dir)
    names = FEATURES if inputs == "hlf" else constituent_names(n_constituents)
    check_arrays(raw.x, raw.y, CLASSES, names, raw.source)
    check_every_class(raw.y, CLASSES, raw.source)
    rows = _choose(len(raw.y), n_jets, seed)
    return ArrayTask(
        name="jets" if inputs == "hlf" else f"jets_constituents{n_constituents}",
        x=raw.x[rows],
        y=raw.y[rows],
        class_names=CLASSES,
        feature_names=names,
        provenance=raw.provenance,
        seed=seed,
        source=raw.source,
    )


def description() -> dict[str, Any]:
    """What the embedded sample is: definitions, seeds, versions, counts and the checksum of the archive."""
    with _data_file("jets.json").open(encoding="utf-8") as file:
        content: dict[str, Any] = json.load(file)
    return content


def _check_options(inputs: str, n_constituents: int, n_jets: int | None) -> None:
    """Raise `ConfigurationError` for what no source can deliver."""
    if inputs not in get_args(Inputs):
        raise ConfigurationError("task.inputs", inputs, f"must be one of {', '.join(get_args(Inputs))}")
    if n_constituents < 1:
        raise ConfigurationError("task.n_constituents", n_constituents, "must be at least 1")
    if n_jets is not None and n_jets < 1:
        raise ConfigurationError("task.n_jets", n_jets, "must be at least 1; leave it out for all jets")


def _load(
    source: str | Path,
    inputs: Inputs,
    n_constituents: int,
    n_jets: int | None,
    base_url: str | None,
    cache_dir: Path | str | None,
) -> RawJets:
    """The jets of a source by name or path."""
    if source == "embedded":
        return _read_npz(embedded_sample(), inputs, n_constituents, str(description()["provenance"]))
    if source == "zenodo":
        from evonas.tasks import zenodo

        return zenodo.load(inputs, n_constituents, n_jets, base_url, cache_dir)
    if source == "openml":
        from evonas.tasks import openml

        _hlf_only(inputs, "OpenML")
        return openml.load(base_url, cache_dir)
    path = Path(source).expanduser()
    if path.suffix == ".arff":
        from evonas.tasks import openml

        _hlf_only(inputs, "an ARFF file")
        return openml.read_arff(path)
    if path.suffix in (".h5", ".hdf5") or path.is_dir():
        from evonas.tasks import zenodo

        files = sorted(path.glob("*.h5")) if path.is_dir() else [path]
        if not files:
            raise DataError("the directory holds no .h5 file", path)
        return zenodo.read_files(files, inputs, n_constituents, n_jets)
    if path.suffix == ".npz":
        return _read_npz(path, inputs, n_constituents, f"user data {path.name}")
    raise ConfigurationError(
        "task.source", str(source), f"must be {', '.join(SOURCES)}, or a path to .npz, .arff, .h5 or a directory"
    )


def _hlf_only(inputs: Inputs, what: str) -> None:
    """Raise `ConfigurationError` where constituents are asked of a source without them."""
    if inputs != "hlf":
        raise ConfigurationError("task.inputs", inputs, f"{what} has no constituents; use zenodo or embedded")


def _data_file(name: str) -> Path:
    """Path of a file in `evonas/tasks/data`."""
    return Path(str(resources.files("evonas.tasks"))) / "data" / name


def embedded_sample() -> Path:
    """The archive of the embedded sample. Raises `DataError` if it is missing or not what `description` says."""
    path = _data_file("jets.npz")
    if not path.is_file():
        raise DataError("the embedded sample is missing; install the package again", path)
    expected, found = description()["sha256"], hashlib.sha256(path.read_bytes()).hexdigest()
    if found != expected:
        raise DataError(f"checksum {found} is not that of jets.json, {expected}; install the package again", path)
    return path


def _read_npz(path: Path, inputs: Inputs, n_constituents: int, provenance: str) -> RawJets:
    """Jets in the layout of the embedded sample: `hlf` (n, 16), `constituents` (n, m, 3), `label` (n,)."""
    source = str(path)
    found = read_npz(path, required=(inputs, "label"))
    x = numeric(found[inputs], inputs, source)
    y = labels(found["label"], "label", source)
    if inputs == "hlf":
        if x.ndim != 2 or x.shape[1] != len(FEATURES):
            raise DataError(
                f"hlf has shape {x.shape}; it must be (jets, {len(FEATURES)}): {', '.join(FEATURES)}", source
            )
    else:
        if x.ndim != 3 or x.shape[2] != 3:
            raise DataError(f"constituents has shape {x.shape}; it must be (jets, constituents, 3)", source)
        if n_constituents > x.shape[1]:
            raise ConfigurationError("task.n_constituents", n_constituents, f"{source} holds {x.shape[1]} per jet")
        x = x[:, :n_constituents].reshape(len(x), -1)
    return RawJets(x, y, provenance, source)


def _choose(available: int, wanted: int | None, seed: int) -> NDArray[np.int64] | slice:
    """Rows of a random subset in their old order, or all of them."""
    if wanted is None or wanted == available:
        return slice(None)
    if wanted > available:
        raise ConfigurationError("task.n_jets", wanted, f"the source holds {available} jets; leave it out for all")
    return np.sort(stream(seed, "jets", "subset").choice(available, wanted, replace=False))
