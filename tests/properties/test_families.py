"""Every family of networks through every implementation: torch = exact numpy = graph = onnxruntime = alkaid = RTL."""

from __future__ import annotations

import numpy as np
import pytest
from fakes.families import (
    FAMILIES,
    NARROW,
    SMOOTH,
    TASKS,
    every_gene,
    inputs,
    narrow_space,
    outputs,
    space_of,
    untrained,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evonas.errors import FailureKind, ToolError
from evonas.space import Phenotype
from evonas.synthesis import _onnx, firmware, openrtl
from evonas.synthesis.evaluate import evaluate
from evonas.synthesis.lowering import lower
from surrogates import LayerSpec

PART = "xcvu13p-flga2577-2-e"
CHUNK = 1000


def network_of(space, genome, seed):
    """The exact network of a genome, after a look at what describes it on the way."""
    phenotype = space.decode(genome)
    stack = untrained([phenotype.spec], [seed], [phenotype.norm == "batch"])
    network = stack.export(0)
    assert network.spec == phenotype.spec
    assert space.encode(Phenotype(network.spec, phenotype.learning_rate, phenotype.norm)) == tuple(genome)
    for part, exact in zip(network.spec.layers, network.layers, strict=True):
        if isinstance(part, LayerSpec):
            assert exact.weight_codes.shape == (part.fan_in, part.n_out)
            assert np.count_nonzero(exact.weight_codes) <= part.n_nonzero
    return stack, network


def check(space, genome, seed, rows, directory):
    """All implementations agree on every bit; the Verilog, None where no output depends on an input."""
    stack, network = network_of(space, genome, seed)
    graph, model, rng = lower(network), _onnx.build(network), np.random.default_rng(seed)
    verilog = failure = None
    try:
        verilog = openrtl.emit(graph, directory, PART, 5.0)
    except ToolError as error:
        failure = error.failure
    assert failure is None or failure.kind is FailureKind.UNSUPPORTED
    assert failure is None or "no output depends" in failure.message
    for first in range(0, rows, CHUNK):
        x = inputs(network.spec, min(CHUNK, rows - first), rng)
        expected = network.predict(x)
        np.testing.assert_array_equal(outputs(stack, x)[0], expected)
        np.testing.assert_array_equal(_onnx.run(model, x), expected)
        on_grid = network.input_type.quantise(x)
        np.testing.assert_array_equal(np.concatenate(evaluate(graph, on_grid), axis=1), expected)
        if verilog is None:
            np.testing.assert_array_equal(expected, np.broadcast_to(expected[0], expected.shape))
        else:
            np.testing.assert_array_equal(verilog.interpret(on_grid), expected)
    return network, verilog


def simulate(network, verilog, directory, rows):
    """The Verilog in yosys' simulator gives the bits of the network, each at its clock edge."""
    x = network.input_type.quantise(inputs(network.spec, rows, np.random.default_rng(0)))
    found, _ = firmware.simulate(directory, directory / "sim", verilog.figures, x, timeout_s=600)
    np.testing.assert_array_equal(found, network.predict(x[: len(found)]))


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**31 - 1))
def test_all_implementations_agree_on_every_bit(family, seed, tmp_path_factory):
    space = narrow_space(family)
    genome = space.sample(1, np.random.default_rng(seed))[0]
    check(space, genome, seed, 300, tmp_path_factory.mktemp(family))


def simulate_one(space, tmp_path):
    """Simulate the first of eight genomes whose outputs are not constant."""
    for number, genome in enumerate(space.sample(8, np.random.default_rng(4))):
        network, verilog = check(space, genome, number, 100, tmp_path / str(number))
        if verilog is not None:
            break
    simulate(network, verilog, tmp_path / str(number), 64)


@pytest.mark.parametrize("family", FAMILIES)
def test_verilog(family, tmp_path):
    simulate_one(narrow_space(family), tmp_path)


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**31 - 1))
def test_normalisation_and_activations_by_table_are_exact(family, seed, tmp_path_factory):
    space = narrow_space(family, **SMOOTH)
    genome = space.sample(1, np.random.default_rng(seed))[0]
    check(space, genome, seed, 300, tmp_path_factory.mktemp(family))


@pytest.mark.parametrize("family", ["deep_sets", "convolution"])
@pytest.mark.parametrize("activation", ["gelu", "sigmoid"])
def test_verilog_of_activations_by_table(family, activation, tmp_path):
    simulate_one(narrow_space(family, norms=("batch",), activations=(activation,)), tmp_path)


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**31 - 1))
def test_shared_multipliers_and_parts_of_the_input_change_no_bit(family, seed, tmp_path_factory):
    space = narrow_space(family, **every_gene(family))
    genome = space.sample(1, np.random.default_rng(seed))[0]
    _, verilog = check(space, genome, seed, 300, tmp_path_factory.mktemp(family))
    spec = space.decode(genome).spec
    if verilog is not None and verilog.chain.shared:
        pace = [layer.shape[0] * layer.reuse_factor for layer in spec.weighted if layer.strategy == "reuse"]
        assert verilog.figures.initiation_interval <= max(pace)  # less where a layer is constant


@pytest.mark.parametrize("family", FAMILIES)
def test_verilog_with_shared_multipliers(family, tmp_path):
    space = narrow_space(family, **every_gene(family))
    for number, genome in enumerate(space.sample(40, np.random.default_rng(4))):
        if {layer.reuse_factor for layer in space.decode(genome).spec.weighted} == {1}:
            continue
        network, verilog = check(space, genome, number, 100, tmp_path / str(number))
        if verilog is not None and verilog.figures.handshake:
            break
    assert verilog.figures.initiation_interval > 1
    simulate(network, verilog, tmp_path / str(number), 64)


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**31 - 1))
def test_a_genome_is_what_its_model_says(family, seed):
    space = space_of(family)
    for genome in space.sample(2, np.random.default_rng(seed)):
        stack, network = network_of(space, genome, seed)
        x = inputs(network.spec, 100, np.random.default_rng(seed))
        np.testing.assert_array_equal(outputs(stack, x)[0], network.predict(x))
        np.testing.assert_array_equal(_onnx.run(_onnx.build(network), x), network.predict(x))


WIDE = {
    "attention": {"channels": (2, 4), "head_width": (1, 2), "widths": (4, 8)},
    "autoencoder": {},
    "convolution": {
        "stem": (2, 4),
        "channels": (2, 4),
        "widths": (4, 8, 16),
        "blocks": (0, 2),
        "block_kinds": ("conv", "attention"),
        "attention_hidden": (1, 2),
    },
    "deep_sets": {"widths": (4, 8, 16), "bottleneck": (4, 8, 16)},
    "interaction": {"widths": (4, 8, 12)},
    "linear_interaction": {"widths": (4, 8, 12)},
    "mixer": {"channels": (4, 8), "widths": (8, 16)},
    "readout": {"widths": (4, 8)},
}


@pytest.mark.long
@pytest.mark.parametrize("number", range(50))
@pytest.mark.parametrize("family", FAMILIES)
def test_fifty_genomes_and_ten_thousand_inputs(family, number, tmp_path):
    space = space_of(family, **WIDE[family])
    genome = space.sample(50, np.random.default_rng(20))[number]
    network, verilog = check(space, genome, number, 10_000, tmp_path)
    if number < 5 and verilog is not None:
        simulate(network, verilog, tmp_path, 256)


@pytest.mark.long
@pytest.mark.parametrize("number", range(50))
@pytest.mark.parametrize("family", ["deep_sets", "mixer", "readout"])
def test_fifty_genomes_with_every_gene(family, number, tmp_path):
    space = space_of(family, **WIDE[family], **every_gene(family))
    genome = space.sample(50, np.random.default_rng(20))[number]
    network, verilog = check(space, genome, number, 10_000, tmp_path)
    if number >= 45 and verilog is not None:
        simulate(network, verilog, tmp_path, 64)


def test_every_family_is_tried():
    assert set(TASKS) == set(NARROW) == set(WIDE) == set(FAMILIES)
