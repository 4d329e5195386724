"""Compare what studies of one task have found: hypervolumes of all trained candidates, by one surrogate.

    python experiments/benchmarks/main_job/compare.py runs/before runs/after

Studies that were stopped after the same time show what a change of speed is worth. Costs of every candidate are
predicted by one surrogate that has learnt from the synthesis of all studies, and the reference is worse than the worst
of all, so that nothing but the candidates differs. Prints JSON.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import numpy as np

import evonas
from evonas.search import hypervolume
from evonas.search.front import reference_point
from surrogates import Stage, fit_surrogate, start_records

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evonas import Study

COSTS = ("latency_cycles", "lut", "dsp")


def trained(study: Study) -> list[int]:
    """Candidates with a measured error, in the order of the search."""
    return [number for number, state in sorted(study.state.candidates.items()) if "error" in state.measured]


def losses(studies: list[Study]) -> list[NDArray[np.float64]]:
    """Validation error and predicted costs (n, 4) of each study's candidates."""
    states = [state for study in studies for state in study.state.candidates.values()]
    records = (state.record(Stage.SYNTHESISED) for state in states)
    synthesised = [record for record in records if record is not None]
    surrogate = fit_surrogate([*start_records(), *synthesised])
    found = []
    for study in studies:
        chosen = [study.state.candidates[number] for number in trained(study)]
        mean = surrogate.predict([state.spec for state in chosen], synthesised[0].target).mean
        errors = [state.measured["error"].value for state in chosen]
        found.append(np.column_stack([errors, *(mean[cost] for cost in COSTS)]))
    return found


def main() -> None:
    """Compare the studies in the directories that the command line names."""
    studies = [evonas.load_study(directory) for directory in sys.argv[1:]]
    each = losses(studies)
    limits = [bound for study in studies for bound in study.config.search.constraints if bound.metric == "lut"]
    largest = min((bound.upper for bound in limits), default=np.inf)
    kept = [points[points[:, 2] <= largest] for points in each]
    reference = reference_point(np.concatenate(kept))
    for directory, study, points in zip(sys.argv[1:], studies, kept, strict=True):
        records = [state.record(Stage.SYNTHESISED) for state in study.state.candidates.values()]
        found = {
            "study": directory,
            "generations": len(study.state.generations),
            "trained": len(trained(study)),
            "synthesised": sum(record is not None for record in records),
            "least_error": float(points[:, 0].min()),
            "hypervolume": hypervolume(points, reference) / float(np.prod(reference)),
        }
        print(json.dumps(found))


if __name__ == "__main__":
    main()
