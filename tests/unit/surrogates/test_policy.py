"""When to recalibrate, and how many designs a budget of seconds allows."""

from __future__ import annotations

import numpy as np
import pytest

from surrogates import HardwareTarget, LayerSpec, ModelSpec, SurrogateError
from surrogates.acquisition import Pick
from surrogates.policy import Every, Observed, OnError, OnNovelty, Situation, affordable, policy

GOOD, WRONG, OVERSURE = Observed(0.03, 0.9), Observed(0.3, 0.9), Observed(0.03, 0.5)


def network(width, bits=6):
    return ModelSpec(8, (LayerSpec(16, width, bits, 6), LayerSpec(width, 5, bits, 0, "linear")))


KNOWN = tuple(network(width, bits) for width in (8, 10, 12, 14, 16) for bits in (4, 5, 6))


def situation(generation, last=None, front=(), known=KNOWN, **observed):
    return Situation(generation, last, front, known, HardwareTarget(), observed)


def generations(policy, observed, front=(), n=12):
    """Generations after which a policy recalibrates, if each recalibration observes the same."""
    last, found = None, []
    for generation in range(n):
        if policy.due(situation(generation, last, front, **(observed if last is not None else {}))):
            found.append(generation)
            last = generation
    return found


def test_every():
    assert generations(Every(3), {}) == [2, 5, 8, 11]


@pytest.mark.parametrize("observed", [{"lut": WRONG}, {"lut": GOOD, "ff": OVERSURE}])
def test_as_long_as_the_surrogate_is_wrong_the_next_generation_is_due(observed):
    assert generations(OnError(4), observed) == [3, 4, 5, 6, 7, 8, 9, 10, 11]
    assert generations(OnError(4), {"lut": GOOD, "ff": Observed(None, None)}) == [3, 7, 11]


def test_a_front_that_leaves_what_is_known_is_due_at_once():
    inside, outside = (network(11, 5), network(13, 4)), (network(64, 12), network(120, 10))
    assert generations(OnNovelty(5), {}, inside) == [4, 9]
    assert generations(OnNovelty(5), {}, outside) == list(range(12))
    half = OnNovelty(5).novel(situation(0, None, (*inside, *outside)))
    assert half == 0.5
    assert OnNovelty(5).novel(situation(0, None, ())) == 0
    assert OnNovelty(5).novel(situation(0, None, inside, known=())) == 1


def test_policies_by_name():
    assert policy("every", 3) == Every(3)
    assert policy("error", 5) == OnError(5)
    assert policy("novelty", 4) == OnNovelty(4)
    with pytest.raises(SurrogateError, match="every, error, novelty"):
        policy("always", 1)


@pytest.mark.parametrize(("budget", "count"), [(100.0, 4), (35.0, 2), (30.0, 2), (29.0, 1), (1.0, 1)])
def test_a_budget_allows_the_first_picks(budget, count):
    picks = [Pick(network(width), "front") for width in (8, 9, 10, 11)]
    assert affordable(picks, np.array([10.0, 20.0, 30.0, 40.0]), budget) == picks[:count]
    assert affordable([], np.zeros(0), budget) == []
