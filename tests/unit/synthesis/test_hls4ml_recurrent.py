"""Recurrent layers of hls4ml, unrolled: by the textbook's formulas, as torch's networks, as hardware, and refused."""

from __future__ import annotations

import contextlib
import io
import tempfile

import hls4ml
import numpy as np
import pytest
import torch
from fakes import hls4ml_graphs

from evonas.errors import FailureKind, ToolError
from evonas.models.fixed_point import FixedPoint
from evonas.synthesis import _hls4ml, firmware
from evonas.synthesis._hls4ml import faithful
from evonas.synthesis.evaluate import cast, evaluate
from evonas.synthesis.openrtl import emit

GATES = {"SimpleRNN": 1, "GRU": 3, "LSTM": 4}
FINE, WEIGHT = FixedPoint(True, 20, 5, "RND"), FixedPoint(True, 12, 2, "RND")
TABLE = {"table_t": FixedPoint(True, 16, 2, "RND"), "table_size": 4096}
WIDE = {"weight": WEIGHT, "bias": WEIGHT, "recurrent_weight": WEIGHT, "recurrent_bias": WEIGHT, "accum": FINE} | {
    "result": FINE
}
STEPS, FEATURES, UNITS = 3, 2, 2


def part(class_name, types=None, options=None, source=FINE, **attributes):
    """A branch with one recurrent layer and nothing else."""
    made, rng = hls4ml_graphs.Branch(class_name, "b", np.random.default_rng(0)), np.random.default_rng(1)
    width = GATES[class_name] * UNITS
    shapes = {"weight": (FEATURES, width), "bias": (width,), "recurrent_weight": (UNITS, width)}
    if class_name == "GRU":  # of Keras, where the others have one bias
        shapes["recurrent_bias"] = (width,)
    data = {f"{name}_data": rng.uniform(-1, 1, shape) for name, shape in shapes.items()}
    own = {"n_timesteps": STEPS, "n_in": FEATURES, "n_out": UNITS, "return_sequences": True, "activation": "tanh"}
    own |= {"recurrent_activation": "sigmoid", "return_state": False, "pass_initial_states": False} | data | attributes
    types = {
        name: kind for name, kind in (WIDE | (types or {})).items() if name in ("accum", "result") or name in shapes
    }
    made.layer(class_name, [made.input(STEPS, FEATURES, kind=source)], types, TABLE | (options or {}), **own)
    return made


def read(made, tmp_path):
    return _hls4ml.read(hls4ml_graphs.model([made], tmp_path, "OpenRTL"))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def step(class_name, x, h, c, w):
    """New states (hidden, cell) in Keras's order of gates; `w` are the layer's attributes."""
    inner = x @ w["weight_data"] + w["bias_data"]
    recurrent = h @ w["recurrent_weight_data"] + w.get("recurrent_bias_data", 0.0)
    if class_name == "SimpleRNN":
        return np.tanh(inner + recurrent), c
    ours, theirs = (np.split(sums, GATES[class_name], axis=1) for sums in (inner, recurrent))
    if class_name == "GRU":
        update, reset = (sigmoid(ours[i] + theirs[i]) for i in range(2))
        return update * h + (1 - update) * np.tanh(ours[2] + reset * theirs[2]), c
    enter, forget, candidate, leave = (a + b for a, b in zip(ours, theirs, strict=True))
    c = sigmoid(forget) * c + sigmoid(enter) * np.tanh(candidate)
    return sigmoid(leave) * np.tanh(c), c


@pytest.mark.parametrize("class_name", list(GATES))
def test_the_formulas_of_the_textbook(class_name, tmp_path):
    made = part(class_name)
    x = np.random.default_rng(2).uniform(-2, 2, (200, STEPS, FEATURES))
    (found,) = evaluate(read(made, tmp_path), x)
    h = c = np.zeros((200, UNITS))
    for index in range(STEPS):
        h, c = step(class_name, x[:, index], h, c, made.layers[-1])
        assert np.abs(found.reshape(200, STEPS, UNITS)[:, index] - h).max() < 0.01


@pytest.mark.parametrize("class_name", list(GATES))
def test_only_the_last_step_is_the_end_of_the_sequence(class_name, tmp_path):
    x = np.random.default_rng(2).uniform(-2, 2, (20, STEPS, FEATURES))
    (every,) = evaluate(read(part(class_name), tmp_path), x)
    (last,) = evaluate(read(part(class_name, return_sequences=False), tmp_path), x)
    assert np.array_equal(every[:, -UNITS:], last)


class Network(torch.nn.Module):
    def __init__(self, kind, *, last=True):
        super().__init__()
        self.rnn = getattr(torch.nn, kind)(FEATURES, UNITS, batch_first=True)
        self.dense, self.last = torch.nn.Linear(UNITS, 2), last

    def forward(self, x):
        states, _ = self.rnn(x)
        return self.dense(states[:, -1] if self.last else states[:, 0])


def converted(network, conversion):
    torch.manual_seed(0)
    for parameter in network.parameters():
        torch.nn.init.uniform_(parameter, -1, 1)
    with contextlib.redirect_stdout(io.StringIO()):
        arguments = {"granularity": "name", "backend": "OpenRTL", "default_precision": "fixed<18,6>"}
        config = hls4ml.utils.config_from_pytorch_model(
            network, (STEPS, FEATURES), channels_last_conversion=conversion, **arguments
        )
        with tempfile.TemporaryDirectory() as folder:
            return hls4ml.converters.convert_from_pytorch_model(
                network, hls_config=config, backend="OpenRTL", output_dir=folder
            )


@pytest.mark.parametrize("conversion", ["full", "internal"])
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_torch_networks(kind, conversion):
    network = Network(kind).eval()
    model = converted(network, conversion)
    assert faithful.deviation(model) < 1e-3
    x = np.random.default_rng(3).normal(size=(100, STEPS, FEATURES)).astype(np.float32)
    model.compile()
    found = model.predict(np.ascontiguousarray(x.swapaxes(1, 2)) if conversion == "internal" else x)
    assert np.abs(found - network(torch.tensor(x)).detach().numpy()).max() < 0.05


def test_another_step_than_the_last_of_a_torch_network_is_not_taken_for_it():
    with pytest.raises(ToolError, match="only the last step"):
        converted(Network("GRU", last=False), "full")


@pytest.mark.slow
@pytest.mark.parametrize("class_name", ["GRU", "LSTM"])
def test_the_verilog_computes_it(class_name, tmp_path):
    weight, accumulator = FixedPoint(True, 4, 1), FixedPoint(True, 9, 3)
    types = dict.fromkeys(("weight", "bias", "recurrent_weight", "recurrent_bias"), weight)
    types |= {"accum": accumulator, "result": FixedPoint(True, 6, 2, "RND", "SAT")}
    tables = {"table_t": FixedPoint(True, 7, 1), "table_size": 64}
    made = part(class_name, types, tables, source=FixedPoint(True, 5, 2))
    graph = read(made, tmp_path)
    x = cast(made.vectors(64)[0].reshape(64, -1), graph.inputs[0].result)
    (expected,) = evaluate(graph, x)
    assert (expected.std(axis=0) > 0).all()
    verilog = emit(graph, tmp_path / "rtl", "xcvu13p-flga2577-2-e", 5.0)
    outputs, _ = firmware.simulate(tmp_path / "rtl", tmp_path / "sim", verilog.figures, x, timeout_s=200)
    assert np.array_equal(outputs, expected[: len(outputs)])
    assert len(outputs) >= firmware.MINIMUM_VECTORS


def refused(made, tmp_path):
    with pytest.raises(ToolError) as caught:
        read(made, tmp_path)
    assert caught.value.failure.kind is FailureKind.UNSUPPORTED
    assert "blayer1" in caught.value.failure.message
    return caught.value.failure.message


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"options": {"ReuseFactor": 2}}, "ReuseFactor 1"),
        ({"options": {"Strategy": "Resource"}}, "Strategy Latency"),
        ({"apply_reset_gate": "before"}, "reset_after=True"),
        ({"activation": "hard_sigmoid"}, "activation hard_sigmoid"),
        ({"recurrent_activation": "softsign"}, "recurrent_activation softsign"),
        ({"pass_initial_states": True}, "initial states"),
        ({"n_timesteps": 7}, "an input of shape (3, 2) instead of (7, 2)"),
        ({"bias_data": np.zeros(2)}, "bias (2,)"),
        ({"types": {"accum": FixedPoint(True, 32, 12)}, "recurrent_activation": "relu"}, "exact arithmetic ends at 53"),
    ],
    ids=str,
)
def test_what_has_no_path(change, named, tmp_path):
    assert named in refused(part("GRU", **change), tmp_path)


def test_bidirectional_layers_have_no_path(tmp_path):
    made = part("LSTM", return_sequences=False)
    data = {name: value for name, value in made.layers[-1].items() if name.endswith("_data")}
    sides = {f"{side}_{name}": value for side in ("forward", "backward") for name, value in data.items()}
    names = {f"{side}_class_name": "LSTM" for side in ("forward", "backward")}
    names |= {f"{side}_n_states": UNITS for side in ("forward", "backward")}
    functions = {f"{side}_activation": "tanh" for side in ("forward", "backward")}
    functions |= {f"{side}_recurrent_activation": "sigmoid" for side in ("forward", "backward")}
    made.layers[-1] |= {"class_name": "Bidirectional", "n_out": 2 * UNITS, "merge_mode": "concat"}
    made.layers[-1] |= sides | names | functions
    made.config["blayer1"] = {"Precision": {"result": "fixed<20,5>"}}
    assert "Bidirectional" in refused(made, tmp_path)
