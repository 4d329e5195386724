"""Whatever the network: torch, alkaid, ONNX, hls4ml's C simulation and the Verilog give the bits of `predict`."""

import itertools
import shutil

import numpy as np
import pytest
from fakes.networks import random_network
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evonas.errors import FailureKind, ToolError
from evonas.models.fixed_point import FixedPoint, QuantisedDense
from evonas.models.quantised_network import QuantisedNetwork
from evonas.synthesis import _alkaid, _hls4ml, _onnx, yosys
from evonas.synthesis.verification import pack, unpack
from surrogates import HardwareTarget, LayerSpec, ModelSpec

ROUNDINGS = ("TRN", "RND", "RND_CONV")
OVERFLOWS = ("WRAP", "SAT")
MODES = tuple(itertools.product(ROUNDINGS, OVERFLOWS))
ACTIVATIONS = ("relu", "leaky_relu", "hard_tanh")


@st.composite
def types(draw, max_width=8, signed=None):
    width = draw(st.integers(1, max_width))
    sign = draw(st.booleans()) if signed is None else signed
    return FixedPoint(
        sign, width, draw(st.integers(-2, 5)), draw(st.sampled_from(ROUNDINGS)), draw(st.sampled_from(OVERFLOWS))
    )


@st.composite
def networks(draw):
    sizes = draw(st.lists(st.integers(1, 5), min_size=2, max_size=4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    input_type = draw(types())
    layers, specs = [], []
    for index, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        last = index == len(sizes) - 2
        activation = "linear" if last else draw(st.sampled_from(ACTIVATIONS))
        weight_type, bias_type = draw(types(signed=True)), draw(types(signed=True))
        output = None if last else draw(types(signed=True if activation == "hard_tanh" else None))
        weights, biases = (
            rng.integers(-(2 ** (kind.width - 1)), 2 ** (kind.width - 1), shape)
            for kind, shape in ((weight_type, (n_in, n_out)), (bias_type, n_out))
        )
        weights[rng.random((n_in, n_out)) < draw(st.sampled_from([0.0, 0.5, 1.0]))] = 0
        layers.append(QuantisedDense(weights, weight_type, biases, bias_type, activation, output))
        bits = 0 if output is None else output.width
        specs.append(LayerSpec(n_in, n_out, weight_type.width, bits, activation, float(np.mean(weights == 0))))
    return QuantisedNetwork(ModelSpec(input_type.width, tuple(specs)), input_type, tuple(layers))


def inputs_of(network, count=200):
    kind = network.input_type
    x = np.random.default_rng(0).uniform(kind.low - kind.lsb, kind.high + kind.lsb, (count, network.spec.n_inputs))
    return kind.quantise(x)


def combined(network, directory):
    return _alkaid.combine(_hls4ml.read(_hls4ml.convert(network, HardwareTarget(), directory)))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(network=networks())
def test_torch_alkaid_and_onnx(network, tmp_path_factory):
    x = inputs_of(network)
    expected = network.predict(x)
    assert np.array_equal(_hls4ml.torch_predict(network, x), expected)
    assert np.array_equal(_onnx.run(_onnx.build(network), x), expected)
    failure = None
    try:
        logic = combined(network, tmp_path_factory.getbasetemp())
    except ToolError as error:
        failure = error.failure
    if failure is None:
        assert np.array_equal(_alkaid.interpret(logic, x), expected)
    else:
        assert failure.kind is FailureKind.UNSUPPORTED
        assert "no output depends" in failure.message
        assert np.array_equal(expected, np.broadcast_to(expected[0], expected.shape))


def mixed(activations, modes, seed, weight_bits=5):
    """A network whose hidden layers have different activations and modes."""
    network = random_network(seed, (5, *(6 for _ in modes), 3), weight_bits=weight_bits, sparsity=0.3)
    layers = []
    for layer, activation, (rounding, overflow) in zip(network.layers[:-1], activations, modes, strict=True):
        kind = FixedPoint(activation != "relu", 5, 1, rounding, overflow)
        layers.append(
            QuantisedDense(layer.weight_codes, layer.weight_type, layer.bias_codes, layer.bias_type, activation, kind)
        )
    return QuantisedNetwork(network.spec, network.input_type, (*layers, network.layers[-1]))


HALVES = [(ACTIVATIONS, MODES[:3], 1), (ACTIVATIONS[::-1], MODES[3:], 2)]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="the C simulation needs g++")
@pytest.mark.parametrize(("activations", "modes", "seed"), HALVES)
def test_hls4ml_c_simulation_in_all_modes(activations, modes, seed, tmp_path):
    network = mixed(activations, modes, seed)
    x = inputs_of(network, 2000)
    model = _hls4ml.convert(network, HardwareTarget(), tmp_path / "prj")
    _hls4ml.write(model)
    script = (tmp_path / "prj" / "build_lib.sh").read_bytes()
    assert np.array_equal(_hls4ml.simulate(model, x), network.predict(x))
    assert (tmp_path / "prj" / "build_lib.sh").read_bytes() == script
    assert not list((tmp_path / "prj").glob("unity*"))


def rtl_outputs(network, directory, x):
    design = _alkaid.write_rtl(combined(network, directory), directory / "rtl", HardwareTarget().part, 5.0)
    stimulus = pack(x, design.inputs) + [0] * design.latency_cycles
    width = sum(design.inputs.widths)
    words, _ = yosys.simulate(directory / "rtl", directory / "sim", stimulus, width, timeout_s=60)
    return words, design


@pytest.mark.parametrize(("activations", "modes", "seed"), HALVES)
def test_verilog_in_all_modes(activations, modes, seed, tmp_path):
    network = mixed(activations, modes, seed)
    x = inputs_of(network, 100)
    words, design = rtl_outputs(network, tmp_path, x)
    latency = design.latency_cycles
    assert latency == design.stages + 1
    assert all(word is None for word in words[:latency])  # not an edge earlier
    assert np.array_equal(unpack(words[latency:], design.outputs), network.predict(x))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_one_bit_everywhere(activation, tmp_path):
    weight_type, bias_type, input_type = FixedPoint(True, 1, 1), FixedPoint(True, 4, 3), FixedPoint(False, 1, 1)
    output = FixedPoint(activation != "relu", 1, 1, "RND", "SAT")
    rng = np.random.default_rng(52)
    layers = [
        QuantisedDense(rng.integers(-1, 1, shape), weight_type, rng.integers(2, 6, shape[1]), bias_type, act, kind)
        for shape, act, kind in (((7, 6), activation, output), ((6, 3), "linear", None))
    ]
    specs = LayerSpec(7, 6, 1, 1, activation), LayerSpec(6, 3, 1, 0, "linear")
    network = QuantisedNetwork(ModelSpec(1, specs), input_type, tuple(layers))
    x = np.array(list(itertools.product([0.0, 1.0], repeat=7)))
    words, design = rtl_outputs(network, tmp_path, x)
    assert np.array_equal(unpack(words[design.latency_cycles :], design.outputs), network.predict(x))


def dead_layers(dead):
    network = random_network(5, (4, 5, 5, 3), sparsity=0.2)
    layers = list(network.layers)
    for index in dead:
        layer = layers[index]
        zeros = np.zeros_like(layer.weight_codes)
        layers[index] = QuantisedDense(
            zeros, layer.weight_type, layer.bias_codes, layer.bias_type, layer.activation, layer.output_type
        )
    return QuantisedNetwork(network.spec, network.input_type, tuple(layers))


def test_a_layer_without_weights_is_unsupported_not_wrong(tmp_path):
    for dead in (0, 1, 2):
        with pytest.raises(ToolError, match="no output depends"):
            combined(dead_layers([dead]), tmp_path)


def test_partly_constant_hidden_words_are_folded(tmp_path):
    network = random_network(6, (4, 5, 3), sparsity=0.0)
    first, last = network.layers
    weights = first.weight_codes.copy()
    weights[:, :3] = 0  # three hidden words are constant, one of them positive, two of them zero after ReLU
    biases = np.array([200, -100, 0, 3, 4])
    first = QuantisedDense(weights, first.weight_type, biases, first.bias_type, "relu", first.output_type)
    network = QuantisedNetwork(network.spec, network.input_type, (first, last))
    x = inputs_of(network)
    assert np.array_equal(_alkaid.interpret(combined(network, tmp_path), x), network.predict(x))


def exhaustive(activation, overflow):
    input_type = FixedPoint(True, 4, 2)
    modes = {"activation": activation, "overflow": overflow, "activation_bits": 3, "sparsity": 0.0}
    values = np.arange(-8, 8) / 4
    return random_network(8, (3, 4, 2), input_type=input_type, **modes), np.array(
        [*itertools.product(values, repeat=3)]
    )


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("overflow", OVERFLOWS)
def test_every_input_of_a_small_network(activation, overflow, tmp_path):
    network, x = exhaustive(activation, overflow)
    assert np.array_equal(_alkaid.interpret(combined(network, tmp_path), x), network.predict(x))


def test_long_constants_are_refused(tmp_path):
    network = random_network(9, (3, 2))
    layer = network.layers[0]
    for width, message in ((30, "24 bits"), (24, "")):
        bias_type = FixedPoint(True, width, 2)
        biases = np.array([2 ** (width - 2) + 1, 2 ** (width - 3) + 1])
        long = QuantisedDense(layer.weight_codes, layer.weight_type, biases, bias_type, "linear", None)
        long_network = QuantisedNetwork(network.spec, network.input_type, (long,))
        x = inputs_of(long_network)
        if message:
            with pytest.raises(ToolError, match=message) as caught:
                combined(long_network, tmp_path)
            assert caught.value.failure.kind is FailureKind.UNSUPPORTED
        else:
            assert np.array_equal(_alkaid.interpret(combined(long_network, tmp_path), x), long_network.predict(x))
