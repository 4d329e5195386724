"""The door to onnx and onnxruntime: the only package that imports them."""

from evonas.synthesis._onnx.build import build, describe, precision
from evonas.synthesis._onnx.files import (
    check_sound,
    is_ours,
    load_model,
    modest_format,
    read_onnx,
    restore,
    run,
    write_onnx,
)

__all__ = [
    "build",
    "check_sound",
    "describe",
    "is_ours",
    "load_model",
    "modest_format",
    "precision",
    "read_onnx",
    "restore",
    "run",
    "write_onnx",
]
