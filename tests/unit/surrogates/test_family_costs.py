"""Closed forms of networks that are no multi-layer perceptrons: counts against torch, and what makes them grow."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from fakes.families import FAMILIES, space_of

from surrogates import HardwareTarget, LayerSpec, ModelSpec, OperationSpec, Window, analytic_costs, feature_matrix
from surrogates.table import layer_table

torch = pytest.importorskip("torch")


def as_torch(spec):
    """The network without quantisation from torch's own layers: modules by part, and the forward pass of one input."""
    modules = torch.nn.ModuleDict()
    for index, part in enumerate(spec.layers):
        if isinstance(part, LayerSpec) and part.window is not None:
            w = part.window
            modules[str(index)] = torch.nn.Conv2d(part.n_in, part.n_out, w.kernel, w.stride, w.padding)
        elif isinstance(part, LayerSpec):
            modules[str(index)] = torch.nn.Linear(part.n_in, part.n_out)

    def join(part, inputs):
        x = inputs[0]
        if part.kind in ("sum", "mean", "max"):
            return getattr(x.reshape(part.groups, -1, x.shape[1]), "amax" if part.kind == "max" else part.kind)(1)
        return {
            "pairs": lambda: torch.stack([torch.cat(ends) for ends in itertools.permutations(x, 2)]),
            "broadcast": lambda: x.repeat(part.groups, 1),
            "concatenate": lambda: torch.cat(inputs, 1),
            "add": lambda: inputs[0] + inputs[1],
            "transpose": lambda: x.T,
            "flatten": lambda: x.reshape(1, -1),
        }[part.kind]()

    def forward(x):
        values = [x]
        for index, (part, sources) in enumerate(zip(spec.layers, spec.sources, strict=True)):
            inputs = [values[source + 1] for source in sources]
            if isinstance(part, OperationSpec):
                values.append(join(part, inputs))
            elif part.window is not None:
                image = inputs[0].T.reshape(1, part.n_in, part.window.height, part.window.width)
                values.append(modules[str(index)](image)[0].flatten(1).T)
            else:
                values.append(modules[str(index)](inputs[0]))
        return values[-1]

    return modules, forward


def counted(spec):
    """Multiplications and weights of the torch network, noted by hooks while it runs."""
    modules, forward = as_torch(spec)
    macs = []
    for module in modules.values():
        module.register_forward_hook(lambda m, _, y: macs.append(y.numel() * m.weight.numel() // m.weight.shape[0]))
    with torch.no_grad():
        result = forward(torch.randn(spec.input_shape))
    assert result.shape == spec.shapes[-1]
    return sum(macs), [module.weight.numel() for module in modules.values()]


@pytest.mark.parametrize("family", FAMILIES)
def test_multiplications_and_weights_are_those_of_torch(family):
    space = space_of(family)
    specs = [space.decode(genome).spec for genome in space.sample(8, np.random.default_rng(5))]
    found = analytic_costs(specs).macs
    table = layer_table(specs)
    for owner, spec in enumerate(specs):
        macs, weights = counted(spec)
        assert found[owner] == macs, spec.topology
        assert [layer.n_weights for layer in spec.weighted] == weights
        assert table.weights[table.owner == owner].tolist() == weights


@pytest.mark.parametrize("family", FAMILIES)
def test_the_costs_of_any_network_are_possible(family):
    space = space_of(family)
    specs = [space.decode(genome).spec for genome in space.sample(40, np.random.default_rng(6))]
    for name, values in vars(analytic_costs(specs)).items():
        assert np.isfinite(values).all(), name
        assert (values >= 0).all(), name
    features = feature_matrix(specs, HardwareTarget())
    assert np.isfinite(features).all()
    alone = np.concatenate([feature_matrix([spec], HardwareTarget()) for spec in specs])
    np.testing.assert_allclose(features, alone, rtol=1e-12, atol=1e-12)


def deep_set(positions, kind="sum", width=4, bits=0):
    first = LayerSpec(3, width, 5, 4, positions=positions)
    return ModelSpec(8, (first, OperationSpec(kind, 1, bits), LayerSpec(width, 2, 5, 0, "linear")))


def costs(*specs):
    return analytic_costs(specs)


def test_the_same_weights_at_more_positions_cost_as_many_times():
    alone, many = (layer_table([deep_set(positions)]) for positions in (1, 6))
    assert many.copies.tolist() == [6, 1]
    assert many.nonzero.tolist() == alone.nonzero.tolist()
    found = costs(deep_set(1), deep_set(6))
    assert found.macs.tolist() == [12 + 8, 6 * 12 + 8]
    assert found.ebops[1] == 6 * 12 * 5 * 8 + 8 * 5 * (4 + 3)  # the sum of six words of 4 bits has 7
    window = Window(4, 5, 3, 1, 1)
    conv = LayerSpec(2, 3, 5, 4, kind="conv", positions=20, window=window)
    table = layer_table([ModelSpec(8, (conv, OperationSpec("flatten"), LayerSpec(60, 2, 5, 0, "linear")))])
    assert table.n_in.tolist() == [18, 60]
    assert table.copies.tolist() == [20, 1]


def test_shared_multipliers_take_their_turns_at_every_position():
    shared = [dataclasses.replace(deep_set(n).layers[0], strategy="reuse", reuse_factor=3) for n in (1, 6)]
    found = costs(*(ModelSpec(8, (layer, *deep_set(1).layers[1:])) for layer in shared))
    assert found.initiation_interval[1] == 6 * found.initiation_interval[0]
    assert found.dsp[0] == found.dsp[1] == 4  # 12 weights, three at each multiplier


@pytest.mark.parametrize("kind", ["sum", "mean", "max"])
def test_operations_over_more_words_cost_more(kind):
    found = [layer_table([deep_set(positions, kind)]) for positions in (2, 4, 8, 16)]
    luts, levels = ([getattr(t, name)[0] for t in found] for name in ("joined_lut", "joined_levels"))
    assert np.all(np.diff(luts) > 0)
    assert levels == [1, 2, 3, 4]
    assert layer_table([deep_set(8, kind, width=8)]).joined_lut[0] == 2 * luts[2]


def test_wiring_is_free():
    parts = {
        "transpose": (OperationSpec("transpose"), OperationSpec("transpose")),
        "concatenate": (OperationSpec("pairs"),),
    }
    for joined in parts.values():
        table = layer_table([ModelSpec(
            8,
            (*joined, LayerSpec(6 if len(joined) == 1 else 3, 2, 5, 4, positions=2),
             OperationSpec("flatten"), LayerSpec(4, 2, 5, 0, "linear")),
            (), (2, 3),
        )])  # fmt: skip
        assert table.joined_lut.tolist() == [0, 0]


def test_operations_ahead_of_the_first_layer_count_with_it():
    spec = ModelSpec(8, (OperationSpec("sum"), LayerSpec(3, 2, 5, 0, "linear")), (), (4, 3))
    table = layer_table([spec])
    assert table.joined_lut[0] == 3 * 3 * (8 + 1)  # three adders for each channel, of 8 bits that grow to 10
    assert table.joined_levels[0] == 2
    assert table.in_bits[0] == 10


@pytest.mark.parametrize(("kind", "bits", "expected"), [("sum", 0, 7), ("sum", 3, 3), ("mean", 0, 7), ("max", 0, 4)])
def test_the_words_behind_an_operation_have_the_bits_of_its_result(kind, bits, expected):
    assert layer_table([deep_set(6, kind, bits=bits)]).in_bits[1] == expected
