"""Smooth activations, and how the hardware looks them up in a table.

A table is exact by construction: the accumulator is cast, saturating, to the table's input type, whose every code has
its entry, the function's value cast to the output type. The input is two bits wider than the output, so that its
rounding adds little to that of the output, and at most 12 bits wide (`LayerSpec.table_bits`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from evonas.models.fixed_point import FixedPoint

    Function = Callable[[NDArray[np.float64]], NDArray[np.float64]]

# beyond these arguments a function is a constant or, for a GELU above, the identity: no reason to spend codes on them
DOMAINS = {"gelu": (-4.0, math.inf), "tanh": (-4.0, 4.0), "sigmoid": (-8.0, 8.0)}


def _normal(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The distribution function of the normal distribution."""
    return np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in x.ravel()]).reshape(x.shape)


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(0.5 + 0.5 * np.tanh(x / 2))  # without overflow


def _gelu_slope(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(_normal(x) + x * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi))


# GELU: Hendrycks and Gimpel, arXiv 1606.08415, in its exact form
FUNCTIONS: dict[str, Function] = {"gelu": lambda x: x * _normal(x), "tanh": np.tanh, "sigmoid": _sigmoid}
SLOPES: dict[str, Function] = {
    "gelu": _gelu_slope,
    "tanh": lambda x: 1 - np.tanh(x) ** 2,
    "sigmoid": lambda x: _sigmoid(x) * _sigmoid(-x),
}


def arguments(kind: FixedPoint) -> NDArray[np.float64]:
    """Every value of a signed type, ascending, (2**width,)."""
    half = 1 << (kind.width - 1)
    return np.asarray(np.arange(-half, half) * kind.lsb, np.float64)


def table(activation: str, kind: FixedPoint, output: FixedPoint) -> NDArray[np.float64]:
    """What the activation gives for every value of the signed type `kind`, ascending, cast to `output`."""
    return output.quantise(FUNCTIONS[activation](arguments(kind)))
