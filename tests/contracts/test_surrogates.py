"""What every surrogate promises, whatever learner is inside."""

import dataclasses
from functools import cache

import numpy as np
import pytest
from fakes.records import FITTABLE_KINDS, SLOW_KINDS, random_specs, synthetic_records
from threadpoolctl import threadpool_info, threadpool_limits

from surrogates import (
    TARGETS,
    HardwareTarget,
    LayerSpec,
    ModelSpec,
    Stage,
    accuracy,
    analytic_costs,
    check_surrogate,
)
from surrogates.errors import MixedRecordsError, SurrogateError
from surrogates.estimators import ResidualSurrogate, fit_surrogate, predict_records
from surrogates.layer_law import LayerLaw
from surrogates.metrics import relative_errors
from surrogates.table import layer_table
from surrogates.target_model import TargetModel
from surrogates.transfer import TransferSurrogate

TARGET = HardwareTarget()
TRANSFER = "transfer"


@cache
def records(n=60, reuse=False, seed=0):
    return tuple(synthetic_records(n, np.random.default_rng(seed), reuse=reuse))


@cache
def base():
    """What a transfer begins with: it knows other records, whose LUTs cost twice as much."""
    other = synthetic_records(40, np.random.default_rng(33))
    return fit_surrogate([dataclasses.replace(record, lut=2 * record.lut) for record in other], "gp")


def unfitted(kind, stage=Stage.SYNTHESISED):
    return TransferSurrogate(base(), TARGET, stage=stage) if kind == TRANSFER else ResidualSurrogate(kind, stage=stage)


def fit(some, kind, weights=None, stage=Stage.SYNTHESISED):
    return unfitted(kind, stage).fit(some, weights)


@cache
def fitted(kind, n=60, reuse=False):
    return fit(records(n, reuse), kind)


def network(weight_bits=6, width=32, sparsity=0.2, strategy="distributed_arithmetic", reuse=1):
    return ModelSpec(
        8,
        (
            LayerSpec(16, width, weight_bits, 6, "relu", sparsity, strategy, reuse),
            LayerSpec(width, 5, weight_bits, 0, "linear", sparsity),
        ),
    )


def same(first, second):
    for field in ("mean", "std", "log_std", "lower", "upper"):
        for name in TARGETS:
            np.testing.assert_array_equal(getattr(first, field)[name], getattr(second, field)[name])


@pytest.fixture(params=FITTABLE_KINDS)
def kind(request):
    return request.param


@pytest.fixture(params=[*FITTABLE_KINDS, TRANSFER])
def any_kind(request):
    return request.param


@pytest.mark.parametrize("reuse", [False, True])
@pytest.mark.parametrize(
    "name", [pytest.param(k, marks=[pytest.mark.long] * (k in SLOW_KINDS)) for k in (*FITTABLE_KINDS, TRANSFER)]
)
def test_what_every_surrogate_promises(name, reuse):
    check_surrogate(unfitted(name), records(60, reuse))


def test_predictions_are_frozen(any_kind):
    predicted = fitted(any_kind).predict([network()], TARGET)
    with pytest.raises(dataclasses.FrozenInstanceError):
        predicted.version = "mine"


def test_weights_change_what_is_learnt(any_kind):
    weights = np.ones(60)
    weights[:20] = 20.0
    heavy = fit(records(), any_kind, weights=weights)
    assert heavy.version != fitted(any_kind).version
    assert heavy.predict([network()], TARGET).mean["lut"] != fitted(any_kind).predict([network()], TARGET).mean["lut"]


def test_mixed_and_other_stages_are_refused(any_kind):
    traced = [dataclasses.replace(record, stage=Stage.TRACED) for record in records()[:9]]
    with pytest.raises(MixedRecordsError, match="traced"):
        fit([*records()[:30], *traced], any_kind)
    with pytest.raises(MixedRecordsError, match="synthesised"):
        fit(traced, any_kind)
    assert fit(traced, any_kind, stage=Stage.TRACED).predict([network()], TARGET).mean["lut"] > 0


def test_version_changes_with_data_seed_and_kind(kind):
    assert fit_surrogate(records()[:4], kind).version != fit_surrogate(records()[:5], kind).version
    seeded = fit_surrogate(records()[:5], kind, seed=1)
    assert seeded.version != fit_surrogate(records()[:5], kind, seed=0).version
    versions = {fit_surrogate(records()[:5], each).version for each in FITTABLE_KINDS}
    assert len(versions) == len(FITTABLE_KINDS)


def test_refitting_forgets_the_old_records(kind):
    surrogate = ResidualSurrogate(kind).fit(records(15, seed=9))
    assert surrogate.fit(records()).version == fitted(kind).version
    same(surrogate.predict([network()], TARGET), fitted(kind).predict([network()], TARGET))


def test_dsp_is_exactly_zero_without_reuse(kind):
    predicted = fitted(kind).predict(random_specs(20, np.random.default_rng(7)), TARGET)
    for part in (predicted.mean, predicted.lower, predicted.upper, predicted.std):
        np.testing.assert_array_equal(part["dsp"], 0.0)


def test_counts_are_exactly_the_closed_form_where_the_data_confirm_it(kind):
    some = list(records(20))
    for old, factor in zip(records(20), (2, 4, 8), strict=False):  # nothing pruned, so nothing left to chance
        spec = network(strategy="reuse", reuse=factor, sparsity=0.0)
        some.append(dataclasses.replace(old, spec=spec, dsp=16.0 * 32 / factor, initiation_interval=factor))
    surrogate = fit_surrogate(some, kind)
    reused = network(strategy="reuse", reuse=16, sparsity=0.0)
    predicted = surrogate.predict([reused, network()], TARGET)
    for part in (predicted.lower, predicted.mean, predicted.upper):
        np.testing.assert_array_equal(part["dsp"], [32.0, 0.0])
        np.testing.assert_array_equal(part["initiation_interval"], [16.0, 1.0])
        np.testing.assert_array_equal(part["bram_18k"], [0.0, 0.0])


def test_multipliers_that_pruning_leaves_out_are_foreseen(kind):
    unseen = [r for r in records(80, reuse=True, seed=11) if r.dsp > 20]
    predicted = predict_records(fitted(kind, reuse=True), unseen)
    truth = np.array([record.dsp for record in unseen])
    found = accuracy(truth, predicted.mean["dsp"], predicted.lower["dsp"], predicted.upper["dsp"])
    assert found.median_relative_error < 0.05
    assert found.coverage > 0.8
    interval = np.array([record.initiation_interval for record in unseen])
    np.testing.assert_array_equal(predicted.mean["initiation_interval"], interval)


def test_one_record_with_multipliers_is_enough_for_a_careful_guess(kind):
    odd = dataclasses.replace(records()[0], spec=network(strategy="reuse", reuse=4), dsp=300.0, initiation_interval=4)
    surrogate = fit_surrogate([*records(), odd], kind)
    predicted = surrogate.predict([network(strategy="reuse", reuse=8), network()], TARGET)
    assert predicted.upper["dsp"][0] > 2 * predicted.mean["dsp"][0] > 4 * predicted.lower["dsp"][0]
    assert predicted.mean["dsp"][1] == 0
    for name in TARGETS:
        assert np.isfinite(predicted.upper[name]).all()


def test_mixtures_are_predicted_by_a_surrogate_that_knows_no_multipliers(kind):
    mixtures = random_specs(40, np.random.default_rng(12), reuse=True)
    predicted = fitted(kind).predict(mixtures, TARGET)
    for name in TARGETS:
        assert np.isfinite(predicted.upper[name]).all()
    costs = analytic_costs(mixtures)
    np.testing.assert_allclose(predicted.mean["dsp"], costs.dsp)
    np.testing.assert_array_equal(predicted.mean["initiation_interval"], costs.initiation_interval)
    assert (predicted.mean["latency_cycles"] >= costs.initiation_interval).all()


def test_dsp_is_learnt_where_the_closed_form_is_wrong(kind):
    doubled = [dataclasses.replace(record, dsp=2.0 * record.dsp) for record in records(60, reuse=True)[:40]]
    surrogate = fit_surrogate(doubled, kind)
    reused, plain = network(strategy="reuse", reuse=4), network()
    predicted = surrogate.predict([reused, plain], TARGET)
    assert predicted.mean["dsp"][0] == pytest.approx(2 * 16 * 32 / 4, rel=0.3)
    assert predicted.mean["dsp"][1] == predicted.upper["dsp"][1] == 0.0


def test_a_strategy_without_records_has_wide_intervals(kind):
    reused, plain = network(strategy="reuse", reuse=4), network()
    predicted = fitted(kind).predict([reused, plain], TARGET)
    assert predicted.log_std["lut"][0] >= np.log(2) > predicted.log_std["lut"][1]
    assert predicted.lower["dsp"][0] < predicted.mean["dsp"][0] < predicted.upper["dsp"][0]
    slow = fitted(kind).predict([plain], HardwareTarget(clock_period_ns=10.0))
    assert slow.log_std["lut"][0] >= np.log(2)


def test_learns_and_covers_unseen_networks(any_kind):
    unseen = records(80, seed=11)
    predicted = predict_records(fitted(any_kind), unseen)
    truth = np.array([record.lut for record in unseen])
    found = accuracy(truth, predicted.mean["lut"], predicted.lower["lut"], predicted.upper["lut"])
    assert found.median_relative_error < 0.12
    assert found.spearman > 0.97
    assert found.coverage >= 0.6  # of one fit; what fits cover on average is for the tests of calibration


def test_the_residual_learns_what_no_sum_over_layers_can_say(kind):
    def deeper_is_dearer(some):
        return [dataclasses.replace(r, lut=r.lut * float(np.exp(0.4 * len(r.spec.layers)))) for r in some]

    train, unseen = deeper_is_dearer(records()), deeper_is_dearer(records(80, seed=11))
    truth = np.array([record.lut for record in unseen])
    law = LayerLaw.fit(layer_table([r.spec for r in train]), np.array([r.lut for r in train]), np.ones(60), "lut")
    by_law = np.expm1(law.log_cost(layer_table([r.spec for r in unseen])))
    found = predict_records(fit_surrogate(train, kind), unseen).mean["lut"]
    assert np.median(relative_errors(truth, found)) < 0.8 * np.median(relative_errors(truth, by_law))


@pytest.mark.parametrize("n", [1, 2, 5, 21])
def test_few_records_are_enough_for_a_careful_guess(any_kind, n):
    predicted = fit(records()[:n], any_kind).predict([network()], TARGET)
    assert predicted.lower["lut"][0] < predicted.mean["lut"][0] < predicted.upper["lut"][0]
    if n < 3:
        assert predicted.upper["lut"][0] > 3 * predicted.mean["lut"][0]


def test_the_same_network_twice_with_different_results_is_no_problem(any_kind):
    again = [dataclasses.replace(record, lut=record.lut + 9) for record in records()[:12]]
    predicted = fit([*records()[:12], *again], any_kind).predict([network()], TARGET)
    assert np.isfinite(predicted.mean["lut"]).all()


def test_an_unknown_kind_is_refused():
    with pytest.raises(SurrogateError, match="gp, ridge, trees, boosting, deep_ensemble, ensemble, auto"):
        ResidualSurrogate("magic")


def test_linear_algebra_is_on_one_thread_meanwhile(monkeypatch):
    def threads():
        np.linalg.det(np.eye(3))
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    seen, fit, predict = [], TargetModel.fit, TargetModel.predict

    def spy(original):
        def instead(*arguments):
            seen.append(threads())
            return original(*arguments)

        return instead

    monkeypatch.setattr(TargetModel, "fit", spy(fit))
    monkeypatch.setattr(TargetModel, "predict", spy(predict))
    with threadpool_limits(2, user_api="blas"):
        before = threads()
        fit_surrogate(records(), "ridge").predict([network()], HardwareTarget())
        assert threads() == before
    assert seen
    assert set().union(*seen) == {1}
