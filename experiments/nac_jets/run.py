"""Jet tagging from 8 constituents: what a search finds beside the networks of NAC, SNAC-Pack, Odagiu and Que.

    python experiments/nac_jets/run.py --out runs/nac_jets                     # a quarter of an hour on two cores
    python experiments/nac_jets/run.py --out runs/nac_night --preset full      # a night

Two searches, whose fronts are kept apart: Deep Sets on constituents in no particular order, and MLP-Mixers on sorted
ones. Published networks are trained with the same budget on the same jets and traced (`--synthesise-baselines`:
synthesised). DIR/comparison.html and DIR/results.md hold the outcome. The same command goes on where it was stopped.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evonas.cli.experiment import Arm, Experiment, run_experiment
from evonas.config import load_config
from evonas.space.published import PUBLISHED, jedi_linear
from evonas.space.published_results import DIFFERENCES, LL_GNN, RESULTS, SNAC_PACK
from evonas.study.baselines import Baseline

if TYPE_CHECKING:
    import argparse

    from evonas.space.base import Norm

# of a baseline; validation chooses
RATES = (0.015, 0.03)
NORMS: dict[str, tuple[Norm, ...]] = {"small": ("batch",), "full": ("none", "batch")}
HERE = Path(__file__).parent
QUESTION = (
    "At one budget of training and with one set of tools: does a search that synthesis corrects find networks for 8 "
    "constituents that are smaller than the published ones at their accuracy, and which cheap cost orders networks as "
    "synthesis does?"
)
SOURCES = {"ultrafast": "arXiv:2402.01876", "nac": "arXiv:2501.05515", "jedi": "arXiv:2508.15468"}
INVARIANT = (
    "ultrafast_deep_sets_8", "nac_deep_sets_large", "nac_deep_sets_medium", "nac_deep_sets_small",
    "nac_deep_sets_tiny", "ultrafast_interaction_8",
)  # fmt: skip


def published(name: str, norms: tuple[Norm, ...], *, by_parts: bool = False) -> Baseline:
    """A network of `evonas.space.published` at its published width, not pruned."""
    source, results = SOURCES[name.partition("_")[0]], RESULTS.get(name, ())
    return Baseline(name, PUBLISHED[name](), RATES, source, results, by_parts, norms)


def pruned_jedi_linear(norms: tuple[Norm, ...]) -> Baseline:
    """JEDI-linear as near to its widths learned weight by weight, down to none, as one width and one sparsity come."""
    spec = jedi_linear(8, bits=6, sparsity=0.75)
    return Baseline("jedi_linear_8_pruned", spec, RATES, SOURCES["jedi"], RESULTS["jedi_linear_8"], norms=norms)


def experiment(options: argparse.Namespace) -> Experiment:
    """Both studies with their baselines; JEDI-linear at 8 bits, a million LUTs, is left to the full preset."""
    overrides = [f"preset={options.preset}", *options.overrides]
    norms = NORMS[options.preset]
    whole = [published("jedi_linear_8", norms, by_parts=True)] if options.preset == "full" else []
    invariant = [*(published(name, norms) for name in INVARIANT), pruned_jedi_linear(norms), *whole]
    dense = [published("ultrafast_mlp_8", norms, by_parts=options.preset == "small")]  # a minute in place of four
    arms = (
        Arm("invariant", "permutation-invariant", load_config(HERE / "invariant.toml", overrides), invariant),
        Arm("sorted", "sorted by pT", load_config(HERE / "sorted.toml", overrides), dense),
    )
    return Experiment("Jet tagging from 8 constituents", QUESTION, arms, (*SNAC_PACK, *LL_GNN), DIFFERENCES)


if __name__ == "__main__":
    run_experiment(experiment, __doc__)
