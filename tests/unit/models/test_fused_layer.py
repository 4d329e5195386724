"""The layer in one step of differentiation against the same in several."""

from __future__ import annotations

import torch

from evonas.models.stacked_dense import StackedDense
from surrogates import LayerSpec


def outcome(layer, x, coefficients, fused):
    layer.fused = fused
    leaves = [x.clone().requires_grad_(), layer.weight, layer.bias]
    for leaf in leaves:
        leaf.grad = None
    outputs = layer(leaves[0])
    (outputs * coefficients).sum().backward()
    return outputs.detach(), [leaf.grad.clone() for leaf in leaves]


def test_it_is_the_composition_of_its_parts():
    specs = [
        LayerSpec(12, 7, 6, 6, "relu", 0.5),
        LayerSpec(12, 7, 3, 4, "relu"),
        LayerSpec(12, 7, 8, 5, "hard_tanh", 0.25),
        LayerSpec(12, 7, 5, 3, "identity"),
    ]
    generators = [torch.Generator().manual_seed(seed) for seed in range(len(specs))]
    layer = StackedDense(specs, generators, [True, False, True, False])
    layer.prune(1.0)
    draws = torch.Generator().manual_seed(9)
    x = torch.randint(-31, 32, (4, 200, 12), generator=draws) / 8
    layer.calibrate(x, torch.full((4, 1, 1), 8.0))
    with torch.no_grad():
        layer.bias += torch.randn(layer.bias.shape, generator=draws)
        layer.weight *= 1.5  # some now saturate
    coefficients = torch.randn(4, 200, 7, generator=draws)
    assert layer.fused
    for training in (True, False):
        layer.train(training)
        fused, gradients = outcome(layer, x, coefficients, fused=True)
        composed, expected = outcome(layer, x, coefficients, fused=False)
        assert torch.equal(fused, composed)
        for ours, theirs in zip(gradients, expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
        assert (gradients[1][layer.mask == 0] == 0).all()


def test_it_is_for_rectified_dense_layers_alone():
    generator = torch.Generator().manual_seed(1)
    kinds = {"relu": True, "hard_tanh": True, "leaky_relu": False, "gelu": False, "linear": False}
    for activation, fused in kinds.items():
        bits = 0 if activation == "linear" else 6
        assert StackedDense([LayerSpec(4, 3, 6, bits, activation)], [generator]).fused == fused
