"""Numbers and networks as text. A missing value is always a dash, never a zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evonas.objectives import Measurement
    from surrogates import HardwareTarget, ModelSpec

MISSING = "–"
NO_BREAK = "\u00a0"  # keeps a value and its unit on one line

# Metric -> (name in running text and on axes, unit).
METRIC_NAMES: dict[str, tuple[str, str]] = {
    "accuracy": ("accuracy", "%"),
    "error": ("error", ""),
    "lut": ("LUT", "cells"),
    "ff": ("FF", "cells"),
    "dsp": ("DSP", "cells"),
    "bram_18k": ("BRAM", "18 Kbit blocks"),
    "latency_cycles": ("latency", "cycles"),
    "latency_ns": ("latency", "ns"),
    "initiation_interval": ("initiation interval", "cycles"),
}


def metric_label(metric: str) -> str:
    """Name and unit of a metric, such as `LUT (cells)`."""
    name, unit = METRIC_NAMES.get(metric, (metric, ""))
    return f"{name} ({unit})" if unit else name


def count(value: float | None) -> str:
    """A whole number with thousands separators."""
    return MISSING if value is None else f"{value:,.0f}"


def decimal(value: float | None, digits: int = 2) -> str:
    """A number with a fixed count of decimals."""
    return MISSING if value is None else f"{value:,.{digits}f}"


def error_text(value: float | None) -> str:
    """An error with four decimals, or four significant figures where these would hide it."""
    plain = value is None or value == 0 or 1e-3 <= abs(value) < 1e5
    return decimal(value, 4) if plain else f"{value:.4g}"


def percent(fraction: float | None, digits: int = 2) -> str:
    """A fraction in per cent, without the sign (the header or the sentence carries it)."""
    return MISSING if fraction is None else f"{100 * fraction:.{digits}f}"


def shortest(value: float | None) -> str:
    """A number with four significant figures at most, whole numbers whole."""
    if value is None:
        return MISSING
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1000 else f"{value:.4g}"


def metric_value(metric: str, value: float | None) -> str:
    """A value with its unit, such as `5,120 LUT` or `76.31 %`."""
    if value is None:
        return MISSING
    if metric == "accuracy":
        return f"{percent(value)}{NO_BREAK}%"
    if metric == "error":
        return error_text(value)
    name, unit = METRIC_NAMES.get(metric, (metric, ""))
    if metric in ("latency_cycles", "latency_ns"):
        return f"{shortest(value)}{NO_BREAK}{unit}"
    return f"{shortest(value)}{NO_BREAK}{name}"


def with_error(measured: Measurement) -> str:
    """A score with its standard error, such as `76.31 ± 0.12 %`."""
    if measured.std is None:
        return metric_value(measured.metric, measured.value)
    if measured.metric == "accuracy":
        return f"{percent(measured.value)} ± {percent(measured.std)}{NO_BREAK}%"
    return f"{error_text(measured.value)} ± {error_text(measured.std)}"


def short_version(version: str) -> str:
    """A version that fits a column: a long digest keeps its first twelve characters."""
    *words, last = version.split(" ")
    return " ".join([*words, last if len(last) <= 20 else last[:12] + "…"])


def duration(seconds: float | None) -> str:
    """A wall time such as `42 s`, `3 min 20 s` or `2 h 05 min`."""
    if seconds is None:
        return MISSING
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def quantity(number: int, singular: str, plural: str | None = None) -> str:
    """`1 design`, `2 designs`."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def weight_bits(spec: ModelSpec) -> str:
    """Bits of the weights by layer; one number when all layers agree."""
    return _collapsed([layer.weight_bits for layer in spec.weighted])


def activation_bits(spec: ModelSpec) -> str:
    """Bits of the hidden activations by layer; the last layer keeps its full accumulator."""
    return _collapsed([layer.activation_bits for layer in spec.weighted if layer.activation_bits])


def sparsity(spec: ModelSpec) -> float:
    """Fraction of all weights that is pruned."""
    total = sum(layer.n_weights for layer in spec.weighted)
    return 1.0 - sum(layer.n_nonzero for layer in spec.weighted) / total


def describe(spec: ModelSpec, norm: str = "none") -> str:
    """One line about a network: topology, bits, sparsity, and the normalisation in training if there is one."""
    activations = activation_bits(spec)
    bits = f"weights {weight_bits(spec)} bit" + (f", activations {activations} bit" if activations != MISSING else "")
    normalised = "" if norm == "none" else f", {norm} normalised"
    return f"{spec.topology}, {bits}, {percent(sparsity(spec), 0)}{NO_BREAK}% pruned{normalised}"


def describe_target(target: HardwareTarget) -> str:
    """One line about the hardware target."""
    return f"{target.part}, {shortest(target.clock_period_ns)} ns clock period, {target.io_type}"


def _collapsed(values: list[int]) -> str:
    if not values:
        return MISSING
    return str(values[0]) if len(set(values)) == 1 else "/".join(str(v) for v in values)
