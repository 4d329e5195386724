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
import math
import multiprocessing
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import awkward as ak
import fastjet
import numba
import numpy as np
import pythia8mc

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOG = logging.getLogger("jets_generator")

CLASSES = ("g", "q", "t", "w", "z")
FEATURES = (
    "zlogz", "C1_b0", "C1_b1", "C1_b2", "C2_b1", "C2_b2", "D2_b1", "D2_b2",
    "D2_a1_b1", "D2_a1_b2", "M2_b1", "M2_b2", "N2_b1", "N2_b2", "mass_mMDT", "multiplicity",
)  # fmt: skip
PROCESSES: dict[str, tuple[str, ...]] = {
    "g": ("HardQCD:gg2gg = on", "HardQCD:qqbar2gg = on"),
    "q": ("HardQCD:qq2qq = on", "HardQCD:qqbar2qqbarNew = on"),
    "t": ("Top:gg2ttbar = on", "Top:qqbar2ttbar = on"),
    "w": ("WeakDoubleBoson:ffbar2WW = on",),
    "z": ("WeakDoubleBoson:ffbar2gmZgmZ = on", "WeakZ0:gmZmode = 2"),
}
MATCHED_IDS: dict[str, frozenset[int]] = {
    "g": frozenset({21}),
    "q": frozenset({1, 2, 3}),
    "t": frozenset({6}),
    "w": frozenset({24}),
    "z": frozenset({23}),
}
MASSES = ("6:m0 = 173.0", "23:m0 = 91.188", "24:m0 = 80.385")  # GeV
BEAM_ENERGY = 6500.0  # GeV per beam
PTHAT_WINDOW = (990.0, 1010.0)  # GeV
RADIUS = 0.8
JET_PT_WINDOW = (800.0, 1600.0)  # GeV
MAX_RAPIDITY = 2.5
MATCH_RADIUS = 0.4
Z_CUT, BETA = 0.1, 0.0
N_CONSTITUENTS = 8
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

    @property
    def seeds(self) -> tuple[int, int]:
        """Seeds of the hard process and of the shower: 100000 (label + 1) + 10 chunk + (1, 2)."""
        base = 100_000 * (self.label + 1) + 10 * self.index
        return base + 1, base + 2


@dataclass(frozen=True)
class Sample:
    """Jets: `hlf` (n, 16), `constituents` (n, 8, 3), `kinematics` (n, 3) of pT in GeV, rapidity and azimuth."""

    hlf: NDArray[np.float64]
    constituents: NDArray[np.float64]
    kinematics: NDArray[np.float64]


def pythia(seed: int, settings: tuple[str, ...]) -> Any:
    """A quiet, initialised Pythia with the given seed."""
    generator = pythia8mc.Pythia("", False)
    common = ("Print:quiet = on", "Random:setSeed = on", f"Random:seed = {seed}", *MASSES)
    for setting in common + settings:
        if not generator.readString(setting):
            raise ValueError(f"Pythia refuses the setting {setting!r}")
    if not generator.init():
        raise RuntimeError("Pythia did not initialise")
    return generator


def write_hard_events(path: Path, flavour: str, n_events: int, seed: int) -> None:
    """Write `n_events` 2 -> 2 events of a class to a Les Houches file; W, Z and t on shell and undecayed.

    Particles narrower than `PhaseSpace:minWidthBreitWigners` get their nominal mass, so a value above every
    width puts them all on shell. Format: Alwall et al., hep-ph/0609017.
    """
    generator = pythia(
        seed,
        (
            "Beams:idA = 2212",
            "Beams:idB = 2212",
            f"Beams:eCM = {2 * BEAM_ENERGY}",
            f"PhaseSpace:pTHatMin = {PTHAT_WINDOW[0]}",
            f"PhaseSpace:pTHatMax = {PTHAT_WINDOW[1]}",
            "PhaseSpace:minWidthBreitWigners = 10.",
            "ProcessLevel:resonanceDecays = off",
            "PartonLevel:all = off",
            "HadronLevel:all = off",
            *PROCESSES[flavour],
        ),
    )
    with path.open("w") as file:
        file.write('<LesHouchesEvents version="1.0">\n<init>\n')
        file.write(f"2212 2212 {BEAM_ENERGY} {BEAM_ENERGY} 0 0 247000 247000 3 1\n1.0 0.1 1.0 1\n</init>\n")
        written = 0
        while written < n_events:
            if not generator.next():
                continue
            info, particles = generator.infoPython(), generator.process
            file.write("<event>\n")
            file.write(f"4 1 1.0 {particles.scale():.10e} {info.alphaEM():.10e} {info.alphaS():.10e}\n")
            for entry in range(3, 7):
                p, incoming = particles[entry], entry < 5
                status, mothers = (-1, "0 0") if incoming else (1, "1 2")
                momentum = " ".join(f"{value:.15e}" for value in (p.px(), p.py(), p.pz(), p.e(), p.m()))
                file.write(f"{p.id()} {status} {mothers} {p.col()} {p.acol()} {momentum} 0. 9.\n")
            file.write("</event>\n")
            written += 1
        file.write("</LesHouchesEvents>\n")


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def correlators(z: NDArray[np.float64], y: NDArray[np.float64], phi: NDArray[np.float64]) -> NDArray[np.float64]:
    """Energy correlation functions with momentum fractions `z` and angles sqrt(dy^2 + dphi^2), all of shape (n,).

    Returns (9,): e2(0), e2(1), e2(2), then e3, 1e3 and 2e3, each at beta = 1 and 2. `ve3` is the sum over triples
    of z z z times the product of the v smallest pairwise angles to the power beta, and e3 is 3e3
    (Larkoski, Salam, Thaler 1305.0007; Moult, Necib, Thaler 1609.07483).
    """
    n = len(z)
    angle2 = np.zeros((n, n))
    result = np.zeros(9)
    for i in range(n):
        for j in range(i):
            delta = abs(phi[i] - phi[j])
            if delta > math.pi:
                delta = 2 * math.pi - delta
            square = (y[i] - y[j]) ** 2 + delta**2
            angle2[i, j] = square
            pair = z[i] * z[j]
            result[0] += pair
            result[1] += pair * math.sqrt(square)
            result[2] += pair * square
    for i in range(n):
        for j in range(i):
            first = angle2[i, j]
            for k in range(j):
                second, third = angle2[i, k], angle2[j, k]
                smallest = min(first, second, third)
                largest = max(first, second, third)
                product = first * second * third
                two = first + second + third - smallest - largest  # the middle one
                two *= smallest
                weight = z[i] * z[j] * z[k]
                result[3] += weight * math.sqrt(product)
                result[4] += weight * product
                result[5] += weight * math.sqrt(smallest)
                result[6] += weight * smallest
                result[7] += weight * math.sqrt(two)
                result[8] += weight * two
    return result


def ratio(numerator: float, denominator: float) -> float:
    """The quotient, and 0 where the denominator vanishes (a groomed jet of one particle)."""
    return numerator / denominator if denominator > 0 else 0.0


def features(full: NDArray[np.float64], groomed: NDArray[np.float64], mass: float) -> list[float]:
    """The sixteen features of one jet, in the order of `FEATURES`.

    `full` (n, 3) and `groomed` (m, 3) hold pT in GeV, rapidity and azimuth of the particles of the whole and of
    the groomed jet; `mass` in GeV is that of the groomed jet.
    """
    fraction = full[:, 0] / full[:, 0].sum()
    z = groomed[:, 0] / groomed[:, 0].sum()
    e = [float(v) for v in correlators(z, groomed[:, 1].copy(), groomed[:, 2].copy())]
    e2_0, e2_1, e2_2, e3_1, e3_2, v1_1, v1_2, v2_1, v2_2 = e
    d2_1 = ratio(e3_1, e2_1**3)
    return [
        float((fraction * np.log(fraction)).sum()),
        e2_0, e2_1, e2_2,
        ratio(e3_1, e2_1**2), ratio(e3_2, e2_2**2),
        d2_1, ratio(e3_2, e2_2**3),
        d2_1, ratio(e3_1, e2_2**1.5),
        ratio(v1_1, e2_1), ratio(v1_2, e2_2),
        ratio(v2_1, e2_1**2), ratio(v2_2, e2_2**2),
        mass, float(len(full)),
    ]  # fmt: skip


def polar(momenta: Any) -> NDArray[np.float64]:
    """Transverse momentum, rapidity and azimuth, (n, 3), of momenta (n, 4) as px, py, pz, E."""
    px, py, pz, energy = np.asarray(momenta, np.float64).T
    pt2 = px**2 + py**2
    mass2 = np.maximum(energy**2 - pz**2 - pt2, 0.0)
    rapidity = np.sign(pz) * np.log((energy + np.abs(pz)) / np.sqrt(pt2 + mass2))  # stable at small angles
    return np.stack([np.sqrt(pt2), rapidity, np.arctan2(py, px)], axis=1)


def pseudorapidity(momenta: NDArray[np.float64]) -> Any:
    """Pseudorapidity of momenta (..., 4) as px, py, pz, E."""
    return np.arcsinh(momenta[..., 2] / np.hypot(momenta[..., 0], momenta[..., 1]))


def wrap(angle: Any) -> Any:
    """Bring azimuthal differences into [-pi, pi)."""
    return (angle + math.pi) % (2 * math.pi) - math.pi


def select_jets(event: NDArray[np.float64], targets: NDArray[np.float64]) -> list[tuple[float, ...]]:
    """Jets (pT, rapidity, azimuth, px, py, pz, E) of one event that pass the selection and match a hard particle.

    `event` (n, 4) holds the jets of an event, `targets` (m, 2) the rapidity and azimuth of its hard particles.
    """
    chosen = []
    for momentum, (pt, y, phi) in zip(event, polar(event), strict=True):
        inside = JET_PT_WINDOW[0] < pt < JET_PT_WINDOW[1] and abs(y) < MAX_RAPIDITY
        distance = np.hypot(targets[:, 0] - y, wrap(targets[:, 1] - phi))
        if inside and len(targets) and distance.min() < MATCH_RADIUS:
            chosen.append((pt, y, phi, *momentum))
    return chosen


def momenta_of(array: Any) -> NDArray[np.float64]:
    """A record array of momenta as (n, 4) px, py, pz, E."""
    return np.stack([ak.to_numpy(array[name]) for name in ("px", "py", "pz", "E")], axis=1).astype(np.float64)


def as_awkward(groups: list[NDArray[np.float64]]) -> Any:
    """A list of (n_i, 4) momenta as the jagged record array that FastJet takes."""
    flat, counts = np.concatenate(groups), [len(group) for group in groups]
    columns = {name: np.ascontiguousarray(flat[:, i]) for i, name in enumerate(("px", "py", "pz", "E"))}
    return ak.unflatten(ak.zip(columns, with_name="Momentum4D"), counts)


def cluster_batch(
    events: list[NDArray[np.float64]], targets: list[NDArray[np.float64]]
) -> list[tuple[list[float], NDArray[np.float64], tuple[float, float, float]]]:
    """Find, select, groom and measure the jets of a batch of events: features, constituents and kinematics."""
    clustering = fastjet.ClusterSequence(as_awkward(events), fastjet.JetDefinition(fastjet.antikt_algorithm, RADIUS))
    found = clustering.inclusive_jets(min_pt=JET_PT_WINDOW[0])
    inside = clustering.constituents(min_pt=JET_PT_WINDOW[0])
    kinematics, members, axes = [], [], []
    for i, target in enumerate(targets):
        jets = momenta_of(found[i])
        chosen = {jet[3:]: jet[:3] for jet in select_jets(jets, target)}
        for j, momentum in enumerate(jets):
            if tuple(momentum) in chosen:
                kinematics.append(chosen[tuple(momentum)])
                members.append(momenta_of(inside[i][j]))
                axes.append(pseudorapidity(momentum))
    if not members:
        return []
    reclustered = fastjet.ClusterSequence(
        as_awkward(members), fastjet.JetDefinition(fastjet.cambridge_algorithm, 100.0)
    )
    groomed = reclustered.exclusive_jets_softdrop_grooming(
        njets=1, beta=BETA, symmetry_cut=Z_CUT, symmetry_measure="scalar_z", R0=RADIUS
    )
    rows = []
    for i, (pt, y, phi) in enumerate(kinematics):
        full, core = polar(members[i]), polar(momenta_of(groomed["constituents"][i]))
        order = np.argsort(-full[:, 0], kind="stable")[:N_CONSTITUENTS]
        hardest = full[order]
        relative = np.zeros((N_CONSTITUENTS, 3))
        relative[: len(hardest), 0] = hardest[:, 0] / pt
        relative[: len(hardest), 1] = pseudorapidity(members[i][order]) - axes[i]
        relative[: len(hardest), 2] = wrap(hardest[:, 2] - phi)
        mass = max(float(groomed["msoftdrop"][i]), 0.0)
        rows.append((features(full, core, mass), relative, (float(pt), float(y), float(phi))))
    return rows


def make_chunk(chunk: Chunk) -> Sample:
    """Generate one chunk of jets of one class; the result depends on the chunk's label, index and size only."""
    flavour = CLASSES[chunk.label]
    started = time.process_time()
    rows: list[tuple[list[float], NDArray[np.float64], tuple[float, float, float]]] = []
    tried = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hard.lhe"
        write_hard_events(path, flavour, max(2 * chunk.n_jets, 200), chunk.seeds[0])
        hadronic = [f"{boson}:{mode}" for boson in (23, 24) for mode in ("onMode = off", "onIfAny = 1 2 3 4 5")]
        generator = pythia(chunk.seeds[1], ("Beams:frameType = 4", f"Beams:LHEF = {path}", *hadronic))
        while len(rows) < chunk.n_jets:
            events, targets = [], []
            for _ in range(BATCH):
                if not generator.next():
                    if generator.infoPython().atEndOfFile():
                        raise RuntimeError(f"class {flavour}: the hard events ran out")
                    continue
                hard = [p for p in generator.process if p.statusAbs() in (22, 23) and p.mother1() == 3]
                kept = [(p.y(), p.phi()) for p in hard if p.idAbs() in MATCHED_IDS[flavour]]
                visible = [(p.px(), p.py(), p.pz(), p.e()) for p in generator.event if p.isFinal() and p.isVisible()]
                events.append(np.array(visible))
                targets.append(np.array(kept).reshape(-1, 2))
            tried += len(events)
            rows.extend(cluster_batch(events, targets))
    elapsed = time.process_time() - started
    LOG.info("%s chunk %d: %d jets of %d events, %.0f CPU-s", flavour, chunk.index, len(rows), tried, elapsed)
    del rows[chunk.n_jets :]
    hlf, constituents, kinematics = zip(*rows, strict=True)
    return Sample(np.array(hlf), np.array(constituents), np.array(kinematics))


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
    parser.add_argument("--output", type=Path, default=root / "evonas" / "tasks" / "data")
    options = parser.parse_args()
    configure_logging()
    chunks = []
    for label in range(len(CLASSES)):
        for index, start in enumerate(range(0, options.jets_per_class, CHUNK)):
            chunks.append(Chunk(label, index, min(CHUNK, options.jets_per_class - start)))
    started = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(options.processes, initializer=configure_logging) as pool:
        samples = pool.map(make_chunk, chunks, chunksize=1)
    LOG.info("generated in %.0f s", time.monotonic() - started)
    options.output.mkdir(parents=True, exist_ok=True)
    write_sample(options.output, [(chunk.label, sample) for chunk, sample in zip(chunks, samples, strict=True)])


def configure_logging() -> None:
    """Send progress to the terminal, in the main process and in the workers."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")


if __name__ == "__main__":
    main()
