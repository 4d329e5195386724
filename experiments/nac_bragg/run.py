"""Bragg peaks in patches of 11 x 11 pixels: what a search finds beside BraggNN and the networks of NAC.

    python experiments/nac_bragg/run.py --out runs/nac_bragg                     # about a quarter of an hour
    python experiments/nac_bragg/run.py --out runs/nac_bragg_night --preset full # a night

A study for each of the simulated data sets `medium` and `hard`: dense networks, in the full preset and where `--spaces`
says so convolutions too. BraggNN and NAC's networks are trained on the same peaks
with the same budget, at 8 bits and not pruned, and traced part by part, because most are too large to be traced whole.
DIR/comparison.html and DIR/results.md hold the outcome. The same command goes on where it was stopped.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evonas.cli.experiment import Arm, Experiment, run_experiment
from evonas.config import load_config
from evonas.space.published_bragg import BRAGG, DIFFERENCES, RESULTS
from evonas.study.baselines import Baseline

if TYPE_CHECKING:
    import argparse

    from evonas.space.base import Norm

HERE = Path(__file__).parent
QUESTION = (
    "At one budget of training: does a search that synthesis corrects find networks that locate Bragg peaks at least "
    "as well as BraggNN at a fifth of its LUTs or less?"
)
SOURCES = {"braggnn": "arXiv:2008.08198", "openhls": "arXiv:2302.06751"}
# of a baseline; validation chooses
RATES = {"small": (0.03, 0.06), "full": (0.003, 0.01, 0.03, 0.06)}
NORMS: dict[str, tuple[Norm, ...]] = {"small": ("batch",), "full": ("none", "batch")}
# peaks among neighbours and noise take more: of the small preset's dense networks
HARD = [
    "space.depth=[3, 3]",
    "space.widths=[64, 96]",
    "space.weight_bits=[6, 7]",
    "space.sparsity=[0.35, 0.5]",
    "space.input_bits=[8]",
    "space.activation_bits=[8]",
    'search.constraints=[{metric = "lut", upper = 180000}]',
]
SPACES = ("dense", "convolution")  # each in a file of that name
SMALL = ("braggnn", "nac_small")


def baseline(name: str, preset: str) -> Baseline:
    """A network of `evonas.space.published_bragg` with the learning rates and norms of a preset to choose from."""
    source = f"{SOURCES.get(name, 'arXiv:2501.05515')}; traced part by part"
    return Baseline(name, BRAGG[name](), RATES[preset], source, by_parts=True, norms=NORMS[preset])


def experiment(options: argparse.Namespace) -> Experiment:
    """Both studies with their baselines."""
    names = BRAGG if options.preset == "full" else SMALL
    baselines = [baseline(name, options.preset) for name in names]
    spaces = options.spaces or (SPACES if options.preset == "full" else SPACES[:1])

    def arm(source: str, space: str) -> Arm:
        chosen = [f"preset={options.preset}", f"name=nac_bragg_{source}_{space}", f"task.source={source}"]
        chosen += HARD if (options.preset, source, space) == ("small", "hard", "dense") else []
        config = load_config(HERE / f"{space}.toml", [*chosen, f"task.shift={options.shift}", *options.overrides])
        title = f"{source}, shift {options.shift} px, {space} networks"
        return Arm(f"{source}_shift{options.shift}_{space}", title, config, baselines)

    arms = [arm(source, space) for source in options.sources for space in spaces]
    return Experiment("Bragg peaks", QUESTION, arms, RESULTS, DIFFERENCES)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The data sets, the shift of their patches, and the spaces that are searched."""
    parser.add_argument("--sources", nargs="+", default=["medium", "hard"], metavar="NAME", help="medium, hard or both")
    words = "dense, convolution or both; the full preset takes both"
    parser.add_argument("--spaces", nargs="+", choices=SPACES, help=words)
    words = "largest shift of a patch in px; 1 is the harder one (default)"
    parser.add_argument("--shift", type=int, default=1, choices=(0, 1), help=words)


if __name__ == "__main__":
    run_experiment(experiment, __doc__, add_options)
