"""The one door to scikit-learn: nothing else in the package imports it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

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


def _plain(tree: Any) -> Tree:
    own = np.arange(tree.node_count)
    leaf = tree.children_left < 0
    left, right = (np.where(leaf, own, below) for below in (tree.children_left, tree.children_right))
    feature = np.where(leaf, 0, tree.feature)
    return Tree(feature, np.array(tree.threshold), left, right, np.array(tree.value[:, 0, 0]))
