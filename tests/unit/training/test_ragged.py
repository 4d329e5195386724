"""Members side by side: steps of training equal to those of a padded stack, and none of their bits from a neighbour."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from fakes.families import CLIP
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evonas.models.padding import needs_no_room
from evonas.models.stacked_network import StackedNetwork
from evonas.space.published_bragg import BRAGG
from evonas.training.adam import StackedAdam
from evonas.training.ragged.network import RaggedNetwork
from evonas.training.recipe import losses, single_threaded
from surrogates import LayerSpec, ModelSpec, OperationSpec

CLASSES, FEATURES = 3, 5


def chain(widths, activations, pool=None, positions=1, bits=6):
    """Dense layers, pooling after the first (of four positions to two and later to one), a linear layer."""
    parts, n_in, at = [], FEATURES, positions
    for n, (n_out, activation) in enumerate(zip(widths, activations, strict=True)):
        parts.append(LayerSpec(n_in, n_out, 2 + (bits + n) % 6, bits, activation, 0.4, positions=at))
        if n == 0 and pool is not None:
            parts.append(OperationSpec(pool, activation_bits=5 if bits % 2 and pool != "max" else 0))
            at = 2 if positions == 4 else 1
            parts[-1] = replace(parts[-1], groups=at)
        n_in = n_out
    if at > 1:
        parts.append(OperationSpec("sum"))
        at = 1
    parts.append(LayerSpec(n_in, CLASSES, 5, 0, "linear", 0.2, positions=at))
    return ModelSpec(bits, tuple(parts), input_shape=(positions, FEATURES))


@st.composite
def members(draw):
    """Networks of one structure that differ in width, bits, activation and normalisation."""
    depth, pool = draw(st.integers(1, 3)), draw(st.sampled_from([None, "sum", "mean", "max"]))
    positions = 1 if pool is None else draw(st.integers(2, 5))
    activations = st.sampled_from(["relu", "leaky_relu", "hard_tanh", "identity"])

    def network():
        widths = draw(st.lists(st.integers(1, 20), min_size=depth, max_size=depth))
        kinds = [draw(activations) for _ in widths]
        return chain(widths, kinds, pool, positions, draw(st.integers(3, 8))), draw(st.booleans())

    return [network() for _ in range(draw(st.integers(1, 5)))]


def stack_of(specs, normalised, seed, rates):
    generators = [torch.Generator().manual_seed(seed + n) for n in range(len(specs))]
    stack = StackedNetwork(specs, CLIP, generators, normalised)
    return stack, StackedAdam(dict(stack.named_parameters()), rates, rates / 2)


def batches(spec, members, batch, steps, seed):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        x = 3 * torch.randn(members, batch, spec.n_inputs, generator=generator)  # some saturate
        yield x, torch.randint(0, CLASSES, (members, batch), generator=generator)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(found=members(), batch=st.sampled_from([3, 16, 40]), seed=st.integers(0, 999), of_batch=st.booleans())
def test_a_step_is_that_of_the_padded_stack(found, batch, seed, of_batch):
    specs, normalised = [spec for spec, _ in found], [norm for _, norm in found]
    assert all(map(needs_no_room, specs))
    rates = torch.linspace(0.01, 0.1, len(specs))
    padded, adam = stack_of(specs, normalised, seed, rates)
    with single_threaded():
        (x, _), *_ = batches(specs[0], len(specs), 64, 1, seed + 1)
        padded.calibrate(padded.quantise_input(x))
        padded.prune(0.5)
        padded.train(of_batch)
        stack = copy.deepcopy(padded)
        other = StackedAdam(dict(stack.named_parameters()), rates, rates / 2)
        ragged = RaggedNetwork(stack, other, batch)
        ragged.load()
        (x, y), *_ = batches(specs[0], len(specs), batch, 1, seed)
        loss = losses(padded(padded.quantise_input(x)), y)
        loss.sum().backward()
        adam.step(0.5)
        torch.testing.assert_close(ragged.step(x, y, 0.5), loss.detach(), rtol=1e-4, atol=1e-5)
        ragged.store()
    assert other.steps == adam.steps
    moved, expected = dict(stack.named_parameters()), dict(padded.named_parameters())
    for name, moments in adam.moments().items():
        for mine, theirs in zip(other.moments()[name], moments, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5, msg=name)
        # where a gradient is nothing but rounding, Adam moves by its sign
        clear = moments[0].abs() > 1e-5
        torch.testing.assert_close(moved[name][clear], expected[name][clear], rtol=1e-3, atol=1e-5, msg=name)


def test_what_is_trained_is_written_back():
    spec = chain([6, 4], ["relu", "relu"])
    stack, adam = stack_of([spec, chain([3, 9], ["relu", "relu"])], [True, False], 1, torch.tensor([0.1, 0.0]))
    with single_threaded():
        ragged = RaggedNetwork(stack, adam, 8)
        (x, y), *_ = batches(spec, 2, 8, 1, 0)
        stack.calibrate(stack.quantise_input(x))
        before = {name: tensor.clone() for name, tensor in stack.state_dict().items()}
        ragged.load()
        ragged.step(x, y, 1.0)
        ragged.store()
    after = stack.state_dict()
    weight = "parts.0.weight"
    assert not torch.equal(after[weight][0], before[weight][0])
    assert torch.equal(after[weight][1], before[weight][1])  # of rate zero
    assert torch.equal(after[weight][1, :, 3:], torch.zeros(FEATURES, 3))  # room that nobody has
    assert not torch.equal(after["parts.0.folding.gamma"][0], before["parts.0.folding.gamma"][0])


@pytest.mark.parametrize("batch", [13, 16])
def test_no_bit_depends_on_the_neighbours(batch):
    rng = np.random.default_rng(3)
    widths = [[1, 7], [64, 1], *rng.integers(2, 40, (4, 2)).tolist()]
    bits = rng.integers(3, 8, 6).tolist()
    specs = [chain(w, ["relu", "leaky_relu"], "mean", 4, b) for w, b in zip(widths, bits, strict=True)]

    def trained(chosen):
        own = [specs[n] for n in chosen]
        generators = [torch.Generator().manual_seed(n) for n in chosen]
        stack = StackedNetwork(own, CLIP, generators, [n % 2 == 0 for n in chosen])
        adam = StackedAdam(dict(stack.named_parameters()), torch.full((len(chosen),), 0.05))
        ragged = RaggedNetwork(stack, adam, batch)
        (seen, _), *_ = batches(own[0], 1, 100, 1, 5)
        stack.calibrate(stack.quantise_input(seen.expand(len(chosen), -1, -1)))
        ragged.load()
        for x, y in batches(own[0], len(specs), batch, 10, 1):
            ragged.step(x[chosen], y[chosen], 1.0)
        ragged.store()
        tensors = stack.state_dict()
        return [{name: tensors[name][place] for name, place in stack.places(n).items()} for n in range(len(chosen))]

    with single_threaded():
        together = trained(list(range(6)))
        for chosen in ([4, 1], [2], [5, 0, 3]):
            for n, alone in zip(chosen, trained(chosen), strict=True):
                assert all(torch.equal(alone[name], together[n][name]) for name in alone), n


def test_what_is_not_a_plain_chain_needs_room():
    plain = chain([4, 4], ["relu", "relu"])
    assert needs_no_room(plain)
    assert not needs_no_room(chain([4, 4], ["relu", "tanh"]))
    assert not needs_no_room(BRAGG["braggnn"]())
    assert not needs_no_room(ModelSpec(6, (LayerSpec(5, 3, 4, 0, "linear", positions=4),)))
