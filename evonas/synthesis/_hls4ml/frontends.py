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


def load(
    path: Path,
    target: HardwareTarget,
    directory: Path,
    precision: str,
    reuse_factor: int,
    strategy: str,
    backend: str = "OpenRTL",
) -> tuple[Any, list[str]]:
    """hls4ml's `ModelGraph` of a file for `backend`, and what hls4ml warned of; nothing is written yet.

    `precision` is the default type of everything that has none. Raises `DataError` for a file that is no such network,
    `ToolError` (UNSUPPORTED, TOOL_MISSING).
    """
    register_openrtl()
    common: dict[str, Any] = {
        "backend": backend,
        "output_dir": str(directory),
        "project_name": PROJECT,
        "part": target.part,
        "clock_period": target.clock_period_ns,
        "io_type": target.io_type,
    }
    options: dict[str, Any] = {"granularity": "name", "backend": backend, "default_precision": precision}
    options |= {"default_reuse_factor": reuse_factor}
    said = io.StringIO()  # hls4ml prints its topology, and its warnings
    with contextlib.redirect_stdout(said):
        try:
            convert = _onnx_converter if path.suffix == ".onnx" else _keras_converter
            configure, finish, model = convert(path)
            config = configure(model, **options)
            _set_strategy(config, strategy)
            converted = finish(model, hls_config=config, **common)
        except ImportError as error:
            raise ToolError(FailureKind.TOOL_MISSING, f"reading {path.name} needs the package {error.name}") from error
        except (ToolError, DataError):
            raise
        except Exception as error:  # whatever a front end raises on a network that it does not know
            _check_sound(path)
            message = f"hls4ml cannot read {path.name}: {type(error).__name__}: {error}"
            raise ToolError(FailureKind.UNSUPPORTED, message) from error
    warned = [line.removeprefix("WARNING:").strip() for line in said.getvalue().splitlines() if "WARNING:" in line]
    return converted, [f"hls4ml: {line}" for line in dict.fromkeys(warned)]


def _onnx_converter(path: Path) -> tuple[Any, Any, Any]:
    """hls4ml's two functions for ONNX, and the model: cleaned and with channels last where qonnx is installed."""
    from evonas.synthesis import _onnx

    try:
        from evonas.synthesis import _qonnx
    except ImportError:
        model = _onnx.load_model(path)
    else:
        model = _qonnx.load(path)
    return hls4ml.utils.config_from_onnx_model, hls4ml.converters.convert_from_onnx_model, model


def _keras_converter(path: Path) -> tuple[Any, Any, Any]:
    """hls4ml's two functions for Keras, and the model."""
    from evonas.synthesis import _keras

    return hls4ml.utils.config_from_keras_model, hls4ml.converters.convert_from_keras_model, _keras.load(path)


def _check_sound(path: Path) -> None:
    """Raise `DataError` if it is the file that is damaged, rather than a network that hls4ml does not know."""
    if path.suffix == ".onnx":
        from evonas.synthesis import _onnx

        _onnx.check_sound(path)


def _set_strategy(config: dict[str, Any], strategy: str) -> None:
    config["Model"]["Strategy"] = strategy
    for layer in config.get("LayerName", {}).values():
        layer["Strategy"] = strategy
