"""Random streams that depend on names, not on the order in which work is done."""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Generator for one purpose, e.g. `stream(seed, "variation", generation)`.

    Streams of different names are independent, and none is shifted when another one is used more or less, so a
    resumed study, another executor or another completion order draws the same numbers.
    """
    return np.random.default_rng(derive(seed, *names))


def derive(seed: int, *names: str | int) -> int:
    """A 63-bit seed for libraries that want an integer, derived from `seed` and the names."""
    text = "\x1f".join([str(seed), *(f"{type(n).__name__}:{n}" for n in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
