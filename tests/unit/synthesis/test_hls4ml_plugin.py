"""OpenRTL as any user of hls4ml meets it: converters, compile, predict, trace, build."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from evonas.errors import ConfigurationError, ToolError

hls4ml = pytest.importorskip("hls4ml")
torch = pytest.importorskip("torch")


class Skip(torch.nn.Module):
    """Two dense layers with a shortcut, and two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(6, 6), torch.nn.Linear(6, 3)
        self.relu = torch.nn.ReLU()

    def forward(self, x):
        return self.second(self.relu(self.first(x)) + x)


def network():
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3)).eval()


def converted(tmp_path, net=None, inputs=(6,), change=None, **options):
    net = network() if net is None else net
    with contextlib.redirect_stdout(io.StringIO()):
        config = hls4ml.utils.config_from_pytorch_model(net, inputs, granularity="name", backend="OpenRTL")
        if change:
            change(config)
        return hls4ml.converters.convert_from_pytorch_model(
            net, hls_config=config, backend="OpenRTL", output_dir=str(tmp_path / "prj"), **options
        )


def test_hls4ml_finds_the_backend_by_itself():
    code = "import hls4ml; print('openrtl' in hls4ml.backends.get_available_backends())"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=True)
    assert found.stdout.split()[-1] == "True"
    assert "WARNING" not in found.stdout


def test_predict_needs_no_compiler_and_is_close_to_torch(tmp_path):
    model = converted(tmp_path)
    model.compile()
    x = np.random.default_rng(0).normal(0, 1, (200, 6))
    found = model.predict(x)
    expected = network()(torch.tensor(x, dtype=torch.float32)).detach().numpy()
    assert found.shape == (200, 3)
    assert found.dtype == x.dtype
    assert np.abs(found - expected).max() < 0.05
    assert np.array_equal(model.predict(x[:1]), found[0])
    assert np.array_equal(model.predict(x.astype(np.float32)), found.astype(np.float32))


def test_trace_has_every_layer(tmp_path):
    model = converted(tmp_path, Skip().eval())
    model.compile()
    x = np.random.default_rng(0).normal(0, 1, (10, 6))
    taps = model.config.backend.trace(model, x)
    last = model.output_vars[model.outputs[0]]
    assert {layer.name for layer in model.get_layers()} <= set(taps) | {"skip"}
    assert np.array_equal(list(taps.values())[-1].reshape(10, -1), model.predict(x))
    assert list(taps.values())[-1].shape == (10, *last.shape)


def test_what_is_not_supported_is_refused_by_name(tmp_path):
    with pytest.raises(ConfigurationError, match="io_type"):
        converted(tmp_path, io_type="io_stream")
    with pytest.raises(ConfigurationError, match=r"target\.part"):
        converted(tmp_path, part="abc123")
    model = converted(tmp_path)
    with pytest.raises(ConfigurationError, match="csim"):
        model.build(csim=True)
    with pytest.raises(TypeError, match="nonsense"):
        model.build(nonsense=1)

    def compressed(config):
        config["LayerName"]["_0"]["Strategy"] = "Compressed"

    with pytest.raises(ToolError, match=r"(?i)strategy|compressed"):
        converted(tmp_path, change=compressed).compile()


@pytest.mark.slow
@pytest.mark.parametrize("reuse", [1, 3])
def test_build_reports_in_hls4ml_s_form(tmp_path, reuse):
    def share(config):
        config["Model"]["Precision"]["default"] = "fixed<12,5>"
        for layer in config["LayerName"].values():
            layer["Precision"] = {"weight": "fixed<6,2>", "bias": "fixed<8,3>", "result": "fixed<10,5>"}
            if reuse > 1:
                layer |= {"Strategy": "Resource", "ReuseFactor": reuse}

    model = converted(tmp_path, change=share)
    report = model.build(csim=False, synth=True, vsynth=True)
    estimate, cells = report["CSynthesisReport"], report["VivadoSynthReport"]
    assert report["OpenRTL"]["verified_vectors"] == 256
    assert report["OpenRTL"]["simulated_vectors"] >= 16
    assert all(isinstance(value, str) for section in (estimate, cells) for value in section.values())
    interval = int(estimate["IntervalMax"])
    assert interval == reuse  # the second layer, 5 x 3, has 1 for its nearest legal reuse factor
    assert (int(cells["DSP48E"]) > 0) == (reuse > 1)
    assert int(cells["LUT"]) > 50
    assert int(estimate["AvailableLUT"]) == 1_728_000
    assert json.loads((tmp_path / "prj" / "openrtl_report.json").read_text()) == report
    assert list((tmp_path / "prj" / "vivado").iterdir())
