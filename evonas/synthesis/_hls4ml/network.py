"""A trained network as hls4ml sees it, and its outputs by torch. Import it lazily, it loads torch.

A `QuantisedNetwork` becomes a torch `Sequential` with the quantised weights, and that a `ModelGraph` in which every
weight, bias, accumulator and result has its exact type, so that nothing is left to hls4ml's precision inference.
"""

from __future__ import annotations

import contextlib
import io
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import hls4ml
import numpy as np
import torch
from hls4ml.converters import convert_from_pytorch_model
from hls4ml.writer.writers import register_writer

from evonas.errors import FailureKind, ToolError
from evonas.models.fixed_point import LEAKY_SLOPE, FixedPoint
from evonas.synthesis._hls4ml import plugin

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from evonas.models.quantised_network import QuantisedNetwork
    from surrogates import HardwareTarget

VERSION: str = hls4ml.__version__
PROJECT = "dut"
SLOPE_TYPE = "ufixed<1,-2>"  # one bit worth 2^-3 holds the slope of leaky ReLU exactly
FLOAT32_BITS = 24  # torch hands parameters to hls4ml in single precision


def torch_model(network: QuantisedNetwork) -> torch.nn.Sequential:
    """The network as plain torch layers with quantised weights, in float64.

    Hard tanh and identity have no layer: they are the saturating type of the result. Rounding to the output types is
    not part of the torch model; hls4ml does it.
    """
    layers: OrderedDict[str, torch.nn.Module] = OrderedDict()
    for index, layer in enumerate(network.weighted):
        n_in, n_out = layer.weight_codes.shape
        dense = torch.nn.Linear(n_in, n_out, dtype=torch.float64)
        with torch.no_grad():
            dense.weight.copy_(torch.from_numpy(layer.weight.T))
            dense.bias.copy_(torch.from_numpy(layer.bias))
        layers[f"dense_{index}"] = dense
        if layer.activation == "relu":
            layers[f"relu_{index}"] = torch.nn.ReLU()
        elif layer.activation == "leaky_relu":
            layers[f"leaky_{index}"] = torch.nn.LeakyReLU(LEAKY_SLOPE)
        elif layer.activation not in ("hard_tanh", "identity", "linear"):
            raise ToolError(FailureKind.UNSUPPORTED, f"no hardware form of the activation {layer.activation!r}")
    return torch.nn.Sequential(layers)


def precisions(network: QuantisedNetwork) -> dict[str, dict[str, Any]]:
    """hls4ml's `LayerName` configuration: strategy, reuse factor and the exact type of everything in every layer."""
    layers: dict[str, dict[str, Any]] = {"input_1": {"Precision": {"result": str(network.input_type)}}}
    for index, layer in enumerate(network.weighted):
        spec, input_type = network.spec.weighted[index], network.input_types()[index]
        accumulator = layer.accumulator_type(input_type)
        result = str(layer.result_type(input_type))
        activation = {"relu": f"relu_{index}", "leaky_relu": f"leaky_{index}"}.get(layer.activation)
        layers[f"dense_{index}"] = {
            "Precision": {
                "weight": str(layer.weight_type),
                "bias": str(layer.bias_type),
                "accum": str(accumulator),
                "result": result if activation is None else str(accumulator),
            },
            "ReuseFactor": spec.reuse_factor,
            "Strategy": "Resource" if spec.strategy == "reuse" else "Latency",
        }
        if activation is not None:
            layers[activation] = {"Precision": {"result": result, "param": SLOPE_TYPE}}
    return layers


def check_supported(network: QuantisedNetwork) -> None:
    """Raise `ToolError` (UNSUPPORTED) for what this path cannot carry exactly."""
    if not network.spec.is_chain:
        message = f"{network.spec.topology}: hls4ml takes multi-layer perceptrons only; the backend openrtl takes all"
        raise ToolError(FailureKind.UNSUPPORTED, message)
    for index, layer in enumerate(network.weighted):
        if layer.table_type is not None:
            message = f"the table of layer {index}'s {layer.activation} is not hls4ml's; the backend openrtl takes it"
            raise ToolError(FailureKind.UNSUPPORTED, message)
        for what, codes in (("weights", layer.weight_codes), ("biases", layer.bias_codes)):
            if np.abs(codes).max(initial=0) >= 2**FLOAT32_BITS:
                message = f"the {what} of layer {index} need more than {FLOAT32_BITS} bits"
                raise ToolError(FailureKind.UNSUPPORTED, message)


def register_openrtl() -> None:
    """Make OpenRTL known to hls4ml where evonas runs without being installed, so without its entry point."""
    if "openrtl" not in hls4ml.backends.get_available_backends():
        plugin.register(register_backend=hls4ml.backends.register_backend, register_writer=register_writer)


def convert(network: QuantisedNetwork, target: HardwareTarget, directory: Path, backend: str = "Vitis") -> Any:
    """hls4ml's `ModelGraph` of the network, to be written to `directory`; nothing is written yet."""
    check_supported(network)
    register_openrtl()
    model = torch_model(network)
    default = {"Precision": "fixed<16,6>", "ReuseFactor": 1, "Strategy": "Latency"}
    config = {
        "Model": default | {"ChannelsLastConversion": "full", "TransposeOutputs": False},
        "LayerName": precisions(network),
        "PytorchModel": model,
        "InputShape": (network.spec.n_inputs,),
    }
    with contextlib.redirect_stdout(io.StringIO()):  # hls4ml prints its topology
        return convert_from_pytorch_model(
            model,
            hls_config=config,
            backend=backend,
            output_dir=str(directory),
            project_name=PROJECT,
            part=target.part,
            clock_period=target.clock_period_ns,
            io_type=target.io_type,
        )


def torch_predict(network: QuantisedNetwork, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Outputs of the torch layers with every cast done in torch; inputs (n, n_inputs) lie on the input grid.

    Written independently of `FixedPoint`, so that a slip in either shows.
    """
    model = torch_model(network)
    x = torch.from_numpy(np.ascontiguousarray(inputs))
    with torch.no_grad():
        for index, layer in enumerate(network.weighted):
            for prefix in ("dense", "relu", "leaky"):
                module = dict(model.named_children()).get(f"{prefix}_{index}")
                x = x if module is None else module(x)
            if layer.output_type is not None:
                x = _torch_cast(x, layer.output_type)
    return x.numpy()


def _torch_cast(x: torch.Tensor, kind: FixedPoint) -> torch.Tensor:
    scaled = torch.ldexp(x, torch.tensor(float(kind.fraction), dtype=x.dtype))
    if kind.rounding == "RND_CONV":
        codes = torch.round(scaled)
    else:
        codes = torch.floor(scaled if kind.rounding == "TRN" else scaled + 0.5)
    lowest = -(2 ** (kind.width - 1)) if kind.signed else 0
    highest = lowest + 2**kind.width - 1
    if kind.overflow == "SAT":
        codes = torch.clamp(codes, lowest, highest)
    else:
        codes = torch.remainder(codes - lowest, 2**kind.width) + lowest
    return codes * 2.0**-kind.fraction
