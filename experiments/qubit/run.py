"""Qubit readout: windows and networks that a search finds, beside the published network and matched filters.

    python experiments/qubit/run.py --out runs/qubit                     # a quarter of an hour on two cores
    python experiments/qubit/run.py --out runs/qubit_night --preset full # a night

The published network and a linear one on the whole trace are trained with the same budget on the same traces and then
traced (`--synthesise-baselines`: synthesised). DIR/comparison.html and DIR/results.md hold the outcome. The same
command goes on where it was stopped.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evonas.cli.experiment import Arm, Experiment, run_experiment
from evonas.config import load_config
from evonas.space.published_readout import DIFFERENCES, QICK, linear_readout, qick_readout
from evonas.study.baselines import Baseline

if TYPE_CHECKING:
    import argparse

CONFIG = Path(__file__).parent / "experiment.toml"
QUESTION = (
    "Which part of a trace must be read, and how coarsely, to tell the two states of a qubit apart: does a search over "
    "window, decimation and network find smaller readouts than the published window and network, and how near do they "
    "come to the matched filter of the whole trace, which needs no network?"
)


def experiment(options: argparse.Namespace) -> Experiment:
    """The study and two networks on its traces, which the task hands over whole, at its own decimation."""
    config = load_config(CONFIG, [f"preset={options.preset}", *options.overrides])
    given = config.task.options
    samples, decimation = int(given["window_size"]), int(given["decimation"])
    published = qick_readout(decimation, samples)
    baselines = [
        Baseline("qick_800_4_1", published, source=QICK.source, published=(QICK,)),
        Baseline("linear_whole_trace", linear_readout(samples // decimation), source="a matched filter, learnt"),
    ]
    return Experiment("Qubit readout", QUESTION, [Arm("study", "window as genes", config, baselines)], (), DIFFERENCES)


if __name__ == "__main__":
    run_experiment(experiment, __doc__)
