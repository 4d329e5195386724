"""The public jet set on Zenodo, record 3602260: up to 150 constituents and the jet features, in HDF5 files.

Each file holds `jets` (n, 59) with the names of its columns in `jetFeatureNames`, and `jetConstituentList`
(n, 150, 16) with `particleFeatureNames` (17 names: the last has no column). The class is one-hot in the columns
`j_g`, `j_q`, `j_t`, `j_w`, `j_z` of `jets`, found by name. Only the training archive is read, so that the
published test jets stay unseen. Origin: Pierini, Duarte, Tran, Freytsis, doi 10.5281/zenodo.3602260; described by
Moreno et al., 1908.05318.
"""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from evonas.errors import ConfigurationError, DataError
from evonas.tasks.download import cache_path, describe, fetch
from evonas.tasks.jet_features import CLASSES, FEATURES, Inputs, RawJets, check_finite, columns_of, public_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BASE_URL = "https://zenodo.org"
RECORD = 3602260
ARCHIVE = "hls4ml_LHCjet_150p_train.tar.gz"  # 2.7 GB
PARTICLE_FEATURES = ("j1_ptrel", "j1_etarel", "j1_phirel", "j1_pt")  # the last in GeV
PROVENANCE = f"Zenodo {RECORD} hls4ml LHC jets, 150 particles (public simulation)"


def load(
    inputs: Inputs,
    n_constituents: int,
    n_jets: int | None = None,
    base_url: str | None = None,
    cache_dir: Path | str | None = None,
) -> RawJets:
    """Download and unpack (once) the training archive and read at least `n_jets` of its jets, or all.

    Raises: `DataError` as `fetch` and `read_files` do.
    """
    address = f"{(base_url or BASE_URL).rstrip('/')}/api/records/{RECORD}"
    url, checksum = describe(address, _file_entry, f"zenodo_{RECORD}.json", cache_dir)
    archive = fetch(url, ARCHIVE, checksum, cache_dir)
    folder = cache_path(cache_dir) / f"zenodo_{RECORD}_{checksum[-8:]}"
    return read_files(unpack(archive, folder), inputs, n_constituents, n_jets)


def _file_entry(record: Any) -> tuple[str, str]:
    """Address and checksum of the training archive in the description of the record."""
    entry = {file["key"]: file for file in record["files"]}[ARCHIVE]
    return str(entry["links"]["self"]), str(entry["checksum"])


def unpack(archive: Path, folder: Path) -> list[Path]:
    """The HDF5 files of a tar archive in `folder`, unpacked there unless a complete copy is present.

    Only regular `.h5` members are written, by their base name. Raises: `DataError` if the archive is damaged, holds
    no such file, or does not fit on the disk.
    """
    if not folder.is_dir():
        try:
            with tempfile.TemporaryDirectory(dir=archive.parent) as scratch:
                staging = Path(scratch) / "files"
                staging.mkdir()
                with tarfile.open(archive) as tar:
                    for member in tar:
                        content = tar.extractfile(member) if member.isfile() else None
                        if content is not None and member.name.endswith(".h5"):
                            with (staging / Path(member.name).name).open("wb") as file:
                                shutil.copyfileobj(content, file)
                if not list(staging.glob("*.h5")):
                    raise DataError("holds no .h5 file; is it the archive of jets?", archive)
                staging.replace(folder)
        except (tarfile.TarError, EOFError) as error:
            raise DataError("is not a complete tar archive; delete it and run again", archive) from error
        except OSError as error:
            raise DataError(f"cannot be unpacked ({error}); free space or pass another cache_dir", archive) from error
    return sorted(folder.glob("*.h5"))


def read_files(
    paths: Sequence[Path | str], inputs: Inputs, n_constituents: int = 8, n_jets: int | None = None
) -> RawJets:
    """Read files in the format of the record until `n_jets` jets are there.

    Returns: features (n, 16) in the order of `FEATURES`, or constituents (n, 3 n_constituents) as pt, eta and phi
    relative to the jet, hardest first, zero padded, with the transverse momentum of each in GeV.
    Raises: `DataError` naming the file, the data set and the row for whatever does not fit.
    """
    if not paths:
        raise DataError("no .h5 file to read; check the directory")
    read: list[RawJets] = []
    for path in paths:
        read.append(_read_file(path, inputs, n_constituents))
        if n_jets is not None and sum(len(jets.y) for jets in read) >= n_jets:
            break
    x, y = np.concatenate([jets.x for jets in read]), np.concatenate([jets.y for jets in read])
    pt_gev = [jets.pt_gev for jets in read if jets.pt_gev is not None]
    return RawJets(x, y, PROVENANCE, str(paths[0]), np.concatenate(pt_gev) if pt_gev else None)


def _read_file(path: Path | str, inputs: Inputs, n_constituents: int) -> RawJets:
    """The jets of one HDF5 file."""
    import h5py

    if inputs not in get_args(Inputs):
        raise ConfigurationError("task.inputs", inputs, f"must be one of {', '.join(get_args(Inputs))}")
    if not Path(path).is_file():
        raise DataError("no such file; check the path", path)
    try:
        with h5py.File(path, "r") as file:
            jets, names = _table(file, "jets", "jetFeatureNames", 2, path)
            labels = _labels(jets, names, path)
            if inputs == "hlf":
                columns = columns_of([f"j_{public_name(f)}" for f in FEATURES], names, str(path), "jet feature")
                features = jets[:, columns].astype(np.float32)
                check_finite(features, "jet features", path)
                return RawJets(features, labels, PROVENANCE, str(path))
            particles, names = _table(file, "jetConstituentList", "particleFeatureNames", 3, path)
            if len(particles) != len(labels):
                raise DataError(f"{len(particles)} rows in jetConstituentList for {len(labels)} in jets", path)
            columns = columns_of(PARTICLE_FEATURES, names, str(path), "particle feature")
            particles = particles[:, :, columns]
            check_finite(particles, "constituents", path)
            chosen = hardest(particles, n_constituents, path)
            relative = np.ascontiguousarray(chosen[:, :, :3]).reshape(len(chosen), -1)
            return RawJets(relative, labels, PROVENANCE, str(path), chosen[:, :, 3])
    except OSError as error:
        raise DataError("is not a readable HDF5 file; it is damaged or cut short, fetch it again", path) from error


def hardest(particles: NDArray[Any], n_constituents: int, path: Path | str) -> NDArray[np.float32]:
    """The `n_constituents` hardest of `particles` (n, m, features), the first of which is pt, hardest first.

    phi, the third, is brought into [-pi, pi); places without a particle become zeros.
    """
    if not 1 <= n_constituents <= particles.shape[1]:
        raise ConfigurationError(
            "task.n_constituents", n_constituents, f"{path} holds 1 to {particles.shape[1]} constituents per jet"
        )
    order = np.argsort(-particles[:, :, 0], axis=1, kind="stable")[:, :n_constituents]
    chosen = np.take_along_axis(particles, order[:, :, None], axis=1).astype(np.float64)
    chosen[:, :, 2] = (chosen[:, :, 2] + np.pi) % (2 * np.pi) - np.pi
    chosen[chosen[:, :, 0] <= 0] = 0.0
    return chosen.astype(np.float32)


def _table(file: Any, data: str, names: str, ndim: int, path: Path | str) -> tuple[NDArray[Any], list[str]]:
    """A data set and the names of its last axis."""
    for key in (data, names):
        if key not in file:
            raise DataError(f"no data set {key}; the file has {', '.join(file)}", path)
    array = np.asarray(file[data])
    labels = [name.decode() if isinstance(name, bytes) else str(name) for name in file[names][()]]
    if array.ndim != ndim or not len(array):
        raise DataError(f"{data} has shape {array.shape}; it must have {ndim} axes and at least one row", path)
    if not np.issubdtype(array.dtype, np.number):
        raise DataError(f"{data} holds {array.dtype}, not numbers", path)
    return array, labels[: array.shape[-1]]


def _labels(jets: NDArray[Any], names: list[str], path: Path | str) -> NDArray[np.int64]:
    """Class indices (n,) from the one-hot columns."""
    flags = jets[:, columns_of([f"j_{name}" for name in CLASSES], names, str(path), "label column")]
    wrong = np.flatnonzero(((flags != 0) & (flags != 1)).any(axis=1) | (flags.sum(axis=1) != 1))
    if len(wrong):
        row = int(wrong[0])
        raise DataError(
            f"jets[{row}] has class flags {dict(zip(CLASSES, flags[row].tolist(), strict=True))}; exactly one must "
            f"be 1 ({len(wrong)} such rows); remove them",
            path,
        )
    return np.asarray(np.argmax(flags, axis=1), np.int64)
