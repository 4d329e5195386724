"""Which candidates of a generation go on at a rung of successive halving.

Compared are candidates of one generation after the same epochs, by the same sorting that NSGA-II has: task metrics on
the validation split as they are then, hardware as predicted.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from evonas.objectives import HARDWARE_METRICS
from evonas.search import best
from evonas.seeding import stream
from evonas.study.events import Halved
from surrogates.learning_curve import curve_features, extrapolated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evonas.config import StudyConfig
    from evonas.objectives import Measurement
    from evonas.study.state import CandidateState, StudyState

Scores = dict[int, tuple["Measurement", ...]]


def halved(config: StudyConfig, state: StudyState, epochs: int, scores: Scores) -> Halved:
    """Compare the candidates of the newest generation by their `scores` after so many epochs."""
    assert config.training.halving is not None
    generation = state.generations[-1].generation
    numbers = sorted(scores)
    values = _values(config, state, epochs, {n: {m.metric: m.value for m in scores[n]} for n in numbers})
    losses = [[o.loss(values[n][o.metric]) for o in config.objectives] for n in numbers]
    violations = [sum(c.violation(values[n][c.metric]) for c in config.constraints) for n in numbers]
    keep = math.ceil(len(numbers) / config.training.halving.reduction_factor)
    rng = stream(config.seed, "halving", generation, epochs)
    kept = {numbers[place] for place in best(np.array(losses), np.array(violations), keep, rng)}
    return Halved(generation, epochs, scores, tuple(n for n in numbers if n not in kept))


def _values(
    config: StudyConfig, state: StudyState, epochs: int, scores: Mapping[int, Mapping[str, float]]
) -> dict[int, dict[str, float]]:
    """Every metric of each candidate, task metrics as scored or, if that is wanted, as they are expected to become."""
    values = {n: {m: p.value for m, p in state.candidates[n].predicted.items()} | dict(scores[n]) for n in scores}
    assert config.training.halving is not None
    if not config.training.halving.extrapolate:
        return values
    wanted = {o.metric for o in config.objectives} | {c.metric for c in config.constraints}
    for metric in sorted(wanted - HARDWARE_METRICS):
        for candidate, value in _expected(state, epochs, scores, metric).items():
            values[candidate][metric] = value
    return values


def _expected(
    state: StudyState, epochs: int, scores: Mapping[int, Mapping[str, float]], metric: str
) -> dict[int, float]:
    """What `metric` of each candidate will be at the end of its training; empty while too little is known."""
    curves: dict[int, list[float]] = {}
    for generation in state.generations:
        for event in generation.halvings:
            if event.epochs <= epochs:
                for number, measurements in event.scores.items():
                    curves.setdefault(number, []).append(_of(measurements, metric))
    for number, own in scores.items():
        curves.setdefault(number, []).append(own[metric])
    finished = [n for n in curves if metric in state.candidates[n].measured]
    if not finished:
        return {}
    features = {n: _features(state.candidates[n], curve) for n, curve in curves.items()}
    finals = np.array([state.candidates[n].measured[metric].value for n in finished])
    going_on = np.array([features[n] for n in scores])
    expected = extrapolated(np.array([features[n] for n in finished]), finals, going_on)
    return {} if expected is None else dict(zip(scores, map(float, expected), strict=True))


def _of(measurements: tuple[Measurement, ...], metric: str) -> float:
    return next(m.value for m in measurements if m.metric == metric)


def _features(candidate: CandidateState, curve: list[float]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    rate = float(candidate.asked.phenotype["learning_rate"])
    return curve_features(candidate.spec, rate, candidate.norm == "batch", curve)
