"""Stacks of networks of every family: members do not see each other, exactness, calibration, training."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from fakes.families import CLIP, FAMILIES, inputs, outputs, space_of, untrained

from evonas.models.stacked_network import StackedNetwork
from evonas.models.stacked_operation import StackedOperation
from evonas.tasks import Split
from evonas.training.recipe import single_threaded
from evonas.training.trainer import Member, Trained, train
from surrogates import LayerSpec, ModelSpec, OperationSpec, Window

SEEDS = (11, 12, 13)


def alike(family, count=3):
    """Networks of one topology with different bits, sparsity and activation."""
    space = space_of(family)
    spec = space.decode(space.sample(4, np.random.default_rng(2))[1]).spec
    rng = np.random.default_rng(3)
    specs = []
    for activation in ("relu", "leaky_relu", "hard_tanh")[:count]:
        parts = []
        for part in spec.layers:
            if isinstance(part, LayerSpec):
                bits = {"weight_bits": int(rng.integers(2, 9)), "sparsity": float(rng.choice([0.0, 0.25]))}
                if part is not spec.layers[-1]:
                    bits |= {"activation_bits": int(rng.integers(3, 9)), "activation": activation}
                part = dataclasses.replace(part, **bits)
            elif part.kind in ("sum", "mean", "add"):
                part = dataclasses.replace(part, activation_bits=int(rng.choice([0, 4, 7])))
            parts.append(part)
        specs.append(dataclasses.replace(spec, layers=tuple(parts), input_bits=int(rng.integers(4, 9))))
    assert len({spec.topology for spec in specs}) == 1
    return specs


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    return request.param


def test_a_member_in_a_stack_is_the_member_alone(family):
    specs = alike(family)
    stack = untrained(specs, SEEDS)
    x = inputs(specs[0], 200, np.random.default_rng(4))
    together = outputs(stack, x)
    for member, (spec, seed) in enumerate(zip(specs, SEEDS, strict=True)):
        alone = untrained([spec], [seed])
        np.testing.assert_array_equal(outputs(alone, x)[0], together[member])
        assert alone.export(0).digest == stack.export(member).digest


def test_the_forward_pass_is_the_exact_network(family):
    stack = untrained(alike(family), SEEDS)
    x = inputs(stack.specs[0], 500, np.random.default_rng(5))
    found = outputs(stack, x)
    for member in range(3):
        network = stack.export(member)
        np.testing.assert_array_equal(network.predict(x), found[member])
        assert network.spec == stack.specs[member]
        for part, wanted in zip(network.layers, network.spec.layers, strict=True):
            if part.output_type is not None:
                assert part.output_type.width == wanted.activation_bits
    assert len(np.unique(found)) > 10


def test_export_and_plain_data_keep_the_description(family):
    stack = untrained(alike(family, 1), SEEDS[:1])
    assert [type(part).__name__ for part in stack.export(0).layers] == [
        "QuantisedDense" if isinstance(part, LayerSpec) else "QuantisedOperation" for part in stack.specs[0].layers
    ]
    assert len(stack.dense()) == len(stack.specs[0].weighted)


def test_gradients_reach_every_weight(family):
    specs = alike(family, 2)[1:]  # leaky ReLU is never quite dead
    stack = StackedNetwork(specs, CLIP, [torch.Generator().manual_seed(1)])
    x = stack.quantise_input(torch.from_numpy(inputs(specs[0], 400, np.random.default_rng(6)))[None])
    with single_threaded():
        stack.calibrate(x)
        stack(x).square().mean().backward()
    for layer in stack.dense():
        assert torch.isfinite(layer.weight.grad).all()
        assert (layer.weight.grad != 0).float().mean() > 0.2


def test_training_moves_the_loss(family):
    space = space_of(family)
    spec = space.decode(space.sample(4, np.random.default_rng(2))[3]).spec
    rng = np.random.default_rng(7)
    x = np.clip(inputs(spec, 600, rng), -CLIP, CLIP)
    positions, channels = spec.input_shape
    rectified = np.maximum(x.reshape(-1, positions, channels) @ rng.normal(size=(channels, spec.n_outputs)), 0)
    pooled = rectified.mean(axis=1)  # in any order of the positions the same, as families want it
    wanted = x if family == "autoencoder" else (pooled - pooled.mean(axis=0)) / pooled.std(axis=0)
    data = Split(x, wanted.astype(np.float32))
    losses = []
    for epochs in (1, 12):
        (result,) = train([Member(spec, 0.01, 3)], data, clip=CLIP, epochs=epochs, batch_size=64)
        assert isinstance(result, Trained)
        losses.append(result.train_loss)
    assert losses[1] < 0.9 * losses[0]
    assert len(np.unique(result.network.predict(x))) > 10


def test_networks_of_different_structures_do_not_stack():
    first, second = alike("deep_sets", 1)[0], alike("mixer", 1)[0]
    with pytest.raises(ValueError, match="share their structure"):
        StackedNetwork([first, second], CLIP, [torch.Generator(), torch.Generator()])


def test_an_operation_on_words_of_either_sign_is_signed():
    """A rectified word beside the input: what they are cut to must hold negative numbers, in torch as in the export."""
    rectified = LayerSpec(2, 2, 4, 4, "relu", positions=4)
    parts = (rectified, OperationSpec("concatenate"), OperationSpec("sum", 1, 5), LayerSpec(4, 2, 4, 0, "linear"))
    spec = ModelSpec(5, parts, ((-1, 0), (0, 1), (-1, 1), (1, 2), (2, 3)))
    stack = untrained([spec], [1])
    network = stack.export(0)
    assert [kind.signed for kind in network.result_types] == [True, False, True, True, True]
    x = inputs(spec, 200, np.random.default_rng(2))
    np.testing.assert_array_equal(outputs(stack, x)[0], network.predict(x))
    assert np.unique(network.predict(x), axis=0).shape[0] > 10


def test_a_padded_convolution_with_a_stride_is_exact():
    window = Window(4, 5, 3, 2, 1)
    parts = (LayerSpec(2, 3, 4, 4, kind="conv", positions=20, window=window), OperationSpec("max"),
             LayerSpec(3, 2, 4, 0, "linear"))  # fmt: skip
    stack = untrained([ModelSpec(5, parts)], [1])
    x = inputs(stack.specs[0], 200, np.random.default_rng(2))
    np.testing.assert_array_equal(outputs(stack, x)[0], stack.export(0).predict(x))


@pytest.mark.parametrize(("channels", "widest"), [(4, 12), (6, 10), (7, 31), (16, 32)])
@pytest.mark.parametrize("kind", ["broadcast", "pairs", "sum", "mean", "concatenate"])
def test_gradients_of_an_operation_have_the_bits_that_they_have_alone(kind, channels, widest):
    positions, groups = (1, 6) if kind == "broadcast" else (6, 1)
    operation = StackedOperation([OperationSpec(kind, groups=groups)], [True])
    n_operands = 2 if kind == "concatenate" else 1
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(n_operands, 1, 50, positions, channels, generator=generator)
    parts = 2 if kind in ("pairs", "concatenate") else 1  # of the channels that come out

    def gradients(members, room, wanted):
        operands = [torch.zeros(members, 50, positions, room) for _ in range(n_operands)]
        for operand, own in zip(operands, values, strict=True):
            operand[:1, ..., :channels] = own
            operand.requires_grad_()
        joined = operation.join(operands)
        upstream = torch.zeros(*joined.shape[:3], parts, room)
        upstream[:1, ..., :channels] = wanted(joined.shape[:3])
        joined.backward(upstream.flatten(3))
        return [operand.grad[:1, ..., :channels] for operand in operands]

    drawn = {}

    def wanted(shape):
        key = shape[1:]
        if key not in drawn:
            drawn[key] = torch.randn(1, *key, parts, channels, generator=generator)
        return drawn[key]

    for one, other in zip(gradients(1, channels, wanted), gradients(3, widest, wanted), strict=True):
        assert torch.equal(one, other)
