"""What goes wrong silently in architecture searches, and how each of it would show here.

Operations that are counted more often than they are done, an aggregator that cannot be trained, validation on the rows
that were trained on, and settings of a search space that change nothing.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from evonas.config import resolve
from evonas.models.operations import QuantisedOperation
from evonas.models.quantised_network import QuantisedNetwork
from evonas.space.families import COMPOSED, fitted, options
from evonas.space.published import nac_deep_sets
from evonas.tasks import ArrayTask, Split, load_task
from evonas.training.trainer import Member, Trained, train
from surrogates import LayerSpec, ModelSpec, OperationSpec, Window, analytic_costs

A, W = 6, 4  # bits of inputs and weights


def bops(*layers):
    return analytic_costs([ModelSpec(A, layers)]).bops[0]


def counted_by_hand(window, n_in, n_out):
    """Every product of a dense convolution without rim once, and what it is summed with."""
    rows, columns = window.image
    total, places = 0.0, range(window.kernel)
    for _row, _column, _out in itertools.product(range(rows), range(columns), range(n_out)):
        terms = 0
        for _dy, _dx, _channel in itertools.product(places, places, range(n_in)):
            terms += 1
            total += A * W
        total += terms * (A + W + math.log2(terms))
    return total


@pytest.mark.parametrize("kernel", [1, 2, 3])
@pytest.mark.parametrize(("height", "width", "stride"), [(5, 4, 1), (7, 7, 2), (3, 9, 1)])
def test_a_convolution_counts_every_multiplication_once(height, width, kernel, stride):
    window = Window(height, width, kernel, stride)
    layer = LayerSpec(2, 3, W, 0, "linear", kind="conv", positions=height * width, window=window)
    assert bops(layer) == pytest.approx(counted_by_hand(window, 2, 3))
    rows, columns = window.image
    assert bops(layer) == pytest.approx(rows * columns * bops(LayerSpec(2 * kernel**2, 3, W, 0, "linear")))


def test_a_convolution_over_the_whole_image_costs_what_a_dense_layer_does():
    conv = LayerSpec(2, 3, W, 0, "linear", kind="conv", positions=16, window=Window(4, 4, 4))
    assert bops(conv) == bops(LayerSpec(32, 3, W, 0, "linear"))


def test_pruned_weights_are_not_multiplied():
    dense = LayerSpec(16, 8, W, 0, "linear", positions=5)
    pruned = replace(dense, sparsity=0.5)
    assert bops(dense) - bops(pruned) == pytest.approx(5 * 64 * A * W)


def test_the_bits_of_every_layer_count():
    wide = nac_deep_sets("small", bits=8)
    for index, layer in enumerate(wide.layers):
        if isinstance(layer, LayerSpec):
            narrow = (*wide.layers[:index], replace(layer, weight_bits=4), *wide.layers[index + 1 :])
            spec = ModelSpec(wide.input_bits, narrow, wide.edges, wide.input_shape)
            assert analytic_costs([spec]).bops[0] < analytic_costs([wide]).bops[0]


def of_aggregator(kind):
    spec = nac_deep_sets("small")
    parts = [OperationSpec(kind) if isinstance(part, OperationSpec) else part for part in spec.layers]
    return ModelSpec(spec.input_bits, tuple(parts), spec.edges, spec.input_shape)


def spread_data(rows):
    """Classes by the largest constituent, which a mean hardly sees."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(rows, 8, 3)) * 0.4
    y = rng.integers(0, 5, rows)
    x[np.arange(rows), rng.integers(0, 8, rows), 0] = y - 1.0
    return Split(x.reshape(rows, 24).clip(-4, 4).astype(np.float32), y)


@pytest.mark.parametrize("kind", ["max", "mean", "sum"])
def test_every_aggregator_trains(kind):
    data = spread_data(2000)
    (result,) = train([Member(of_aggregator(kind), 0.02, 1)], data, clip=4.0, epochs=12, batch_size=100)
    assert isinstance(result, Trained)
    outputs = result.network.predict(data.x)
    assert (outputs.argmax(axis=1) == data.y).mean() > 0.4  # chance is 0.2
    shuffled = data.x.reshape(-1, 8, 3)[:, ::-1].reshape(-1, 24)
    assert np.array_equal(result.network.predict(shuffled), outputs)


def test_the_maximum_is_a_maximum():
    data = spread_data(500)
    (result,) = train([Member(of_aggregator("max"), 0.02, 1)], data, clip=4.0, epochs=2, batch_size=100)
    assert isinstance(result, Trained)
    network = result.network
    place = next(i for i, part in enumerate(network.layers) if isinstance(part, QuantisedOperation))
    words = network.input_type.quantise(data.x).reshape(-1, 3)
    for layer in network.layers[:place]:
        words = layer.forward(words)
    words = words.reshape(len(data), 8, -1).max(axis=1)
    for layer in network.layers[place + 1 :]:
        words = layer.forward(words)
    assert isinstance(network, QuantisedNetwork)
    assert np.array_equal(network.predict(data.x), words)


def test_no_row_is_in_two_splits():
    rows = np.random.default_rng(0).permutation(1000).astype(np.float32)
    task = ArrayTask("rows", rows[:, None], np.arange(1000) % 2, ("a", "b"), ("row",), "made up", standardise="none",
                     clip=1000.0)  # fmt: skip
    splits = [task.split(name).x[:, 0] for name in ("train", "validation", "test")]
    assert np.array_equal(np.sort(np.concatenate(splits)), np.arange(1000))
    assert min(map(len, splits)) == 150


@pytest.mark.parametrize("inputs", ["hlf", "constituents"])
def test_jets_are_validated_on_other_jets_than_they_are_trained_on(inputs):
    task = load_task("jets", inputs=inputs, n_jets=4000)
    found = [{row.tobytes() for row in task.split(name).x} for name in ("train", "validation", "test")]
    assert [len(rows) for rows in found] == [2800, 600, 600]
    assert not found[0] & found[1]
    assert not found[0] & found[2]
    assert not found[1] & found[2]


ASKED = {  # what a space does not offer unless it is asked to
    "implementations": ["distributed_arithmetic", 2], "norms": ["none", "batch"], "constituents_used": [4],
    "features_used": [2], "window_start": [1], "window_size": [4], "block_kinds": ["conv", "attention"],
}  # fmt: skip
NEEDED = {"attention_hidden": {"block_kinds": ["conv", "attention"]}}  # what a setting is about


def settings():
    for family in COMPOSED:
        for name, value in options(family).items():
            if name in ASKED:
                other = ASKED[name]
            elif isinstance(value, int):
                other = value - 1
            elif name == "blocks" or name.endswith("depth"):  # least and most
                other = [value[0], value[1] - 1]
            else:  # choices
                other = list(value[:-1])
            yield pytest.param(family, name, other, id=f"{family}-{name}")


def space_of(family, **chosen):
    """The space as a configuration file makes it."""
    config = resolve({"space": {"family": family, **chosen}}).space
    return fitted(config.family, config.choices, (81, 1) if family == "convolution" else (8, 3), 5, (9, 9))


@pytest.mark.parametrize(("family", "name", "other"), settings())
def test_every_setting_of_a_family_changes_its_space(family, name, other):
    needed = NEEDED.get(name, {})
    usual, unusual = space_of(family, **needed), space_of(family, **needed, **{name: other})
    if [gene.choices for gene in usual.genes] != [gene.choices for gene in unusual.genes]:
        return
    genomes = usual.sample(20, np.random.default_rng(0))  # no gene of its own: the networks must differ
    assert all(usual.decode(g).spec != unusual.decode(g).spec for g in genomes)
