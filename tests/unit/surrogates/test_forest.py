"""Trees as arrays predict what the library that grew them predicts."""

import json

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesRegressor

from surrogates._sklearn import grow
from surrogates.forest import Forest

RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(200, 7))
TARGETS = np.sin(INPUTS[:, 0]) + INPUTS[:, 3] ** 2
WEIGHTS = RNG.uniform(0.2, 1.0, 200)


@pytest.mark.parametrize("rows", [200, 3, 1])
def test_as_the_library(rows):
    x, y, weights = INPUTS[:rows], TARGETS[:rows], WEIGHTS[:rows]
    forest = grow(x, y, weights, n_trees=9, seed=4)
    peer = ExtraTreesRegressor(9, min_samples_leaf=2, max_features=0.5, bootstrap=True, random_state=4)
    peer.fit(x, y, sample_weight=weights)
    new = np.concatenate([INPUTS, RNG.normal(size=(300, 7)) * 3])
    mean, std = forest.predict(new)
    np.testing.assert_allclose(mean, peer.predict(new), rtol=1e-12)
    votes = np.stack([tree.predict(new.astype(np.float32)) for tree in peer.estimators_])
    np.testing.assert_allclose(std, votes.std(axis=0), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rows", [200, 1])
def test_plain_data(rows):
    forest = grow(INPUTS[:rows], TARGETS[:rows], WEIGHTS[:rows], n_trees=5, seed=1)
    again = Forest.from_dict(json.loads(json.dumps(forest.to_dict(), allow_nan=False)))
    for one, other in zip(forest.predict(INPUTS), again.predict(INPUTS), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("name", "value"), [("sizes", [3]), ("left", [0])])
def test_arrays_that_do_not_fit_are_refused(name, value):
    data = grow(INPUTS, TARGETS, WEIGHTS, n_trees=2, seed=1).to_dict()
    with pytest.raises(ValueError, match="different lengths"):
        Forest.from_dict(data | {name: value})
