"""What a search learns: data in three disjoint splits, and how a network's outputs are scored."""

from __future__ import annotations

import hashlib
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, final, get_args

import numpy as np

from evonas.errors import ConfigurationError, DataError
from evonas.tasks import scores as scoring
from evonas.tasks.checks import NORMAL_OR_NOT, check_arrays, check_targets
from evonas.tasks.preparation import SPLIT_NAMES, SplitName, Standardise, as_targets, cut, cut_normal, moments

if TYPE_CHECKING:
    from numpy.typing import NDArray

Goal = Literal["classification", "regression", "anomaly"]


@final
@dataclass(frozen=True)
class Split:
    """One split of a task: inputs `x` (n, n_inputs) float32 and what the network is to give back, `y`.

    `y` is (n,) int64 classes for classification, (n, n_outputs) float32 standardised targets for regression, and `x`
    itself for anomaly detection, where `labels` (n,) int64 says which rows are normal (0) and anomalous (1).
    """

    x: NDArray[np.float32]
    y: NDArray[Any]
    labels: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.y)

    def head(self, n_rows: int) -> Split:
        """The first `n_rows` rows."""
        return Split(self.x[:n_rows], self.y[:n_rows], None if self.labels is None else self.labels[:n_rows])


class Task(Protocol):
    """What is to be learnt. The search trains on `train`, selects on `validation`, never sees `test`."""

    @property
    def name(self) -> str:
        """Short name, for tables and reports."""

    @property
    def goal(self) -> Goal:
        """What the outputs are: logits of classes, standardised targets, or the inputs given back."""

    @property
    def shape(self) -> tuple[int, int]:
        """(positions, features) of one input; flat features are (1, n). Rows of `x` go position by position."""

    @property
    def n_inputs(self) -> int:
        """Number of inputs, the product of `shape`."""

    @property
    def n_outputs(self) -> int:
        """Number of network outputs."""

    @property
    def output_names(self) -> tuple[str, ...]:
        """One name per output: the classes, the targets, or the inputs."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """One name per input."""

    @property
    def provenance(self) -> str:
        """Where the data come from; shown beside every score."""

    @property
    def error_definition(self) -> str:
        """What the score `error` is, with its unit, such as `RMSE, GeV`; shown where there is no accuracy."""

    @property
    def digest(self) -> str:
        """Content digest of the data, the preparation and the split."""

    def split(self, name: SplitName) -> Split:
        """The prepared data of one split."""

    def score(self, outputs: NDArray[np.floating], split: Split) -> dict[str, float]:
        """Metrics of `outputs` (n, n_outputs) on a split; always `error`, which is to be minimised."""

    def sample_errors(self, outputs: NDArray[np.floating], split: Split) -> NDArray[np.float64] | None:
        """The errors (n,) of single rows whose mean is `error`, or None where `error` is no such mean."""


@dataclass(frozen=True)
class ArrayTask:
    """A task from arrays in memory.

    The rows are permuted by `seed` and cut into train, validation and test by `fractions`. Inputs are standardised
    with mean and standard deviation of the training split (see `standardise`) and clipped to `±clip`, so that a
    fixed-point input never overflows; a trigger applies the same two numbers per input ahead of the network.

    Classification: `y` (n,) integers, `output_names` the classes. Regression: `y` (n, n_outputs) or (n,) floats in
    `unit`, `output_names` the targets; they are standardised with the training split and scored in `unit`. Anomaly
    detection: `y` (n,) is 0 for normal and 1 for anomalous rows, `output_names` is left empty; the anomalous rows are
    in validation and test alone, and a row's score is the mean square of what the network gives back less the input.

    Parameters: `x` (n, n_inputs) finite floats, position by position for `n_positions` positions; `standardise`
    `columns`, `features` (by feature over all positions) or `none` (`clip` is then the largest input); `image` (rows,
    columns) where the positions are the pixels of an image, row by row; `metric` the import path
    `package.module:function` of a metric (outputs, targets) -> float of what `natural` returns, reported under the
    function's name and, with `metric_as_error`, as `error`.
    Raises: `DataError` for wrong shapes, NaN, or a split without two classes; `ConfigurationError` for options.
    """

    name: str
    x: NDArray[np.float32]
    y: NDArray[Any]
    output_names: tuple[str, ...]
    feature_names: tuple[str, ...]
    provenance: str
    seed: int = 0
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15)
    clip: float = 4.0
    source: str | None = None
    _: KW_ONLY
    goal: Goal = "classification"
    n_positions: int = 1
    standardise: Standardise = "columns"
    image: tuple[int, int] | None = None
    unit: str = ""
    metric: str | None = None
    metric_as_error: bool = False
    digest: str = field(init=False)
    mean: NDArray[np.float64] = field(init=False)
    scale: NDArray[np.float64] = field(init=False)
    target_mean: NDArray[np.float64] = field(init=False)  # (n_outputs,) of regression, else (0,)
    target_scale: NDArray[np.float64] = field(init=False)
    _rows: dict[SplitName, NDArray[np.int64]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.goal not in get_args(Goal):
            raise ConfigurationError("task.goal", self.goal, f"must be one of {', '.join(get_args(Goal))}")
        x = np.asarray(self.x, np.float32)
        y: NDArray[Any] = as_targets(self.y) if self.goal == "regression" else np.asarray(self.y, np.int64)
        outputs = self.feature_names if self.goal == "anomaly" else self.output_names
        if self.goal == "regression":
            check_targets(x, y, outputs, self.feature_names, self.source)
        else:
            classes = NORMAL_OR_NOT if self.goal == "anomaly" else outputs
            check_arrays(x, y, classes, self.feature_names, self.source)
        self._check_options(x.shape[1])
        if self.goal == "anomaly":
            rows = cut_normal(y == 1, self.seed, self.fractions)
        else:
            rows = cut(len(y), self.seed, self.fractions)
        self._check_splits(y, rows)
        mean, scale = moments(x[rows["train"]], self.standardise, self.n_positions)
        target_mean, target_scale = np.zeros(0), np.zeros(0)
        if self.goal == "regression":
            target_mean, target_scale = moments(y[rows["train"]], "columns", 1)
        content = {"x": x, "y": y, "output_names": outputs, "mean": mean, "scale": scale, "_rows": rows}
        content |= {"target_mean": target_mean, "target_scale": target_scale}
        for key, value in content.items():
            object.__setattr__(self, key, value)
        object.__setattr__(self, "digest", self._content_digest())

    def _check_options(self, n_inputs: int) -> None:
        if self.clip <= 0 or not np.isfinite(self.clip):
            raise ConfigurationError("task.clip", self.clip, "must be a positive number, of standard deviations if any")
        if min(self.fractions) <= 0 or abs(sum(self.fractions) - 1) > 1e-9:
            raise ConfigurationError("task.fractions", self.fractions, "must be positive and add up to 1")
        if self.standardise not in get_args(Standardise):
            known = ", ".join(get_args(Standardise))
            raise ConfigurationError("task.standardise", self.standardise, f"must be one of {known}")
        if self.n_positions < 1 or n_inputs % self.n_positions:
            mend = f"must divide the {n_inputs} inputs, which go position by position"
            raise ConfigurationError("task.n_positions", self.n_positions, mend)
        if self.image is not None and self.image[0] * self.image[1] != self.n_positions:
            mend = f"must be rows and columns of the {self.n_positions} positions"
            raise ConfigurationError("task.image", self.image, mend)
        if self.metric is not None:
            scoring.check_metric(self.metric)
        elif self.metric_as_error:
            raise ConfigurationError("task.metric_as_error", True, "needs a metric, package.module:function")

    def _check_splits(self, y: NDArray[Any], rows: dict[SplitName, NDArray[np.int64]]) -> None:
        """Raise `DataError` for a split that cannot be trained on or scored."""
        for name, part in rows.items():
            if not len(part):
                raise DataError(f"the {name} split is empty; give more rows", self.source)
            one_kind = self.goal == "regression" or (self.goal == "anomaly" and name == "train")
            if not one_kind and len(np.unique(y[part])) < 2:
                raise DataError(f"the {name} split holds fewer than two classes; give more rows", self.source)
        if self.goal == "regression" and (constant := np.flatnonzero(np.ptp(y[rows["train"]], axis=0) == 0)).size:
            target = self.output_names[int(constant[0])]
            raise DataError(f"target {target} is the same in all rows of the training split", self.source)

    def _content_digest(self) -> str:
        options = (self.goal, self.seed, self.fractions, self.clip, self.n_positions, self.standardise)
        digest = hashlib.sha256()
        for chunk in (self.x.tobytes(), self.y.tobytes(), repr(options).encode()):
            digest.update(chunk)
        return digest.hexdigest()

    @property
    def shape(self) -> tuple[int, int]:
        """(positions, features) of one input."""
        return self.n_positions, self.n_inputs // self.n_positions

    @property
    def n_inputs(self) -> int:
        """Number of inputs."""
        return int(self.x.shape[1])

    @property
    def n_outputs(self) -> int:
        """Number of network outputs."""
        return len(self.output_names)

    @property
    def error_definition(self) -> str:
        """What `error` is, with its unit."""
        if self.metric is not None and self.metric_as_error:
            return scoring.metric_name(self.metric)
        if self.goal == "regression":
            return f"RMSE, {self.unit}" if self.unit else "RMSE"
        return "1 - accuracy" if self.goal == "classification" else "1 - AUROC"

    def prepare(self, x: NDArray[np.floating]) -> NDArray[np.float32]:
        """Standardise and clip raw inputs (n, n_inputs), as every split is."""
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
        x, y = self.prepare(self.x[rows]), self.y[rows]
        if self.goal == "regression":
            return Split(x, ((y - self.target_mean) / self.target_scale).astype(np.float32))
        return Split(x, x, y) if self.goal == "anomaly" else Split(x, y)

    def natural(self, outputs: NDArray[np.floating], split: Split) -> tuple[NDArray[Any], NDArray[Any]]:
        """What a metric compares, from `outputs` (n, n_outputs).

        Classification: logits and classes (n,). Regression: predictions and targets, both (n, n_outputs) in their
        unit. Anomaly detection: anomaly scores (n,) and labels (n,).
        """
        if self.goal == "regression":
            return outputs * self.target_scale + self.target_mean, split.y * self.target_scale + self.target_mean
        if self.goal == "anomaly":
            assert split.labels is not None
            return np.mean((outputs - split.y) ** 2, axis=1), split.labels
        return outputs, split.y

    def score(self, outputs: NDArray[np.floating], split: Split) -> dict[str, float]:
        """Metrics of `outputs` (n, n_outputs) by the goal, and the metric of the task's own."""
        values, targets = self.natural(outputs, split)
        found = self.goal_scores(values, targets)
        if self.metric is not None:
            own = scoring.own_score(self.metric, values, targets)
            found |= {scoring.metric_name(self.metric): own} | ({"error": own} if self.metric_as_error else {})
        return found

    def goal_scores(self, values: NDArray[Any], targets: NDArray[Any]) -> dict[str, float]:
        """Metrics of what `natural` returns."""
        if self.goal == "regression":
            return scoring.regression_scores(values, targets, self.output_names)
        if self.goal == "anomaly":
            return scoring.anomaly_scores(values, targets)
        return scoring.classification_scores(values, targets, self.output_names)

    def sample_errors(self, outputs: NDArray[np.floating], split: Split) -> NDArray[np.float64] | None:
        """1.0 for a wrong class and else 0.0, (n,); None where `error` is no mean over rows."""
        if self.goal != "classification" or self.metric_as_error:
            return None
        return np.asarray(np.argmax(outputs, axis=1) != split.y, np.float64)
