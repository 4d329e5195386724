"""Random shared layers, and what hls4ml's C++ would compute with them, in Python's integers."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.models.fixed_point import FixedPoint
from evonas.synthesis.graph import Port
from evonas.synthesis.rtl import SharedDense

if TYPE_CHECKING:
    from numpy.typing import NDArray


def random_port(rng: np.random.Generator, words: int) -> Port:
    """Words of up to 7 bits, signed or not; now and then, behind the first, one without any."""
    signed, integer, size = rng.random(words) < 0.6, rng.integers(-2, 4, words), rng.integers(0, 8, words)
    size[0] += size[0] == 0
    fraction = size - integer - signed
    return Port(tuple(map(bool, signed)), tuple(map(int, integer)), tuple(map(int, fraction)))


def random_values(rng: np.random.Generator, port: Port, count: int) -> NDArray[np.float64]:
    """Rows of values on the grid of each word, its ends well represented."""
    columns = []
    for signed, width, fraction in zip(port.signed, port.widths, port.fraction, strict=True):
        low = -(1 << width >> 1) if signed else 0
        high = low + (1 << width) - 1
        codes = rng.integers(low, high + 1, count)
        codes[: count // 4] = rng.choice([low, high], count // 4)
        columns.append(codes * 2.0**-fraction)
    return np.stack(columns, axis=1)


def random_layer(
    seed: int,
    shape: tuple[int, int],
    reuse_factor: int,
    *,
    weight_bits: int = 5,
    signed_weights: bool = True,
    accumulator: FixedPoint | None = None,
    **changes: Any,
) -> SharedDense:
    """Weights with zeros, an empty column now and then; an accumulator that wraps and cuts off unless told."""
    rng = np.random.default_rng(seed)
    kind = FixedPoint(signed_weights, weight_bits, int(rng.integers(-1, 4)))
    low = -(2 ** (weight_bits - 1)) if signed_weights else 0
    codes = rng.integers(low, low + 2**weight_bits, shape)
    codes[rng.random(shape) < 0.25] = 0
    codes[:, rng.random(shape[1]) < 0.1] = 0
    bias = rng.integers(-64, 64, shape[1]) / 16
    accumulator = accumulator or FixedPoint(bool(rng.random() < 0.8), int(rng.integers(4, 16)), int(rng.integers(1, 7)))
    fields = {"name": "fc", "inputs": random_port(rng, shape[0]), "weight": codes * kind.lsb}
    fields |= {"weight_type": kind, "bias": bias, "accumulator": accumulator, "reuse_factor": reuse_factor}
    return SharedDense(**(fields | changes))


def _cast(value: Fraction, kind: FixedPoint) -> Fraction:
    """Cut off below the last bit, wrap above the first."""
    code = floor(value * Fraction(2) ** kind.fraction) % 2**kind.width
    if kind.signed and code >= 2 ** (kind.width - 1):
        code -= 2**kind.width
    return code * Fraction(2) ** -kind.fraction


def reference(layer: SharedDense, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Loops as in the generated C++: the bias, then product after product, cast at every step."""
    results = np.empty((len(inputs), layer.weight.shape[1]))
    for row, x in enumerate(inputs):
        for output in range(layer.weight.shape[1]):
            total = _cast(Fraction(layer.bias[output]), layer.accumulator)
            for value, weight in zip(x, layer.weight[:, output], strict=True):
                product = _cast(Fraction(value) * Fraction(weight), layer.accumulator)
                total = _cast(total + product, layer.accumulator)
            results[row, output] = float(total)
    return results
