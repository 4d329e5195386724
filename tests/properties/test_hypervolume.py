"""Hypervolume, domination and ranks against independent, slow computations."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evonas.errors import ConfigurationError
from evonas.search import hypervolume, nondominated, ranks, reference_point

# No deadlines: the machine may be busy with a synthesis.
OFTEN, RARE = settings(max_examples=80, deadline=None), settings(max_examples=40, deadline=None)


@st.composite
def points(draw, most=6):
    """Small integers, so that ties and duplicates are the rule."""
    m = draw(st.integers(1, 5))
    row = st.lists(st.integers(-2, 4), min_size=m, max_size=m)
    return np.array(draw(st.lists(row, min_size=1, max_size=most)), dtype=float)


def by_inclusion_and_exclusion(losses, reference):
    total = 0.0
    for size in range(1, len(losses) + 1):
        for subset in itertools.combinations(losses, size):
            edges = np.maximum(0.0, reference - np.max(subset, axis=0))
            total += (-1) ** (size + 1) * math.prod(edges)
    return total


def dominates(a, b):
    return bool((a <= b).all() and (a < b).any())


@given(points(), st.integers(0, 4))
@OFTEN
def test_hypervolume_is_that_of_inclusion_and_exclusion(losses, corner):
    reference = np.full(losses.shape[1], float(corner))
    assert hypervolume(losses, reference) == pytest.approx(by_inclusion_and_exclusion(losses, reference), abs=1e-9)


@given(points(), points())
@OFTEN
def test_more_points_never_lower_the_hypervolume(first, second):
    if first.shape[1] != second.shape[1]:
        return
    reference = reference_point(np.concatenate([first, second]))
    assert hypervolume(np.concatenate([first, second]), reference) >= hypervolume(first, reference) - 1e-9


def test_hypervolume_of_many_points_against_a_grid_of_cells():
    rng = np.random.default_rng(3)
    losses = rng.integers(0, 12, size=(60, 3)).astype(float)
    cells = np.stack(np.meshgrid(*[np.arange(12)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    covered = (losses[None] <= cells[:, None]).all(axis=2).any(axis=1).sum()
    assert hypervolume(losses, np.full(3, 12.0)) == pytest.approx(covered)


@given(points(12))
@OFTEN
def test_nondominated_is_the_definition(losses):
    free = [not any(dominates(other, one) for other in losses) for one in losses]
    assert nondominated(losses, keep_equal=True).tolist() == free
    once = nondominated(losses)
    assert {tuple(row) for row in losses[once]} == {tuple(row) for row in losses[free]}
    assert once.sum() == len(np.unique(losses[free], axis=0))


@given(points(12), st.data())
@OFTEN
def test_ranks_peel_under_constraint_domination(losses, data):
    violations = np.array(
        data.draw(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=len(losses), max_size=len(losses)))
    )

    def better(i, j):
        if violations[i] > 0 or violations[j] > 0:
            return violations[i] < violations[j]
        return dominates(losses[i], losses[j])

    expected, left, number = {}, set(range(len(losses))), 0
    while left:
        front = {j for j in left if not any(better(i, j) for i in left)}
        expected |= dict.fromkeys(front, number)
        left, number = left - front, number + 1
    assert ranks(losses, violations).tolist() == [expected[i] for i in range(len(losses))]


@given(points(12))
@RARE
def test_reference_point_is_worse_than_every_loss(losses):
    assert (reference_point(losses) > losses).all()


def test_nothing_dominates_nothing():
    empty = np.empty((0, 3))
    assert hypervolume(empty, np.ones(3)) == 0.0
    assert nondominated(empty).shape == (0,)
    assert ranks(empty, np.empty(0)).shape == (0,)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_not_finite_are_refused(bad):
    losses = np.array([[1.0, bad], [0.0, 1.0]])
    for function in (nondominated, reference_point, lambda x: hypervolume(x, np.ones(2))):
        with pytest.raises(ConfigurationError):
            function(losses)
    with pytest.raises(ConfigurationError):
        hypervolume(np.ones((1, 2)), np.array([1.0, bad]))
    with pytest.raises(ConfigurationError):
        hypervolume(np.ones((1, 2)), np.ones(3))
