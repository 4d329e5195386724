"""hls4ml's front end for torch drops slices and forgets to transpose weights: that is found at conversion."""

from __future__ import annotations

import contextlib
import io
import tempfile

import hls4ml
import pytest
import torch
from torch import nn

from evonas.errors import ToolError
from evonas.synthesis._hls4ml import faithful


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(12, 2)
        self.relu, self.tanh, self.norm = nn.ReLU(), nn.Tanh(), nn.BatchNorm1d(6)

    def forward(self, x):
        hidden = self.relu(self.first(x))
        return self.last(torch.cat((self.tanh(self.norm(self.second(hidden))) + hidden, hidden), dim=1))


class Convolutions(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv1d(2, 3, 3, padding=1), nn.Conv1d(3, 2, 2)
        self.relu, self.pool = nn.LeakyReLU(0.1), nn.MaxPool1d(2)

    def forward(self, x):
        return self.second(self.pool(self.relu(self.first(x))))


class Image(nn.Module):
    """hls4ml does not transpose an input of one channel, and wants that channel last."""

    def __init__(self):
        super().__init__()
        self.conv, self.flat, self.last = nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(27, 2)

    def forward(self, x):
        return self.last(self.flat(self.conv(x)))


class Sliced(Convolutions):
    def forward(self, x):
        return super().forward(x[:, :, 2:])


class Permuted(Block):
    def forward(self, x):
        return self.last(torch.cat((self.second(self.first(x)[:, [1, 0, 2, 3, 4, 5]]), x), dim=1))


def converted(network, shape, conversion="full", precision="fixed<6,2>"):
    torch.manual_seed(0)
    for parameter in network.parameters():
        nn.init.uniform_(parameter, -1, 1)
    arguments = {"granularity": "model", "backend": "OpenRTL", "default_precision": precision}
    with contextlib.redirect_stdout(io.StringIO()):
        config = hls4ml.utils.config_from_pytorch_model(
            network, shape, channels_last_conversion=conversion, **arguments
        )
        with tempfile.TemporaryDirectory() as folder:
            return hls4ml.converters.convert_from_pytorch_model(
                network, hls_config=config, backend="OpenRTL", output_dir=folder
            )


@pytest.mark.parametrize("conversion", ["full", "internal"])
@pytest.mark.parametrize(
    ("network", "shape"),
    [(Block(), (6,)), (Convolutions(), (2, 8)), (Image(), (1, 5, 5))],
    ids=["dense", "conv1d", "one channel"],
)
def test_what_is_converted_well_agrees_whatever_the_precision(network, shape, conversion):
    network.train()
    model = converted(network, shape, conversion)
    assert faithful.deviation(model) < 1e-3
    faithful.check(model)
    assert network.training


@pytest.mark.parametrize(
    ("network", "shape", "conversion"),
    [(Sliced(), (2, 8), "full"), (Permuted(), (6,), "full"), (Block(), (6,), "off")],
    ids=["slice", "permutation", "untransposed"],
)
def test_what_the_front_end_loses_is_an_error(network, shape, conversion):
    with pytest.raises(ToolError, match="not the torch network"):
        converted(network, shape, conversion)


def test_a_model_that_did_not_come_from_torch_has_nothing_to_compare(tmp_path):
    from fakes import hls4ml_graphs

    assert faithful.deviation(hls4ml_graphs.model(hls4ml_graphs.branches(1, ["dense"]), tmp_path, "OpenRTL")) is None
