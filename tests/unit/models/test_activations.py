"""Activations by table: how far they are from the smooth functions, and that every implementation has the same bits."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from fakes.families import CLIP, inputs, outputs, untrained
from hypothesis import given, settings
from hypothesis import strategies as st

from evonas.models.activations import DOMAINS, FUNCTIONS, SLOPES, table
from evonas.models.fixed_point import FixedPoint, QuantisedDense
from evonas.models.quantised_network import QuantisedNetwork
from evonas.models.stacked_table import StackedTable
from evonas.tasks import Split
from evonas.training.trainer import Member, Trained, train
from surrogates import LayerSpec, ModelSpec
from surrogates.layers import TABLES

STEEPEST = {"gelu": 1.13, "tanh": 1.0, "sigmoid": 0.25}  # the largest slope
EXACT = {
    "gelu": lambda x: x / 2 * (1 + math.erf(x / math.sqrt(2))),
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
}


def layer(activation, bits=6):
    return LayerSpec(3, 4, 6, bits, activation)


@pytest.mark.parametrize("activation", TABLES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_table_errs_by_half_a_step_and_the_cast_of_its_input(activation, data):
    bits, integer = data.draw(st.integers(3, 9)), data.draw(st.integers(2, 4))
    kind = FixedPoint(True, min(bits + 2, 12), integer + 1, "RND", "SAT")
    signed = activation != "sigmoid"
    output = FixedPoint(signed, bits, (integer + 1 if activation == "gelu" else 1) - (not signed), "RND", "SAT")
    dense = QuantisedDense(np.array([[1]]), FixedPoint(True, 2, 2), np.array([0]), FixedPoint(True, 2, 2),
                           activation, output, kind)  # fmt: skip
    x = data.draw(st.floats(kind.low, kind.high))
    wanted = min(max(EXACT[activation](x), output.low), output.high)
    found = dense.forward(np.array([[x]]))[0, 0]
    assert abs(found - wanted) <= output.lsb / 2 + STEEPEST[activation] * kind.lsb / 2 + 1e-12
    beyond = dense.forward(np.array([[1e6], [-1e6]]))[:, 0]
    np.testing.assert_array_equal(beyond, dense.table[[-1, 0]])


@pytest.mark.parametrize("activation", TABLES)
def test_functions_slopes_and_domains(activation):
    x = np.linspace(-30, 30, 1201)
    np.testing.assert_allclose(FUNCTIONS[activation](x), [EXACT[activation](v) for v in x], atol=1e-14)
    step = 1e-5
    numeric = (FUNCTIONS[activation](x + step) - FUNCTIONS[activation](x - step)) / (2 * step)
    np.testing.assert_allclose(SLOPES[activation](x), numeric, atol=1e-8)
    low, high = DOMAINS[activation]
    assert np.abs(SLOPES[activation](np.array([low]))) < 1e-3 * 2
    assert math.isinf(high) or np.abs(SLOPES[activation](np.array([high]))) < 1e-3 * 2


@pytest.mark.parametrize("activation", TABLES)
def test_forward_is_the_table_and_backward_the_smooth_function(activation):
    stacked = StackedTable([layer(activation)])
    x = torch.linspace(-2.5, 2.5, 300).view(1, 100, 3)
    stacked.calibrate(x)
    output = FixedPoint(activation != "sigmoid", 6, 3, "RND", "SAT")
    stacked.settle(lambda _: output)
    x.requires_grad_()
    y = stacked(x)
    y.sum().backward()
    kind = stacked.type_of(0)
    codes = kind.codes(x.detach().double().numpy()) + 2 ** (kind.width - 1)
    np.testing.assert_array_equal(y.detach().double().numpy(), table(activation, kind, output)[codes])
    smooth = SLOPES[activation](x.detach().double().numpy())
    assert np.abs(x.grad.numpy() - smooth).max() < 2 * kind.lsb


def test_no_gradient_where_a_cast_saturates():
    stacked = StackedTable([layer("gelu")])
    x = torch.linspace(-1.0, 1.9, 300).view(1, 100, 3)
    stacked.calibrate(x)
    stacked.settle(lambda _: FixedPoint(True, 6, 1, "RND", "SAT"))  # below 1
    beyond = torch.tensor([[[1.5, 40.0, 0.25]]], requires_grad=True)
    stacked(beyond).sum().backward()
    assert beyond.grad[0, 0, :2].tolist() == [0.0, 0.0]
    assert beyond.grad[0, 0, 2] > 0.5
    bounded = StackedTable([layer("tanh")])
    bounded.calibrate(4 * x)
    bounded.settle(lambda _: FixedPoint(True, 6, 3, "RND", "SAT"))  # nothing saturates but the cast of the input
    beyond = torch.tensor([[[3.5, 40.0, -40.0]]], requires_grad=True)
    bounded(beyond).sum().backward()
    assert (beyond.grad[0, 0] != 0).tolist() == [True, False, False]


def test_a_wide_tail_does_not_cost_the_middle_its_codes():
    """Beyond its domain a sigmoid is a constant: one code is enough for all of it."""
    stacked = StackedTable([layer("sigmoid"), layer("gelu")])
    stacked.calibrate(torch.linspace(-300, 300, 3000).view(1, 1000, 3).expand(2, -1, -1))
    assert 4 < stacked.type_of(0).high <= 8
    assert stacked.type_of(1).high > 100


def specs():
    kinds = (("gelu", 4), ("tanh", 16), ("relu", 3), ("sigmoid", 1), ("identity", 4))
    last = LayerSpec(5, 3, 4, 0, "linear")
    return [
        ModelSpec(6, (LayerSpec(6, 8, 4, bits, name, 0.3), LayerSpec(8, 5, 4, bits, name), last))
        for name, bits in kinds
    ]


def test_members_with_different_activations_do_not_see_each_other():
    members, seeds = specs(), [1, 2, 3, 4, 5]
    stack, x = untrained(members, seeds), inputs(specs()[0], 500, np.random.default_rng(0))
    together = outputs(stack, x)
    for member, (spec, seed) in enumerate(zip(members, seeds, strict=True)):
        network = stack.export(member)
        np.testing.assert_array_equal(network.predict(x), together[member])
        assert untrained([spec], [seed]).export(0).digest == network.digest
        restored = QuantisedNetwork.from_bytes(network.to_bytes())
        assert restored.digest == network.digest
        np.testing.assert_array_equal(restored.predict(x), together[member])
        types = [part.table_type for part in network.layers]
        assert [kind.width if kind else 0 for kind in types] == [part.table_bits for part in spec.layers]
        assert network.fits_hls4ml == (spec.layers[0].activation in ("relu", "identity"))


@pytest.mark.parametrize("poison", [False, True])
def test_training_with_a_table_and_a_member_that_diverges(poison):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 1000)
    x = np.clip(rng.normal(size=(1000, 6)) * 0.6 + 2.0 * np.eye(3, 6)[y], -CLIP, CLIP)
    split = Split(x.astype(np.float32), y.astype(np.int64))
    members = [Member(specs()[0], 0.02, 1, "batch"), Member(specs()[1], float("inf") if poison else 0.02, 2)]
    first, second = train(members, split, clip=CLIP, epochs=5, batch_size=50)
    assert isinstance(first, Trained)
    assert first.train_loss < 0.7
    assert isinstance(second, Trained) != poison
