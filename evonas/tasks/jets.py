"""Jet tagging: is a jet of about 1 TeV from a gluon, a light quark, a top quark, a W or a Z?

Sources: the embedded sample of our own simulation (50 000 jets), the public sets on OpenML and Zenodo, or a file.
The origin is in the task's `provenance`; accuracies on different sources are different quantities.

Constituents are (pt, eta, phi) relative to the jet: pt is the fraction of the jet's transverse momentum, eta and phi
are distances from its axis. An `.npz` file may hold a fourth column ahead, the absolute pt in GeV, or `jet_pt` (n,) in
GeV as the embedded sample does; only then can `pt_min_gev` be asked for.
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
from evonas.tasks.arrays import check_every_class, labels, numeric, read_npz, texts
from evonas.tasks.base import ArrayTask
from evonas.tasks.checks import check_arrays
from evonas.tasks.jet_features import (
    CLASSES,
    FEATURES,
    Inputs,
    Order,
    RawJets,
    check_finite,
    constituent_names,
    gate,
    shuffle,
)

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
    pt_min_gev: float | None = None,
    order: Order = "pt",
    metric: str | None = None,
    metric_as_error: bool = False,
) -> ArrayTask:
    """The jet-tagging task.

    Parameters:
        source: `embedded`, `openml`, `zenodo`, or a path: `.npz` in the layout of the embedded sample, `.arff`,
            `.h5`, or a directory of `.h5` files in the layout of the Zenodo record.
        inputs: `hlf`, the sixteen features of `FEATURES` (masses in GeV, the rest dimensionless), or `constituents`,
            pt, eta and phi relative to the jet of the hardest particles: shape (n_constituents, 3), each of the three
            standardised over all constituents of all training jets, empty places (zeros) included.
        n_constituents: how many of them; 1 to 8 in the embedded sample.
        seed: fixes the splits, the choice of `n_jets` and the order of shuffled constituents.
        n_jets: use so many jets, drawn at random; all by default.
        base_url: another server with the interface of openml.org or zenodo.org.
        cache_dir: where downloads are kept; the user's cache directory by default.
        pt_min_gev: leave out constituents below this transverse momentum.
        order: of the constituents: `pt`, hardest first, or `shuffled`, drawn once for every jet, empty places
            included, which is what a permutation-invariant network has to cope with.
        metric, metric_as_error: a metric of one's own, see `ArrayTask`.

    Raises: `ConfigurationError` for an unknown option, `DataError` for whatever is wrong with a file or a download.
    """
    _check_options(inputs, n_constituents, n_jets, pt_min_gev, order)
    raw = _load(source, inputs, n_constituents, n_jets, base_url, cache_dir)
    names = FEATURES if inputs == "hlf" else constituent_names(n_constituents)
    check_arrays(raw.x, raw.y, CLASSES, names, raw.source)
    check_every_class(raw.y, CLASSES, raw.source)
    rows = _choose(len(raw.y), n_jets, seed)
    x = raw.x[rows]
    if pt_min_gev is not None:
        if raw.pt_gev is None:
            mend = f"{raw.source} is read without absolute transverse momenta; leave it out, or use another source"
            raise ConfigurationError("task.pt_min_gev", pt_min_gev, mend)
        x = gate(x, raw.pt_gev[rows], pt_min_gev)
    if order == "shuffled":
        x = shuffle(x, stream(seed, "jets", "constituents"))
    return ArrayTask(
        name="jets" if inputs == "hlf" else f"jets_constituents{n_constituents}",
        x=x,
        y=raw.y[rows],
        output_names=CLASSES,
        feature_names=names,
        provenance=raw.provenance,
        seed=seed,
        source=raw.source,
        n_positions=1 if inputs == "hlf" else n_constituents,
        standardise="columns" if inputs == "hlf" else "features",
        metric=metric,
        metric_as_error=metric_as_error,
    )


def description() -> dict[str, Any]:
    """What the embedded sample is: definitions, seeds, versions, counts and the checksum of the archive."""
    with _data_file("jets.json").open(encoding="utf-8") as file:
        content: dict[str, Any] = json.load(file)
    return content


def _check_options(inputs: str, n_constituents: int, n_jets: int | None, pt_min_gev: float | None, order: str) -> None:
    """Raise `ConfigurationError` for what no source can deliver."""
    if inputs not in get_args(Inputs):
        raise ConfigurationError("task.inputs", inputs, f"must be one of {', '.join(get_args(Inputs))}")
    if n_constituents < 1:
        raise ConfigurationError("task.n_constituents", n_constituents, "must be at least 1")
    if n_jets is not None and n_jets < 1:
        raise ConfigurationError("task.n_jets", n_jets, "must be at least 1; leave it out for all jets")
    if order not in get_args(Order):
        raise ConfigurationError("task.order", order, f"must be one of {', '.join(get_args(Order))}")
    if pt_min_gev is not None and not 0 < pt_min_gev < np.inf:
        raise ConfigurationError("task.pt_min_gev", pt_min_gev, "must be a positive number of GeV")
    for option, value, default in (("pt_min_gev", pt_min_gev, None), ("order", order, "pt")):
        if inputs == "hlf" and value != default:
            raise ConfigurationError(f"task.{option}", value, 'is for constituents; set inputs = "constituents"')


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
    """Jets in the layout of the embedded sample.

    `hlf` (n, 16), `constituents` (n, m, 3) or, with pt in GeV ahead, (n, m, 4), hardest first and zero padded;
    `jet_pt` (n,) in GeV if known; `label` (n,), indices into `class_names` (5,) if there are any, else `CLASSES`.
    """
    source = str(path)
    found = read_npz(path, required=(inputs, "label"), optional=("jet_pt", "class_names"))
    x = numeric(found[inputs], inputs, source)
    names = texts(found.get("class_names"), "class_names", source)
    y = _by_name(labels(found["label"], "label", source), names, source)
    if inputs == "hlf":
        if x.ndim != 2 or x.shape[1] != len(FEATURES):
            raise DataError(
                f"hlf has shape {x.shape}; it must be (jets, {len(FEATURES)}): {', '.join(FEATURES)}", source
            )
        return RawJets(x, y, provenance, source)
    if x.ndim != 3 or x.shape[2] not in (3, 4):
        wanted = "(jets, constituents, 3), or 4 with pt in GeV ahead"
        raise DataError(f"constituents has shape {x.shape}; it must be {wanted}", source)
    if n_constituents > x.shape[1]:
        raise ConfigurationError("task.n_constituents", n_constituents, f"{source} holds {x.shape[1]} per jet")
    relative, pt_gev = x[:, :n_constituents, -3:], None
    if x.shape[2] == 4:
        pt_gev = x[:, :n_constituents, 0]
    elif "jet_pt" in found:
        jet_pt = numeric(found["jet_pt"], "jet_pt", source)
        if jet_pt.shape != (len(x),):
            raise DataError(f"jet_pt has shape {jet_pt.shape}; it must be ({len(x)},), in GeV", source)
        pt_gev = relative[:, :, 0] * jet_pt[:, None]
    if pt_gev is not None:
        check_finite(pt_gev, "pt of the constituents in GeV", source)
    return RawJets(relative.reshape(len(x), -1), y, provenance, source, pt_gev)


def _by_name(y: NDArray[np.int64], names: tuple[str, ...] | None, source: str) -> NDArray[np.int64]:
    """Indices into `CLASSES` from indices into `names`, which may come in any order."""
    if names is None:
        return y
    lowered = [name.lower() for name in names]
    if sorted(lowered) != sorted(CLASSES):
        raise DataError(f"class_names are {', '.join(names)}; they must be {', '.join(CLASSES)} in any order", source)
    outside = np.flatnonzero((y < 0) | (y >= len(CLASSES)))
    if len(outside):
        row = int(outside[0])
        raise DataError(f"label[{row}] is {y[row]}; labels must lie in 0..{len(CLASSES) - 1}", source)
    return np.array([CLASSES.index(name) for name in lowered], np.int64)[y]


def _choose(available: int, wanted: int | None, seed: int) -> NDArray[np.int64] | slice:
    """Rows of a random subset in their old order, or all of them."""
    if wanted is None or wanted == available:
        return slice(None)
    if wanted > available:
        raise ConfigurationError("task.n_jets", wanted, f"the source holds {available} jets; leave it out for all")
    return np.sort(stream(seed, "jets", "subset").choice(available, wanted, replace=False))
