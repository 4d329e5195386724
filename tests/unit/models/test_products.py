"""Products of stacks: the same bits whatever is beside a member."""

from __future__ import annotations

import pytest
import torch

from evonas.models.products import affine, over_rows, scaled

WIDTHS = [2, 3, 5, 7, 8, 9, 15, 17, 24, 31, 33, 40, 63]


def normal(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("rows", [7, 128, 500])
@pytest.mark.parametrize("width", WIDTHS)
def test_sums_over_rows_do_not_depend_on_the_columns_beside(rows, width):
    x = normal(3, rows, 64, seed=1)
    alone = over_rows(x[1:2, :, :width].contiguous())
    assert torch.equal(over_rows(x)[1:2, :, :width], alone)
    torch.testing.assert_close(alone, x[1:2, :, :width].sum(dim=1, keepdim=True), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("n_in", "n_out"), [(3, 2), (16, 5), (24, 40), (33, 7)])
def test_a_member_has_the_gradients_that_it_has_alone(n_in, n_out):
    def gradients(inputs, outputs, members):
        x, weight, bias = (
            torch.zeros(members, 128, inputs),
            torch.zeros(members, inputs, outputs),
            torch.zeros(members, 1, outputs),
        )
        x[-1, :, :n_in], weight[-1, :n_in, :n_out] = normal(128, n_in, seed=1), normal(n_in, n_out, seed=2)
        bias[-1, :, :n_out], factor = normal(1, n_out, seed=3), torch.ones(members, 1, outputs)
        factor[-1, :, :n_out] = normal(1, n_out, seed=4)
        coefficients = torch.zeros(members, 128, outputs)
        coefficients[-1, :, :n_out] = normal(128, n_out, seed=5)
        leaves = [tensor.requires_grad_() for tensor in (x, weight, bias, factor)]
        (affine(x, scaled(weight, factor), bias) * coefficients).sum().backward()
        given = [leaf.grad[-1] for leaf in leaves]
        return [given[0][:, :n_in], given[1][:n_in, :n_out], given[2][:, :n_out], given[3][:, :n_out]]

    alone, stacked = gradients(n_in, n_out, 1), gradients(48, 64, 5)
    for one, other in zip(alone, stacked, strict=True):
        assert torch.equal(one, other)


def test_products_are_differentiated_as_torch_does():
    x, weight, bias, factor = (
        tensor.double().requires_grad_()
        for tensor in (
            normal(2, 5, 3, seed=1),
            normal(2, 3, 4, seed=2),
            normal(2, 1, 4, seed=3),
            normal(2, 1, 4, seed=4),
        )
    )
    assert torch.autograd.gradcheck(affine, (x, weight, bias))
    assert torch.autograd.gradcheck(scaled, (weight, factor))
