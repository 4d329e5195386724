"""Expected improvement of the verified front: by hand where nothing is uncertain, by its limits where something is."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from evonas.objectives import Objective
from evonas.search import hypervolume
from evonas.study.improvement import expected_improvement
from surrogates import Stage

REFERENCE = (1.0, float(np.expm1(1.0)))  # error and LUT, raw: (1, 1) on the scale that steers


class Told:
    """What `expected_improvement` asks of a study: `points` on the steering scale, `verified` ones among them."""

    def __init__(self, points, verified, log_std, reference=REFERENCE):
        self.points, self.verified = points, verified
        generation = SimpleNamespace(told=SimpleNamespace(reference=reference))
        self.state = SimpleNamespace(generations=[generation], objectives=[Objective("error"), Objective("lut")])
        self.forecast = SimpleNamespace(surrogate=self, target=None)
        self.log_std = log_std

    def predict(self, specs, target):
        assert target is None
        return SimpleNamespace(log_std={"lut": np.array([self.log_std[spec] for spec in specs])})

    def front(self, stage):
        assert stage is Stage.SYNTHESISED
        return [SimpleNamespace(candidate=number) for number in self.verified]

    def steering(self, candidate, stage=Stage.PREDICTED):
        assert (stage is Stage.SYNTHESISED) == (candidate in self.verified)
        return self.points[candidate]

    def volume(self, points, reference):
        assert reference == REFERENCE
        return hypervolume(np.array(points), np.ones(2)) if points else 0.0

    def gains(self, numbers, seed=0):
        candidates = [SimpleNamespace(candidate=number, spec=number) for number in numbers]
        return expected_improvement(self, candidates, np.random.default_rng(seed))


POINTS = {0: (0.5, 0.5), 1: (0.4, 0.4), 2: (0.6, 0.6), 3: (0.2, 0.8), 4: (0.9, 0.45)}
CERTAIN = dict.fromkeys(POINTS, 0.0)


def test_without_doubt_it_is_the_volume_that_a_point_adds():
    found = Told(POINTS, [0], CERTAIN).gains([1, 2, 3, 4])
    assert found == pytest.approx([0.6 * 0.6 - 0.25, 0.0, 0.3 * 0.2, 0.05 * 0.1])


def test_before_anything_is_verified_it_is_the_volume_itself():
    assert Told(POINTS, [], CERTAIN).gains([0, 1]) == pytest.approx([0.25, 0.36])


def test_doubt_gives_a_dominated_candidate_a_chance_by_its_hardware_alone():
    doubt = Told(POINTS, [0], CERTAIN | {2: 0.3, 4: 0.3})
    dominated, uncertain = doubt.gains([2, 4])
    assert dominated > 0.0
    assert uncertain > Told(POINTS, [0], CERTAIN).gains([4])[0]
    worst = Told(POINTS | {2: (1.0, 0.6)}, [0], CERTAIN | {2: 3.0})
    assert worst.gains([2]) == [0.0]  # as bad as the reference: no luck with LUTs can help


def test_the_same_draws_for_all_whoever_else_is_asked_for():
    study = Told(POINTS, [0], dict.fromkeys(POINTS, 0.2))
    together = study.gains([1, 2, 3, 4])
    assert [study.gains([number])[0] for number in (1, 2, 3, 4)] == together
    assert study.gains([1, 2, 3, 4], seed=1) != together


def test_nothing_is_expected_before_there_is_a_reference():
    assert Told(POINTS, [0], CERTAIN, reference=()).gains([1, 2]) == [0.0, 0.0]
    assert Told(POINTS, [0], CERTAIN).gains([]) == []
