"""Bit for bit comparison of the implementations of one network, and the words that travel over its ports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evonas.errors import ConfigurationError, FailureKind, ToolError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from evonas.models.quantised_network import QuantisedNetwork
    from evonas.synthesis.graph import Port

MINIMUM_VECTORS = 64  # what a design is said to be verified on
REFERENCE = "QuantisedNetwork.predict"


def check_vectors(network: QuantisedNetwork, vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """The vectors on the grid of the input type. Raises `ConfigurationError` for too few or a wrong shape."""
    vectors = np.asarray(vectors, np.float64)
    if vectors.ndim != 2 or vectors.shape[1] != network.spec.n_inputs or len(vectors) < MINIMUM_VECTORS:
        mend = f"needs at least {MINIMUM_VECTORS} rows of {network.spec.n_inputs} inputs"
        raise ConfigurationError("vectors.shape", vectors.shape, mend)
    if not np.isfinite(vectors).all():
        raise ConfigurationError("vectors", "not finite", "every input must be a number")
    return network.input_type.quantise(vectors)


def compare(
    inputs: NDArray[np.float64],
    expected: NDArray[np.float64],
    found: NDArray[np.float64],
    names: tuple[str, str] = (REFERENCE, ""),
) -> None:
    """Raise `ToolError` (MISMATCH) naming the first vector on which the implementations `names` differ in any bit."""
    if expected.shape != found.shape:
        message = f"{names[0]} gives outputs of shape {expected.shape}, {names[1]} of {found.shape}"
        raise ToolError(FailureKind.MISMATCH, message)
    different = np.any(expected != found, axis=1)  # NaN differs from everything
    if not different.any():
        return
    index = int(np.argmax(different))
    message = (
        f"{names[0]} and {names[1]} differ on {int(different.sum())} of {len(inputs)} vectors, first on {index}: "
        f"inputs {inputs[index].tolist()}, {names[0]} {expected[index].tolist()}, {names[1]} {found[index].tolist()}"
    )
    raise ToolError(FailureKind.MISMATCH, message)


def pack(values: NDArray[np.float64], port: Port) -> list[int]:
    """One word per row of `values` (n, words), as the port takes it; bits above a word's width are dropped."""
    packed = [0] * len(values)
    offset = 0
    for column, (fraction, width) in enumerate(zip(port.fraction, port.widths, strict=True)):
        if width:
            codes = np.floor(values[:, column] * 2.0**fraction).astype(np.int64)
            mask = (1 << width) - 1
            packed = [word | (int(code) & mask) << offset for word, code in zip(packed, codes, strict=True)]
        offset += width
    return packed


def unpack(packed: Sequence[int], port: Port) -> NDArray[np.float64]:
    """Values (n, words) of the words of a port."""
    values = np.zeros((len(packed), len(port.widths)))
    offset = 0
    for column, (signed, fraction, width) in enumerate(zip(port.signed, port.fraction, port.widths, strict=True)):
        if width:
            codes = [(word >> offset) & ((1 << width) - 1) for word in packed]
            if signed:
                codes = [code - (1 << width) if code >> (width - 1) else code for code in codes]
            values[:, column] = np.array(codes, np.float64) * 2.0**-fraction
        offset += width
    return values
