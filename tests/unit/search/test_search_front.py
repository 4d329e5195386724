from __future__ import annotations

import numpy as np
import pytest

from evonas.errors import ConfigurationError, Failure, FailureKind
from evonas.search import Evaluated, front, hypervolume, reference_point


def test_front_is_feasible_nondominated_and_in_order():
    pool = [
        Evaluated((0,), (2.0, 1.0), (0.0,)),
        Evaluated((1,), (0.0, 0.0), (0.1,)),  # would dominate all, but violates
        Evaluated((2,), None, (3.0,)),
        Evaluated((3,), None, (), Failure(FailureKind.DIVERGED, "")),
        Evaluated((4,), (1.0, 2.0), (0.0,)),
        Evaluated((5,), (2.0, 2.0), (0.0,)),
        Evaluated((6,), (2.0, 1.0), (0.0,)),  # as good as the first, and another network
    ]
    assert [one.genome for one in front(pool)] == [(0,), (4,), (6,)]


def test_no_feasible_candidate_no_front():
    assert front([]) == []
    assert front([Evaluated((1,), (0.0, 0.0), (0.1,))]) == []


def test_reference_point_by_hand():
    losses = np.array([[0.0, 10.0, 5.0, 0.0, -4.0], [2.0, 20.0, 5.0, 0.0, -4.0]])
    assert reference_point(losses, 0.5).tolist() == [3.0, 25.0, 7.5, 0.5, -2.0]
    assert hypervolume(losses, reference_point(losses)) > 0  # although three losses are constant


@pytest.mark.parametrize(("losses", "margin"), [(np.empty((0, 2)), 0.1), (np.ones(3), 0.1), (np.ones((1, 1)), 0.0)])
def test_reference_point_needs_points_and_a_margin(losses, margin):
    with pytest.raises(ConfigurationError):
        reference_point(losses, margin)
