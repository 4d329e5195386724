"""Proton-proton events of one class of jets: Pythia's hard process, then its decays, showers and hadrons.

A first Pythia writes hard events to a Les Houches file, with undecayed on-shell particles; a second one reads them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pythia8mc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

CLASSES = ("g", "q", "t", "w", "z")
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


def hadron_events(
    path: Path, flavour: str, seed: int
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]] | None]:
    """The events of a Les Houches file with hadrons; None for one that Pythia gives up. W and Z decay to quarks.

    Yields: the visible stable particles (n, 4) as px, py, pz, E in GeV, and rapidity and azimuth (m, 2) of the
    outgoing particles of the hard process that have the right flavour.
    Raises: `RuntimeError` where the file ends.
    """
    hadronic = [f"{boson}:{mode}" for boson in (23, 24) for mode in ("onMode = off", "onIfAny = 1 2 3 4 5")]
    generator = pythia(seed, ("Beams:frameType = 4", f"Beams:LHEF = {path}", *hadronic))
    while True:
        if not generator.next():
            if generator.infoPython().atEndOfFile():
                raise RuntimeError(f"class {flavour}: the hard events ran out")
            yield None
            continue
        hard = [p for p in generator.process if p.statusAbs() in (22, 23) and p.mother1() == 3]
        matched = [(p.y(), p.phi()) for p in hard if p.idAbs() in MATCHED_IDS[flavour]]
        visible = [(p.px(), p.py(), p.pz(), p.e()) for p in generator.event if p.isFinal() and p.isVisible()]
        yield np.array(visible), np.array(matched).reshape(-1, 2)
