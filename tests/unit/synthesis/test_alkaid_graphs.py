"""Graphs in logic: single layers of realistic widths, segments between nodes, and what is refused."""

import itertools

import numpy as np
import pytest

from evonas.errors import ConfigurationError, FailureKind, ToolError
from evonas.models.fixed_point import FixedPoint
from evonas.synthesis import _alkaid
from evonas.synthesis import graph as g
from evonas.synthesis.evaluate import evaluate, trace

WORD = FixedPoint(True, 16, 6)


def chain(*nodes, outputs=None):
    return g.Graph(nodes, outputs or (nodes[-1].name,))


def source(size, kind=WORD):
    return g.Input("x", (), size, kind)


def dense(name, before, weight, bias, accumulator, result, weight_type=WORD):
    n_in, n_out = weight.shape
    gather = np.arange(n_in)[None, None]
    return g.Linear(name, (before,), n_out, result, gather, weight[None], bias[None, None], weight_type, accumulator)


def samples(kind, size, count=300):
    ends = [np.full((1, size), value) for value in (kind.low, kind.high, 0.0)]
    return kind.quantise(np.concatenate([np.random.default_rng(1).uniform(kind.low, kind.high, (count, size)), *ends]))


def assert_exact(graph, x):
    expected = np.concatenate(evaluate(graph, x), axis=1)
    logic = _alkaid.combine(graph)
    assert np.array_equal(_alkaid.interpret(logic, x), expected)
    assert not np.array_equal(expected, np.broadcast_to(expected[0], expected.shape))
    return logic


@pytest.mark.parametrize("rounding", ["TRN", "RND_CONV", "TRN_ZERO"])
@pytest.mark.parametrize("overflow", ["WRAP", "SAT", "SAT_SYM"])
def test_dense_with_rounded_products(rounding, overflow):
    rng = np.random.default_rng(2)
    accumulator = FixedPoint(True, 16, 6, rounding, overflow)
    weight, bias = WORD.quantise(rng.uniform(-8, 8, (6, 3))), WORD.quantise(rng.uniform(-8, 8, 3))
    assert_exact(chain(source(6), dense("d", "x", weight, bias, accumulator, WORD)), samples(WORD, 6))


def convolution(height, width, kernel, filters, accumulator):
    rng, places = np.random.default_rng(3), np.full((height + 2, width + 2), g.ABSENT)
    places[1:-1, 1:-1] = np.arange(height * width).reshape(height, width)  # zero padding
    windows = [
        places[i : i + kernel, j : j + kernel].ravel() for i, j in itertools.product(range(height), range(width))
    ]
    weight_type = FixedPoint(True, 6, 1)
    weight = weight_type.quantise(rng.uniform(-1, 1, (1, kernel**2, filters)))
    bias = rng.integers(-4, 4, (1, 1, filters)) / 4
    size, kind = height * width * filters, FixedPoint(True, 8, 4, "RND", "SAT")
    return g.Linear("c", ("x",), size, kind, np.array([windows]), weight, bias, weight_type, accumulator)


@pytest.mark.parametrize(
    "accumulator", [FixedPoint(True, 20, 8), FixedPoint(True, 8, 5), FixedPoint(True, 12, 3, "RND", "SAT")]
)
def test_convolution_with_padding(accumulator):
    kind = FixedPoint(True, 6, 2)
    assert_exact(chain(source(16, kind), convolution(4, 4, 3, 2, accumulator)), samples(kind, 16))


def test_equal_weight_matrices_are_solved_once(monkeypatch):
    from evonas.synthesis._alkaid import linear

    solved = []
    monkeypatch.setattr(
        linear, "cmvm_solve", lambda k, original=linear.cmvm_solve, **o: solved.append(k) or original(k, **o)
    )
    _alkaid.combine(chain(source(36, FixedPoint(True, 6, 2)), convolution(6, 6, 3, 2, FixedPoint(True, 20, 8))))
    assert len(solved) == 9  # the middle, four sides and four corners, of 36 positions


@pytest.mark.parametrize("signed", [False, True])
def test_words_of_one_bit(signed):
    kind, rng = FixedPoint(signed, 1, 1), np.random.default_rng(4)
    weight, wide = rng.integers(-2, 3, (8, 4)) / 2, FixedPoint(True, 12, 8)
    graph = chain(source(8, kind), dense("d", "x", weight, rng.integers(-3, 3, 4) / 1.0, wide, wide))
    assert_exact(graph, np.array(list(itertools.product([kind.low, kind.high], repeat=8))))


def test_a_long_chain_of_saturating_sums():
    rng, kind = np.random.default_rng(5), FixedPoint(True, 4, 2)
    accumulator = FixedPoint(True, 8, 4, "TRN", "SAT")
    weight = rng.integers(-7, 8, (200, 1)) / 4
    graph = chain(source(200, kind), dense("d", "x", weight, np.zeros(1), accumulator, accumulator))
    assert_exact(graph, samples(kind, 200))


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_sum_that_saturates_at_one_end_on_its_way(sign):
    kind, accumulator = FixedPoint(False, 2, 2), FixedPoint(True, 4, 4, "TRN", "SAT")
    weight = sign * np.array([[2.0], [2.0], [-2.0], [-1.0]])
    graph = chain(source(4, kind), dense("d", "x", weight, np.array([-sign]), accumulator, accumulator))
    assert_exact(graph, np.array(list(itertools.product(range(4), repeat=4)), float))


def test_tables_of_wide_words():
    values = FixedPoint(True, 18, 8).quantise(1 / (1 + np.exp(-np.arange(-512, 512) / 64)))
    table = g.Table("t", ("x",), 3, FixedPoint(True, 18, 8), 64.0, 512, values)
    assert_exact(chain(source(3), table), samples(WORD, 3))
    slope = g.Table("t", ("x",), 3, FixedPoint(True, 18, 8), -128.0, 0, values, 1.0)
    assert_exact(chain(source(3), slope), samples(WORD, 3))


@pytest.mark.parametrize("kind", ["latency", "stable", "argmax"])
def test_softmax_of_wide_words(kind):
    table = FixedPoint(True, 18, 8, "RND", "SAT")
    total = FixedPoint(True, 18, 8)
    index = np.arange(1024)
    exp = table.quantise(np.exp(-(index % 512) / 16 if kind == "stable" else (index / 32) - 32 * (index >= 512)))
    inverse = table.quantise(1 / np.maximum(index % 512 / 4, 1 / 8))
    rows = np.arange(6).reshape(2, 3)
    node = g.Softmax("s", ("x",), 6, WORD, kind, rows, WORD, total, total, exp, inverse)
    logic = assert_exact(chain(source(6), node), samples(WORD, 6))
    assert {operation.opcode for operation in logic.ops} >= (set() if kind == "argmax" else {7, 8})


def test_softmax_adds_in_the_order_of_a_tree():
    kind, narrow = FixedPoint(True, 2, 2), FixedPoint(True, 5, 4, "TRN", "SAT_ZERO")  # an overflow on the way shows
    tables = np.array([3.5, 6.0, -5.0, 1.5]), np.arange(32) / 4
    node = g.Softmax("s", ("x",), 5, WORD, "latency", np.arange(5)[None], kind, narrow, narrow, *tables)
    assert_exact(chain(source(5, kind), node), np.array(list(itertools.product(range(-2, 2), repeat=5)), float))


@pytest.mark.parametrize("length", [3, 4, 7, 9])
def test_mean_of_wide_words(length):
    accumulator = FixedPoint(True, 20, 10)
    pool = g.Pool("m", ("x",), 1, accumulator, "mean", np.arange(length)[None], np.array([length]), accumulator)
    assert_exact(chain(source(length), pool), samples(WORD, length))


def segment_graph():
    rng, kind = np.random.default_rng(6), FixedPoint(True, 5, 2, "RND", "SAT")
    accumulator, weight_type = FixedPoint(True, 16, 8), FixedPoint(True, 4, 1)
    weights = [weight_type.quantise(rng.uniform(-1, 1, (4, 4))) for _ in range(2)]
    mixed = (kind, FixedPoint(False, 3, 2, "RND", "SAT"), FixedPoint(True, 7, 4), kind)
    return chain(
        source(4, kind),
        dense("a", "x", weights[0], np.full(4, 0.25), accumulator, mixed, weight_type),
        g.Rectify("r", ("a",), 4, kind, np.zeros(4)),
        dense("b", "r", weights[1], np.full(4, 0.25), accumulator, accumulator, weight_type),
        g.Merge("s", ("b", "a"), 4, accumulator, "add"),
        outputs=("s", "r"),
    )


def test_segments_compute_what_the_whole_does():
    graph = segment_graph()
    x = samples(graph.inputs[0].result, 4)
    values = trace(graph, x)
    for inputs, outputs in (
        (["x"], ["a"]),
        (["a"], ["s", "r"]),
        (["r", "a"], ["s"]),
        (["a"], ["r", "a"]),
        (["b"], ["b"]),
    ):
        logic = _alkaid.combine(graph, inputs, outputs)
        found = _alkaid.interpret(logic, np.concatenate([values[name] for name in inputs], axis=1))
        assert np.array_equal(found, np.concatenate([values[name] for name in outputs], axis=1))
    assert_exact(graph, x)


def test_a_segment_must_have_all_its_inputs():
    with pytest.raises(ConfigurationError, match="the outputs need the input 'x' too"):
        _alkaid.combine(segment_graph(), ["r"], ["s"])


def test_verilog_of_a_segment(tmp_path):
    logic = _alkaid.combine(segment_graph(), ["a"], ["r"])
    design = _alkaid.write_rtl(logic, tmp_path, "xcvu13p-flga2577-2-e", 5.0, module="link_1")
    assert any("module link_1" in path.read_text() for path in tmp_path.rglob("*.v"))
    assert design.inputs.widths == (5, 3, 7, 5)
    assert design.latency_cycles == design.stages + 1


def test_what_cannot_be_done_names_the_layer():
    long = FixedPoint(True, 40, 10)
    scale = g.Scale("long", ("x",), 1, long, np.array([1 + 2.0**-25]), np.zeros(1))
    with pytest.raises(ToolError, match=r"layer long: the constant .* needs more than 24 significant bits") as caught:
        _alkaid.combine(chain(source(1), scale))
    assert caught.value.failure.kind is FailureKind.UNSUPPORTED
    wide = FixedPoint(True, 24, 24)
    values = np.arange(2.0**15)
    with pytest.raises(ToolError, match="layer big: a table of 32768 words; at most 16384"):
        _alkaid.combine(chain(source(1, wide), g.Table("big", ("x",), 1, wide, 1.0, 0, values)))
    square = g.Merge("square", ("x", "x"), 1, wide, "multiply")
    with pytest.raises(ToolError, match="layer square: a word needs more than 53 bits"):
        _alkaid.combine(chain(source(1, FixedPoint(True, 40, 20)), square))


def test_constants_alone_are_nothing_to_synthesise():
    zero = g.Scale("z", ("x",), 2, WORD, np.zeros(2), np.ones(2))
    with pytest.raises(ToolError, match="no output depends on an input: there is nothing to synthesise"):
        _alkaid.combine(chain(source(2), zero))
