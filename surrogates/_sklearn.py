"""The one door to scikit-learn: nothing else in the package imports it."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

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


@final
class Forest:
    """Extremely randomised trees; the spread between the trees is the uncertainty."""

    def __init__(self, n_trees: int, seed: int) -> None:
        self.model = ExtraTreesRegressor(
            n_trees, min_samples_leaf=2, max_features=0.5, bootstrap=True, random_state=seed, n_jobs=1
        )

    def fit(self, inputs: Floats, targets: Floats, weights: Floats) -> Forest:
        """Grow the trees on (n, p) inputs."""
        self.model.fit(inputs, targets, sample_weight=weights)
        return self

    def predict(self, inputs: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation over the trees, two arrays (n,)."""
        inputs = inputs.astype(np.float32)
        votes = np.stack([tree.predict(inputs, check_input=False) for tree in self.model.estimators_])
        return votes.mean(axis=0), votes.std(axis=0)
