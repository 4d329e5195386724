"""How good predictions are: errors, rank correlations and coverage; `None` where too few points say nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

if TYPE_CHECKING:
    from surrogates.table import Floats

MIN_RANKED = 3  # two points always rank perfectly


@final
@dataclass(frozen=True)
class Accuracy:
    """Accuracy of n predictions of one target; relative errors are shares (0.1 = 10 %), `smape` is in per cent."""

    n: int
    median_relative_error: float | None
    mean_relative_error: float | None
    r2: float | None
    smape: float | None
    spearman: float | None
    kendall: float | None
    coverage: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        return asdict(self)


def accuracy(truth: Floats, predicted: Floats, lower: Floats | None = None, upper: Floats | None = None) -> Accuracy:
    """All measures of (n,) predictions against (n,) truths in native units; coverage only with both interval ends.

    Raises `ValueError` if the shapes differ or a value is not finite.
    """
    truth, predicted = _checked(truth, predicted)
    errors = relative_errors(truth, predicted)
    return Accuracy(
        n=len(truth),
        median_relative_error=float(np.median(errors)) if len(errors) else None,
        mean_relative_error=float(np.mean(errors)) if len(errors) else None,
        r2=r_squared(truth, predicted),
        smape=smape(truth, predicted),
        spearman=spearman(truth, predicted),
        kendall=kendall(truth, predicted),
        coverage=None if lower is None or upper is None else coverage(truth, lower, upper),
    )


def relative_errors(truth: Floats, predicted: Floats) -> Floats:
    """|truth - predicted| / max(|truth|, 1) of each point, (n,): a truth of zero counts in units, not as infinity."""
    truth, predicted = _checked(truth, predicted)
    return np.abs(truth - predicted) / np.maximum(np.abs(truth), 1.0)


def r_squared(truth: Floats, predicted: Floats) -> float | None:
    """1 - residual / total sum of squares in native units; `None` below two points, without spread, or infinite."""
    truth, predicted = _checked(truth, predicted)
    if len(truth) < 2 or np.ptp(truth) == 0:
        return None
    # scaled first, so that neither tiny nor huge costs leave the range of floats
    scale = float(np.ptp(truth))
    total = float(np.sum(((truth - truth.mean()) / scale) ** 2))
    with np.errstate(over="ignore"):
        value = float(1 - np.sum(((truth - predicted) / scale) ** 2) / total)
    return value if np.isfinite(value) else None


def smape(truth: Floats, predicted: Floats) -> float | None:
    """Symmetric error in per cent: 200/n * sum |y - p| / (|y| + |p| + 1), as wa-hls4ml (arXiv:2511.05615) has it."""
    truth, predicted = _checked(truth, predicted)
    if not len(truth):
        return None
    return float(200 * np.mean(np.abs(truth - predicted) / (np.abs(truth) + np.abs(predicted) + 1)))


def ranks(values: Floats) -> Floats:
    """Ranks from 1 with ties averaged, (n,)."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    middle: Floats = last - (counts - 1) / 2.0
    return middle[inverse]


def spearman(truth: Floats, predicted: Floats) -> float | None:
    """Rank correlation; `None` below three points or when either side is constant."""
    truth, predicted = _checked(truth, predicted)
    if len(truth) < MIN_RANKED or np.ptp(truth) == 0 or np.ptp(predicted) == 0:
        return None
    a, b = ranks(truth), ranks(predicted)
    a, b = a - a.mean(), b - b.mean()
    return float(np.clip(a @ b / np.sqrt((a @ a) * (b @ b)), -1.0, 1.0))


def kendall(truth: Floats, predicted: Floats) -> float | None:
    """Kendall's tau-b (pairs in the same order less pairs in the opposite one, ties left out of each side's count).

    `None` below three points or when either side is constant.
    """
    truth, predicted = _checked(truth, predicted)
    if len(truth) < MIN_RANKED or np.ptp(truth) == 0 or np.ptp(predicted) == 0:
        return None
    agree = untied_a = untied_b = 0.0
    for row in range(len(truth) - 1):  # a row at a time: memory stays linear
        a, b = np.sign(truth[row + 1 :] - truth[row]), np.sign(predicted[row + 1 :] - predicted[row])
        agree += float(a @ b)
        untied_a += float(a @ a)
        untied_b += float(b @ b)
    return float(np.clip(agree / np.sqrt(untied_a * untied_b), -1.0, 1.0))


def coverage(truth: Floats, lower: Floats, upper: Floats) -> float | None:
    """Share of truths within their intervals, ends included up to rounding; `None` without a point."""
    truth, lower = _checked(truth, lower)
    truth, upper = _checked(truth, upper)
    if not len(truth):
        return None
    slack = 1e-9 * np.maximum(1.0, np.abs(truth))
    return float(np.mean((truth >= lower - slack) & (truth <= upper + slack)))


def _checked(first: Floats, second: Floats) -> tuple[Floats, Floats]:
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"shapes {first.shape} and {second.shape}: needs two arrays of one dimension and equal length")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("values that are not finite: leave failed networks out before measuring accuracy")
    return first, second
