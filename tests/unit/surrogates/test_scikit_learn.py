"""What scikit-learn asks of its estimators: of the learners as regressors, and of surrogates as far as it applies."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from fakes.records import FITTABLE_KINDS, SLOW_KINDS, random_specs, synthetic_records
from sklearn.base import clone
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.utils.estimator_checks import check_estimator

from surrogates import HardwareTarget, ResidualRegressor, Stage, TransferSurrogate, feature_matrix
from surrogates._sklearn import boost
from surrogates.errors import SurrogateError
from surrogates.estimators import ResidualSurrogate
from surrogates.splits import architecture_groups

KINDS = tuple(kind for kind in FITTABLE_KINDS if kind != "auto")
RELATIVE = {
    f"check_sample_weight_equivalence_on_{rows}_data": "weights are relative: a row of weight two is not two rows"
    for rows in ("dense", "sparse")
}
RECORDS = synthetic_records(60, np.random.default_rng(0))
X = feature_matrix([r.spec for r in RECORDS], HardwareTarget())
Y = np.log1p([r.lut for r in RECORDS])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [pytest.param(k, marks=[pytest.mark.long] * (k in SLOW_KINDS)) for k in KINDS])
def test_learners_pass_the_checks_of_scikit_learn(kind):
    results = check_estimator(ResidualRegressor(kind), expected_failed_checks=RELATIVE, on_skip=None)
    states = [result["status"] for result in results]
    assert states.count("passed") > 50
    assert states.count("xfail") <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_learner_explains_what_it_has_not_seen(kind):
    groups = architecture_groups([r.spec for r in RECORDS])
    assert cross_val_score(ResidualRegressor(kind), X, Y, groups=groups, cv=GroupKFold(4)).mean() > 0.6
    model = ResidualRegressor(kind).fit(X[:40], Y[:40])
    mean, std = model.predict(X[40:], return_std=True)
    assert np.array_equal(mean, model.predict(X[40:]))
    assert (std > 0).all()
    assert np.mean(np.abs(mean - Y[40:]) < 4 * std) > 0.8


def test_boosted_trees_add_up_to_what_scikit_learn_predicts():
    weights = np.linspace(0.5, 2, len(Y))
    model = GradientBoostingRegressor(
        n_estimators=60, learning_rate=0.15, max_depth=3, subsample=0.5, max_features=0.5, random_state=3
    )
    expected = model.fit(X, Y, sample_weight=weights).predict(X)
    np.testing.assert_allclose(boost(X, Y, weights, seed=3).predict(X)[0], expected, rtol=1e-9)


def test_a_deep_ensemble_says_what_it_lacks(monkeypatch):
    monkeypatch.setitem(sys.modules, "surrogates._torch", None)
    with pytest.raises(SurrogateError, match="kind = 'deep_ensemble' needs torch"):
        ResidualRegressor("deep_ensemble").fit(X, Y)


def test_what_is_left_out_by_its_weight_is_as_if_it_were_not_there():
    weights = np.arange(60) % 3 * 1.0
    some, all_ = ResidualRegressor("gp"), ResidualRegressor("gp")
    some.fit(X[weights > 0], Y[weights > 0], weights[weights > 0])
    assert np.array_equal(all_.fit(X, Y, weights).predict(X), some.predict(X))
    with pytest.raises(ValueError, match=r"sample_weight has shape \(59,\)"):
        all_.fit(X, Y, weights[1:])
    with pytest.raises(ValueError, match="every weight is zero"):
        all_.fit(X, Y, 0 * weights)
    with pytest.raises(ValueError, match="kind = 'best': must be one of gp, ridge"):
        ResidualRegressor("best").fit(X, Y)


def test_a_search_over_kinds():
    found = GridSearchCV(ResidualRegressor(), {"kind": ["ridge", "trees"]}, cv=3).fit(X, Y)
    assert found.best_params_["kind"] == "ridge"  # the made-up records follow a smooth law
    assert found.best_estimator_.get_params() == {"kind": "ridge", "seed": 0}


def test_surrogates_are_cloned_unfitted():
    fitted = ResidualSurrogate("ridge", seed=3, foreseen={"lut": (1.0,)}, law="closed forms").fit(RECORDS)
    found = clone(fitted)
    assert found.get_params() == fitted.get_params()
    assert found.fit(RECORDS).version == fitted.version
    transfer = clone(TransferSurrogate(fitted, HardwareTarget(), seed=2).fit(RECORDS[:30]))
    assert transfer.base is fitted
    assert transfer.get_params()["seed"] == 2


def test_parameters_are_changed_by_name():
    surrogate = ResidualSurrogate("ridge").fit(RECORDS)
    version = surrogate.version
    assert surrogate.set_params(kind="gp", seed=1) is surrogate
    assert surrogate.version == version  # until it is fitted again
    assert surrogate.predict(random_specs(2, np.random.default_rng(0)), HardwareTarget()).version == version
    assert surrogate.fit(RECORDS).version == ResidualSurrogate("gp", seed=1).fit(RECORDS).version
    with pytest.raises(SurrogateError, match="depth: no such parameter; there are kind, seed, stage, foreseen, law"):
        surrogate.set_params(depth=2)
    with pytest.raises(SurrogateError, match="kind = 'best'"):
        surrogate.set_params(kind="best")
    with pytest.raises(SurrogateError, match="law = 'physics': must be one of auto, closed forms"):
        surrogate.set_params(law="physics")
    transfer = TransferSurrogate(surrogate, HardwareTarget()).set_params(stage=Stage.CSYNTH)
    assert (transfer.stage, transfer.base) == (Stage.CSYNTH, surrogate)
