"""Legal reuse factors against hls4ml's rule as it is written down there."""

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surrogates.reuse import legal_reuse_factors, nearest_legal

SIZES = st.integers(1, 40)


def rule(n_in, n_out, factor):
    """hls4ml: the multipliers must serve whole outputs, and every multiplier the same number of products."""
    multipliers = ceil(n_in * n_out / min(n_in, factor))
    correct = (multipliers % n_out == 0 or factor >= n_in) and (factor % n_in == 0 or factor < n_in)
    return correct and n_in * n_out % factor == 0


@given(SIZES, SIZES)
def test_legal_is_what_hls4ml_allows(n_in, n_out):
    allowed = [factor for factor in range(1, n_in * n_out + 1) if rule(n_in, n_out, factor)]
    assert list(legal_reuse_factors(n_in, n_out)) == allowed


@given(SIZES, SIZES, st.integers(-5, 2000))
def test_nearest_is_legal_and_no_other_is_nearer(n_in, n_out, factor):
    nearest = nearest_legal(factor, n_in, n_out)
    legal = legal_reuse_factors(n_in, n_out)
    assert nearest in legal
    distance = abs(nearest - factor)
    assert all(
        abs(other - factor) > distance or (abs(other - factor) == distance and other >= nearest) for other in legal
    )


def test_examples():
    assert legal_reuse_factors(16, 8) == (1, 2, 4, 8, 16, 32, 64, 128)
    assert legal_reuse_factors(6, 4) == (1, 2, 3, 6, 12, 24)
    assert nearest_legal(9, 6, 4) == 6  # as near as 12
    assert nearest_legal(10**9, 6, 4) == 24


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (-1, 2)])
def test_an_empty_layer_has_none(shape):
    with pytest.raises(ValueError, match="no reuse factor"):
        legal_reuse_factors(*shape)
