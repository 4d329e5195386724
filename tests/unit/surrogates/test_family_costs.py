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
FlopCounterMode = pytest.importorskip("torch.utils.flop_counter").FlopCounterMode


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
            "matmul": lambda: inputs[0] @ inputs[1],
            "softmax": lambda: x.softmax(1),
            "select": lambda: x[part.start : part.start + part.length],
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
    """Multiplications, as torch counts them while the network runs, and weights."""
    modules, forward = as_torch(spec)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        result = forward(torch.randn(spec.input_shape))
    assert result.shape == spec.shapes[-1]
    return counter.get_total_flops() // 2, [module.weight.numel() for module in modules.values()]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_selection_is_free_and_what_it_leaves_out_too(family):
    space = space_of(family)
    spec = space.decode(space.sample(1, np.random.default_rng(5))[0]).spec
    positions, channels = spec.input_shape
    parts = (OperationSpec("select", start=3, length=positions), *spec.layers)
    edges = ((-1, 0), *((a + 1, b + 1) for a, b in spec.edges))
    wider = ModelSpec(spec.input_bits, parts, edges, (positions + 5, channels))
    np.testing.assert_array_equal(feature_matrix([wider], HardwareTarget()), feature_matrix([spec], HardwareTarget()))


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


def test_a_table_costs_its_words():
    def lut(activation, bits):
        layers = LayerSpec(8, 16, 4, bits, activation, positions=3), LayerSpec(16, 4, 4, 0, "linear", positions=3)
        return analytic_costs([ModelSpec(8, layers)]).lut[0]

    assert lut("identity", 6) == lut("relu", 6)
    more = [lut("gelu", bits) - lut("relu", bits) for bits in (3, 4, 6, 8)]
    words = [3 * 16 * bits * 2 ** max(bits + 2 - 6, 0) for bits in (3, 4, 6, 8)]
    np.testing.assert_allclose(more, words, rtol=0.5, atol=3 * 16 * 4)  # the cast has two bits more
    assert more == sorted(more)
    assert lut("tanh", 16) < 2**12 * 3 * 16 * 16  # of 12 bits at most


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


def attention(positions, width, bits, *, soft=True):
    """q k^T v over embeddings of 4 bits, with a softmax in between or not."""
    layers = [LayerSpec(3, width, 5, 4, positions=positions) for _ in range(3)]
    scores = [OperationSpec("transpose"), OperationSpec("matmul")] + [OperationSpec("softmax", 1, bits)] * soft
    last = LayerSpec(width, 2, 5, 0, "linear", positions=positions)
    parts = (*layers, *scores, OperationSpec("matmul", 1, bits), last)
    weights = len(parts) - 3
    edges = ((-1, 0), (-1, 1), (-1, 2), (1, 3), (0, 4), (3, 4), *([(4, 5)] if soft else []))
    return ModelSpec(8, parts, (*edges, (weights, weights + 1), (2, weights + 1), (weights + 1, weights + 2)))


def test_products_of_two_variables_count_like_those_with_weights():
    n, k = 6, 4
    with_softmax, without = attention(n, k, 4), attention(n, k, 4, soft=False)
    layers = n * (3 * 3 * k + 2 * k)
    assert costs(with_softmax, without).macs.tolist() == [layers + 2 * n * n * k] * 2
    table = layer_table([with_softmax])
    assert table.joined_ebops.sum() == n * n * k * (4 * 4 + 4 * 4)  # queries by keys, weights by values
    assert table.joined_bops.sum() == n * n * k * (4 * 4 + 4 + 4 + 2) + n * n * k * (4 * 4 + 4 + 4 + np.log2(n))
    scores = 4 + 4 + 2  # bits of a full sum of four products
    assert layer_table([without]).joined_ebops.sum() == n * n * k * 4 * 4 + n * n * k * scores * 4
    assert table.in_bits[-1] == 4


def test_products_of_many_bits_are_dsp_slices_and_grow_with_the_square_of_the_positions():
    few, many = (layer_table([attention(n, 2, 4)]) for n in (4, 8))
    assert few.joined_dsp.sum() == 4 * 4  # in the softmax, of 5 x 5 bits; 4 x 4 bits are LUTs
    assert many.joined_dsp.sum() == 8 * 8
    assert many.joined_lut.sum() > 3 * few.joined_lut.sum()
    wide = attention(4, 2, 6)
    assert costs(wide).dsp[0] == 4 * 4 + 4 * 4 * 2  # weights of 6 bits by values of 4 too
    assert all(np.isfinite(values).all() for values in vars(costs(wide)).values())
