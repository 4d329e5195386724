"""Simulate gluon, light-quark, top, W and Z jets and compute the sixteen jet-tagging features.

Chain: Pythia 8 hard process -> Les Houches events with undecayed on-shell particles -> Pythia 8 decays, showers,
underlying event and hadrons -> FastJet anti-kT R = 0.8 -> soft drop (beta = 0) -> energy correlation functions.
The definitions, seeds and versions are in the README beside this file and in `jets.json` beside the sample.

Run, from the repository root, with the `generator` extra installed::

    python experiments/jets_generator/generate.py --jets-per-class 10000 --processes 2
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import multiprocessing
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from events import CLASSES, MASSES, MATCHED_IDS, PROCESSES, PTHAT_WINDOW, hadron_events, write_hard_events
from jets import BETA, JET_PT_WINDOW, MATCH_RADIUS, MAX_RAPIDITY, N_CONSTITUENTS, RADIUS, Z_CUT, Measured, measure
from substructure import FEATURES

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOG = logging.getLogger("jets_generator")

CHUNK = 2500  # jets made by one pair of Pythia runs
BATCH = 100  # events clustered together
MANTISSA_BITS = 11
SHUFFLE_SEED = 7


@dataclass(frozen=True)
class Chunk:
    """The work of one process: `n_jets` jets of one class with their own two seeds."""

    label: int
    index: int
    n_jets: int
    n_constituents: int = N_CONSTITUENTS

    @property
    def seeds(self) -> tuple[int, int]:
        """Seeds of the hard process and of the shower: 100000 (label + 1) + 10 chunk + (1, 2)."""
        base = 100_000 * (self.label + 1) + 10 * self.index
        return base + 1, base + 2


@dataclass(frozen=True)
class Sample:
    """Jets: `hlf` (n, 16), `constituents` (n, m, 3), `kinematics` (n, 3) of pT in GeV, rapidity and azimuth."""

    hlf: NDArray[np.float64]
    constituents: NDArray[np.float64]
    kinematics: NDArray[np.float64]


def make_chunk(chunk: Chunk) -> Sample:
    """Generate one chunk of jets of one class; the result depends on the chunk's label, index and size only."""
    flavour = CLASSES[chunk.label]
    started = time.process_time()
    jets: list[Measured] = []
    tried = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hard.lhe"
        write_hard_events(path, flavour, max(2 * chunk.n_jets, 200), chunk.seeds[0])
        events = hadron_events(path, flavour, chunk.seeds[1])
        while len(jets) < chunk.n_jets:
            batch = [event for event in islice(events, BATCH) if event is not None]
            tried += len(batch)
            particles, targets = [event[0] for event in batch], [event[1] for event in batch]
            jets.extend(measure(particles, targets, chunk.n_constituents))
    elapsed = time.process_time() - started
    LOG.info("%s chunk %d: %d jets of %d events, %.0f CPU-s", flavour, chunk.index, len(jets), tried, elapsed)
    del jets[chunk.n_jets :]
    return Sample(
        np.array([jet.hlf for jet in jets]),
        np.array([jet.constituents for jet in jets]),
        np.array([jet.kinematics for jet in jets]),
    )


def rounded(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Round to `MANTISSA_BITS` explicit bits (relative error below 2^-12), so that the file compresses."""
    mantissa, exponent = np.frexp(values)
    scale = 2.0 ** (MANTISSA_BITS + 1)
    return np.asarray(np.ldexp(np.round(mantissa * scale) / scale, exponent), np.float32)


def write_sample(folder: Path, parts: list[tuple[int, Sample]]) -> None:
    """Shuffle the chunks together and write `jets.npz` and `jets.json` into `folder`."""
    label = np.concatenate([np.full(len(sample.hlf), index, np.int8) for index, sample in parts])
    order = np.random.default_rng(SHUFFLE_SEED).permutation(len(label))
    arrays: dict[str, Any] = {
        "hlf": rounded(np.concatenate([sample.hlf for _, sample in parts])[order]),
        "constituents": np.concatenate([sample.constituents for _, sample in parts])[order].astype(np.float16),
        "jet_pt": rounded(np.concatenate([sample.kinematics[:, 0] for _, sample in parts])[order]),
        "label": label[order],
    }
    path = folder / "jets.npz"
    np.savez_compressed(path, allow_pickle=False, **arrays)
    counts = np.bincount(label, minlength=len(CLASSES))
    description = {
        "provenance": "own simulation (Pythia 8 + FastJet, no detector)",
        "classes": CLASSES,
        "counts": {name: int(count) for name, count in zip(CLASSES, counts, strict=True)},
        "features": FEATURES,
        "constituent_features": ["pt_rel", "eta_rel", "phi_rel"],
        "arrays": {name: {"shape": a.shape, "dtype": str(a.dtype)} for name, a in arrays.items()},
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "definitions": {
            "beams": "proton-proton at 13 TeV",
            "hard_processes": PROCESSES,
            "matched_particles": {name: sorted(ids) for name, ids in MATCHED_IDS.items()},
            "masses_GeV": MASSES,
            "pthat_window_GeV": PTHAT_WINDOW,
            "decays": "W, Z and t on shell from Les Houches events; W and Z hadronic; isotropic for primary W, Z",
            "jets": f"anti-kT, R = {RADIUS}, all visible stable particles, E scheme",
            "jet_pt_window_GeV": JET_PT_WINDOW,
            "max_abs_rapidity": MAX_RAPIDITY,
            "match_radius": MATCH_RADIUS,
            "grooming": f"soft drop, z_cut = {Z_CUT}, beta = {BETA} (mMDT), Cambridge/Aachen reclustering",
            "correlators": "transverse momenta, sqrt(dy^2 + dphi^2), groomed jet",
            "zlogz_and_multiplicity": "whole jet",
            "rounding": f"hlf and jet_pt to {MANTISSA_BITS} explicit mantissa bits, constituents to float16",
        },
        "seeds": {
            "rule": "100000 (label + 1) + 10 chunk + (1 hard process, 2 shower)",
            "jets_per_chunk": CHUNK,
            "shuffle": SHUFFLE_SEED,
        },
        "versions": {name: version(name) for name in ("pythia8mc", "fastjet", "numba", "numpy", "awkward")},
    }
    (folder / "jets.json").write_text(json.dumps(description, indent=2) + "\n")
    LOG.info("%s: %d jets, %.2f MB", path, len(label), path.stat().st_size / 1e6)


def main() -> None:
    """Parse the command line, make every chunk and write the sample."""
    root = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jets-per-class", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--constituents", type=int, default=N_CONSTITUENTS, help="hardest particles kept of each jet")
    parser.add_argument("--output", type=Path, help="the folder of the embedded sample if not given")
    options = parser.parse_args()
    if options.output is None and options.constituents != N_CONSTITUENTS:
        parser.error(f"the embedded sample has {N_CONSTITUENTS} constituents; give another folder by --output")
    output = options.output or root / "evonas" / "tasks" / "data"
    configure_logging()
    chunks = []
    for label in range(len(CLASSES)):
        for index, start in enumerate(range(0, options.jets_per_class, CHUNK)):
            size = min(CHUNK, options.jets_per_class - start)
            chunks.append(Chunk(label, index, size, options.constituents))
    started = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(options.processes, initializer=configure_logging) as pool:
        samples = pool.map(make_chunk, chunks, chunksize=1)
    LOG.info("generated in %.0f s", time.monotonic() - started)
    output.mkdir(parents=True, exist_ok=True)
    write_sample(output, [(chunk.label, sample) for chunk, sample in zip(chunks, samples, strict=True)])


def configure_logging() -> None:
    """Send progress to the terminal, in the main process and in the workers."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")


if __name__ == "__main__":
    main()
