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

    def given(self) -> list[str]:
        """Options that the user wrote."""
        return [f"--{name.replace('_', '-')}" for name, value in vars(self).items() if value is not None]


DEFAULTS = {"weight_bits": 6, "activation_bits": 6, "input_bits": 8, "sparsity": 0.0, "activation": "relu"}


def read_spec(text: str, shorthand: Shorthand) -> ModelSpec:
    """The network of a JSON file (`ModelSpec.to_dict` or a design.json) or of a topology such as `16-32-16-5`.

    Raises `ConfigurationError` or `SpecError` naming what is wrong.
    """
    if TOPOLOGY.fullmatch(text) and not Path(text).exists():
        return from_topology(text, shorthand)
    if shorthand.given():
        options = ", ".join(shorthand.given())
        raise ConfigurationError("SPEC", text, f"is a file, which says this itself: leave out {options}")
    return _from_file(Path(text))


def from_topology(text: str, shorthand: Shorthand) -> ModelSpec:
    """A chain of dense layers, all hidden ones alike."""
    chosen: dict[str, Any] = {k: v if v is not None else DEFAULTS[k] for k, v in vars(shorthand).items()}
    if chosen["activation"] == "linear":
        raise ConfigurationError("--activation", "linear", "is only for the last layer, which always has it")
    widths = [int(part) for part in text.split("-")]
    layers = []
    for index, (n_in, n_out) in enumerate(pairwise(widths)):
        last = index == len(widths) - 2
        layers.append(
            LayerSpec(
                n_in,
                n_out,
                chosen["weight_bits"],
                0 if last else chosen["activation_bits"],
                "linear" if last else chosen["activation"],
                chosen["sparsity"],
            )
        )
    return ModelSpec(chosen["input_bits"], tuple(layers))


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
