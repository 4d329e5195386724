"""Estimates before synthesis: counted by hand, held against yosys, and the words that shared layers do without."""

from __future__ import annotations

import numpy as np
import pytest
from fakes.graphs import dense

from evonas.models.fixed_point import FixedPoint
from evonas.synthesis import _alkaid, yosys
from evonas.synthesis import graph as g
from evonas.synthesis.estimates import LogicBits, dense_bits, logic_bits
from evonas.synthesis.evaluate import cast, evaluate
from evonas.synthesis.graph import Port
from evonas.synthesis.openrtl import emit
from evonas.synthesis.rtl import Design, SharedDense, Stage

PART, CLOCK_PERIOD_NS = "xcvu13p-flga2577-2-e", 5.0
WORD, SUM, WEIGHT = FixedPoint(True, 8, 4), FixedPoint(True, 24, 12), FixedPoint(True, 8, 2)


def layer(name, source, weight, result=SUM, bias=None, weight_type=WEIGHT, reuse=0, kind=SUM):
    """A dense layer; `reuse` 0 is distributed arithmetic."""
    weight = np.array(weight, float)
    bias = np.zeros(weight.shape[1]) if bias is None else np.array(bias, float)
    return dense(name, source, weight, bias, weight_type, kind, result, reuse=reuse)


def graph_of(*nodes, inputs=2, word=WORD):
    return g.Graph((g.Input("x", (), inputs, word), *nodes), (nodes[-1].name,))


def rectified(name, source, size, result):
    return g.Rectify(name, (source,), size, result, slope=np.zeros(size))


@pytest.mark.parametrize(
    ("weight", "bias", "bits"),
    [
        ([[1], [1]], 0, (8, 0)),  # the leading bit of the sum comes from the same signs as the one below
        ([[1], [0.25]], 0, (8, 0)),  # six bits of both, two of one with the other's sign; two pass
        ([[1], [-1]], 0, (8, 0)),
        ([[1], [-0.25]], 0, (8, 8)),  # two bits are below the first operand's, which takes a borrow
        ([[1], [0]], 0.5, (0, 0)),  # a constant
        ([[0.5], [0]], 0, (0, 0)),  # wires
    ],
)
def test_adders_by_hand(weight, bias, bits):
    graph = graph_of(layer("sum", "x", weight, bias=[bias]))
    assert logic_bits(_alkaid.combine(graph)) == LogicBits(*bits, selections=0, tables=0.0)


def test_only_bits_that_are_read_count():
    total = layer("sum", "x", [[1], [1]])
    wide = logic_bits(_alkaid.combine(graph_of(total, rectified("relu", "sum", 1, SUM))))
    assert (wide.sums, wide.selections) == (8, 8)
    low = logic_bits(_alkaid.combine(graph_of(total, rectified("relu", "sum", 1, FixedPoint(False, 4, 0)))))
    assert (low.sums, low.selections) == (8, 4)  # the sign is read still
    wrapped = layer("sum", "x", [[1], [1]], kind=FixedPoint(True, 5, 1))
    assert logic_bits(_alkaid.combine(graph_of(wrapped))).sums == 5


def test_tables_are_counted_as_the_compiler_counts_them():
    values = FixedPoint(True, 8, 1).quantise(np.random.default_rng(0).uniform(-1, 1, 64))
    table = g.Table("t", ("x",), 2, FixedPoint(True, 8, 1), scale=8.0, offset=32, values=values)
    bits = logic_bits(_alkaid.combine(graph_of(table, word=FixedPoint(True, 6, 3))))
    assert bits == LogicBits(0, 0, 0, 16.0)  # each bit of six inputs is one LUT


@pytest.mark.slow
@pytest.mark.parametrize("bits", [4, 8])
def test_cells_of_a_network(bits, tmp_path):
    rng, kind = np.random.default_rng(bits), FixedPoint(True, bits, 1)
    hidden = FixedPoint(False, bits, 2, "RND", "SAT")
    first, second = (kind.quantise(rng.normal(0, 0.5, shape)) for shape in ((8, 8), (8, 4)))
    graph = graph_of(
        layer("a", "x", first, weight_type=kind, bias=kind.quantise(rng.normal(0, 0.5, 8))),
        rectified("r", "a", 8, hidden),
        layer("b", "r", second, weight_type=kind),
        inputs=8,
        word=FixedPoint(True, bits, 3),
    )
    figures = emit(graph, tmp_path / "verilog", PART, CLOCK_PERIOD_NS).figures
    used, _ = yosys.synthesise(tmp_path / "verilog", tmp_path / "yosys", PART, timeout_s=300)
    assert figures.lut == pytest.approx(used.lut, rel=0.1)
    assert figures.ff == pytest.approx(used.ff, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("bits", [(3, 4), (5, 6)])  # of both factors: 7 bits together are LUTs, 11 a DSP slice
def test_products_of_variables(bits, tmp_path):
    left, right = np.array([[0, 1], [2, 3], [0, 3]]), np.array([[4, 5], [6, 7], [6, 5]])
    first, second = (FixedPoint(True, b, 1) for b in bits)
    result = FixedPoint(True, sum(bits) + 1, 3)
    products = g.Contract("c", ("a", "b"), 3, result, left=left, right=right, accumulator=result)
    graph = g.Graph((g.Input("a", (), 4, first), g.Input("b", (), 8, second), products), ("c",))
    figures = emit(graph, tmp_path / "verilog", PART, CLOCK_PERIOD_NS).figures
    used, _ = yosys.synthesise(tmp_path / "verilog", tmp_path / "yosys", PART, timeout_s=300)
    assert figures.multipliers == used.dsp == (6 if sum(bits) >= 9 else 0)
    assert figures.lut == pytest.approx(used.lut, rel=0.3, abs=20)


def shared(weight, reuse, *, signed=True, input_bits=8, **options):
    weight = WEIGHT.quantise(np.array(weight, float))
    n_in, n_out = weight.shape
    fraction = input_bits - 3
    port = Port((signed,) * n_in, (3 - signed,) * n_in, (fraction,) * n_in)
    return SharedDense("layer", port, weight, WEIGHT, np.zeros(n_out), SUM, reuse, **options)


def test_shared_layers_by_hand():
    codes = np.array([[1, 2], [3, 4], [5, 6], [7, 0]]) * WEIGHT.lsb
    bits = dense_bits(shared(codes, 2))
    width = 8 + 8  # of a product
    assert bits.additions == 2 * width  # two terms in each of two lanes
    assert bits.delays == 0
    assert bits.accumulators == 2 * SUM.width
    assert bits.choices == 2 * 8  # two taps take turns at two words
    assert bits.weights == 2  # bits that are in the first cycle alone, or in the second
    assert bits.kept == 4 * 8 + 4 * width
    lonely = dense_bits(shared([[1.5]] + [[0]] * 7, 1))
    assert (lonely.additions, lonely.delays) == (0, 8 + 3)  # by three times 2^5, for three levels without sums


def synthesised(layer, directory):
    design = Design(layer.inputs, (Stage(layer, tuple(range(len(layer.inputs.widths)))),))
    design.write(directory / "rtl")
    return yosys.synthesise(directory / "rtl", directory, PART, timeout_s=300)[0]


@pytest.mark.slow
@pytest.mark.parametrize("reuse", [2, 4, 16])
def test_cells_of_a_shared_layer(reuse, tmp_path):
    weight = np.random.default_rng(reuse).normal(0, 0.7, (16, 8))
    made = shared(np.where(np.abs(weight) > 0.4, weight, 0), reuse)
    used = synthesised(made, tmp_path)
    assert dense_bits(made).lut == pytest.approx(used.lut, rel=0.15)
    assert dense_bits(made).ff == pytest.approx(used.ff, rel=0.15)


@pytest.mark.slow
def test_narrow_products_without_signs_are_no_dsp(tmp_path):
    codes = np.array([[3, -3, 24, 127, 5], [96, 12, 65, 33, -1]]) * WEIGHT.lsb  # 3 and 24 are the same but for zeros
    made = shared(codes, 1, signed=False, input_bits=3)
    assert made.multipliers == 4  # products with 127, 65 and 33 have nine bits or more, that with -3 a sign
    assert synthesised(made, tmp_path).dsp == made.multipliers


def constant_ahead(weight, biases):
    """A shared layer behind units of which the first have no weights but `biases`."""
    hidden = FixedPoint(True, 8, 3)
    units = np.array([[0, 0, 1, 1], [0, 0, 1, -1]])
    return graph_of(
        layer("units", "x", units, hidden, bias=[*biases, 0, 0]),
        layer("shared", "units", weight, FixedPoint(True, 10, 6), reuse=1),
        layer("last", "shared", [[1], [0], [0.5]]),
    )


def interpreted(graph, directory):
    x = cast(np.random.default_rng(0).uniform(-9, 9, (200, 2)), WORD)
    verilog = emit(graph, directory, PART, CLOCK_PERIOD_NS)
    assert np.array_equal(verilog.interpret(x), evaluate(graph, x)[0])
    return verilog


def test_constants_ahead_and_words_that_nobody_reads_take_no_multipliers(tmp_path):
    weight = [[0.75, 0.5, 1.25], [0.625, 1.75, 0.875], [0.75, 1.125, 0.375], [1.625, 1.375, 0.0]]
    verilog = interpreted(constant_ahead(weight, [0.5, -1.25]), tmp_path)
    (made,) = verilog.shared
    assert verilog.figures.multipliers == 3  # of 12: two rows of constants, one column unread, one zero
    assert not made.weight[:2].any()
    assert not made.weight[:, 1].any()
    np.testing.assert_array_equal(made.bias, [0.5 * 0.75 - 1.25 * 0.625, 0, 0.5 * 1.25 - 1.25 * 0.875])


def test_words_that_cannot_change_anything_behind_take_no_multipliers(tmp_path):
    word = FixedPoint(True, 10, 6)  # below 32
    graph = graph_of(
        layer("shared", "x", [[1.25, 0.75], [0.625, 1.5]], word, reuse=1),
        layer("post", "shared", [[1, 0], [0, 1]], bias=[-100, 0]),
        rectified("relu", "post", 2, word),
        layer("last", "relu", [[1], [1]]),
    )
    verilog = interpreted(graph, tmp_path)
    assert verilog.figures.multipliers == 2
    np.testing.assert_array_equal(verilog.shared[0].weight, [[0, 0.75], [0, 1.5]])


def test_constants_are_cut_off_as_products_are(tmp_path):
    coarse = FixedPoint(True, 8, 6)
    graph = constant_ahead([[0.75, 0.5, 1.25], [0.625, 1.75, 0.875], [0.75, 1, 0.375], [1.5, 1.5, 0.25]], [0.5, -1.25])
    nodes = [
        layer("shared", "units", node.weight[0], coarse, reuse=1, kind=coarse) if node.name == "shared" else node
        for node in graph.nodes
    ]
    (made,) = interpreted(g.Graph(tuple(nodes), graph.outputs), tmp_path).shared
    np.testing.assert_array_equal(made.bias, [0.25 - 1.0, 0, 0.5 - 1.25])  # each product down to a quarter
