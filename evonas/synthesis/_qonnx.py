"""The door to qonnx (an extra): the only module that imports it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.channels_last import ConvertToChannelsLastAndClean
from qonnx.transformation.general import GiveUniqueNodeNames
from qonnx.util.cleanup import cleanup_model

from evonas.synthesis import _onnx

if TYPE_CHECKING:
    from pathlib import Path


def load(path: Path) -> Any:
    """An ONNX or QONNX file as hls4ml wants it: constants folded, shapes known, channels last."""
    with _onnx.modest_format():
        model = cleanup_model(ModelWrapper(_onnx.load_model(path)))
        model = model.transform(ConvertToChannelsLastAndClean(make_input_channels_last=True))
        return model.transform(GiveUniqueNodeNames()).model  # hls4ml needs a name of every node
