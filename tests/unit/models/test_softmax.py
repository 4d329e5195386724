"""Softmax by tables: against its definition in whole numbers, against the real one, and in torch."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evonas.models.fixed_point import FixedPoint
from evonas.models.operations import QuantisedOperation
from evonas.models.softmax import Softmax
from evonas.models.stacked_softmax import StackedSoftmax
from surrogates import OperationSpec

WORD = FixedPoint(True, 9, 4)


def rows(terms, n=40, seed=0, kind=WORD):
    return kind.quantise(np.random.default_rng(seed).normal(0, 2, (n, terms)))


def half_up(value, bits):
    """The whole number nearest to value * 2**bits."""
    return math.floor(value * 2.0**bits + 0.5)


def by_hand(row, bits):
    """Codes of the result, from the sentences of the module: whole numbers but for exp and 1 / t themselves."""
    terms = len(row)
    width = min(bits, 10)
    step = 0  # fraction bits of the difference: as many as reach (bits + 1) ln 2
    while (2**width - 1) / 2.0 ** (step + 1) >= (bits + 1) * math.log(2):
        step += 1
    while (2**width - 1) / 2.0**step < (bits + 1) * math.log(2):
        step -= 1
    codes = [min(half_up(max(row) - word, step), 2**width - 1) for word in row]
    exps = [half_up(math.exp(-code * 2.0**-step), bits) for code in codes]  # in units of 2**-bits
    whole = terms.bit_length()
    kept = min(bits, min(bits + 4, 10) - whole)
    total = half_up(sum(exps) / 2**bits, kept) / 2.0**kept
    inverse = half_up(1 / max(total, 1.0), bits)
    return [min(half_up(exp * inverse / 4.0**bits, bits), 2**bits - 1) for exp in exps]


@settings(max_examples=60, deadline=None)
@given(bits=st.integers(1, 16), terms=st.integers(1, 70), seed=st.integers(0, 2**31 - 1))
def test_it_is_what_its_description_says(bits, terms, seed):
    x = rows(terms, 5, seed)
    softmax = Softmax(bits, terms)
    found = softmax.output_type.codes(softmax.forward(x))
    assert found.tolist() == [by_hand(row, bits) for row in x.tolist()]


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("terms", [2, 8, 15])
def test_it_is_near_the_real_one(bits, terms):
    softmax, x = Softmax(bits, terms), rows(terms, 500)
    real = np.exp(x - x.max(axis=1, keepdims=True))
    real /= real.sum(axis=1, keepdims=True)
    found = softmax.output_type.quantise(softmax.forward(x))
    wrong = np.abs(found - real) * 2**bits
    assert wrong.max() < 4
    assert wrong.mean() < 0.6


@settings(max_examples=40, deadline=None)
@given(bits=st.integers(1, 16), terms=st.integers(1, 300), seed=st.integers(0, 2**31 - 1))
def test_its_types_hold_every_word(bits, terms, seed):
    softmax = Softmax(bits, terms)
    extremes = np.stack([np.zeros(terms), np.where(np.arange(terms) == 0, 15.0, -15.0)])
    x = np.concatenate([rows(terms, 5, seed), extremes])
    exps = softmax.exp[softmax.difference.codes(x.max(axis=1, keepdims=True) - x)]
    for kind, values in (
        (softmax.accumulator, exps),
        (softmax.accumulator, np.cumsum(exps, axis=1)),
        (softmax.exact_type, softmax.forward(x)),
    ):
        np.testing.assert_array_equal(kind.quantise(values), values)
    assert exps.max(axis=1).tolist() == [1.0] * len(x)
    assert len(softmax.exp) <= 1024
    assert len(softmax.inverse) <= 1024


def test_one_word_has_all_the_weight_and_equal_words_share_it():
    assert Softmax(6, 1).output_type.quantise(Softmax(6, 1).forward(rows(1))).tolist() == [[63 / 64]] * 40
    np.testing.assert_array_equal(Softmax(6, 4).forward(np.full((1, 4), 1.5)), np.full((1, 4), 0.25))


def test_members_of_a_stack_have_their_own_bits():
    bits = (1, 3, 8, 16)
    stack = StackedSoftmax([OperationSpec("softmax", 1, b) for b in bits], 5)
    x = np.stack([rows(30, seed=seed).reshape(40, 6, 5) for seed in range(len(bits))])
    found = stack.calibrate([torch.from_numpy(x).float()], [torch.ones(len(bits), 1, 1)])
    assert found.dtype == torch.float32
    for member, b in enumerate(bits):
        operation = stack.export(member)
        assert operation == QuantisedOperation(OperationSpec("softmax", 1, b), FixedPoint(False, b, 0, "RND", "SAT"))
        np.testing.assert_array_equal(found[member].double().numpy(), operation.forward(x[member]))
        assert stack.output_scale[member].item() == 2.0**b


def test_the_gradient_is_that_of_the_real_one():
    stack = StackedSoftmax([OperationSpec("softmax", 1, 4)] * 2, 3)
    x, weights = (torch.randn(2, 7, 5, 3, generator=torch.Generator().manual_seed(n)) for n in range(2))
    gradients = []
    for softmax in (stack, lambda y: torch.softmax(y, dim=3)):
        leaf = x.clone().requires_grad_()
        (softmax(leaf) * weights).sum().backward()
        gradients.append(leaf.grad)
    torch.testing.assert_close(*gradients)
