"""The one door to scikit-learn: nothing else in the package imports it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, final

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from surrogates.forest import Forest, Tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from surrogates.table import Floats


def ridge(inputs: Floats, targets: Floats) -> Callable[[Floats], Floats]:
    """What predicts targets (n,) from standardised inputs (n, p); leave-one-out chooses how far it shrinks."""
    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 13)))
    predict: Callable[[Floats], Floats] = model.fit(inputs, targets).predict
    return predict


def logistic(inputs: Floats, happened: NDArray[np.bool_]) -> Callable[[Floats], Floats]:
    """What predicts the probability of an event (n,) from standardised inputs (n, p); both outcomes occur."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=2000)).fit(inputs, happened)
    return lambda rows: np.asarray(model.predict_proba(rows)[:, 1], dtype=np.float64)


def grow(inputs: Floats, targets: Floats, weights: Floats, *, n_trees: int, seed: int) -> Forest:
    """Extremely randomised trees on inputs (n, p), targets (n,) and weights (n,)."""
    model = ExtraTreesRegressor(
        n_trees, min_samples_leaf=2, max_features=0.5, bootstrap=True, random_state=seed, n_jobs=1
    )
    model.fit(inputs, targets, sample_weight=weights)
    return Forest(tuple(_plain(estimator.tree_) for estimator in model.estimators_))


def boost(inputs: Floats, targets: Floats, weights: Floats, *, seed: int) -> Forest:
    """Gradient boosting on inputs (n, p), targets (n,) and weights (n,): trees whose mean is the boosted sum."""
    model = GradientBoostingRegressor(
        n_estimators=60, learning_rate=0.15, max_depth=3, subsample=0.5, max_features=0.5, random_state=seed
    )
    model.fit(inputs, targets, sample_weight=weights)
    start = float(np.average(targets, weights=weights))
    scale = model.learning_rate * len(model.estimators_)
    trees = (_plain(estimator.tree_) for estimator in model.estimators_[:, 0])
    return Forest(tuple(replace(tree, value=start + scale * tree.value) for tree in trees))


def _plain(tree: Any) -> Tree:
    own = np.arange(tree.node_count)
    leaf = tree.children_left < 0
    left, right = (np.where(leaf, own, below) for below in (tree.children_left, tree.children_right))
    feature = np.where(leaf, 0, tree.feature)
    return Tree(feature, np.array(tree.threshold), left, right, np.array(tree.value[:, 0, 0]))


@final
class ResidualRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A learner of `surrogates.regressors` for scikit-learn's tools: any numbers X (n, p) and targets y (n,).

    `kind` is "gp", "ridge", "trees", "ensemble", which is their mean, "boosting" or "deep_ensemble". The smooth ones
    read the first columns of X alone, as many as `surrogates.feature_matrix` has compact ones. Weights are relative,
    so that a row of weight two is not quite two rows; one that weighs nothing is left out. Passes
    `sklearn.utils.estimator_checks.check_estimator` but for that.

    >>> X, y = feature_matrix(specs, HardwareTarget()), np.log1p(luts)        # doctest: +SKIP
    >>> cross_val_score(ResidualRegressor("gp"), X, y, groups=architectures)  # doctest: +SKIP
    """

    def __init__(self, kind: str = "ensemble", *, seed: int = 0) -> None:
        self.kind = kind
        self.seed = seed

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from rows of finite numbers. Raises `ValueError` for others, or another kind."""
        from surrogates.kinds import KINDS, unfitted

        kinds = tuple(kind for kind in KINDS if kind != "auto")
        if self.kind not in kinds:
            raise ValueError(f"kind = {self.kind!r}: must be one of {', '.join(kinds)}")
        X, y = validate_data(self, X, y, y_numeric=True, dtype=np.float64)
        mass = np.ones(len(y))
        if sample_weight is not None:
            mass = check_array(sample_weight, ensure_2d=False, ensure_non_negative=True, input_name="sample_weight")
        if mass.shape != y.shape:
            raise ValueError(f"sample_weight has shape {mass.shape}, must have {y.shape}: one weight for each row")
        X, y, mass = X[mass > 0], y[mass > 0], mass[mass > 0]
        if len(y) == 0:
            raise ValueError("sample_weight: every weight is zero; give some rows a positive one")
        self.centre_ = float(np.average(y, weights=mass))
        self.scale_ = float(np.sqrt(np.average((y - self.centre_) ** 2, weights=mass))) or 1.0
        (self.learner_,) = unfitted(self.kind, self.seed).values()
        self.learner_.fit(X, (y - self.centre_) / self.scale_, mass)
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Means (m,), and with `return_std` standard deviations (m,) as well."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        mean, std = self.learner_.predict(X)
        found = self.centre_ + self.scale_ * mean
        return (found, self.scale_ * std) if return_std else found
