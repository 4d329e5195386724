"""A network of another package as `evonas predict` reads it: ONNX, QONNX, Keras, or a torch state dict."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evonas.cli.specs import DEFAULTS, Shorthand, reuse_factors
from evonas.errors import ConfigurationError
from surrogates import LayerSpec, ModelSpec
from surrogates.reuse import nearest_legal

if TYPE_CHECKING:
    from pathlib import Path

    from surrogates import HardwareTarget, OperationSpec

TENSORS = (".pt", ".pth")
NETWORKS = (".onnx", ".keras", ".h5")


def is_network_file(path: Path) -> bool:
    """Whether it is a network file rather than a description of evonas."""
    return path.suffix in (*TENSORS, *NETWORKS) and path.is_file()


def read_network_file(path: Path, target: HardwareTarget, shorthand: Shorthand) -> tuple[ModelSpec, tuple[str, ...]]:
    """The network, with the bits and reuse factors that `shorthand` has in place of its own, and what is not counted.

    A state dict has weights alone: the rest is of `shorthand` and `DEFAULTS`. Raises as the readers do, and
    `ConfigurationError` for options that the file answers itself.
    """
    if path.suffix in TENSORS:
        return _of_tensors(path, shorthand), ()
    for name in ("sparsity", "activation"):
        if getattr(shorthand, name) is not None:
            raise ConfigurationError(f"--{name}", getattr(shorthand, name), "is said by the network file: leave it out")
    if path.suffix == ".onnx":
        from evonas.synthesis import _onnx

        if _onnx.is_ours(path):
            return _changed(_onnx.read_onnx(path).spec, shorthand), ()
    from evonas.synthesis.description import describe_file
    from evonas.synthesis.file_build import Conversion

    found = describe_file(path, target, Conversion())
    return _changed(found.spec, shorthand), found.notes


def _of_tensors(path: Path, shorthand: Shorthand) -> ModelSpec:
    from evonas.models.state_dict import dense_layers

    chosen: dict[str, Any] = DEFAULTS | {name: value for name, value in vars(shorthand).items() if value is not None}
    layers = [
        LayerSpec(
            n_in,
            n_out,
            chosen["weight_bits"],
            chosen["activation_bits"],
            chosen["activation"],
            sparsity if shorthand.sparsity is None else shorthand.sparsity,
        )
        for n_in, n_out, sparsity in dense_layers(path)
    ]
    last = replace(layers[-1], activation="linear", activation_bits=0)
    plain = ModelSpec(chosen["input_bits"], (*layers[:-1], last))
    return _changed(plain, Shorthand(reuse_factor=shorthand.reuse_factor))


def _changed(spec: ModelSpec, shorthand: Shorthand) -> ModelSpec:
    """The network with other bits and reuse factors, where the user asks for them."""
    if not shorthand.given():
        return spec
    factors = iter(reuse_factors(shorthand.reuse_factor, len(spec.weighted)))
    parts: list[LayerSpec | OperationSpec] = []
    for part in spec.layers:
        if not isinstance(part, LayerSpec):
            parts.append(part)
            continue
        wanted: dict[str, Any] = {}
        if shorthand.weight_bits is not None:
            wanted["weight_bits"] = shorthand.weight_bits
        if shorthand.activation_bits is not None and part.activation != "linear":
            wanted["activation_bits"] = shorthand.activation_bits
        factor = next(factors)
        if factor is not None:
            wanted |= {"strategy": "reuse", "reuse_factor": nearest_legal(factor, part.fan_in, part.n_out)}
        elif shorthand.reuse_factor is not None:
            wanted |= {"strategy": "distributed_arithmetic", "reuse_factor": 1}
        parts.append(replace(part, **wanted))
    bits = spec.input_bits if shorthand.input_bits is None else shorthand.input_bits
    return replace(spec, input_bits=bits, layers=tuple(parts))
