"""Dense layers of a torch state dict."""

from __future__ import annotations

import pytest
import torch

from evonas.errors import DataError
from evonas.models.state_dict import DenseWeights, dense_layers


def saved(tmp_path, content):
    torch.save(content, tmp_path / "net.pt")
    return tmp_path / "net.pt"


@pytest.mark.parametrize("wrapped", [False, True])
def test_dense_layers(tmp_path, wrapped):
    network = torch.nn.Sequential(
        torch.nn.Linear(6, 4), torch.nn.BatchNorm1d(4), torch.nn.ReLU(), torch.nn.Linear(4, 3, bias=False)
    )
    with torch.no_grad():
        network[0].weight[:2] = 0
    content = network.state_dict()
    path = saved(tmp_path, {"state_dict": content, "epoch": 3} if wrapped else content)
    assert dense_layers(path) == [DenseWeights(6, 4, 0.5), DenseWeights(4, 3, 0.0)]


class Anything:
    """What a pickle could run code for."""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a.weight": torch.zeros(3, 2, 3, 3)}, "a.weight has the shape 3x2x3x3: only dense layers"),
        ({"a.weight": torch.zeros(4, 6), "b.weight": torch.zeros(3, 5)}, "b.weight reads 5 words, but a"),
        ({"a.bias": torch.zeros(3)}, "no weights of dense layers"),
        ([torch.zeros(3)], "holds no state dict"),
        ({"a": 3}, "holds no state dict"),
        (Anything(), "is no file of tensors"),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    with pytest.raises(DataError, match=message) as caught:
        dense_layers(saved(tmp_path, content))
    assert "net.pt" in str(caught.value)


def test_no_torch_file(tmp_path):
    (tmp_path / "net.pt").write_bytes(b"nonsense")
    with pytest.raises(DataError, match="is no file of tensors"):
        dense_layers(tmp_path / "net.pt")
