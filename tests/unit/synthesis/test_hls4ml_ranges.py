"""Leading bits that no value reaches are taken from wide types, and nothing that is computed changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evonas.errors import ToolError
from evonas.models.fixed_point import OVERFLOWS, ROUNDINGS, FixedPoint
from evonas.synthesis import graph as g
from evonas.synthesis._hls4ml.ranges import narrowed
from evonas.synthesis.evaluate import evaluate

SOURCE = FixedPoint(True, 8, 3)


@st.composite
def wide(draw, signed=None):
    width = draw(st.integers(33, 42))
    sign = draw(st.booleans()) if signed is None else signed
    modes = draw(st.sampled_from(ROUNDINGS)), draw(st.sampled_from(OVERFLOWS))
    return FixedPoint(sign, width, width - draw(st.integers(4, 12)), *modes)


@st.composite
def graphs(draw):
    """Products, then a merge, a mean and a rectifier, with wide types everywhere."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weight_type = FixedPoint(True, 6, 2)
    products = g.Linear(
        "products", ("x",), 6, draw(wide()),
        gather=np.array([[[0, 1, 2], [1, 2, -1]]]), weight=weight_type.quantise(rng.uniform(-2, 2, (1, 3, 3))),
        bias=rng.integers(-8, 8, (1, 1, 3)) / 8, weight_type=weight_type, accumulator=draw(wide()),
    )  # fmt: skip
    kinds = ("add", "subtract", "average", "maximum", "minimum")
    merged = g.Merge("merged", ("products", "x"), 6, draw(wide()), kind=draw(st.sampled_from(kinds)))
    scaled = g.Scale("scaled", ("merged",), 6, draw(wide()), scale=rng.integers(-4, 5, 6) / 4, bias=np.ones(6))
    pooled = g.Pool(
        "pooled", ("scaled",), 3, draw(wide()), kind=draw(st.sampled_from(("max", "mean"))),
        gather=np.array([[0, 1, -1], [2, 3, 4], [5, 0, 2]]), lengths=np.array([2, 3, 3]), accumulator=draw(wide()),
    )  # fmt: skip
    rectified = g.Rectify("out", ("pooled",), 3, draw(wide()), slope=np.array([0.0, 0.25, -0.5]))
    return g.Graph((g.Input("x", (), 3, SOURCE), products, merged, scaled, pooled, rectified), ("out",))


@settings(derandomize=True, max_examples=150, deadline=None)
@given(graph=graphs())
def test_no_value_changes(graph):
    x = np.random.default_rng(0).uniform(-5, 5, (100, 3))
    narrow = g.Graph(tuple(narrowed(graph.nodes)), graph.outputs)
    assert np.array_equal(evaluate(graph, x)[0], evaluate(narrow, x)[0])
    pairs = zip(graph.nodes, narrow.nodes, strict=True)
    assert all(new.result.width <= old.result.width for old, new in pairs)


def identity(kind):
    rows = np.eye(3)[None]
    source = g.Input("x", (), 3, SOURCE)
    return source, g.Linear(
        "sum", ("x",), 3, kind, gather=np.arange(3)[None, None], weight=4 * rows, bias=np.zeros((1, 1, 3)),
        weight_type=FixedPoint(True, 4, 4), accumulator=kind,
    )  # fmt: skip


def test_a_type_as_wide_as_it_goes_keeps_what_is_needed():
    nodes = narrowed(identity(FixedPoint(True, 53, 43)))
    assert str(nodes[1].result) == "fixed<16,6,TRN,WRAP>"  # 4 * [-4, 4), and a last bit on either side


def test_a_type_as_wide_as_it_goes_that_may_overflow_is_refused():
    source, node = identity(FixedPoint(True, 53, 4))
    with pytest.raises(ToolError, match="accum_t of sum: its values may need more than 53 bits"):
        narrowed((source, node))


def test_a_narrow_type_stays():
    kind = FixedPoint(True, 24, 12)
    source, node = identity(kind)
    assert narrowed((source, replace(node, accumulator=kind)))[1].accumulator == kind
