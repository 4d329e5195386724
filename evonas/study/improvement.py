"""What a synthesis may add: the expected improvement of the verified front's hypervolume.

The surrogate gives a distribution of the logarithm of each cost, and training has measured the rest. What a candidate
adds to the volume that the verified front dominates is averaged over draws from these distributions, the same draws for
all candidates, so that their order does not depend on luck (Emmerich, Giannakoglou and Naujoks, IEEE TEVC 10, 421,
2006; by Monte Carlo as in Daulton, Balandat and Bakshy, arXiv:2006.05078).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evonas.objectives import HARDWARE_METRICS
from surrogates import Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evonas.study.state import CandidateState
    from evonas.study.study import Study

DRAWS = 32


def expected_improvement(study: Study, candidates: Sequence[CandidateState], rng: np.random.Generator) -> list[float]:
    """Of each trained candidate, as a share of the box below the reference point; zeros before there is one."""
    told = [g.told.reference for g in study.state.generations if g.told is not None and g.told.reference]
    if not told or not candidates:
        return [0.0] * len(candidates)
    verified = [study.steering(c.candidate, Stage.SYNTHESISED) for c in study.front(Stage.SYNTHESISED)]
    least = study.volume(verified, told[0])
    spreads = _spreads(study, candidates)
    draws = rng.standard_normal((DRAWS, spreads.shape[1]))

    def gain(candidate: CandidateState, spread: np.ndarray) -> float:
        centre = np.array(study.steering(candidate.candidate))
        points = (tuple((centre + draw * spread).tolist()) for draw in draws)
        return float(np.mean([study.volume([*verified, point], told[0]) - least for point in points]))

    return [gain(candidate, spread) for candidate, spread in zip(candidates, spreads, strict=True)]


def _spreads(study: Study, candidates: Sequence[CandidateState]) -> np.ndarray:
    """Standard deviations (n, m) of what `Study.steering` gives; 0 for what training measured."""
    prediction = study.forecast.surrogate.predict([c.spec for c in candidates], study.forecast.target)
    found = np.zeros((len(candidates), len(study.state.objectives)))
    for column, objective in enumerate(study.state.objectives):
        if objective.metric in HARDWARE_METRICS:
            metric = "latency_cycles" if objective.metric == "latency_ns" else objective.metric
            found[:, column] = prediction.log_std[metric]
    return found
