import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from surrogates.metrics import accuracy, coverage, kendall, r_squared, relative_errors, smape, spearman

costs = st.lists(
    st.tuples(st.floats(0, 1e6, allow_subnormal=False), st.floats(0, 1e6, allow_subnormal=False)), max_size=30
)
whole = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=3, max_size=25)


def both(pairs):
    return np.array([a for a, _ in pairs], dtype=float), np.array([b for _, b in pairs], dtype=float)


@given(costs)
def test_never_nan(pairs):
    truth, predicted = both(pairs)
    found = accuracy(truth, predicted, predicted * 0.9, predicted * 1.1).to_dict()
    assert found.pop("n") == len(pairs)
    for name, value in found.items():
        assert value is None or np.isfinite(value), name
    if not pairs:
        assert set(found.values()) == {None}


@given(costs.filter(len))
def test_ranges(pairs):
    truth, predicted = both(pairs)
    found = accuracy(truth, predicted, truth, truth + 1)
    assert found.coverage == 1.0
    assert 0 <= found.smape <= 200
    assert found.r2 is None or found.r2 <= 1
    for rank in (found.spearman, found.kendall):
        assert rank is None or -1 <= rank <= 1


@given(costs.filter(len))
def test_a_perfect_prediction_has_no_error(pairs):
    truth, _ = both(pairs)
    found = accuracy(truth, truth)
    assert found.median_relative_error == found.mean_relative_error == found.smape == 0
    assert found.r2 in (None, 1)
    assert found.spearman is None or found.spearman == pytest.approx(1)
    assert found.kendall is None or found.kendall == pytest.approx(1)


@given(whole)
def test_rank_correlations_agree_with_scipy_ties_included(pairs):
    truth, predicted = both(pairs)
    if np.ptp(truth) == 0 or np.ptp(predicted) == 0:
        assert spearman(truth, predicted) is None
        assert kendall(truth, predicted) is None
        return
    assert spearman(truth, predicted) == pytest.approx(stats.spearmanr(truth, predicted).statistic, abs=1e-12)
    assert kendall(truth, predicted) == pytest.approx(stats.kendalltau(truth, predicted).statistic, abs=1e-12)


def test_values_by_hand():
    truth, predicted = np.array([0.0, 100.0, 200.0]), np.array([2.0, 110.0, 180.0])
    np.testing.assert_allclose(relative_errors(truth, predicted), [2.0, 0.1, 0.1])
    assert smape(truth, predicted) == pytest.approx(200 / 3 * (2 / 3 + 10 / 211 + 20 / 381))
    assert r_squared(truth, predicted) == pytest.approx(1 - (4 + 100 + 400) / 20000)
    assert coverage(truth, np.array([0.0, 101.0, 100.0]), np.array([0.0, 120.0, 200.0])) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("truth", "predicted"), [([1.0], [1.0, 2.0]), ([np.nan], [1.0]), ([1.0], [np.inf]), ([[1.0]], [[1.0]])]
)
def test_other_shapes_and_values_are_refused(truth, predicted):
    with pytest.raises(ValueError, match=r"shapes|finite"):
        accuracy(np.array(truth), np.array(predicted))
