"""The multiplication of a layer: convolutions of torch against words written out window by window."""

from __future__ import annotations

import pytest
import torch

from evonas.models.contraction import Contraction
from surrogates import LayerSpec, Window

MEMBERS, BATCH, N_OUT = 3, 5, 4


def layer(channels, window, n_out=N_OUT):
    return LayerSpec(channels, n_out, 6, 6, "relu", kind="conv", positions=window.height * window.width, window=window)


def codes(*shape, seed):
    return torch.randint(-31, 32, shape, generator=torch.Generator().manual_seed(seed)).float()


def written_out(x, weight, bias, window):
    padded = torch.cat([x, torch.zeros_like(x[:, :, :1])], dim=2)
    places = [padded[:, :, reads].flatten(2) @ weight for reads in window.reads()]
    return torch.stack(places, dim=2).flatten(1, 2) + bias


WINDOWS = [
    Window(6, 7, 3),
    Window(6, 7, 3, padding=1),
    Window(6, 7, 2, stride=2),
    Window(6, 7, 1),
    Window(5, 5, 1, stride=2),
]


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("exact", [True, False])
def test_sums_and_gradients_are_those_of_words_written_out(channels, window, exact):
    spec = layer(channels, window)
    x = codes(MEMBERS, BATCH, window.height * window.width, channels, seed=1)
    weight, bias = codes(MEMBERS, spec.fan_in, N_OUT, seed=2), codes(MEMBERS, 1, N_OUT, seed=3)
    contraction, gradients = Contraction(spec), []
    for sums in (
        lambda x, w, b: contraction.multiply(contraction.arrange(x), w, b, exact=exact),
        lambda x, w, b: written_out(x, w, b, window),
    ):
        leaves = [tensor.clone().requires_grad_() for tensor in (x, weight, bias)]
        found = sums(*leaves)
        (found * codes(*found.shape, seed=4)).sum().backward()
        gradients.append([found.detach(), *(leaf.grad for leaf in leaves)])
    for ours, expected in zip(*gradients, strict=True):
        assert torch.equal(ours, expected)  # integers: exact in any order


@pytest.mark.parametrize("channels", [(2, 2), (3, 8), (8, 16), (12, 33)])
@pytest.mark.parametrize("outputs", [(4, 12), (8, 16), (16, 32), (10, 10)])
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_bits_of_sums_and_gradients_are_those_of_a_member_alone(channels, outputs, window):
    """Among others of more channels and outputs, of words and weights that lie on no grid."""
    (own, most), (n_out, widest) = channels, outputs
    generator, taps = torch.Generator().manual_seed(0), window.kernel**2
    x = torch.randn(MEMBERS, 16, window.height * window.width, most, generator=generator)
    weight = torch.randn(MEMBERS, taps, most, widest, generator=generator)
    bias = torch.randn(MEMBERS, 1, widest, generator=generator)
    scale = torch.randn(MEMBERS, widest, generator=generator)
    x[1, :, :, own:], weight[1, :, own:], weight[1, :, :, n_out:], bias[1, :, n_out:] = 0, 0, 0, 0
    scale[1, n_out:] = 0

    def found(spec, *leaves, factor):
        leaves = [leaf.clone().requires_grad_() for leaf in leaves]
        contraction = Contraction(spec)
        sums = contraction.multiply(contraction.arrange(leaves[0]), leaves[1].flatten(1, 2), leaves[2], exact=False)
        (sums.square() * factor[:, None]).sum().backward()
        return [sums.detach(), *(leaf.grad for leaf in leaves)]

    both = found(layer(most, window, widest), x, weight, bias, factor=scale)
    alone = found(
        layer(own, window, n_out), x[1:2, :, :, :own], weight[1:2, :, :own, :n_out], bias[1:2, :, :n_out],
        factor=scale[1:2, :n_out],
    )  # fmt: skip
    sums, of_x, of_weight, of_bias = (part[1:2] for part in both)
    stacked = sums[..., :n_out], of_x[..., :own], of_weight[:, :, :own, :n_out], of_bias[..., :n_out]
    for one, other in zip(alone, stacked, strict=True):
        assert torch.equal(one, other)


def test_a_member_that_has_diverged_leaves_the_others_alone():
    window = Window(6, 7, 3)
    spec = layer(2, window)
    contraction = Contraction(spec)
    x = codes(MEMBERS, BATCH, 42, 2, seed=1)
    weight, bias = codes(MEMBERS, spec.fan_in, N_OUT, seed=2), codes(MEMBERS, 1, N_OUT, seed=3)
    before = contraction.multiply(contraction.arrange(x), weight, bias)
    weight[1] = torch.nan
    after = contraction.multiply(contraction.arrange(x), weight, bias)
    assert torch.equal(after[[0, 2]], before[[0, 2]])
    assert after[1].isnan().all()
