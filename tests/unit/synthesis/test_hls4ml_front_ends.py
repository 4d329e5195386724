"""Networks of torch, Keras with HGQ2 and QONNX through hls4ml: OpenRTL predicts the bits of its C simulation."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import warnings

import hls4ml
import numpy as np
import pytest

from evonas.errors import ToolError
from evonas.synthesis import _hls4ml

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("g++") is None, reason="hls4ml's C simulation needs g++"),
]
SAMPLES = 300


def both(convert, directory, *data):
    """Outputs of OpenRTL and of the C simulation of a network that `convert(backend, output_dir)` converts."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, reference = (convert(backend, str(directory / backend)) for backend in ("OpenRTL", "Vitis"))
    ours.compile()
    _hls4ml.write(reference)
    predicted = ours.predict(list(data)).reshape(len(data[0]), -1)
    return predicted, _hls4ml.simulate(reference, *data).astype(predicted.dtype)


@pytest.mark.parametrize("granularity", ["name", "model"])
def test_torch(granularity, tmp_path):
    torch = pytest.importorskip("torch")
    nn = torch.nn

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm, self.pool = nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.MaxPool2d(2)
            self.relu, self.mean, self.flat = nn.LeakyReLU(0.1), nn.AvgPool2d(2), nn.Flatten()
            self.first, self.second, self.last = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(8, 3)
            self.softmax = nn.Softmax(dim=-1)

        def forward(self, x):
            hidden = self.first(self.flat(self.mean(self.pool(self.relu(self.norm(self.conv(x)))))))
            return self.softmax(self.last(torch.cat((self.second(hidden) + hidden, hidden), dim=1)))

    torch.manual_seed(0)
    network = Network().eval()
    network.norm.running_mean.uniform_(-0.5, 0.5)

    def convert(backend, directory):
        arguments = {"granularity": granularity, "backend": backend, "default_precision": "fixed<16,6>"}
        config = hls4ml.utils.config_from_pytorch_model(network, (2, 4, 4), **arguments)
        return hls4ml.converters.convert_from_pytorch_model(
            network, hls_config=config, backend=backend, output_dir=directory
        )

    data = np.random.default_rng(0).normal(size=(SAMPLES, 2, 4, 4)).astype(np.float32)
    ours, simulated = both(convert, tmp_path, data)
    assert np.array_equal(ours, simulated)


def keras_networks():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", reason="keras is an optional front end")
    layers = pytest.importorskip("hgq.layers", reason="HGQ2 is an optional front end")
    rows = keras.layers.Input((4, 6))
    mixed = layers.QEinsumDense("bnc,cd->bnd", (4, 5), bias_axes="d", activation="relu")(rows)
    vector = keras.layers.Input((8,))
    hidden = layers.QBatchNormDense(6)(layers.QDense(10, activation="relu")(vector))
    image = keras.layers.Input((6, 5, 2))
    filtered = keras.layers.MaxPooling2D(2)(layers.QConv2D(3, 3, activation="relu", padding="same")(image))
    query, memory = keras.layers.Input((4, 4)), keras.layers.Input((3, 4))
    attention, linformer = layers.QMultiHeadAttention(2, 2), layers.QLinformerAttention(2, 3, 2)
    return {
        "attention": keras.Model(query, layers.QDense(2)(attention(attention(query)))),
        "attention_to_another": keras.Model([query, memory], layers.QMultiHeadAttention(3, 2)(query, memory)),
        "linformer": keras.Model(query, linformer(query, query)),
        "einsum": keras.Model(rows, layers.QDense(3)(layers.QGlobalAveragePooling1D()(mixed))),
        "softmax": keras.Model(vector, layers.QSoftmax()(layers.QDense(5)(hidden))),
        "convolution": keras.Model(image, layers.QDense(3)(keras.layers.Flatten()(filtered))),
    }


@pytest.mark.parametrize("name", ["einsum", "softmax", "convolution", "attention", "attention_to_another", "linformer"])
def test_keras_with_bits_of_its_own_for_every_weight(name, tmp_path):
    network = keras_networks()[name]
    from hgq.utils import trace_minmax
    from keras import ops

    rng = np.random.default_rng(0)
    data = [rng.normal(size=(SAMPLES, *source.shape[1:])).astype(np.float32) for source in network.inputs]
    for layer in network.layers:
        for variable in layer.variables:
            if variable.name in ("f", "i", "b") and variable.shape:
                changed = ops.convert_to_numpy(variable) + rng.integers(-2, 3, variable.shape)
                variable.assign(np.clip(changed, -1, 7))
    whole = data if len(data) > 1 else data[0]
    trace_minmax(network, whole, verbose=False)

    def convert(backend, directory):
        return hls4ml.converters.convert_from_keras_model(network, backend=backend, output_dir=directory)

    ours, simulated = both(convert, tmp_path, *data)
    assert np.array_equal(ours, simulated)
    assert np.array_equal(ours, np.array(ops.convert_to_numpy(network(whole))).reshape(SAMPLES, -1))


def recurrent(*kinds, **options):
    """A Keras network of recurrent layers, all but the last with whole sequences."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", reason="keras is an optional front end")
    keras.utils.set_random_seed(0)
    source = words = keras.layers.Input((4, 3))
    for index, kind in enumerate(kinds, start=1):
        own = {"return_sequences": index < len(kinds), "bias_initializer": "uniform"} | options
        words = getattr(keras.layers, kind)(3, **own)(words)
    return keras.Model(source, words)


def converted(network, backend, directory, *, accumulator="fixed<16,6>"):
    config = hls4ml.utils.config_from_keras_model(
        network, granularity="name", backend=backend, default_precision="fixed<16,6>"
    )
    for layer in config["LayerName"].values():
        layer["Precision"]["accum"] = accumulator
    with contextlib.redirect_stdout(io.StringIO()):
        return hls4ml.converters.convert_from_keras_model(
            network, hls_config=config, backend=backend, output_dir=str(directory)
        )


def test_recurrent_layers_of_keras(tmp_path):
    network = recurrent("GRU", "LSTM", "GRU")
    data = np.random.default_rng(0).normal(size=(SAMPLES, 4, 3)).astype(np.float32)
    ours, simulated = both(lambda backend, directory: converted(network, backend, directory), tmp_path, data)
    assert np.array_equal(ours, simulated)
    assert np.abs(ours - network.predict(data, verbose=0)).max() < 0.05


def test_simple_recurrent_layers_of_keras_are_those_of_hls4ml_for_quartus(tmp_path):
    """Its C++ for Vitis has none, and that for Quartus other tables, so with a function that needs no table."""
    network = recurrent("SimpleRNN", activation="relu", return_sequences=True)
    data = np.random.default_rng(0).normal(size=(SAMPLES, 4, 3))
    ours, quartus = (
        converted(network, backend, tmp_path / backend, accumulator="fixed<34,12>")
        for backend in ("OpenRTL", "Quartus")
    )
    with contextlib.redirect_stdout(io.StringIO()):
        quartus.compile()
    assert np.array_equal(ours.predict(data), quartus.predict(data))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"go_backwards": True}, "go_backwards"),
        ({"reset_after": False}, "reset_after=True"),
        ({"activation": "gelu"}, "activation gelu"),
    ],
    ids=str,
)
def test_what_hls4ml_would_leave_out_of_a_recurrent_layer(options, named, tmp_path):
    with pytest.raises(ToolError, match=named):
        converted(recurrent("GRU", **options), "OpenRTL", tmp_path)


@pytest.mark.parametrize("option", ["use_causal_mask", "return_attention_scores"])
def test_what_hls4ml_would_leave_out_of_attention(option, tmp_path):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", reason="keras is an optional front end")
    layers = pytest.importorskip("hgq.layers", reason="HGQ2 is an optional front end")
    query = keras.layers.Input((4, 4))
    network = keras.Model(query, layers.QMultiHeadAttention(2, 2)(query, **{option: True}))
    with pytest.raises(ToolError, match=option):
        hls4ml.converters.convert_from_keras_model(network, backend="OpenRTL", output_dir=str(tmp_path))


def test_qonnx(tmp_path):
    pytest.importorskip("onnxoptimizer", reason="qonnx is an optional front end")
    wrapper = pytest.importorskip("qonnx.core.modelwrapper", reason="qonnx is an optional front end")
    from onnx import TensorProto, helper, numpy_helper
    from qonnx.util.cleanup import cleanup_model

    rng = np.random.default_rng(0)
    numbers = {"zero": 0.0, "fine": 2.0**-4, "coarse": 2.0**-3, "eight": 8.0, "four": 4.0}
    numbers |= {
        "w0": rng.normal(0, 0.4, (8, 10)),
        "b0": rng.integers(-8, 8, 10) / 16,
        "w1": rng.normal(0, 0.4, (10, 3)),
    }
    constants = [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in numbers.items()]

    def quantised(source, scale, bits, signed):
        attributes = {"signed": signed, "narrow": 0, "rounding_mode": "ROUND", "domain": "qonnx.custom_op.general"}
        return helper.make_node("Quant", [source, scale, "zero", bits], [f"{source}_q"], **attributes)

    nodes = [
        quantised("x", "fine", "eight", 1),
        quantised("w0", "coarse", "four", 1),
        helper.make_node("MatMul", ["x_q", "w0_q"], ["product"]),
        helper.make_node("Add", ["product", "b0"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["hidden"]),
        quantised("hidden", "coarse", "eight", 0),
        quantised("w1", "coarse", "four", 1),
        helper.make_node("MatMul", ["hidden_q", "w1_q"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, n)) for name, n in (("x", 8), ("y", 3))]
    versions = [helper.make_opsetid("", 13), helper.make_opsetid("qonnx.custom_op.general", 1)]
    graph = helper.make_graph(nodes, "graph", ends[:1], ends[1:], constants)
    model = cleanup_model(wrapper.ModelWrapper(helper.make_model(graph, opset_imports=versions, ir_version=8)))

    def convert(backend, directory):
        arguments = {"granularity": "name", "backend": backend, "default_precision": "fixed<16,6>"}
        config = hls4ml.utils.config_from_onnx_model(model, **arguments)
        return hls4ml.converters.convert_from_onnx_model(
            model, hls_config=config, backend=backend, output_dir=directory
        )

    ours, simulated = both(convert, tmp_path, rng.normal(0, 2, (SAMPLES, 8)).astype(np.float32))
    assert np.array_equal(ours, simulated)


def test_an_onnx_file_with_a_convolution(tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxoptimizer", reason="qonnx is an optional front end")
    pytest.importorskip("qonnx", reason="qonnx is an optional front end")
    from evonas.synthesis._hls4ml import frontends
    from surrogates import HardwareTarget

    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(27, 2))
    path = tmp_path / "network.onnx"
    torch.onnx.export(network.eval(), torch.zeros(1, 1, 5, 5), path, dynamo=False)

    def convert(backend, directory):
        return frontends.load(path, HardwareTarget(), tmp_path / directory, "fixed<16,6>", 1, "latency", backend)[0]

    data = np.random.default_rng(0).normal(size=(SAMPLES, 5, 5, 1)).astype(np.float32)
    ours, simulated = both(convert, tmp_path, data)
    assert np.array_equal(ours, simulated)
    with torch.no_grad():
        exact = network(torch.from_numpy(np.moveaxis(data, -1, 1))).numpy()
    assert np.abs(ours - exact).max() < 0.05
