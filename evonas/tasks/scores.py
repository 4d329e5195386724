"""How well a network's outputs meet a goal, and metrics of the user's own.

Every function takes what the task calls natural: logits and classes, predictions and targets in their own units, or
anomaly scores and labels.
"""

from __future__ import annotations

import importlib
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Metric = Callable[[NDArray[Any], NDArray[Any]], float]

SIGNAL_EFFICIENCY = 0.4  # at which the false-positive rate of an anomaly detector is quoted (CoDAE, arXiv 2306.12955)


def classification_scores(
    logits: NDArray[np.floating], classes: NDArray[np.int64], names: Sequence[str]
) -> dict[str, float]:
    """`accuracy`, `error` (1 - accuracy) and the one-against-rest `auc_<class>` of `logits` (n, n_classes)."""
    accuracy = float(np.mean(np.argmax(logits, axis=1) == classes))
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    probability = shifted / shifted.sum(axis=1, keepdims=True)
    scores = {"accuracy": accuracy, "error": 1.0 - accuracy}
    for index, name in enumerate(names):
        scores[f"auc_{name}"] = area_under_curve(probability[:, index], classes == index)
    return scores


def regression_scores(
    predicted: NDArray[np.floating], targets: NDArray[np.floating], names: Sequence[str]
) -> dict[str, float]:
    """`rmse`, `mae`, `rmse_<target>` and `error` (the rmse) of predictions (n, n_outputs) in the targets' units.

    `rmse` and `mae` are means over rows and targets together: they say little if the targets have different units.
    """
    difference = predicted - targets
    square = np.mean(difference**2, axis=0)
    rmse = math.sqrt(float(square.mean()))
    scores = {"error": rmse, "rmse": rmse, "mae": float(np.abs(difference).mean())}
    return scores | {f"rmse_{name}": math.sqrt(float(s)) for name, s in zip(names, square, strict=True)}


def anomaly_scores(score: NDArray[np.floating], labels: NDArray[np.int64]) -> dict[str, float]:
    """`auroc`, `fpr_at_tpr40` and `error` (1 - auroc) of anomaly scores (n,), high for `labels` 1 (n,)."""
    positive = labels == 1
    auroc = area_under_curve(score, positive)
    return {
        "error": 1.0 - auroc,
        "auroc": auroc,
        "fpr_at_tpr40": false_positive_rate(score, positive, SIGNAL_EFFICIENCY),
    }


def area_under_curve(score: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve as the Mann-Whitney statistic with ties counted one half; 0.5 if one-sided."""
    from scipy.stats import rankdata

    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if n_positive == 0 or n_negative == 0:
        return 0.5
    rank_sum = float(rankdata(score)[positive].sum())
    return (rank_sum - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)


def false_positive_rate(score: NDArray[np.floating], positive: NDArray[np.bool_], true_positive_rate: float) -> float:
    """Share of negatives at or above the highest threshold that accepts at least `true_positive_rate` of positives.

    Ties with the threshold are accepted. 1.0 without positives, 0.0 without negatives.
    """
    if not positive.any():
        return 1.0
    accepted = max(1, math.ceil(true_positive_rate * int(positive.sum()) - 1e-9))
    threshold = np.sort(score[positive])[-accepted]
    negatives = score[~positive]
    return float(np.mean(negatives >= threshold)) if len(negatives) else 0.0


def metric_name(path: str) -> str:
    """The name a metric is reported under: `physics.scores:tail` -> `tail`."""
    return path.rpartition(":")[2]


def check_metric(path: str) -> None:
    """Raise `ConfigurationError` for a metric that cannot be loaded, or bears the name of one that every study has."""
    load_metric(path)
    if metric_name(path) in ("error", "accuracy"):
        raise ConfigurationError("task.metric", path, "bears the name of a built-in metric; rename the function")


def load_metric(path: str) -> Metric:
    """The callable at an import path `package.module:function`.

    Raises: `ConfigurationError` if there is no such module or function.
    """
    module, _, name = path.partition(":")
    if not all(part.isidentifier() for part in [*module.split("."), name]):
        raise ConfigurationError("task.metric", path, "must look like package.module:function")
    try:
        found = getattr(importlib.import_module(module), name)
    except ImportError as error:
        mend = f"cannot be imported ({error}); install the package, or put its folder on PYTHONPATH"
        raise ConfigurationError("task.metric", path, mend) from error
    except AttributeError as error:
        raise ConfigurationError("task.metric", path, f"module {module} has no {name}") from error
    if not callable(found):
        raise ConfigurationError("task.metric", path, "is not callable; it must be a function (outputs, targets)")
    metric: Metric = found
    return metric


def own_score(path: str, outputs: NDArray[Any], targets: NDArray[Any]) -> float:
    """Value of the metric at `path`. Raises `ConfigurationError` if it is not one finite number."""
    found: Any = load_metric(path)(outputs, targets)
    try:
        value = float(found)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise ConfigurationError("task.metric", path, f"returned {found!r}; it must return one finite number")
    return value
