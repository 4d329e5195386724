"""Zero-cost proxies against their formulas on exported networks, and that company changes nothing."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from fakes.families import CLIP, FAMILIES, TASKS, space_of

from evonas.models.stacked_network import StackedNetwork
from evonas.tasks import Split
from evonas.training.proxies import BATCH, proxies
from evonas.training.trainer import Member
from surrogates import LayerSpec, ModelSpec

N_INPUTS, N_CLASSES = 5, 3


def data(rows=200, n_inputs=N_INPUTS, n_classes=N_CLASSES):
    rng = np.random.default_rng(0)
    return Split(rng.normal(size=(rows, n_inputs)).astype(np.float32), rng.integers(0, n_classes, rows))


def network(*widths, sparsity=0.3, activation="relu", bits=6):
    sizes = (N_INPUTS, *widths, N_CLASSES)
    *hidden, last = pairwise(sizes)
    layers = [LayerSpec(n_in, n_out, bits, 6, activation, sparsity) for n_in, n_out in hidden]
    return ModelSpec(8, (*layers, LayerSpec(*last, bits, 0, "linear", sparsity)))


def of(spec, seed=1, **changes):
    (found,) = proxies([replace(Member(spec, 0.01, seed), **changes)], data(), clip=CLIP)
    return found


def exported(spec, seed=1):
    """The network as it is when the proxies are computed, in exact fixed point, and its inputs."""
    stack = StackedNetwork([spec], CLIP, [torch.Generator().manual_seed(seed)])
    x = torch.from_numpy(data().x[:BATCH])
    stack.prune(1.0)
    stack.calibrate(stack.quantise_input(x[None]))
    found = stack.export(0)
    return found, found.input_type.quantise(x.numpy())


def matrices(found):
    return [layer.weight_codes * layer.weight_type.lsb for layer in found.layers]


def test_the_gradient_of_one_layer_is_that_of_the_softmax():
    found, x = exported(network())
    scores = found.predict(data().x[:BATCH])
    share = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    gradient = x.T @ (share - np.eye(N_CLASSES)[data().y[:BATCH]]) / BATCH
    gradient *= matrices(found)[0] != 0
    assert of(network()).grad_norm == pytest.approx(math.log(np.linalg.norm(gradient)), abs=1e-4)
    # weights before quantising differ from those after by little
    expected = np.abs(gradient * matrices(found)[0]).sum()
    assert of(network()).snip == pytest.approx(math.log(expected), abs=0.05)


@pytest.mark.parametrize("widths", [(), (7,), (7, 4, 9)])
def test_synflow_is_the_product_of_absolute_weights(widths):
    found, _ = exported(network(*widths))
    flow = np.ones((1, N_INPUTS))
    for matrix in matrices(found):
        flow = flow @ np.abs(matrix)
    # the flow is linear in the weights of each layer, so each has all of it
    assert of(network(*widths)).synflow == pytest.approx(math.log(flow.sum() * (len(widths) + 1)), abs=1e-6)


@pytest.mark.parametrize("activation", ["relu", "hard_tanh"])
def test_naswot_counts_units_that_agree(activation):
    spec = network(7, 4, activation=activation)
    found, x = exported(spec)
    kernel, words = np.eye(BATCH), x
    for layer in found.layers[:-1]:
        words = layer.forward(words)
        active = words > 0
        kernel += (active[:, None] == active[None]).sum(axis=2)
    assert of(spec).naswot == pytest.approx(np.linalg.slogdet(kernel).logabsdet, rel=1e-9)


def test_parameters_are_weights_that_stay_and_biases():
    spec = network(10, sparsity=0.5)
    assert of(spec).parameters == pytest.approx(math.log(25 + 15 + 10 + 3))


def test_each_has_its_own_seed_and_nobody_beside_it_matters():
    members = [
        Member(network(8, 6), 0.01, 1),
        Member(network(3, 12, activation="hard_tanh", bits=3), 0.02, 2, "batch"),
        Member(network(20, 2, sparsity=0.9), 0.01, 3),
        Member(network(8, 6), 0.01, 4),
    ]
    together = proxies(members, data(), clip=CLIP)
    alone = [proxies([member], data(), clip=CLIP)[0] for member in members]
    assert together == alone
    assert together == proxies(members, data(), clip=CLIP)
    assert together[0] != together[3]


def test_only_the_first_rows_are_read():
    member, some = [Member(network(8, 6), 0.01, 1)], data()
    cut = Split(some.x[:BATCH], some.y[:BATCH])
    assert proxies(member, cut, clip=CLIP) == proxies(member, some, clip=CLIP)
    assert proxies(member, some.head(BATCH - 1), clip=CLIP) != proxies(member, some, clip=CLIP)


def test_a_network_without_weights_has_numbers_all_the_same():
    found = of(network(4, sparsity=1.0)).to_dict()
    assert all(map(math.isfinite, found.values()))
    assert found["synflow"] < of(network(4)).synflow - 10


def test_normalisation_counts():
    assert of(network(8, 6)).snip != of(network(8, 6), norm="batch").snip


def test_members_of_other_structures_are_refused():
    with pytest.raises(ValueError, match="structure"):
        proxies([Member(network(4), 0.01, 1), Member(network(4, 4), 0.01, 1)], data(), clip=CLIP)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_them(family):
    (positions, features), n_outputs, _ = TASKS[family]
    space, some = space_of(family), data(160, positions * features, n_outputs)
    if family == "autoencoder":  # gives its inputs back
        some = Split(some.x, some.x)
    specs = [space.decode(genome).spec for genome in space.sample(3, np.random.default_rng(2))]
    found = [proxies([Member(spec, 0.01, 1)], some, clip=CLIP)[0].to_dict() for spec in specs]
    assert all(math.isfinite(value) for one in found for value in one.values())
    assert len({one["snip"] for one in found}) == len({one["naswot"] for one in found}) == 3
