"""Batch normalisation folded into its layer: what it stands for in torch, and members that do not share it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fakes.families import CLIP, inputs, outputs, space_of, untrained

from evonas.models.folding import EPSILON, Folding
from evonas.models.stacked_dense import StackedDense
from evonas.tasks import Split
from evonas.training.recipe import single_threaded
from evonas.training.trainer import Member, Population, Trained, train
from surrogates import LayerSpec, ModelSpec

SEEDS = (11, 12, 13)


def dense(activation="relu", bits=16, sparsity=0.0):
    return LayerSpec(6, 5, bits, bits, activation, sparsity)


def spec(activation="relu", bits=6, sparsity=0.0):
    layers = (
        LayerSpec(6, 8, bits, 5, activation, sparsity),
        LayerSpec(8, 7, bits, 5, activation, sparsity),
        LayerSpec(7, 3, bits, 0, "linear", sparsity),
    )
    return ModelSpec(6, layers)


def torchs(layer, member=0):
    """Linear and BatchNorm1d of torch in float64 with the parameters of a member."""
    linear = torch.nn.Linear(*layer.weight.shape[1:], dtype=torch.float64)
    norm = torch.nn.BatchNorm1d(layer.weight.shape[2], eps=EPSILON, momentum=1.0, dtype=torch.float64)
    with torch.no_grad():
        linear.weight.copy_(layer.weight[member].T)
        linear.bias.copy_(layer.bias[member, 0])
        norm.weight.copy_(layer.folding.gamma[member, 0])
        norm.bias.copy_(layer.folding.beta[member, 0])
    return linear, norm


@pytest.fixture
def layer():
    generator = torch.Generator().manual_seed(1)
    layer = StackedDense([dense("identity")], [generator], [True])
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter += 0.4 * torch.randn(parameter.shape, generator=generator)
    return layer


def test_a_folded_layer_is_batch_normalisation_behind_a_layer(layer):
    x = torch.randn(1, 400, 6, generator=torch.Generator().manual_seed(2))
    x = torch.round(x * 64) / 64
    layer.calibrate(x, torch.full((1, 1, 1), 64.0))
    linear, norm = torchs(layer)
    expected = norm(linear(x[0].double()))  # in the mode of training, by the statistics of these rows
    layer.train()
    torch.testing.assert_close(layer(x)[0].double(), expected, rtol=0, atol=2e-3)
    norm.eval()
    layer.eval()
    other = torch.round(3 * x.flip(1)[:, :100] * 64) / 64 + 1
    expected = norm(linear(other[0].double()))
    found = layer.accumulate(other)[0].double()
    # torch keeps the unbiased variance, which is larger by 1/400
    torch.testing.assert_close(found, expected, rtol=5e-3, atol=5e-3)


def test_the_gradients_are_those_of_batch_normalisation(layer):
    x = torch.round(torch.randn(1, 300, 6, generator=torch.Generator().manual_seed(2)) * 64) / 64
    layer.calibrate(x, torch.full((1, 1, 1), 64.0))
    layer.train()
    linear, norm = torchs(layer)
    factors = torch.randn(300, 5, generator=torch.Generator().manual_seed(5))
    (torch.tanh(layer.accumulate(x)[0]) * factors).sum().backward()
    (torch.tanh(norm(linear(x[0].double()))) * factors).sum().backward()
    pairs = [
        (layer.weight.grad[0], linear.weight.grad.T),
        (layer.folding.gamma.grad[0, 0], norm.weight.grad),
        (layer.folding.beta.grad[0, 0], norm.bias.grad),
    ]
    for found, expected in pairs:
        scale = expected.abs().max().item()
        torch.testing.assert_close(found.double(), expected, rtol=0, atol=0.01 * scale)


def test_pruning_goes_by_the_folded_weights():
    layer = StackedDense([dense(sparsity=0.5)], [torch.Generator().manual_seed(1)], [True])
    with torch.no_grad():
        layer.folding.variance[0, 0, :2] = 1e4  # their weights are small once they are folded
    layer.prune(1.0)
    kept = layer.mask[0].float().mean(dim=0)
    assert (kept[:2] < 0.2).all()
    assert (kept[2:] > 0.6).all()


def test_sums_are_exact_where_outputs_have_very_different_scales():
    """In single precision too: the bias of an output lies on the grid of its own products, not on the finest of all."""
    layer = StackedDense([dense("identity", 8)], [torch.Generator().manual_seed(1)], [True]).eval()
    with torch.no_grad():
        layer.weight[0, :, 0] *= 1e-3
        layer.folding.gamma[0, 0] = torch.tensor([1e-3, 30.0, 1.0, 1.0, 1.0])
        layer.folding.beta[0, 0] = torch.tensor([0.3, 1e4, 3.0, 3.0, 3.0])
        x = torch.round(torch.randn(1, 400, 6, generator=torch.Generator().manual_seed(2)) * 16) / 16
        layer.calibrate(x, torch.full((1, 1, 1), 16.0))
        found = layer.accumulate(x)[0].double().numpy()
    exact = layer.export(0)
    np.testing.assert_array_equal(found, x[0].double().numpy() @ exact.weight + exact.bias)
    assert abs(exact.bias[1] - 1e4) < 300


def test_an_output_that_never_varies_is_not_blown_up():
    folding = Folding([True], 3, 4)
    folding.measure(torch.full((1, 50, 3), 7.0))
    weight, bias = folding(torch.ones(1, 4, 3), torch.full((1, 1, 3), 7.0))
    assert weight.max() <= 1 / EPSILON**0.5 + 1e-3
    assert torch.equal(bias, torch.zeros(1, 1, 3))


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("family", ["deep_sets", "convolution"])
def test_the_forward_pass_is_the_exact_network(family, activation):
    space = space_of(family, activations=(activation,))
    found = space.decode(space.sample(3, np.random.default_rng(5))[2]).spec
    stack = untrained([found] * 2, SEEDS[:2], [True, False])
    x = inputs(found, 400, np.random.default_rng(5))
    together = outputs(stack, x)
    for member in range(2):
        np.testing.assert_array_equal(stack.export(member).predict(x), together[member])
    assert len(np.unique(together[0])) > 10
    assert stack.dense()[-1].folding is None


def test_a_member_does_not_depend_on_who_is_normalised_beside_it():
    specs = [spec(), spec("gelu", 4, 0.3), spec("leaky_relu", 3, 0.5)]
    normalised = [True, False, True]
    stack = untrained(specs, SEEDS, normalised)
    x = inputs(specs[0], 300, np.random.default_rng(4))
    sample = stack.quantise_input(torch.from_numpy(x)[None]).expand(3, -1, -1)
    for mode in (True, False):
        with single_threaded():
            stack.calibrate(sample)
            stack.train(mode)
            together = stack(sample)
            for member in range(3):
                alone = untrained([specs[member]], [SEEDS[member]], [normalised[member]])
                alone.calibrate(sample[:1])
                alone.train(mode)
                assert torch.equal(alone(sample[:1])[0], together[member])
                assert alone.export(0).digest == stack.export(member).digest


def data(rows=512, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, rows)
    x = rng.normal(size=(rows, 6)) * 0.6 + 2.0 * np.eye(3, 6)[y]
    return Split(np.clip(x, -CLIP, CLIP).astype(np.float32), y.astype(np.int64))


@pytest.mark.parametrize("epochs", [1, 2, 3, 6])
def test_what_is_exported_is_what_was_trained(epochs):
    """From the last calibration on the statistics stand still, so that the last steps train the exported network."""
    members = [Member(spec(sparsity=0.4), 0.01, 1, "batch"), Member(spec("tanh"), 0.01, 2)]
    with single_threaded(), torch.no_grad():
        with torch.enable_grad():
            population = Population(members, data(), clip=CLIP, epochs=epochs, batch_size=64)
            population.train()
        stack = population.stack
        assert not stack.training
        x = data(300, seed=5).x
        logits = stack(stack.quantise_input(torch.from_numpy(x)[None])).double().numpy()
    for member in range(2):
        np.testing.assert_array_equal(stack.export(member).predict(x), logits[member])
    assert not torch.equal(stack.dense()[0].folding.gamma[0], torch.ones(1, 8))
    assert torch.equal(stack.dense()[0].folding.gamma[1], torch.ones(1, 8))


@pytest.mark.parametrize("activation", ["relu", "tanh"])  # side by side, and in a padded stack
def test_statistics_follow_the_batch_until_the_binary_points_stand_still(monkeypatch, activation):
    modes = []
    step = Population._step

    def watched(self, *arguments):
        modes.append(self.stack.training)
        return step(self, *arguments)

    monkeypatch.setattr(Population, "_step", watched)
    train([Member(spec(activation), 0.01, 1, "batch")], data(64), clip=CLIP, epochs=10, batch_size=64)
    assert modes == [True] * 6 + [False] * 4  # calibrated for the last time at the start of the seventh


def test_normalisation_trains_where_the_sums_are_far_off():
    """Inputs of which all sums have one sign leave ReLU dead or linear; normalised sums do not."""
    members = [Member(spec(), 0.01, 4, norm) for norm in ("none", "batch")]
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 1000)
    x = 3.0 + 0.15 * (np.eye(3, 6)[y] + 0.3 * rng.normal(size=(1000, 6)))
    split = Split(x.astype(np.float32), y.astype(np.int64))
    plain, normalised = train(members, split, clip=CLIP, epochs=6, batch_size=100)
    assert isinstance(normalised, Trained)
    assert normalised.train_loss < plain.train_loss


def test_a_stack_without_normalisation_has_nothing_of_it():
    stack = untrained([spec()], [1])
    assert all(layer.folding is None for layer in stack.dense())
    assert len(list(stack.parameters())) == 2 * len(stack.dense())
