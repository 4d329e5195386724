"""Operations without weights in exact arithmetic and in torch, against plain loops."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evonas.models.fixed_point import FixedPoint
from evonas.models.operations import QuantisedOperation, common_type, halvings, ordered_pairs
from evonas.models.stacked_operation import StackedOperation
from surrogates import OperationSpec

CASES = [
    (OperationSpec("sum"), [(6, 3)]),
    (OperationSpec("sum", 2), [(6, 3)]),
    (OperationSpec("sum", 2), [(8, 1)]),
    (OperationSpec("mean"), [(6, 3)]),
    (OperationSpec("mean", 3), [(6, 3)]),
    (OperationSpec("mean"), [(1, 3)]),
    (OperationSpec("max"), [(6, 3)]),
    (OperationSpec("max", 3), [(6, 3)]),
    (OperationSpec("pairs"), [(4, 3)]),
    (OperationSpec("broadcast", 4), [(1, 3)]),
    (OperationSpec("concatenate"), [(6, 3), (6, 2)]),
    (OperationSpec("add"), [(6, 3), (6, 3)]),
    (OperationSpec("transpose"), [(6, 3)]),
    (OperationSpec("flatten"), [(6, 3)]),
    (OperationSpec("select", start=2, length=3), [(6, 3)]),
    (OperationSpec("select", length=1), [(6, 3)]),
    (OperationSpec("matmul"), [(6, 3), (3, 2)]),
    (OperationSpec("matmul"), [(1, 4), (4, 1)]),
]
IDS = [f"{spec.label} of {shapes}" for spec, shapes in CASES]


def reduced(spec, x):
    """A sum, mean or maximum over positions, word by word."""
    positions, channels = len(x), len(x[0])
    terms = positions // spec.groups
    divisor = 1
    while divisor < terms:
        divisor *= 2
    result = []
    for group in range(spec.groups):
        row = []
        for channel in range(channels):
            words = [x[group * terms + term][channel] for term in range(terms)]
            row.append(max(words) if spec.kind == "max" else sum(words) / (divisor if spec.kind == "mean" else 1))
        result.append(row)
    return result


def by_loops(spec, tables):
    """The definition word by word, on nested lists (positions, channels)."""
    x = tables[0]
    positions, channels = len(x), len(x[0])
    if spec.kind in ("sum", "mean", "max"):
        return reduced(spec, x)
    if spec.kind == "matmul":
        columns = list(zip(*tables[1], strict=True))
        return [[sum(a * b for a, b in zip(row, column, strict=True)) for column in columns] for row in x]
    if spec.kind == "pairs":
        return [x[a] + x[b] for a in range(positions) for b in range(positions) if a != b]
    if spec.kind == "broadcast":
        return [x[0] for _ in range(spec.groups)]
    if spec.kind == "concatenate":
        return [a + b for a, b in zip(*tables, strict=True)]
    if spec.kind == "add":
        return [[p + q for p, q in zip(a, b, strict=True)] for a, b in zip(*tables, strict=True)]
    if spec.kind == "transpose":
        return [[x[position][channel] for position in range(positions)] for channel in range(channels)]
    if spec.kind == "select":
        return x[spec.start : spec.start + spec.length]
    return [[word for row in x for word in row]]


def words(shapes, kinds, seed=0, rows=20):
    rng = np.random.default_rng(seed)
    pairs = zip(kinds, shapes, strict=False)
    return [kind.quantise(rng.uniform(kind.low, kind.high, (rows, *shape))) for kind, shape in pairs]


KINDS = (FixedPoint(True, 6, 3), FixedPoint(False, 5, 1))


@pytest.mark.parametrize(("spec", "shapes"), CASES, ids=IDS)
def test_operations_are_what_loops_give(spec, shapes):
    inputs = words(shapes, KINDS)
    expected = np.array([by_loops(spec, [table.tolist() for table in tables]) for tables in zip(*inputs, strict=True)])
    found = QuantisedOperation(spec).forward(*inputs)
    np.testing.assert_array_equal(found, expected)
    assert found.shape[1:] == spec.shape(*shapes)
    stacked = StackedOperation([spec, spec], [True, True])
    in_torch = stacked(*(torch.from_numpy(np.stack([x, x])).float() for x in inputs))
    np.testing.assert_array_equal(in_torch.double().numpy(), np.stack([expected, expected]))


@pytest.mark.parametrize(("spec", "shapes"), CASES, ids=IDS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), data=st.data())
def test_the_exact_type_holds_every_bit_and_none_too_many(spec, shapes, seed, data):
    bits, signs, fractions = st.integers(2, 9), st.booleans(), st.integers(-2, 6)
    kinds = []
    for _ in shapes:
        width = data.draw(bits)
        kinds.append(FixedPoint(data.draw(signs), width, width - data.draw(fractions)))
    operation = QuantisedOperation(spec)
    kind = operation.exact_type(shapes[0], *kinds)
    assert operation.result_type(shapes[0], *kinds) == kind
    extremes = [[np.full((1, *s), end) for end in (k.low, k.high)] for s, k in zip(shapes, kinds, strict=True)]
    for inputs in [*itertools.product(*extremes), tuple(words(shapes, kinds, seed))]:
        result = operation.forward(*inputs)
        np.testing.assert_array_equal(kind.quantise(result), result)
    terms = shapes[0][0] // spec.groups if spec.kind == "sum" else 1
    if len(kinds) == 1 and terms.bit_count() == 1 and spec.kind != "mean":
        highest = operation.forward(extremes[0][1]).max()
        assert FixedPoint(kind.signed, kind.width - 1, kind.integer - 1).high < highest  # a bit less would not do


@pytest.mark.parametrize("output", [FixedPoint(True, 3, 2, "RND", "SAT"), FixedPoint(True, 4, 1, "RND", "SAT")])
@pytest.mark.parametrize(("spec", "shapes"), CASES, ids=IDS)
def test_the_result_is_cast(spec, shapes, output):
    inputs = words(shapes, KINDS)
    exact = QuantisedOperation(spec).forward(*inputs)
    np.testing.assert_array_equal(QuantisedOperation(spec, output).forward(*inputs), output.quantise(exact))
    assert QuantisedOperation(spec, output).result_type(shapes[0], *KINDS) == output


@pytest.mark.parametrize("kind", ["sum", "mean", "add", "matmul"])
def test_members_of_a_stack_cut_to_their_own_bits(kind):
    bits, signed = (0, 3, 5, 14), (True, True, False, True)
    shapes = {"add": [(6, 2), (6, 2)], "matmul": [(6, 2), (2, 3)]}.get(kind, [(6, 2)])
    stack = StackedOperation([OperationSpec(kind, 1, b) for b in bits], signed)
    kinds = [FixedPoint(sign, 6, 3) for sign in signed]
    inputs = [np.stack([words([shape], [k], seed)[0] for k in kinds]) for seed, shape in enumerate(shapes)]
    tensors = [torch.from_numpy(x).float() for x in inputs]
    scales = [torch.tensor([1 / k.lsb for k in kinds]).view(-1, 1, 1) for _ in inputs]
    calibrated = stack.calibrate(tensors, scales)
    np.testing.assert_array_equal(calibrated.numpy(), stack(*tensors).numpy())
    for member, (b, sign) in enumerate(zip(bits, signed, strict=True)):
        operation = stack.export(member)
        expected = operation.forward(*(x[member] for x in inputs))
        np.testing.assert_array_equal(calibrated[member].double().numpy(), expected)
        exact = operation.exact_type(shapes[0], *[kinds[member]] * len(inputs))
        assert stack.output_scale[member].item() <= 1 / exact.lsb
        if b == 0:
            assert operation.output_type is None
            assert stack.output_scale[member].item() == 1 / exact.lsb
        else:
            assert (operation.output_type.width, operation.output_type.signed) == (b, sign)
            assert len(np.unique(expected)) > 2


def test_halvings_are_the_least_power_of_two():
    assert [halvings(n) for n in (1, 2, 3, 4, 5, 8, 9)] == [0, 1, 2, 2, 3, 3, 4]


def test_pairs_come_by_receiver():
    assert list(zip(*ordered_pairs(3), strict=True)) == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 8), st.integers(-4, 8)), min_size=1, max_size=3))
def test_a_common_type_is_the_narrowest_that_holds_all(kinds):
    kinds = [FixedPoint(*kind) for kind in kinds]
    common = common_type(kinds)
    for kind in kinds:
        ends = np.array([kind.low, kind.high])
        np.testing.assert_array_equal(common.quantise(ends), ends)
    assert common.lsb == min(kind.lsb for kind in kinds)
    assert common.signed == any(kind.signed for kind in kinds)
