"""Products of stacks: the same bits whatever is beside a member."""

from __future__ import annotations

import pytest
import torch

from evonas.models.products import affine, multiplied, over_rows, product, scaled

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


@pytest.mark.parametrize("rows", [1, 3, 4, 11, 50])
@pytest.mark.parametrize("columns", [1, 2, 11, 15, 16, 29])
@pytest.mark.parametrize("terms", [1, 3, 8, 33])
def test_a_product_does_not_depend_on_the_room_it_has(rows, columns, terms):
    a, b, bias = normal(2, rows, terms, seed=1), normal(2, terms, columns, seed=2), normal(2, 1, columns, seed=3)
    wide_a, wide_b, wide_bias = torch.zeros(2, 60, 40), torch.zeros(2, 40, 70), torch.zeros(2, 1, 70)
    wide_a[:, :rows, :terms], wide_b[:, :terms, :columns], wide_bias[:, :, :columns] = a, b, bias
    for beside, wide in ((None, None), (bias, wide_bias)):
        alone = product(a, b, beside)
        assert torch.equal(alone, product(wide_a, wide_b, wide)[:, :rows, :columns])
        torch.testing.assert_close(alone, torch.matmul(a, b) + (0 if beside is None else beside))
    turned = product(a.transpose(1, 2).contiguous().transpose(1, 2), b.transpose(1, 2).contiguous().transpose(1, 2))
    assert torch.equal(turned, product(wide_a, wide_b)[:, :rows, :columns])


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
        (affine(x, scaled(weight, factor, inputs), bias, 0) * coefficients).sum().backward()
        given = [leaf.grad[-1] for leaf in leaves]
        return [given[0][:, :n_in], given[1][:n_in, :n_out], given[2][:, :n_out], given[3][:, :n_out]]

    alone, stacked = gradients(n_in, n_out, 1), gradients(48, 64, 5)
    for one, other in zip(alone, stacked, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(("places", "channels"), [(9, 4), (13, 8), (20, 16)])
def test_members_with_fewer_channels_at_each_place_have_the_bits_that_they_have_alone(places, channels):
    def found(room, columns, members):
        x, weight = torch.zeros(members, 40, places, room), torch.zeros(members, places, room, columns)
        bias, factor = torch.zeros(members, 1, columns), torch.zeros(members, 1, columns)
        x[-1, ..., :channels] = normal(40, places, channels, seed=1)
        weight[-1, ..., :channels, :12] = normal(places, channels, 12, seed=2)
        bias[-1, :, :12], factor[-1, :, :12] = normal(1, 12, seed=3), normal(1, 12, seed=4)
        leaves = [tensor.requires_grad_() for tensor in (x, weight, bias, factor)]
        sums = affine(x.flatten(2), scaled(weight.flatten(1, 2), factor, room), bias, room)
        (sums**2).sum().backward()
        of_x, of_weight, *others = (leaf.grad[-1] for leaf in leaves)
        columns_alone = [sums[-1, :, :12], *(other[:, :12] for other in others)]
        return of_x[..., :channels], of_weight[:, :channels, :12], *columns_alone

    for one, other in zip(found(channels, 12, 1), found(48, 64, 3), strict=True):
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
    for group in (0, 1, 2, 3):
        assert torch.autograd.gradcheck(affine, (x, weight, bias, group))
    for group in (1, 3):
        assert torch.autograd.gradcheck(scaled, (weight, factor, group))
    assert torch.autograd.gradcheck(multiplied, (x, weight))
