"""Sums of products in whole numbers, or all at once, give what casting them one after the other gives."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from evonas.models.fixed_point import OVERFLOWS, ROUNDINGS, FixedPoint
from evonas.synthesis import evaluate
from evonas.synthesis import graph as g


@st.composite
def types(draw, most, integer):
    modes = draw(st.sampled_from(ROUNDINGS)), draw(st.sampled_from(OVERFLOWS))
    return FixedPoint(draw(st.booleans()), draw(st.integers(1, most)), draw(st.integers(*integer)), *modes)


def one_after_the_other(node, x):
    kind = node.accumulator
    taps = np.concatenate([x, np.zeros((len(x), 1))], axis=1)[:, node.gather]  # (n, G, P, K)
    total = kind.quantise(node.bias).transpose(1, 0, 2)[None]
    for tap in range(taps.shape[3]):
        total = kind.quantise(total + kind.quantise(taps[..., tap, None] * node.weight[:, None, tap]))
    return total.transpose(0, 2, 1, 3).reshape(len(x), -1)


@settings(derandomize=True, max_examples=800, deadline=None)
@given(
    source=types(12, (-3, 8)),
    weight_type=types(12, (-3, 8)),
    accumulator=types(24, (-2, 14)),
    sizes=st.tuples(*(st.integers(1, 3) for _ in range(5))),
    seed=st.integers(0, 2**32 - 1),
)
def test_sums_of_products(source, weight_type, accumulator, sizes, seed):
    rng = np.random.default_rng(seed)
    words, groups, positions, taps, filters = sizes
    x = source.quantise(rng.uniform(1.5 * source.low, 1.5 * source.high + source.lsb, (20, words)))
    weight = rng.uniform(weight_type.low, weight_type.high + weight_type.lsb, (groups, taps, filters))
    node = g.Linear(
        "sum", ("x",), groups * positions * filters, accumulator,
        gather=rng.integers(-1, words, (groups, positions, taps)), weight=weight_type.quantise(weight),
        bias=rng.uniform(-8, 8, (1, groups, filters)), weight_type=weight_type, accumulator=accumulator,
    )  # fmt: skip
    assert np.array_equal(evaluate.compute(node, [x], [(source,) * words]), one_after_the_other(node, x))
