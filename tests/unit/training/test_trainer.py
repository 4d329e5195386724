"""What training promises: exactness, sparsity, bit widths, members that do not see each other, and that it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from evonas.errors import Failure, FailureKind
from evonas.models.stacked_network import StackedNetwork
from evonas.tasks import Split
from evonas.training import recipe
from evonas.training.adam import StackedAdam
from evonas.training.recipe import single_threaded
from evonas.training.trainer import Member, Population, Trained, train
from surrogates import LayerSpec, ModelSpec

CLIP = 4.0
WEIGHT_BITS, SPARSITY = (3, 6, 2), (0.5, 0.25, 0.0)


def data(rows=512, seed=0, n_inputs=6, n_classes=3):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, n_classes, rows)
    x = rng.normal(size=(rows, n_inputs)) * 0.6 + 2.0 * np.eye(n_classes, n_inputs)[y]
    return Split(np.clip(x, -CLIP, CLIP).astype(np.float32), y.astype(np.int64))


def stack_of(members, epochs, batch_size=64):
    """The stack that training leaves."""
    population = Population(members, data(), clip=CLIP, epochs=epochs, batch_size=batch_size)
    population.train()
    return population.stack


def spec(activation="relu", bits=WEIGHT_BITS, sparsity=SPARSITY, widths=(6, 12, 8, 3), input_bits=6):
    last = len(widths) - 2
    return ModelSpec(
        input_bits,
        tuple(
            LayerSpec(
                widths[i],
                widths[i + 1],
                bits[i],
                0 if i == last else 5,
                "linear" if i == last else activation,
                sparsity[i],
            )
            for i in range(last + 1)
        ),
    )


MEMBERS = [
    Member(spec("relu"), 0.01, 1),
    Member(spec("leaky_relu", (4, 4, 4), (0.0, 0.8, 0.5), input_bits=4), 0.02, 2),
    Member(spec("hard_tanh", (8, 3, 5), (0.9, 0.5, 0.3)), 0.005, 3),
]


def fit(members, split=None, epochs=6, batch_size=64):
    return train(members, split or data(), clip=CLIP, epochs=epochs, batch_size=batch_size)


@pytest.fixture(scope="module")
def trained():
    return fit(MEMBERS)


@pytest.mark.parametrize("index", range(len(MEMBERS)))
def test_the_requested_sparsity_is_reached(trained, index):
    network = trained[index].network
    for layer, found in zip(MEMBERS[index].spec.layers, network.nonzero_weights, strict=True):
        assert found <= layer.n_nonzero
        assert found > 0


@pytest.mark.parametrize("index", range(len(MEMBERS)))
def test_every_weight_has_at_most_the_requested_significant_bits(trained, index):
    for layer, spec_of_layer in zip(trained[index].network.layers, MEMBERS[index].spec.layers, strict=True):
        codes = np.abs(layer.weight_codes)
        significant = codes // np.maximum(codes & -codes, 1)  # without trailing zeros, which are wires
        assert significant.max() <= 2 ** (spec_of_layer.weight_bits - 1) - 1
        low, high = layer.weight_type.low / layer.weight_type.lsb, layer.weight_type.high / layer.weight_type.lsb
        assert low <= layer.weight_codes.min()
        assert layer.weight_codes.max() <= high
        assert np.abs(layer.bias_codes).max() < 2 ** (layer.bias_type.width - 1)


@pytest.mark.parametrize("index", range(len(MEMBERS)))
def test_the_types_follow_the_description(trained, index):
    network, wanted = trained[index].network, MEMBERS[index].spec
    assert network.spec == wanted
    assert network.input_type.width == wanted.input_bits
    for layer, described in zip(network.layers, wanted.layers, strict=True):
        assert layer.activation == described.activation
        if layer.output_type is not None:
            assert layer.output_type.width == described.activation_bits
            assert layer.output_type.signed == (described.activation != "relu")


def test_the_exported_network_is_what_was_trained():
    """The forward pass of training, in single precision, and exact fixed point agree in every output."""
    with single_threaded():
        stack = stack_of(MEMBERS, 5)
        x = data(300, seed=5).x
        with torch.no_grad():
            logits = stack(stack.quantise_input(torch.from_numpy(x)[None])).double().numpy()
    for index in range(len(MEMBERS)):
        np.testing.assert_array_equal(stack.export(index).predict(x), logits[index])


def test_a_weight_just_below_a_rounding_boundary_is_exported_as_it_was_trained():
    """In single precision 0.49999997 + 0.5 is 1; the export must not know better than training."""
    stack = StackedNetwork([spec()], CLIP, [torch.Generator().manual_seed(0)])
    x = torch.from_numpy(data(64).x)[None]
    with torch.no_grad():
        for layer in stack.dense():
            layer.weight.fill_(np.nextafter(np.float32(0.5), np.float32(0)).item())
            layer.bias.fill_(np.nextafter(np.float32(0.5), np.float32(0)).item())
            layer.weight_scale = torch.ones_like(layer.weight_scale)
            layer.bias_scale = torch.ones_like(layer.bias_scale) * stack.input_scale
            layer.output_scale = stack.input_scale.clone()
        logits = stack(stack.quantise_input(x)).double().numpy()[0]
    np.testing.assert_array_equal(stack.export(0).predict(x[0].numpy()), logits)


@pytest.mark.parametrize("index", range(len(MEMBERS)))
def test_a_member_trains_as_if_it_were_alone(trained, index):
    """Seeds, batches and rates are each member's own; only sums inside torch may differ in their last bit.

    A last bit can move a weight over a rounding boundary, so a few codes in a thousand may differ.
    """
    (alone,) = fit([MEMBERS[index]])
    for one, other in zip(alone.network.layers, trained[index].network.layers, strict=True):
        assert one.output_type == other.output_type
        assert np.mean(one.weight != other.weight) <= 0.001
    assert alone.train_loss == pytest.approx(trained[index].train_loss, rel=1e-4)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not():
    first, second = (fit(MEMBERS[:1], epochs=2)[0].network for _ in range(2))
    assert first.to_bytes() == second.to_bytes()
    (other,) = fit([Member(MEMBERS[0].spec, 0.01, 99)], epochs=2)
    assert other.network.to_bytes() != first.to_bytes()


def test_it_learns_what_can_be_learned():
    (result,) = fit([Member(spec(bits=(6, 6, 6), sparsity=(0.2, 0.2, 0.0)), 0.01, 4)], data(2000), epochs=15)
    assert isinstance(result, Trained)
    held_out = data(1000, seed=9)
    right = np.argmax(result.network.predict(held_out.x), axis=1) == held_out.y
    assert right.mean() > 0.95
    assert result.train_loss < 0.3
    assert result.epochs == 15


@pytest.mark.parametrize("poison", ["rate", "inputs", "infinite inputs"])
def test_a_diverged_member_is_a_failure_and_leaves_its_siblings_alone(poison):
    members = [*MEMBERS[:2], Member(MEMBERS[2].spec, float("inf") if poison == "rate" else 0.01, 3)]
    split = data()
    if poison == "rate":
        results = fit(members, split, epochs=3)
        assert isinstance(results[0], Trained)
        assert isinstance(results[1], Trained)
        healthy = fit(MEMBERS[:2], split, epochs=3)
        for one, other in zip(healthy, results, strict=False):
            assert np.mean(one.network.layers[0].weight != other.network.layers[0].weight) <= 0.001
    else:
        split.x[3] = np.nan if poison == "inputs" else np.inf
        results = fit(members, split, epochs=2)
    if poison == "infinite inputs":  # saturated by the input quantiser: only a strange row
        assert all(isinstance(r, Trained) for r in results)
        return
    assert isinstance(results[-1], Failure)
    assert results[-1].kind is FailureKind.DIVERGED
    assert "training loss became" in results[-1].message


def test_an_absurd_learning_rate_gives_a_bad_network_or_a_failure_but_no_crash():
    (result,) = fit([Member(spec(), 1e6, 1)], epochs=2)
    assert isinstance(result, Failure) or np.isfinite(result.network.predict(data(50).x)).all()


@pytest.mark.parametrize(("rows", "batch_size", "epochs"), [(5, 64, 1), (64, 64, 1), (65, 64, 2), (30, 1, 1)])
def test_odd_sizes(rows, batch_size, epochs):
    (result,) = fit(MEMBERS[:1], data(rows), epochs=epochs, batch_size=batch_size)
    assert isinstance(result, Trained)
    assert np.isfinite(result.train_loss)
    described = MEMBERS[0].spec.layers
    assert all(n <= layer.n_nonzero for n, layer in zip(result.network.nonzero_weights, described, strict=True))


def test_heavy_pruning_leaves_an_exact_network():
    member = Member(spec(sparsity=(0.95, 0.95, 0.9)), 0.02, 1)
    with single_threaded():
        stack = stack_of([member], 6)
        x = data(200, seed=5).x
        with torch.no_grad():
            logits = stack(stack.quantise_input(torch.from_numpy(x)[None])).double().numpy()
    network = stack.export(0)
    np.testing.assert_array_equal(network.predict(x), logits[0])
    assert all(n <= layer.n_nonzero for n, layer in zip(network.nonzero_weights, member.spec.layers, strict=True))


def test_the_schedules():
    steps = [recipe.schedule(i / 100) for i in range(1, 101)]
    assert max(steps) <= 1
    assert steps[-1] == pytest.approx(0, abs=1e-12)
    assert np.argmax(steps) in range(3, 8)
    pruned = [recipe.pruned(i / 100) for i in range(101)]
    assert pruned == sorted(pruned)
    assert (pruned[0], pruned[60], pruned[100]) == (0.0, 1.0, 1.0)


def test_the_number_of_threads_is_given_back():
    before = torch.get_num_threads()
    with single_threaded():
        assert torch.get_num_threads() == 1
    with pytest.raises(ZeroDivisionError), single_threaded():
        _ = torch.get_num_threads() / 0
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("decays", [None, (0.3, 0.05)])
def test_stacked_adam_is_adam_for_each_member_and_with_decay_adamw(decays):
    start = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    stacked = torch.nn.Parameter(start.clone())
    rates = [0.1, 0.01]
    ours = StackedAdam({"weight": stacked}, torch.tensor(rates), None if decays is None else torch.tensor(decays))
    single = [torch.nn.Parameter(start[i].clone()) for i in range(2)]
    theirs = [
        torch.optim.AdamW([p], lr=r, betas=(0.9, 0.99), weight_decay=d)
        for p, r, d in zip(single, rates, decays or (0.0, 0.0), strict=True)
    ]
    for step in range(20):
        ((stacked - step * 0.1) ** 2).sum().backward()
        ours.step(1.0)
        for parameter, optimiser in zip(single, theirs, strict=True):
            optimiser.zero_grad()
            ((parameter - step * 0.1) ** 2).sum().backward()
            optimiser.step()
    for index in range(2):
        torch.testing.assert_close(stacked[index], single[index], rtol=1e-4, atol=1e-5)
    assert stacked.grad is None
