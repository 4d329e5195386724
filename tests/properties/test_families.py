"""Every family of networks through every implementation: torch = exact numpy = graph = onnxruntime = alkaid = RTL."""

from __future__ import annotations

import numpy as np
import pytest
from fakes.families import FAMILIES, NARROW, TASKS, inputs, narrow_space, outputs, space_of, untrained
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evonas.errors import FailureKind, ToolError
from evonas.space import Phenotype
from evonas.synthesis import _onnx, openrtl, yosys
from evonas.synthesis.evaluate import evaluate
from evonas.synthesis.lowering import lower
from evonas.synthesis.verification import pack, unpack
from surrogates import LayerSpec

PART = "xcvu13p-flga2577-2-e"
CHUNK = 1000


def network_of(space, genome, seed):
    """The exact network of a genome, after a look at what describes it on the way."""
    phenotype = space.decode(genome)
    stack = untrained([phenotype.spec], [seed])
    network = stack.export(0)
    assert network.spec == phenotype.spec
    assert space.encode(Phenotype(network.spec, phenotype.learning_rate)) == tuple(genome)
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
    """The Verilog in yosys' simulator gives the bits of the network."""
    x = network.input_type.quantise(inputs(network.spec, rows, np.random.default_rng(0)))
    figures = verilog.figures
    stimulus = pack(x, figures.inputs) + [0] * figures.latency_cycles
    width = sum(figures.inputs.widths)
    words, _ = yosys.simulate(directory, directory / "sim", stimulus, width, timeout_s=600)
    np.testing.assert_array_equal(unpack(words[figures.latency_cycles :], figures.outputs), network.predict(x))


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**31 - 1))
def test_all_implementations_agree_on_every_bit(family, seed, tmp_path_factory):
    space = narrow_space(family)
    genome = space.sample(1, np.random.default_rng(seed))[0]
    check(space, genome, seed, 300, tmp_path_factory.mktemp(family))


@pytest.mark.parametrize("family", FAMILIES)
def test_verilog(family, tmp_path):
    space = narrow_space(family)
    for number, genome in enumerate(space.sample(8, np.random.default_rng(4))):
        network, verilog = check(space, genome, number, 100, tmp_path / str(number))
        if verilog is not None:
            break
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
    "autoencoder": {},
    "convolution": {"stem": (2, 4), "channels": (2, 4), "widths": (4, 8, 16), "blocks": (0, 2)},
    "deep_sets": {"widths": (4, 8, 16), "bottleneck": (4, 8, 16)},
    "interaction": {"widths": (4, 8, 12)},
    "linear_interaction": {"widths": (4, 8, 12)},
    "mixer": {"channels": (4, 8), "widths": (8, 16)},
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


def test_every_family_is_tried():
    assert set(TASKS) == set(NARROW) == set(WIDE) == set(FAMILIES)
