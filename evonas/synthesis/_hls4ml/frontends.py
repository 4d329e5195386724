"""Networks that evonas did not train: ONNX, QONNX and Keras files through hls4ml's own front ends."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Any

import hls4ml

from evonas.errors import DataError, FailureKind, ToolError
from evonas.synthesis._hls4ml.network import PROJECT, register_openrtl

if TYPE_CHECKING:
    from pathlib import Path

    from surrogates import HardwareTarget


def load(path: Path, target: HardwareTarget, directory: Path, precision: str, reuse_factor: int, strategy: str) -> Any:
    """hls4ml's `ModelGraph` for OpenRTL of a file; `precision` is the default type of everything that has none.

    Raises `DataError` for a file that is no such network, `ToolError` (UNSUPPORTED, TOOL_MISSING).
    """
    register_openrtl()
    common: dict[str, Any] = {
        "backend": "OpenRTL",
        "output_dir": str(directory),
        "project_name": PROJECT,
        "part": target.part,
        "clock_period": target.clock_period_ns,
        "io_type": target.io_type,
    }
    options: dict[str, Any] = {"granularity": "name", "backend": "OpenRTL", "default_precision": precision}
    options |= {"default_reuse_factor": reuse_factor}
    with contextlib.redirect_stdout(io.StringIO()):  # hls4ml prints its topology
        try:
            if path.suffix == ".onnx":
                model = _onnx_model(path)
                config = hls4ml.utils.config_from_onnx_model(model, **options)
                _set_strategy(config, strategy)
                return hls4ml.converters.convert_from_onnx_model(model, hls_config=config, **common)
            from evonas.synthesis import _keras

            keras_model = _keras.load(path)
            config = hls4ml.utils.config_from_keras_model(keras_model, **options)
            _set_strategy(config, strategy)
            return hls4ml.converters.convert_from_keras_model(keras_model, hls_config=config, **common)
        except ImportError as error:
            raise ToolError(FailureKind.TOOL_MISSING, f"reading {path.name} needs the package {error.name}") from error
        except (ToolError, DataError):
            raise
        except Exception as error:  # whatever a front end raises on a network that it does not know
            message = f"hls4ml cannot read {path.name}: {type(error).__name__}: {error}"
            raise ToolError(FailureKind.UNSUPPORTED, message) from error


def _onnx_model(path: Path) -> Any:
    """The model, cleaned and with channels last where the package qonnx is installed: hls4ml wants convolutions so."""
    from evonas.synthesis import _onnx

    try:
        from evonas.synthesis import _qonnx
    except ImportError:
        return _onnx.load_model(path)
    return _qonnx.load(path)


def _set_strategy(config: dict[str, Any], strategy: str) -> None:
    config["Model"]["Strategy"] = strategy
    for layer in config.get("LayerName", {}).values():
        layer["Strategy"] = strategy
