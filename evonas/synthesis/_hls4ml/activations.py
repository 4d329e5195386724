"""How hls4ml's activations are read: thresholds, clips and tables, with the tables of its generated C++."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes.util import find_library
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evonas.models.fixed_point import FixedPoint
from evonas.synthesis import graph as g
from evonas.synthesis._hls4ml.reader import Layer, rule, unsupported

Function = Callable[[NDArray[np.float32]], NDArray[np.floating]]
SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717


@cache
def _expf() -> Callable[[float], float]:
    """The function with which the C simulation fills its tables; numpy's differs in the last place."""
    function = ctypes.CDLL(find_library("m")).expf
    function.argtypes, function.restype = [ctypes.c_float], ctypes.c_float
    return function


def _exp(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.array([_expf()(value) for value in x.ravel().tolist()], np.float32).reshape(x.shape)


# half-width of the table's range, and the function as hls4ml's C++ computes it (floats in, then doubles where it says)
SYMMETRIC: dict[str, tuple[float, Function]] = {
    "sigmoid": (8.0, lambda x: (1.0 / (1 + _exp(-x)).astype(np.float64)).astype(np.float32)),
    "tanh": (4.0, lambda x: np.tanh(x.astype(np.float64))),
    "softplus": (8.0, lambda x: np.log(_exp(x).astype(np.float64) + 1.0).astype(np.float32)),
    "softsign": (8.0, lambda x: (x / (np.abs(x).astype(np.float64) + 1.0)).astype(np.float32)),
}
NEGATIVE: dict[str, Function] = {
    "elu": lambda x: (_exp(x).astype(np.float64) - 1.0).astype(np.float32),
    "selu": lambda x: (SELU_SCALE * (SELU_ALPHA * (_exp(x).astype(np.float64) - 1.0))).astype(np.float32),
}
SELU_TYPE = FixedPoint(False, 16, 1)


def symmetric(layer: Layer, name: str, common: dict[str, Any]) -> g.Node:
    """The table of an activation function, with the layer's table type and size; `common` as of `Layer.common`."""
    half, function = SYMMETRIC[name]
    size = layer.integer("table_size", 1024)
    x = (2 * half * (np.arange(size) - size / 2.0) / size).astype(np.float32)
    values = layer.cast("table_t", function(x))
    return g.Table(**common, scale=size / (2 * half), offset=size // 2, values=values)


def _negative(layer: Layer, name: str) -> g.Node:
    size = layer.integer("table_size", 1024)
    x = (-8.0 * np.arange(size) / size).astype(np.float32)
    values = layer.cast("table_t", NEGATIVE[name](x))
    slope = 1.0
    if name == "selu":
        slope = float(SELU_TYPE.quantise(np.array(SELU_SCALE)))
    elif layer.raw.class_name == "ParametrizedActivation":
        values = values * _parameter(layer)
    return g.Table(**layer.common(), scale=-size / 8.0, offset=0, values=values, positive_slope=slope)


def _parameter(layer: Layer) -> float:
    return float(layer.cast("param_t", np.array(float(layer.get("activ_param", 1.0)))))


def _binary_tanh(layer: Layer) -> list[g.Node]:
    if layer.result.width == 1:
        unsupported(f"{layer.name}: one-bit binary tanh; give its result at least two bits")
    return [g.Steps(**layer.common(), edges=(0.0,), values=(-1.0, 1.0))]


def _ternary_tanh(layer: Layer) -> list[g.Node]:
    """hls4ml doubles x within its own type, with that type's overflow, before it compares with -1 and 1."""
    source, doubled = layer.input_type(), f"{layer.name}_doubled"
    ones = np.ones(layer.size)
    twice = g.Scale(doubled, layer.feeds, layer.size, source, scale=2 * ones, bias=0 * ones)
    above = [float(np.floor(limit / source.lsb) + 1) * source.lsb for limit in (-1, 1)]  # the next value above
    steps = g.Steps(**layer.common() | {"inputs": (doubled,)}, edges=tuple(above), values=(-1.0, 0.0, 1.0))
    return [twice, steps]


@rule("Activation", "ParametrizedActivation", "BatchNormalizationQuantizedTanh")
def _activation(layer: Layer) -> list[g.Node]:
    name = str(layer.get("activation")).lower().replace("leakyrelu", "leaky_relu")
    if layer.raw.class_name == "BatchNormalizationQuantizedTanh":
        unsupported(f"{layer.name}: batch normalisation merged with a binary or ternary tanh")
    if name == "linear":
        return [g.Rearrange(**layer.common(), gather=np.arange(layer.size))]
    if name == "relu":
        return [g.Rectify(**layer.common(), slope=np.zeros(layer.size))]
    if name == "leaky_relu":
        return [g.Rectify(**layer.common(), slope=np.full(layer.size, _parameter(layer)))]
    if name in ("relu6", "relu1"):
        return [g.Clip(**layer.common(), slope=1.0, shift=0.0, low=0.0, high=float(name[4:]))]
    if name == "binary_tanh":
        return _binary_tanh(layer)
    if name == "ternary_tanh":
        return _ternary_tanh(layer)
    if name in SYMMETRIC:
        return [symmetric(layer, name, layer.common())]
    if name not in NEGATIVE:
        unsupported(f"no path from hls4ml's activation {name} (layer {layer.name}) to hardware")
    return [_negative(layer, name)]


@rule("PReLU")
def _prelu(layer: Layer) -> list[g.Node]:
    slope = layer.values("param").ravel()
    if len(slope) not in (1, layer.shape[-1], layer.size):
        unsupported(f"{layer.name}: {len(slope)} slopes for a shape of {layer.shape}")
    return [g.Rectify(**layer.common(), slope=np.resize(slope, layer.size))]


@rule("HardActivation")
def _hard(layer: Layer) -> list[g.Node]:
    slope, shift = (float(layer.cast(f"{name}_t", np.array(float(layer.get(name))))) for name in ("slope", "shift"))
    tanh = str(layer.get("activation")).lower() == "hard_tanh"
    gain, offset = (2.0, -1.0) if tanh else (1.0, 0.0)
    return [g.Clip(**layer.common(), slope=slope, shift=shift, low=0.0, high=1.0, gain=gain, offset=offset)]


@rule("Softmax")
def _softmax(layer: Layer) -> list[g.Node]:
    kind = str(layer.get("implementation", "stable")).lower()
    if kind not in ("latency", "stable", "argmax"):
        unsupported(f"{layer.name}: softmax implementation {kind}; one of latency, stable, argmax")
    inner, outer = layer.integer("n_inner", 1), layer.integer("n_outer", 1)
    n = layer.size // (inner * outer)
    rows = np.arange(outer * n * inner).reshape(outer, n, inner).transpose(0, 2, 1).reshape(-1, n)
    difference = layer.input_type()
    exp_size, inv_size = (
        layer.integer(f"{name}_table_size", layer.integer("table_size", 1024)) for name in ("exp", "inv")
    )
    if kind == "stable" and layer.get("inp_norm_t") is not None:
        difference = layer.type("inp_norm_t")
    elif kind == "stable":
        signed = int(difference.signed)
        difference = FixedPoint(False, difference.width - signed, difference.integer - signed)
        exp_size = min(inv_size, 2**difference.width) if signed else exp_size
    default = layer.get("inv_inp_t").name == "model_default_t"
    total = layer.type("exp_table_t" if default else "inv_inp_t")
    argument = (_centres(difference, exp_size) * np.float32(layer.get("exp_scale", 1.0))).astype(np.float32)
    with np.errstate(divide="ignore", over="ignore"):
        exp = _exp(-argument if kind == "stable" else argument)
        inverse = np.float32(1) / _centres(total, inv_size)
    return [
        g.Softmax(
            **layer.common(),
            kind=kind,  # type: ignore[arg-type]
            rows=rows,
            difference=difference,
            accumulator=layer.type("accum_t"),
            total=total,
            exp=_finite(exp, layer.type("exp_table_t")),
            inverse=_finite(inverse, layer.type("inv_table_t")),
        )
    ]


def _centres(kind: FixedPoint, size: int) -> NDArray[np.float32]:
    """What hls4ml takes for the argument of each table entry: the entry's index as the leading bits of the type."""
    bits = int(size - 1).bit_length()
    if bits > kind.width:
        unsupported(f"a softmax table of {size} entries is addressed by a word of {kind.width} bits")
    codes = np.arange(size, dtype=np.int64) << (kind.width - bits)
    if kind.signed:
        codes = np.where(codes >= 1 << (kind.width - 1), codes - (1 << kind.width), codes)
    return (codes * kind.lsb).astype(np.float32)


def _finite(values: NDArray[np.floating], kind: FixedPoint) -> NDArray[np.float64]:
    """Table entries cast to their type; ap_fixed takes the infinite for a power of two far out of range."""
    return kind.quantise(np.where(np.isinf(values), 2.0 ** (kind.integer + 1), values.astype(np.float64)))


@rule("UnaryLUT")
def _unary_lut(layer: Layer) -> list[g.Node]:
    return [g.Lookup(**layer.common(), values=layer.values("table").ravel())]


@rule("FixedPointQuantizer")
def _quantizer(layer: Layer) -> list[g.Node]:
    """HGQ's quantiser, with its own type for each word; a word of no bits is zero."""
    raw = layer.raw
    keep, bits, integer = (np.broadcast_to(np.asarray(part)[0], layer.shape).ravel() for part in raw.mask_kbi)
    dead = bits <= 0
    kinds = tuple(
        fixed_of(bool(k), int(b), int(i), str(raw.RND), str(raw.SAT))
        for k, b, i in zip(keep, np.where(dead, 1, bits), np.where(dead, 1, integer), strict=True)
    )
    own = f"{layer.name}_words"
    words = np.arange(layer.size)
    quantised = g.Rearrange(own, layer.feeds, layer.size, kinds, gather=np.where(dead, g.ABSENT, words))
    return [quantised, g.Rearrange(**layer.common() | {"inputs": (own,)}, gather=words)]


def fixed_of(signed: bool, width: int, integer: int, rounding: str, overflow: str) -> FixedPoint:
    """A type from HGQ's fields."""
    return FixedPoint.parse(f"{'' if signed else 'u'}fixed<{width},{integer},{rounding},{overflow}>")
