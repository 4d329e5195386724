"""The door to qonnx (an extra): the only module that imports it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.channels_last import ConvertToChannelsLastAndClean
from qonnx.util.cleanup import cleanup_model

from evonas.synthesis import _onnx

if TYPE_CHECKING:
    from pathlib import Path


def load(path: Path) -> Any:
    """An ONNX or QONNX file as hls4ml wants it: constants folded, shapes known, channels last."""
    model = cleanup_model(ModelWrapper(_onnx.load_model(path)))
    return model.transform(ConvertToChannelsLastAndClean(make_input_channels_last=True)).model
