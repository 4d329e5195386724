"""Jets of simulated events: FastJet's anti-kT, a selection, soft drop, and what is measured of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import awkward as ak
import fastjet
import numpy as np
from substructure import features, polar, pseudorapidity, wrap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

RADIUS = 0.8
JET_PT_WINDOW = (800.0, 1600.0)  # GeV
MAX_RAPIDITY = 2.5
MATCH_RADIUS = 0.4
Z_CUT, BETA = 0.1, 0.0
N_CONSTITUENTS = 8  # of the embedded sample


@dataclass(frozen=True)
class Jet:
    """A selected jet: pT in GeV, rapidity and azimuth; its momentum (4,) and its particles' (n, 4) as px, py, pz, E."""

    kinematics: tuple[float, float, float]
    momentum: NDArray[np.float64]
    particles: NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """`hlf`, the sixteen features; `constituents` (n, 3) relative to the jet; pT in GeV, rapidity and azimuth."""

    hlf: list[float]
    constituents: NDArray[np.float64]
    kinematics: tuple[float, float, float]


def momenta_of(array: Any) -> NDArray[np.float64]:
    """A record array of momenta as (n, 4) px, py, pz, E."""
    return np.stack([ak.to_numpy(array[name]) for name in ("px", "py", "pz", "E")], axis=1).astype(np.float64)


def as_awkward(groups: list[NDArray[np.float64]]) -> Any:
    """A list of (n_i, 4) momenta as the jagged record array that FastJet takes."""
    flat, counts = np.concatenate(groups), [len(group) for group in groups]
    columns = {name: np.ascontiguousarray(flat[:, i]) for i, name in enumerate(("px", "py", "pz", "E"))}
    return ak.unflatten(ak.zip(columns, with_name="Momentum4D"), counts)


def find(events: list[NDArray[np.float64]], targets: list[NDArray[np.float64]]) -> Iterator[Jet]:
    """Jets that pass the selection and match a hard particle.

    `events` hold the momenta (n, 4) of the particles, `targets` (m, 2) the rapidity and azimuth of the hard particles.
    """
    clustering = fastjet.ClusterSequence(as_awkward(events), fastjet.JetDefinition(fastjet.antikt_algorithm, RADIUS))
    found = clustering.inclusive_jets(min_pt=JET_PT_WINDOW[0])
    inside = clustering.constituents(min_pt=JET_PT_WINDOW[0])
    for i, target in enumerate(targets):
        momenta = momenta_of(found[i])
        for j, (pt, y, phi) in enumerate(polar(momenta)):
            selected = JET_PT_WINDOW[0] < pt < JET_PT_WINDOW[1] and abs(y) < MAX_RAPIDITY
            distance = np.hypot(target[:, 0] - y, wrap(target[:, 1] - phi))
            if selected and len(target) and distance.min() < MATCH_RADIUS:
                yield Jet((float(pt), float(y), float(phi)), momenta[j], momenta_of(inside[i][j]))


def soft_drop(jets: list[Jet]) -> Any:
    """FastJet's groomed jets, one for each: `msoftdrop` in GeV and `constituents`."""
    cambridge = fastjet.JetDefinition(fastjet.cambridge_algorithm, 100.0)  # one jet of whatever is given
    reclustered = fastjet.ClusterSequence(as_awkward([jet.particles for jet in jets]), cambridge)
    return reclustered.exclusive_jets_softdrop_grooming(
        njets=1, beta=BETA, symmetry_cut=Z_CUT, symmetry_measure="scalar_z", R0=RADIUS
    )


def hardest(jet: Jet, particles: NDArray[np.float64], number: int) -> NDArray[np.float64]:
    """The hardest particles, (number, 3): pT / jet pT, pseudorapidity and azimuth less those of the jet; zero padded.

    `particles` (n, 3) are those of the jet as pT in GeV, rapidity and azimuth.
    """
    pt, _, phi = jet.kinematics
    order = np.argsort(-particles[:, 0], kind="stable")[:number]
    relative = np.zeros((number, 3))
    relative[: len(order), 0] = particles[order, 0] / pt
    relative[: len(order), 1] = pseudorapidity(jet.particles[order]) - pseudorapidity(jet.momentum)
    relative[: len(order), 2] = wrap(particles[order, 2] - phi)
    return relative


def measure(
    events: list[NDArray[np.float64]], targets: list[NDArray[np.float64]], n_constituents: int = N_CONSTITUENTS
) -> Iterator[Measured]:
    """Find, select, groom and measure the jets of a batch of events; see `find`."""
    jets = list(find(events, targets))
    if not jets:
        return
    groomed = soft_drop(jets)
    for i, jet in enumerate(jets):
        full, core = polar(jet.particles), polar(momenta_of(groomed["constituents"][i]))
        mass = max(float(groomed["msoftdrop"][i]), 0.0)
        yield Measured(features(full, core, mass), hardest(jet, full, n_constituents), jet.kinematics)
