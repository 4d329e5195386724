"""Look at the simulated jets: plots per class, a summary, a classifier, and a comparison with a fresh simulation.

::

    python experiments/jets_generator/validate.py plots        # needs matplotlib (extra `generator`)
    python experiments/jets_generator/validate.py summary      # medians and widths per class
    python experiments/jets_generator/validate.py reproduce    # simulates 20 jets per class again (extra `generator`)
    python experiments/jets_generator/validate.py definitions  # grooming and features against a second writing
    python experiments/jets_generator/validate.py classifier   # trains a 16-64-32-32-5 network (needs evonas)
"""

from __future__ import annotations

import argparse
import json
from itertools import combinations, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDER = Path(__file__).resolve().parent
DATA = FOLDER.parents[1] / "evonas" / "tasks" / "data"
COLOURS = {"g": "#332288", "q": "#88ccee", "t": "#cc6677", "w": "#117733", "z": "#ddaa33"}
TITLES = {"g": "gluon", "q": "light quark", "t": "top", "w": "W", "z": "Z"}


def load() -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The arrays and the description of the sample."""
    with np.load(DATA / "jets.npz", allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    return arrays, json.loads((DATA / "jets.json").read_text())


def column(arrays: dict[str, NDArray[Any]], about: dict[str, Any], name: str) -> NDArray[np.float32]:
    """One feature, or `pt`, of every jet."""
    return arrays["jet_pt"] if name == "pt" else arrays["hlf"][:, about["features"].index(name)]


def plots() -> None:
    """Write the histograms of the README, each class normalised to unit area."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    arrays, about = load()
    specifications = {
        "mass.png": [("mass_mMDT", "groomed mass [GeV]", 0, 240)],
        "multiplicity.png": [("multiplicity", "number of particles", 0, 200)],
        "pt.png": [("pt", "jet $p_T$ [GeV]", 800, 1300)],
        "substructure.png": [
            ("C2_b1", r"$C_2^{(1)}$", 0, 0.35),
            ("D2_b1", r"$D_2^{(1)}$", 0, 3.5),
            ("N2_b1", r"$N_2^{(1)}$", 0, 0.55),
            ("zlogz", r"$\sum z\,\ln z$", -5, 0),
        ],
    }
    for file, panels in specifications.items():
        side = 2 if len(panels) > 1 else 1
        figure, axes = plt.subplots(side, side, figsize=(8, 6) if side == 2 else (6, 3.8), squeeze=False)
        for axis, (name, title, low, high) in zip(axes.flat, panels, strict=True):
            values = column(arrays, about, name)
            integers = name == "multiplicity"
            bins = np.arange(low - 0.5, high + 4, 4) if integers else np.linspace(low, high, 61)
            for index, flavour in enumerate(about["classes"]):
                style = {"histtype": "step", "linewidth": 1.6, "color": COLOURS[flavour]}
                chosen = values[arrays["label"] == index]
                axis.hist(chosen, bins=bins, density=True, label=TITLES[flavour], **style)
            axis.set(xlabel=title, xlim=(low, high))
            axis.spines[["top", "right"]].set_visible(False)
            axis.tick_params(labelleft=False, left=False)
        axes[0, 0].set_ylabel("jets, unit area")
        axes[-1, 0].set_ylabel("jets, unit area")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="upper center", ncol=5, frameon=False)
        figure.tight_layout(rect=(0, 0, 1, 0.93), w_pad=3)
        figure.savefig(FOLDER / file, dpi=110)
        plt.close(figure)


def summary() -> None:
    """Print the 16th, 50th and 84th percentile of every feature and of pT, per class."""
    arrays, about = load()
    print(f"{'':14s}" + "".join(f"{TITLES[c]:>26s}" for c in about["classes"]))
    for name in [*about["features"], "pt"]:
        values = column(arrays, about, name)
        cells = []
        for index in range(len(about["classes"])):
            low, middle, high = np.percentile(values[arrays["label"] == index], [16, 50, 84])
            cells.append(f"{low:8.4g} {middle:8.4g} {high:8.4g}")
        print(f"{name:14s}" + "".join(cells))


def reproduce(n_jets: int = 20) -> None:
    """Simulate the first jets of each class's first chunk again and find each of them in the sample."""
    import generate

    arrays, about = load()
    order = np.random.default_rng(generate.SHUFFLE_SEED).permutation(len(arrays["label"]))
    stored = np.empty_like(arrays["hlf"])
    stored[order] = arrays["hlf"]  # back to the order of generation: class after class
    start = 0
    for label, flavour in enumerate(about["classes"]):
        fresh = generate.rounded(generate.make_chunk(generate.Chunk(label, 0, n_jets)).hlf)
        equal = bool(np.array_equal(fresh, stored[start : start + n_jets]))
        print(f"{TITLES[flavour]}: {n_jets} jets {'equal' if equal else 'DIFFER'}")
        start += about["counts"][flavour]


def soft_drop_mass(momenta: NDArray[np.float64], z_cut: float) -> tuple[float, int]:
    """Groomed mass and number of particles of a jet (n, 4), by merging the nearest pair until one branch is left."""
    from substructure import polar, wrap

    # a branch: its momentum, the number of particles in it, and the two branches that it was merged from
    branches: list[Any] = [(momentum, 1, None) for momentum in momenta]
    while len(branches) > 1:
        place = polar(np.array([branch[0] for branch in branches]))
        distance = np.hypot(place[:, None, 1] - place[None, :, 1], wrap(place[:, None, 2] - place[None, :, 2]))
        np.fill_diagonal(distance, np.inf)
        i, j = sorted(int(k) for k in np.unravel_index(np.argmin(distance), distance.shape))
        second, first = branches.pop(j), branches.pop(i)
        branches.append((first[0] + second[0], first[1] + second[1], (first, second)))
    branch = branches[0]
    while branch[2] is not None:
        low, high = sorted(branch[2], key=lambda child: float(np.hypot(*child[0][:2])))
        pt_low, pt_high = (float(np.hypot(*child[0][:2])) for child in (low, high))
        if pt_low / (pt_low + pt_high) > z_cut:
            break
        branch = high
    px, py, pz, energy = branch[0]
    return float(np.sqrt(max(energy**2 - px**2 - py**2 - pz**2, 0.0))), branch[1]


def definitions(n_jets: int = 200) -> None:
    """Compare grooming with `soft_drop_mass` and the correlators with sums over itertools, on random jets."""
    import fastjet
    from jets import as_awkward, momenta_of
    from substructure import correlators, polar, wrap

    rng = np.random.default_rng(11)
    mass_error = feature_error = 0.0
    for _ in range(n_jets):
        n = int(rng.integers(2, 25))
        pt, y, phi = rng.exponential(40, n) + 0.2, rng.normal(0, 0.25, n), rng.normal(3.1, 0.25, n)
        momenta = np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(y), pt * np.cosh(y)], axis=1)
        clustering = fastjet.ClusterSequence(
            as_awkward([momenta]), fastjet.JetDefinition(fastjet.cambridge_algorithm, 100.0)
        )
        groomed = clustering.exclusive_jets_softdrop_grooming(
            njets=1, beta=0.0, symmetry_cut=0.1, symmetry_measure="scalar_z", R0=0.8
        )
        core = polar(momenta_of(groomed["constituents"][0]))
        mass, count = soft_drop_mass(momenta, 0.1)
        assert count == len(core), "the groomed jets hold different particles"
        mass_error = max(mass_error, abs(mass - max(float(groomed["msoftdrop"][0]), 0.0)))
        z = core[:, 0] / core[:, 0].sum()
        found = correlators(z, core[:, 1].copy(), core[:, 2].copy())
        pairs = list(combinations(range(count), 2))
        angle = {(i, j): np.hypot(core[i, 1] - core[j, 1], wrap(core[i, 2] - core[j, 2])) for i, j in pairs}
        expected = [sum(z[i] * z[j] * angle[i, j] ** beta for i, j in pairs) for beta in (0, 1, 2)]
        for v in (3, 1, 2):
            for beta in (1, 2):
                total = 0.0
                for i, j, k in combinations(range(count), 3):
                    sides = sorted((angle[i, j], angle[i, k], angle[j, k]))
                    total += z[i] * z[j] * z[k] * np.prod(sides[:v]) ** beta
                expected.append(total)
        scale = np.maximum(np.abs(expected), 1e-9)
        feature_error = max(feature_error, float(np.max(np.abs(found - expected) / scale)))
    print(f"{n_jets} jets: groomed mass within {mass_error:.1e} GeV, correlators within {feature_error:.1e}")


def classifier(seeds: int, epochs: int) -> None:
    """Train a 16-64-32-32-5 network on the training split and print accuracy and AUC on the test split.

    Adam, rate 2e-3 falling to zero along a cosine, batches of 512; the epoch with the best validation accuracy.
    """
    import torch

    from evonas.tasks import jets

    torch.set_num_threads(1)
    task = jets()
    train, validation, test = (task.split(name) for name in ("train", "validation", "test"))
    for seed in range(seeds):
        torch.manual_seed(seed)
        layers: list[torch.nn.Module] = []
        for n_in, n_out in pairwise((16, 64, 32, 32)):
            layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
        network = torch.nn.Sequential(*layers, torch.nn.Linear(32, 5))
        optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
        x, y = torch.from_numpy(train.x), torch.from_numpy(train.y)
        best, scores = 0.0, {}
        for _ in range(epochs):
            network.train()
            for rows in torch.randperm(len(x)).split(512):
                optimiser.zero_grad()
                torch.nn.functional.cross_entropy(network(x[rows]), y[rows]).backward()
                optimiser.step()
            schedule.step()
            network.eval()
            with torch.no_grad():
                held_out = task.score(network(torch.from_numpy(validation.x)).numpy(), validation)
                if held_out["accuracy"] > best:
                    best = held_out["accuracy"]
                    scores = task.score(network(torch.from_numpy(test.x)).numpy(), test)
        print(f"seed {seed}: " + "  ".join(f"{name} {value:.4f}" for name, value in scores.items()))


def main() -> None:
    """Run the command that is named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=("plots", "summary", "reproduce", "definitions", "classifier"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=40)
    options = parser.parse_args()
    if options.command == "plots":
        plots()
    elif options.command == "summary":
        summary()
    elif options.command == "reproduce":
        reproduce()
    elif options.command == "definitions":
        definitions()
    else:
        classifier(options.seeds, options.epochs)


if __name__ == "__main__":
    main()
