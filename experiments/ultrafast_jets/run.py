"""Jet tagging from 8, 16 and 32 constituents: linear interaction networks beside those of Odagiu et al. and Que et al.

    python experiments/ultrafast_jets/run.py --out runs/ultrafast_jets                            # 8 constituents
    python experiments/ultrafast_jets/run.py --out runs/ultrafast_night --preset full --jets FILE     # 8, 16 and 32

One search for each number of constituents, and the dense network, Deep Sets and the interaction network of
arXiv:2402.01876 and JEDI-linear trained with the same budget. The sample inside the package has 8 constituents; FILE is
what experiments/jets_generator writes (--constituents 32), or `zenodo` for the public set. The small preset takes about
a quarter of an hour on two cores, the full one a night. The same command goes on where it was stopped.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evonas.cli.experiment import Arm, Experiment, run_experiment
from evonas.config import load_config
from evonas.errors import ConfigurationError
from evonas.space.published import PUBLISHED, jedi_linear
from evonas.space.published_results import DIFFERENCES, RESULTS
from evonas.study.baselines import Baseline

if TYPE_CHECKING:
    import argparse

    from evonas.space.base import Norm

HERE = Path(__file__).parent
QUESTION = (
    "How does a network whose cost grows with the number of constituents, found by a search, compare with the dense "
    "networks, Deep Sets and interaction networks of arXiv:2402.01876 for 8, 16 and 32 constituents?"
)
CONSTITUENTS = {"small": (8,), "full": (8, 16, 32)}
LUTS = {"small": 45_000, "full": 90_000}  # at most, for 8 constituents; in proportion for more
# of a baseline; validation chooses
RATES = (0.015, 0.03)
NORMS: dict[str, tuple[Norm, ...]] = {"small": ("batch",), "full": ("none", "batch")}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Where the jets are from."""
    words = "jets with enough constituents, or zenodo; the embedded sample, of 8 constituents, if not given"
    parser.add_argument("--jets", metavar="FILE", default="embedded", help=words)
    words = "numbers of constituents; the full preset takes 8, 16 and 32, the small one 8"
    parser.add_argument("--constituents", nargs="+", type=int, choices=(8, 16, 32), help=words)


def baselines(constituents: int, preset: str) -> list[Baseline]:
    """Networks for so many constituents, at 8 bits and not pruned; JEDI-linear at 6 bits, three in four pruned.

    The dense network is traced part by part in the small preset: a minute in place of four, some 2 % more LUTs.
    """
    paper, norms, made = "arXiv:2402.01876", NORMS[preset], []
    for kind in ("mlp", "deep_sets", "interaction"):
        name, by_parts = f"ultrafast_{kind}_{constituents}", kind == "mlp" and preset == "small"
        made.append(Baseline(name, PUBLISHED[name](), RATES, paper, RESULTS.get(name, ()), by_parts, norms))
    if constituents <= 16:
        name, spec = f"jedi_linear_{constituents}", jedi_linear(constituents, bits=6, sparsity=0.75)
        made.append(Baseline(f"{name}_pruned", spec, RATES, "arXiv:2508.15468", RESULTS[name], norms=norms))
    return made


def experiment(options: argparse.Namespace) -> Experiment:
    """A study for each number of constituents, with its baselines."""
    wanted = options.constituents or CONSTITUENTS[options.preset]
    if max(wanted) > 8 and options.jets == "embedded":
        raise ConfigurationError("--jets", options.jets, "has 8 constituents; give a file with 32, or zenodo")
    arms = []
    for n in wanted:
        own = [f"preset={options.preset}", f"task.n_constituents={n}", f'task.source="{options.jets}"']
        own.append(f'search.constraints=[{{metric = "lut", upper = {LUTS[options.preset] * n // 8}}}]')
        config = load_config(HERE / "experiment.toml", [*own, *options.overrides])
        arms.append(Arm(f"constituents_{n}", f"{n} constituents", config, baselines(n, options.preset)))
    return Experiment("Jet tagging from 8, 16 and 32 constituents", QUESTION, arms, (), DIFFERENCES)


if __name__ == "__main__":
    run_experiment(experiment, __doc__, add_options)
