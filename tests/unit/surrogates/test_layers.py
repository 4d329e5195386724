"""Layers and operations: their shapes, what a window reads, and the field that each mistake is named by."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from surrogates import LayerSpec, OperationSpec, SpecError, Window
from surrogates.layers import ACTIVATIONS, OPERATIONS

torch = pytest.importorskip("torch")


def test_a_table_is_two_bits_wider_than_its_output_and_has_twelve_at_most():
    def bits(activation, width):
        return LayerSpec(4, 4, 4, width, activation).table_bits

    assert [bits("gelu", width) for width in (1, 6, 10, 16)] == [3, 8, 12, 12]
    assert [bits(name, 6) for name in ("tanh", "sigmoid", "relu", "identity")] == [8, 8, 0, 0]
    signed = {name: LayerSpec(4, 4, 4, 4, name).signed for name in ACTIVATIONS if name != "linear"}
    assert [name for name, sign in signed.items() if not sign] == ["relu", "sigmoid"]


CONV = {"n_in": 3, "n_out": 2, "weight_bits": 4, "activation_bits": 4, "kind": "conv", "positions": 20}


@st.composite
def windows(draw):
    kernel, padding = draw(st.integers(1, 4)), draw(st.integers(0, 3))
    height, width, stride = (draw(st.integers(1, 6)) for _ in range(3))
    assume(padding < kernel <= min(height, width) + 2 * padding)
    return Window(height, width, kernel, stride, padding)


@settings(max_examples=150, deadline=None)
@given(windows())
def test_a_window_reads_what_torch_unfolds(window):
    image = torch.arange(1.0, window.height * window.width + 1).view(1, 1, window.height, window.width)
    expected = torch.nn.functional.unfold(image, window.kernel, padding=window.padding, stride=window.stride)[0].T
    found = np.array(window.reads()) + 1  # -1, in the rim, is torch's zero
    np.testing.assert_array_equal(found, expected.numpy())
    assert found.shape == (window.image[0] * window.image[1], window.taps)


@settings(max_examples=60, deadline=None)
@given(windows(), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_a_convolution_is_dense_under_its_window(window, n_in, n_out, seed):
    layer = LayerSpec(n_in, n_out, 4, 4, kind="conv", positions=window.height * window.width, window=window)
    rng = np.random.default_rng(seed)
    x = rng.integers(-4, 5, (layer.positions, n_in)).astype(float)
    weight = rng.integers(-4, 5, (window.taps, n_in, n_out)).astype(float)
    words = np.vstack([x, np.zeros(n_in)])[np.array(window.reads())]
    found = words.reshape(len(words), -1) @ weight.reshape(-1, n_out)
    kernel = torch.from_numpy(weight.reshape(window.kernel, window.kernel, n_in, n_out)).permute(3, 2, 0, 1)
    image = torch.from_numpy(x.reshape(window.height, window.width, n_in)).permute(2, 0, 1)[None]
    expected = torch.nn.functional.conv2d(image, kernel, stride=window.stride, padding=window.padding)[0]
    np.testing.assert_array_equal(found, expected.permute(1, 2, 0).reshape(-1, n_out).numpy())
    assert layer.shape == found.shape
    assert layer.n_weights == kernel.numel()
    assert layer.fan_in == words.shape[1] * n_in


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((0, 4, 1), "window.height"),
        ((4, 5000, 1), "window.width"),
        ((4, 5, 0), "window.kernel"),
        ((4, 5, 5), "window.kernel"),
        ((4, 5, 7, 1, 1), "window.kernel"),
        ((4, 5, 3, 0), "window.stride"),
        ((4, 5, 3, 1, 3), "window.padding"),
        ((4, 5, 3, 1, -1), "window.padding"),
    ],
)
def test_an_impossible_window_is_named(arguments, field):
    with pytest.raises(SpecError) as caught:
        Window(*arguments)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"n_in": 0}, "n_in"),
        ({"n_out": 4097}, "n_out"),
        ({"positions": 0}, "positions"),
        ({"positions": 21}, "positions"),
        ({"weight_bits": 17}, "weight_bits"),
        ({"activation_bits": 0}, "activation_bits"),
        ({"activation": "linear"}, "activation_bits of a linear layer (0 = full precision)"),
        ({"activation": "swish"}, "activation"),
        ({"sparsity": 1.1}, "sparsity"),
        ({"strategy": "resource"}, "strategy"),
        ({"reuse_factor": 2}, "reuse_factor"),
        ({"strategy": "reuse", "reuse_factor": 5}, "reuse_factor"),
        ({"kind": "dense"}, "window"),
        ({"window": None}, "window"),
        ({"kind": "pool"}, "kind"),
    ],
)
def test_an_impossible_layer_is_named(changes, field):
    with pytest.raises(SpecError) as caught:
        LayerSpec(**{**CONV, "window": Window(4, 5, 3), **changes})
    assert caught.value.field == field


def test_the_reuse_factor_of_a_convolution_is_that_of_its_weights():
    layer = LayerSpec(**CONV, window=Window(4, 5, 3), strategy="reuse", reuse_factor=27)
    assert layer.n_weights == 27 * 2
    assert layer.shape == (6, 2)
    assert layer.label == "2k3"
    assert dataclasses.replace(layer, window=Window(4, 5, 3, 2, 1)).label == "2k3s2p1"


@pytest.mark.parametrize(("window", "positions"), [(None, 1), (None, 20), (Window(4, 5, 3, 1, 1), 20)])
def test_layers_survive_plain_data(window, positions):
    layer = LayerSpec(**{**CONV, "kind": "conv" if window else "dense", "positions": positions}, window=window)
    assert LayerSpec.from_dict(layer.to_dict()) == layer
    assert ("positions" in layer.to_dict()) == (positions > 1)
    assert ("window" in layer.to_dict()) == (window is not None)


SHAPES = [
    (OperationSpec("sum"), [(6, 3)], (1, 3)),
    (OperationSpec("mean", 2), [(6, 3)], (2, 3)),
    (OperationSpec("max", 3), [(6, 3)], (3, 3)),
    (OperationSpec("pairs"), [(4, 3)], (12, 6)),
    (OperationSpec("broadcast", 5), [(1, 3)], (5, 3)),
    (OperationSpec("concatenate"), [(6, 3), (6, 2)], (6, 5)),
    (OperationSpec("add"), [(6, 3), (6, 3)], (6, 3)),
    (OperationSpec("transpose"), [(6, 3)], (3, 6)),
    (OperationSpec("flatten"), [(6, 3)], (1, 18)),
    (OperationSpec("select", start=2, length=4), [(6, 3)], (4, 3)),
    (OperationSpec("matmul"), [(6, 3), (3, 5)], (6, 5)),
    (OperationSpec("softmax", 1, 4), [(6, 3)], (6, 3)),
]


@pytest.mark.parametrize(("operation", "shapes", "expected"), SHAPES, ids=[case[0].label for case in SHAPES])
def test_shapes_of_operations(operation, shapes, expected):
    assert operation.n_inputs == len(shapes)
    assert operation.shape(*shapes) == expected


def test_only_a_selection_says_what_it_selects():
    select = OperationSpec("select", start=100, length=400)
    assert select.label == "select100+400"
    assert OperationSpec(**select.to_dict()) == select
    assert set(OperationSpec("sum").to_dict()) == {"kind", "groups", "activation_bits"}  # as in digests of old


def test_every_operation_has_a_shape_here():
    assert {case[0].kind for case in SHAPES} == set(OPERATIONS)


@pytest.mark.parametrize(
    ("operation", "shapes", "field", "mend"),
    [
        (OperationSpec("sum", 4), [(6, 3)], "groups", "must divide the 6 positions"),
        (OperationSpec("pairs"), [(1, 3)], "kind", "two positions at least"),
        (OperationSpec("broadcast", 4), [(2, 3)], "kind", "needs one position, not 2"),
        (OperationSpec("concatenate"), [(2, 3), (3, 3)], "kind", "not 2 and 3"),
        (OperationSpec("add"), [(2, 3), (2, 4)], "kind", "two inputs of one shape"),
        (OperationSpec("select", start=3, length=4), [(6, 3)], "length", "from position 3 on leaves the 6 positions"),
        (OperationSpec("matmul"), [(6, 3), (6, 3)], "kind", "as many channels as positions behind"),
    ],
)
def test_inputs_that_do_not_fit_are_named(operation, shapes, field, mend):
    with pytest.raises(SpecError, match=mend) as caught:
        operation.shape(*shapes)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("product",), "kind"),
        (("sum", 0), "groups"),
        (("pairs", 2), "groups"),
        (("add", 2), "groups"),
        (("sum", 1, 17), "activation_bits"),
        (("max", 1, 4), "activation_bits"),
        (("flatten", 1, 4), "activation_bits"),
        (("softmax",), "activation_bits"),
        (("matmul", 2), "groups"),
        (("select", 1, 0, 0, 0), "length"),
        (("select", 1, 0, -1, 2), "start"),
        (("select", 2, 0, 0, 2), "groups"),
        (("select", 1, 4, 0, 2), "activation_bits"),
        (("flatten", 1, 0, 0, 2), "length"),
        (("sum", 1, 0, 1), "length"),
    ],
)
def test_an_impossible_operation_is_named(arguments, field):
    with pytest.raises(SpecError) as caught:
        OperationSpec(*arguments)
    assert caught.value.field == field
