"""What a search learns: data in three disjoint splits, and how a network's outputs are scored."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, final

import numpy as np

from evonas.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SplitName = Literal["train", "validation", "test"]
SPLIT_NAMES: tuple[SplitName, ...] = ("train", "validation", "test")


@final
@dataclass(frozen=True)
class Split:
    """One split of a task: `x` is (n, n_inputs) float32, `y` is (n,) int64 class indices."""

    x: NDArray[np.float32]
    y: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.y)


class Task(Protocol):
    """A classification task. The search trains on `train`, selects on `validation`, never sees `test`."""

    @property
    def name(self) -> str:
        """Short name, for tables and reports."""

    @property
    def n_inputs(self) -> int:
        """Number of input features."""

    @property
    def n_classes(self) -> int:
        """Number of classes, which is the number of network outputs."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """One name per output."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """One name per input."""

    @property
    def provenance(self) -> str:
        """Where the data come from; shown beside every accuracy."""

    @property
    def digest(self) -> str:
        """Content digest of the data, the preparation and the split."""

    def split(self, name: SplitName) -> Split:
        """The standardised data of one split."""

    def score(self, logits: NDArray[np.floating], split: Split) -> dict[str, float]:
        """Metrics of `logits` (n, n_classes) on a split: `accuracy`, `error`, `auc_<class>`."""


@final
@dataclass(frozen=True)
class ArrayTask:
    """A classification task from arrays in memory.

    The rows are permuted by `seed` and cut into train, validation and test by `fractions`. Features are
    standardised with the mean and standard deviation of the training split and clipped to `±clip`, so that a
    fixed-point input never overflows; a trigger applies the same two numbers per feature ahead of the network.

    Parameters: `x` (n, n_inputs) finite floats, `y` (n,) integers in [0, n_classes).
    Raises: `DataError` for wrong shapes, NaN, or fewer than two classes present in a split.
    """

    name: str
    x: NDArray[np.float32]
    y: NDArray[np.int64]
    class_names: tuple[str, ...]
    feature_names: tuple[str, ...]
    provenance: str
    seed: int = 0
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15)
    clip: float = 4.0
    source: str | None = None
    digest: str = field(init=False)
    mean: NDArray[np.float64] = field(init=False)
    scale: NDArray[np.float64] = field(init=False)
    _rows: dict[SplitName, NDArray[np.int64]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        x, y = np.asarray(self.x, np.float32), np.asarray(self.y, np.int64)
        check_arrays(x, y, self.class_names, self.feature_names, self.source)
        if self.clip <= 0 or not np.isfinite(self.clip):
            raise ConfigurationError("task.clip", self.clip, "must be a positive number of standard deviations")
        if min(self.fractions) <= 0 or abs(sum(self.fractions) - 1) > 1e-9:
            raise ConfigurationError("task.fractions", self.fractions, "must be positive and add up to 1")
        order = np.random.default_rng(self.seed).permutation(len(y))
        first = round(self.fractions[0] * len(y))
        second = first + round(self.fractions[1] * len(y))
        rows = dict(zip(SPLIT_NAMES, np.split(order, [first, second]), strict=True))
        for name, part in rows.items():
            if len(np.unique(y[part])) < 2:
                raise DataError(f"the {name} split holds fewer than two classes; give more rows", self.source)
        mean = x[rows["train"]].mean(axis=0, dtype=np.float64)
        scale = x[rows["train"]].std(axis=0, dtype=np.float64)
        scale[scale == 0] = 1.0  # a constant feature carries nothing; it becomes 0
        digest = hashlib.sha256()
        for chunk in (x.tobytes(), y.tobytes(), repr((self.seed, self.fractions, self.clip)).encode()):
            digest.update(chunk)
        for key, value in {"x": x, "y": y, "mean": mean, "scale": scale, "_rows": rows}.items():
            object.__setattr__(self, key, value)
        object.__setattr__(self, "digest", digest.hexdigest())

    @property
    def n_inputs(self) -> int:
        """Number of input features."""
        return int(self.x.shape[1])

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    def prepare(self, x: NDArray[np.floating]) -> NDArray[np.float32]:
        """Standardise and clip raw features (n, n_inputs), as every split is."""
        standardised = (np.asarray(x, np.float64) - self.mean) / self.scale
        return np.clip(standardised, -self.clip, self.clip).astype(np.float32)

    def rows(self, name: SplitName) -> NDArray[np.int64]:
        """Row indices into `x` and `y` of one split."""
        return self._rows[name]

    def split(self, name: SplitName) -> Split:
        """The prepared data of one split."""
        if name not in SPLIT_NAMES:
            raise ConfigurationError("split", name, f"must be one of {', '.join(SPLIT_NAMES)}")
        rows = self._rows[name]
        return Split(self.prepare(self.x[rows]), self.y[rows])

    def score(self, logits: NDArray[np.floating], split: Split) -> dict[str, float]:
        """Accuracy, error (1 - accuracy) and one-against-rest AUC per class from `logits` (n, n_classes)."""
        accuracy = float(np.mean(np.argmax(logits, axis=1) == split.y))
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        probability = shifted / shifted.sum(axis=1, keepdims=True)
        scores = {"accuracy": accuracy, "error": 1.0 - accuracy}
        for index, name in enumerate(self.class_names):
            scores[f"auc_{name}"] = area_under_curve(probability[:, index], split.y == index)
        return scores


def area_under_curve(score: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve as the Mann-Whitney statistic with ties counted one half; 0.5 if one-sided."""
    from scipy.stats import rankdata

    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if n_positive == 0 or n_negative == 0:
        return 0.5
    rank_sum = float(rankdata(score)[positive].sum())
    return (rank_sum - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)


def check_arrays(
    x: NDArray[np.float32],
    y: NDArray[np.int64],
    class_names: tuple[str, ...],
    feature_names: tuple[str, ...],
    source: str | None,
) -> None:
    """Raise one clear `DataError` for the first thing that is wrong with a data set."""
    if x.ndim != 2 or len(x) == 0:
        raise DataError(f"x has shape {x.shape}; it must be (rows, features) with at least one row", source)
    if y.shape != (len(x),):
        raise DataError(f"y has shape {y.shape}; it must be ({len(x)},), one label per row of x", source)
    if len(feature_names) != x.shape[1]:
        raise DataError(f"{len(feature_names)} feature names for {x.shape[1]} columns of x", source)
    bad = np.argwhere(~np.isfinite(x))
    if len(bad):
        row, column = (int(i) for i in bad[0])
        raise DataError(
            f"x[{row}, {column}] ({feature_names[column]}) is {x[row, column]}, and {len(bad) - 1} more values "
            "are not finite; remove or impute those rows",
            source,
        )
    outside = np.flatnonzero((y < 0) | (y >= len(class_names)))
    if len(outside):
        row = int(outside[0])
        raise DataError(f"y[{row}] is {y[row]}; labels must lie in 0..{len(class_names) - 1}", source)
    if len(np.unique(y)) < 2:
        raise DataError("only one class is present; a classifier needs at least two", source)
