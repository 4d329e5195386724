"""Fake quantisers: forward as in hardware, backward straight through."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from evonas.models.fixed_point import FixedPoint
from evonas.models.quantisers import best_scale, quantise_activation, quantise_weight, sampled, saturation
from evonas.models.stacked_network import StackedDense, input_type
from surrogates import LayerSpec


def values(n=200, spread=3.0):
    return torch.linspace(-spread, spread, n).requires_grad_()


def test_weights_round_half_up_and_saturate_symmetrically():
    x = values()
    found = quantise_weight(x, torch.tensor(4.0), torch.tensor(7.0))
    expected = np.clip(np.floor(x.detach().numpy() * 4 + 0.5), -7, 7) / 4
    np.testing.assert_array_equal(found.detach().numpy(), expected)


def test_the_gradient_of_a_weight_passes_unchanged_even_where_it_saturates():
    x = values()
    coefficients = torch.randn(len(x), generator=torch.Generator().manual_seed(0))
    (quantise_weight(x, torch.tensor(4.0), torch.tensor(7.0)) * coefficients).sum().backward()
    assert torch.equal(x.grad, coefficients)


@pytest.mark.parametrize(("slope", "signed"), [(0.0, False), (0.125, True), (1.0, True)])
def test_activations_are_those_of_fixed_point(slope, signed):
    kind = FixedPoint(signed, 4, 2, "RND", "SAT")
    x = values()
    low, high = (torch.tensor(v / kind.lsb) for v in (kind.low, kind.high))
    found = quantise_activation(x, torch.tensor(1 / kind.lsb), *saturation(low, high), torch.tensor(slope))
    before = np.maximum(x.detach().numpy(), slope * x.detach().numpy())
    np.testing.assert_array_equal(found.detach().numpy(), kind.quantise(before))


@pytest.mark.parametrize("slope", [0.0, 0.125, 1.0])
def test_the_gradient_of_an_activation_stops_where_it_saturates(slope):
    x = values()
    low, high = torch.tensor(-8.0), torch.tensor(7.0)
    quantise_activation(x, torch.tensor(4.0), *saturation(low, high), torch.tensor(slope)).sum().backward()
    raw = x.detach()
    sloped = torch.where(raw < 0, raw * slope, raw)
    code = torch.floor(sloped * 4 + 0.5)
    expected = torch.where(raw < 0, slope, 1.0) * ((code >= low) & (code <= high))
    torch.testing.assert_close(x.grad, expected)
    assert (x.grad == 0).any()
    assert (x.grad == 1).any()


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("signed", [False, True])
def test_saturation_is_where_rounding_leaves_the_codes(bits, signed):
    low, high = (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1) if signed else (0.0, 2.0**bits - 1)
    lowest, highest = saturation(torch.tensor([low]), torch.tensor([high]))
    assert torch.floor(highest + 0.5) == high
    assert torch.floor(torch.nextafter(highest, highest + 1).double() + 0.5) >= high
    assert torch.floor(highest.double() + 2.0**-7 + 0.5) == high + 1
    assert lowest == (low - 0.5 if signed else 0.0)


def test_a_cast_to_a_type_without_sign_is_a_rectification():
    x, limits = values(), saturation(torch.tensor(0.0), torch.tensor(7.0))
    cast = quantise_activation(x, torch.tensor(4.0), *limits)
    cast.sum().backward()
    gradient, x.grad = x.grad, None
    rectified = quantise_activation(x, torch.tensor(4.0), *limits, torch.tensor(0.0))
    rectified.sum().backward()
    assert torch.equal(cast, rectified)
    assert torch.equal(gradient, x.grad)
    assert (gradient[x < 0] == 0).all()


def test_no_other_power_of_two_has_a_smaller_error():
    x = torch.randn(3, 50, 4, generator=torch.Generator().manual_seed(1)) * torch.tensor([0.01, 1.0, 20.0]).view(
        3, 1, 1
    )
    limit = torch.tensor(7.0)
    scale = best_scale(x, -limit, limit, (1,), 5)

    def error(s):
        return ((torch.clamp(torch.floor(x * s + 0.5), -limit, limit) / s - x) ** 2).sum(dim=1, keepdim=True)

    assert torch.equal(torch.log2(scale), torch.round(torch.log2(scale)))
    for other in (0.5, 2.0, 4.0):
        assert (error(scale) <= error(scale * other) * (1 + 1e-5)).all()


def test_pruned_values_do_not_count():
    x = torch.tensor([0.1, 0.2, 100.0]).view(1, 3, 1)
    keep = torch.tensor([True, True, False]).view(1, 3, 1)
    limit = torch.tensor(7.0)
    alone = best_scale(x[:, :2], -limit, limit, (1,), 3)
    assert torch.equal(best_scale(x, -limit, limit, (1,), 3, keep), alone)


@pytest.mark.parametrize(("bits", "clip"), [(4, 4.0), (8, 4.0), (6, 1.0), (6, 5.0)])
def test_the_input_type_covers_the_clip(bits, clip):
    kind = input_type(bits, clip)
    assert kind.width == bits
    assert kind.low <= -clip
    assert kind.high >= clip - kind.lsb
    assert kind.overflow == "SAT"


def test_hard_tanh_saturates_at_one_and_relu_where_the_error_is_least():
    specs = [LayerSpec(8, 6, 6, 5, name) for name in ("hard_tanh", "relu", "leaky_relu")]
    layer = StackedDense(specs, [torch.Generator().manual_seed(1)] * 3)
    x = torch.randn(3, 500, 8, generator=torch.Generator().manual_seed(2)) * 20
    outputs = layer.calibrate(x, torch.ones(3, 1, 1))
    types = [layer.export(member).output_type for member in range(3)]
    assert (types[0].low, types[0].high) == (-1.0, 1.0 - types[0].lsb)
    assert (outputs[0].abs() >= 1 - types[0].lsb).float().mean() > 0.5  # else it would be a linear layer
    assert types[1].high > 8
    assert types[2].high > 8


@pytest.mark.parametrize(("samples", "positions"), [(1024, 8), (1024, 81), (700, 3), (1000, 1)])
def test_a_sample_of_rows_is_spread_over_samples_and_positions(samples, positions):
    rows = samples * positions
    number = sampled(torch.arange(float(rows)).view(1, rows, 1)).flatten()
    assert len(number) == 512
    starts = torch.arange(512.0) * rows / 512
    assert torch.all((number > starts - 1) & (number < starts + rows / 512))  # one of each stretch
    shares = torch.bincount(number.long() % positions, minlength=positions) / len(number)
    assert shares.min() > 0.5 / positions
    assert shares.max() < 1.7 / positions


def test_few_rows_are_taken_as_they_are():
    x = torch.randn(2, 512, 3, generator=torch.Generator().manual_seed(1))
    assert sampled(x) is x
