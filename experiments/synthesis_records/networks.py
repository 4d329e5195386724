"""What is synthesised: units of networks that share family, input shape, data and the ranges of their genes.

A unit draws its own ranges, because genes drawn from one wide range average out: every network would have about as many
bits as any other. Each unit depends on the seed and its number alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np

from evonas.seeding import stream
from evonas.space.families import fitted
from evonas.space.mlp import MlpSpace
from evonas.tasks import load_task
from evonas.tasks.base import Split
from surrogates import HardwareTarget, analytic_costs

if TYPE_CHECKING:
    from evonas.space import Phenotype
    from evonas.space.base import GeneSpace

Weights = Literal["random", "trained"]
Data = Literal["jets", "constituents", "bragg", "synthetic"]

FAMILIES = {
    "mlp": 0.44, "deep_sets": 0.17, "convolution": 0.15, "interaction": 0.06, "linear_interaction": 0.06,
    "mixer": 0.05, "attention": 0.02, "autoencoder": 0.03, "readout": 0.02,
}  # fmt: skip
REAL: dict[str, tuple[Data, ...]] = {
    "mlp": ("jets", "constituents", "bragg"), "autoencoder": ("jets",), "convolution": ("bragg",),
    "deep_sets": ("constituents",), "interaction": ("constituents",), "linear_interaction": ("constituents",),
    "mixer": ("constituents",), "attention": ("constituents",),
}  # fmt: skip
PER_UNIT = 24
ROWS = 6000
SMALLEST_LUT, LARGEST_LUT, BEYOND_LUT = 20, 40_000, 150_000  # by the closed form
OFTEN_LUT = 4_000  # up to here all are taken, beyond it fewer
SPARSITIES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
WIDTHS = (2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128)
PARTS = ("xcvu13p-flga2577-2-e", "xczu7ev-ffvc1156-2-e", "xc7a100t-csg324-1", "xc7z020-clg400-1")
PERIODS_NS = (2.5, 3.333, 5.0, 8.0, 10.0)


@final
@dataclass(frozen=True)
class Unit:
    """Networks that are made together: their phenotypes, one seed each, and the target they are made for."""

    number: int
    family: str
    data: Data
    weights: Weights
    shape: tuple[int, int]
    phenotypes: tuple[Phenotype, ...]
    target: HardwareTarget


def unit(seed: int, number: int) -> Unit:
    """The unit of this number."""
    rng = stream(seed, "synthesis records", number)
    family = str(rng.choice(list(FAMILIES), p=list(FAMILIES.values())))
    real = family in REAL and rng.random() < 0.5
    data: Data = str(rng.choice(REAL[family])) if real else "synthetic"  # type: ignore[assignment]
    weights: Weights = "trained" if data != "synthetic" or rng.random() < 0.4 else "random"
    shape, n_outputs, image = _shape(family, data, rng)
    space = _space(family, shape, n_outputs, image, rng)
    part = PARTS[0] if rng.random() < 0.6 else str(rng.choice(PARTS))
    period_ns = 5.0 if rng.random() < 0.6 else float(rng.choice(PERIODS_NS))
    return Unit(number, family, data, weights, shape, _draw(space, rng), HardwareTarget(part, period_ns))


def _shape(
    family: str, data: Data, rng: np.random.Generator
) -> tuple[tuple[int, int], int, tuple[int, int] | None]:
    """Positions and features of the input, outputs, and the image if it is one."""
    n_outputs = int(rng.choice((1, 2, 3, 5, 10)))
    if family == "convolution":
        side = int(rng.choice((5, 7, 9, 11) if data == "bragg" else (4, 5, 6, 8, 10)))
        channels = 1 if data == "bragg" else int(rng.choice((1, 1, 2, 3)))
        return (side * side, channels), 2 if data == "bragg" else n_outputs, (side, side)
    if family in ("mlp", "autoencoder"):
        inputs = {"jets": 16, "constituents": 24, "bragg": 121}.get(data) or round(2 ** rng.uniform(1, 6.5))
        return (1, inputs), {"jets": 5, "constituents": 5, "bragg": 2}.get(data, n_outputs), None
    if family == "readout":
        return (int(rng.choice((16, 24, 32, 48, 64))), 2), n_outputs, None
    if data == "constituents":
        return (int(rng.integers(2, 9)), 3), 5, None
    return (int(rng.choice((3, 4, 6, 8, 12, 16))), int(rng.choice((1, 2, 3, 4, 6)))), n_outputs, None


def _range(values: tuple[Any, ...], rng: np.random.Generator) -> tuple[Any, ...]:
    """Some neighbours of `values`, in their order."""
    low, high = sorted(rng.integers(0, len(values), 2))
    return values[low : high + 1]


def _space(
    family: str, shape: tuple[int, int], n_outputs: int, image: tuple[int, int] | None, rng: np.random.Generator
) -> GeneSpace:
    """A space of the family with ranges of this unit's own."""
    bits = tuple(range(2, 13))
    chosen: dict[str, Any] = {
        "weight_bits": _range(bits, rng),
        "activation_bits": _range(bits, rng),
        "input_bits": _range(bits, rng),
        "sparsity": tuple(sorted({0.0, *_range(SPARSITIES, rng)})),
        "activations": ("relu",) if rng.random() < 0.75 else ("leaky_relu", "hard_tanh", "identity"),
        "learning_rate": (0.02,),
        "implementations": _implementations(rng),
    }
    widths = _range(WIDTHS, rng)
    if family == "mlp":
        deepest = int(rng.integers(1, 7))
        depth = (int(rng.integers(1, deepest + 1)), deepest)
        return MlpSpace(shape[1], n_outputs, depth=depth, widths=widths, **chosen)
    if family in ("deep_sets", "mixer", "convolution", "interaction", "linear_interaction", "attention", "readout"):
        many = family in ("interaction", "linear_interaction", "attention")  # layers at many positions
        chosen["widths"] = _range(WIDTHS[:9], rng) if many else widths
    if family == "deep_sets":
        chosen["bottleneck"] = _range(WIDTHS[2:13], rng)
    return fitted(family, chosen, shape, n_outputs, image)


def _implementations(rng: np.random.Generator) -> tuple[Any, ...]:
    """Adders for most units, multipliers for some layers of others, multipliers alone for a few."""
    kind, reuse = rng.random(), _range((1, 2, 4, 8, 16, 32, 64), rng)
    if kind < 0.7:
        return ("distributed_arithmetic",)
    return ("distributed_arithmetic", *reuse) if kind < 0.85 else tuple(sorted({1, *reuse}))


def _draw(space: GeneSpace, rng: np.random.Generator) -> tuple[Phenotype, ...]:
    """Different networks whose closed form is between the limits, large ones less often."""
    most = BEYOND_LUT if rng.random() < 0.01 else LARGEST_LUT  # a few that tools fail on
    drawn = {p.digest: p for p in (space.decode(genome) for genome in space.sample(6 * PER_UNIT, rng))}
    luts = analytic_costs([phenotype.spec for phenotype in drawn.values()]).lut
    taken = rng.random(len(luts)) < np.sqrt(OFTEN_LUT / np.maximum(luts, OFTEN_LUT))
    kept = taken & (luts >= SMALLEST_LUT) & (luts <= most)
    return tuple(phenotype for phenotype, keep in zip(drawn.values(), kept, strict=True) if keep)[:PER_UNIT]


def rows(chosen: Unit, seed: int) -> Split:
    """What the networks of a unit are trained on or, with random weights, what their scales are chosen for."""
    rng = stream(seed, "rows", chosen.number)
    positions, features = chosen.shape
    if chosen.data == "synthetic":
        return _synthetic(chosen, rng)
    if chosen.data == "bragg":
        data = load_task("bragg", n_peaks=2 * ROWS).split("train").head(ROWS)
        side = round((positions * features) ** 0.5)
        at = (11 - side) // 2
        patches = data.x.reshape(-1, 11, 11)[:, at : at + side, at : at + side]
        return Split(np.ascontiguousarray(patches.reshape(len(patches), -1)), data.y)
    inputs = "hlf" if chosen.data == "jets" else "constituents"
    data = load_task("jets", inputs=inputs).split("train").head(ROWS)
    x = np.ascontiguousarray(data.x[:, : positions * features])
    return Split(x, x) if chosen.family == "autoencoder" else Split(x, data.y)


def _synthetic(chosen: Unit, rng: np.random.Generator) -> Split:
    """Correlated normal inputs and what a random network makes of them."""
    n_inputs = chosen.shape[0] * chosen.shape[1]
    mixing = rng.normal(size=(n_inputs, n_inputs)) / n_inputs**0.5 + np.eye(n_inputs)
    x = rng.normal(size=(ROWS, n_inputs)) @ mixing
    x = (x / x.std(axis=0)).astype(np.float32)
    if chosen.family == "autoencoder":
        return Split(x, x)
    n_outputs = chosen.phenotypes[0].spec.n_outputs
    hidden = np.tanh(x @ rng.normal(size=(n_inputs, 16)) / n_inputs**0.5)
    y = hidden @ rng.normal(size=(16, n_outputs))
    if n_outputs in (1, 2):
        return Split(x, (y / y.std(axis=0)).astype(np.float32))
    return Split(x, np.argmax(y, axis=1))
