"""A network as the command line names it: a file, or a topology with bit widths."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, final

from evonas.errors import ConfigurationError
from surrogates import LayerSpec, ModelSpec
from surrogates.reuse import nearest_legal

TOPOLOGY = re.compile(r"\d+(-\d+)+")


@final
@dataclass(frozen=True)
class Shorthand:
    """What a topology leaves open; None where the user said nothing. The last layer is linear at full precision."""

    weight_bits: int | None = None
    activation_bits: int | None = None
    input_bits: int | None = None
    sparsity: float | None = None
    activation: str | None = None
    reuse_factor: str | None = None  # one number for all layers, or one for each, such as 8,4,1

    def given(self) -> list[str]:
        """Options that the user wrote."""
        return [f"--{name.replace('_', '-')}" for name, value in vars(self).items() if value is not None]


DEFAULTS = {"weight_bits": 6, "activation_bits": 6, "input_bits": 8, "sparsity": 0.0, "activation": "relu"}


def read_spec(text: str, shorthand: Shorthand) -> ModelSpec:
    """The network of a JSON file (`ModelSpec.to_dict` or a design.json) or of a topology such as `16-32-16-5`.

    A reuse factor that is not legal for the shape of a layer becomes the nearest one that is, as hls4ml does. Raises
    `ConfigurationError` or `SpecError` naming what is wrong.
    """
    if TOPOLOGY.fullmatch(text) and not Path(text).exists():
        return from_topology(text, shorthand)
    if shorthand.given():
        options = ", ".join(shorthand.given())
        raise ConfigurationError("SPEC", text, f"is a file, which says this itself: leave out {options}")
    return _from_file(Path(text))


def from_topology(text: str, shorthand: Shorthand) -> ModelSpec:
    """A chain of dense layers, all hidden ones alike but for their reuse factors."""
    chosen: dict[str, Any] = DEFAULTS | {k: v for k, v in vars(shorthand).items() if v is not None}
    if chosen["activation"] == "linear":
        raise ConfigurationError("--activation", "linear", "is only for the last layer, which always has it")
    shapes = list(pairwise(int(part) for part in text.split("-")))
    factors = reuse_factors(shorthand.reuse_factor, len(shapes))
    layers: list[LayerSpec] = []
    for (n_in, n_out), factor in zip(shapes, factors, strict=True):
        last = len(layers) == len(shapes) - 1
        layers.append(
            LayerSpec(
                n_in,
                n_out,
                chosen["weight_bits"],
                0 if last else chosen["activation_bits"],
                "linear" if last else chosen["activation"],
                chosen["sparsity"],
                "distributed_arithmetic" if factor is None else "reuse",
                1 if factor is None or not n_in * n_out else nearest_legal(factor, n_in, n_out),
            )
        )
    return ModelSpec(chosen["input_bits"], tuple(layers))


def reuse_factors(text: str | None, count: int) -> list[int | None]:
    """What was asked for each of `count` layers; None for adders. Raises `ConfigurationError`."""
    if text is None:
        return [None] * count
    words = text.split(",")
    if not all(word.strip() == "-" or (word.strip().isdecimal() and int(word) > 0) for word in words):
        mend = "must be a number of at least 1, or one for each layer such as 8,4,1, where - stands for adders"
        raise ConfigurationError("--reuse-factor", text, mend)
    if len(words) not in (1, count):
        raise ConfigurationError("--reuse-factor", text, f"names {len(words)} layers of {count}")
    factors = [None if word.strip() == "-" else int(word) for word in words]
    return factors * count if len(factors) == 1 else factors


def _from_file(path: Path) -> ModelSpec:
    if path.is_dir():  # a design that was handed over
        path /= "design.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        mend = "is neither a file nor a topology such as 16-32-16-5"
        raise ConfigurationError("SPEC", str(path), mend) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError("SPEC", str(path), f"cannot be read: {error}") from error
    except json.JSONDecodeError as error:
        raise ConfigurationError("SPEC", str(path), f"is not valid JSON: {error}") from error
    if isinstance(data, dict) and isinstance(data.get("network"), dict):  # a design.json
        data = data["network"].get("spec")
    if not isinstance(data, dict) or "layers" not in data:
        raise ConfigurationError("SPEC", str(path), "must hold input_bits, layers and edges, or a design.json")
    return ModelSpec.from_dict(data)
