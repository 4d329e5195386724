"""The accuracy predictor: what it promises, learns, and admits not to know."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from fakes.records import FITTABLE_KINDS, random_specs
from hypothesis import given, settings
from hypothesis import strategies as st

from surrogates import ErrorSurrogate, MeasuredError
from surrogates.errors import NotFittedError, SurrogateError
from surrogates.metrics import coverage, spearman

FIELDS = ("mean", "std", "lower", "upper")


@cache
def trainings(n=60, seed=0, noise=0.03):
    """Wider networks of more bits err less; a column `rate` matters as much as all of that."""
    rng = np.random.default_rng(seed)
    found = []
    for spec in random_specs(n, rng):
        rate = float(rng.normal())
        size = np.log(sum(layer.n_nonzero * layer.weight_bits for layer in spec.layers))
        error = float(np.clip(0.3 * np.exp(-0.1 * (size - 8) + 0.2 * rate + noise * rng.normal()), 0.001, 0.99))
        found.append(MeasuredError(spec, error, 0.002, {"rate": rate}))
    return tuple(found)


@cache
def fitted(kind, n=60):
    return ErrorSurrogate(kind).fit(trainings(n))


def predict(surrogate, some):
    columns = {name: np.array([one.columns[name] for one in some]) for name in some[0].columns}
    return surrogate.predict([one.spec for one in some], columns)


def errors(some):
    return np.array([one.error for one in some])


def same(first, second):
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


@pytest.fixture(params=["gp", "ridge", "trees"])  # of which the others are made
def kind(request):
    return request.param


@pytest.fixture(params=FITTABLE_KINDS)
def any_kind(request):
    return request.param


def test_nothing_is_predicted_before_fit(kind):
    surrogate = ErrorSurrogate(kind)
    for call in (
        lambda: predict(surrogate, trainings()), lambda: surrogate.version, lambda: surrogate.learners,
        lambda: surrogate.rank_correlation, lambda: predict(fitted(kind).fresh(), trainings()),
    ):  # fmt: skip
        with pytest.raises(NotFittedError, match="fit"):
            call()
    assert surrogate.fit(trainings(30)) is surrogate


def test_unseen_networks_are_ranked_and_covered(any_kind):
    unseen = trainings(80, seed=5)
    found = predict(fitted(any_kind), unseen)
    assert spearman(errors(unseen), found.mean) > 0.85
    assert coverage(errors(unseen), found.lower, found.upper) > 0.75
    assert fitted(any_kind).rank_correlation > 0.8
    assert (found.lower <= found.mean).all()
    assert (found.mean <= found.upper).all()
    assert (found.std > 0).all()
    assert found.version == fitted(any_kind).version
    assert len(found) == 80


def test_a_column_that_matters_is_learnt(kind):
    unseen = trainings(80, seed=5)
    without = [replace(one, columns={}) for one in trainings()]
    blind = ErrorSurrogate(kind).fit(without).predict([one.spec for one in unseen])
    seeing = predict(fitted(kind), unseen)
    assert spearman(errors(unseen), seeing.mean) > 0.1 + spearman(errors(unseen), blind.mean)


@settings(max_examples=5)
@given(st.permutations(range(24)))
def test_the_order_of_the_trainings_changes_nothing(order):
    some, weights = trainings(24), np.linspace(0.5, 2, 24)
    straight = ErrorSurrogate("ridge").fit(some, weights)
    turned = ErrorSurrogate("ridge").fit([some[n] for n in order], weights[list(order)])
    assert turned.version == straight.version
    same(predict(turned, trainings(5, seed=2)), predict(straight, trainings(5, seed=2)))


def test_networks_beside_it_do_not_change_a_prediction(kind):
    some = trainings(20, seed=3)
    whole = predict(fitted(kind), some)
    for place in (0, 19):
        alone = predict(fitted(kind), some[place : place + 1])
        for name in FIELDS:
            np.testing.assert_allclose(getattr(alone, name), getattr(whole, name)[place : place + 1], rtol=1e-9)
    assert len(fitted(kind).predict([], {"rate": np.zeros(0)})) == 0


def test_fit_forgets_what_was_learnt_before(kind):
    surrogate = ErrorSurrogate(kind).fit(trainings(21, seed=9))
    assert surrogate.fit(trainings()).version == fitted(kind).version
    same(predict(surrogate, trainings(5, seed=2)), predict(fitted(kind), trainings(5, seed=2)))


def test_the_version_is_of_parameters_data_and_weights(kind):
    some = trainings(10)
    versions = {
        ErrorSurrogate(kind).fit(some).version,
        ErrorSurrogate(kind, seed=1).fit(some).version,
        ErrorSurrogate(kind, bound=1.0).fit(some).version,
        ErrorSurrogate(kind).fit(some[1:]).version,
        ErrorSurrogate(kind).fit(some, np.linspace(1, 2, 10)).version,
        ErrorSurrogate(kind).fit([replace(some[0], std=0.01), *some[1:]]).version,
        ErrorSurrogate(kind).fit([replace(some[0], columns={"rate": 0.5}), *some[1:]]).version,
    }
    assert len(versions) == 7
    assert ErrorSurrogate(kind, seed=1).fresh().fit(some).version == ErrorSurrogate(kind, seed=1).fit(some).version


@pytest.mark.parametrize("n", [1, 2, 5, 19])
def test_few_trainings_give_their_mean_and_little_confidence(n, kind):
    surrogate = ErrorSurrogate(kind).fit(trainings(n))
    found = predict(surrogate, trainings(30, seed=4))
    assert surrogate.learners == {"error": "mean"}
    assert np.ptp(found.mean) < 1e-12
    assert errors(trainings(n)).min() / 1.5 <= found.mean[0] <= 1.5 * errors(trainings(n)).max()
    assert (found.upper > 2 * found.mean).all()
    assert (found.lower < found.mean / 2).all()
    assert (found.std > 0.4 * found.mean).all()
    assert ErrorSurrogate(kind).fit(trainings(20)).learners != {"error": "mean"}


def test_chance_is_not_taken_for_skill():
    rng = np.random.default_rng(1)
    noise = [replace(one, error=float(rng.uniform(0.2, 0.4))) for one in trainings()]
    surrogate = ErrorSurrogate().fit(noise)
    assert (surrogate.rank_correlation or 0.0) < 0.3
    unseen = [replace(one, error=float(rng.uniform(0.2, 0.4))) for one in trainings(80, seed=5)]
    found = predict(surrogate, unseen)
    assert coverage(errors(unseen), found.lower, found.upper) > 0.75


@settings(max_examples=5)
@given(st.floats(1e-6, 1e6))
def test_without_a_bound_the_unit_does_not_matter(unit):
    some = [replace(one, error=unit * one.error, std=unit * one.std) for one in trainings(25)]
    plain, scaled = ErrorSurrogate("ridge").fit(trainings(25)), ErrorSurrogate("ridge").fit(some)
    unseen = trainings(10, seed=2)
    for name in FIELDS:
        expected = unit * getattr(predict(plain, unseen), name)
        np.testing.assert_allclose(getattr(predict(scaled, unseen), name), expected, rtol=1e-5)


def test_nothing_leaves_the_bound(kind):
    high = [replace(one, error=1 - 0.1 * one.error) for one in trainings()]
    found = predict(ErrorSurrogate(kind, bound=1.0).fit(high), trainings(80, seed=5))
    assert (found.upper < 1).all()
    assert (found.mean > 0.8).all()
    few = predict(ErrorSurrogate(kind, bound=1.0).fit(high[:3]), trainings(5, seed=5))
    assert (few.upper < 1).all()


def test_far_away_a_centre_stays_within_a_factor_of_two_of_what_was_seen(kind):
    far = [replace(one, columns={"rate": rate}) for one, rate in zip(trainings(2), (-1e6, 1e6), strict=True)]
    found = predict(fitted(kind), far)
    low, high = errors(trainings()).min(), errors(trainings()).max()
    assert (found.mean > 0.4 * low).all()
    assert (found.mean < 2.5 * high).all()
    assert np.isfinite(found.upper).all()


def test_no_error_at_all_can_be_learnt(kind):
    perfect = [replace(one, error=0.0) for one in trainings(25)]
    assert (predict(ErrorSurrogate(kind).fit(perfect), trainings(3, seed=1)).mean < 1e-8).all()
    some = [replace(trainings()[0], error=0.0), *trainings()[1:]]
    assert np.isfinite(predict(ErrorSurrogate(kind, bound=1.0).fit(some), trainings(3, seed=1)).upper).all()


def test_what_is_measured_badly_counts_little():
    odd = [replace(one, error=0.9) for one in trainings(12, seed=8)]
    doubted = ErrorSurrogate("gp").fit([*trainings(), *(replace(one, std=5.0) for one in odd)])
    believed = ErrorSurrogate("gp").fit([*trainings(), *odd])
    unseen = trainings(80, seed=5)
    distance = [np.abs(predict(s, unseen).mean - errors(unseen)).mean() for s in (doubted, believed)]
    assert distance[0] < 0.5 * distance[1]


def test_weights_change_what_is_learnt(kind):
    weights = np.ones(60)
    weights[:20] = 50.0
    heavy = ErrorSurrogate(kind).fit(trainings(), weights)
    unseen = trainings(3, seed=1)
    assert (predict(heavy, unseen).mean != predict(fitted(kind), unseen).mean).any()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"error": float("nan")}, "error = nan: must be finite"),
        ({"error": -0.1}, r"error = -0\.1: must be finite and at least 0"),
        ({"std": -1.0}, r"std = -1\.0"),
        ({"columns": {"rate": float("inf")}}, r"columns\['rate'\] = inf"),
    ],
)
def test_impossible_trainings_are_named(change, words):
    with pytest.raises(SurrogateError, match=words):
        replace(trainings()[0], **change)


@pytest.mark.parametrize(
    ("some", "weights", "words"),
    [
        ([], None, "at least one"),
        (trainings(4), np.ones(3), "4 finite positive numbers"),
        (trainings(4), np.zeros(4), "4 finite positive numbers"),
        ([*trainings(3), replace(trainings()[0], columns={})], None, "all trainings the same"),
        ([*trainings(3), replace(trainings()[0], error=1.5)], None, "at most the bound, 1.0"),
    ],
)
def test_impossible_training_sets_are_named(some, weights, words):
    with pytest.raises(SurrogateError, match=words):
        ErrorSurrogate(bound=1.0).fit(some, weights)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({}, r"must be \['rate'\]"),
        ({"rate": np.zeros(2), "more": np.zeros(2)}, r"must be \['rate'\]"),
        ({"rate": np.zeros(3)}, "2 finite numbers"),
        ({"rate": np.array([0.0, np.nan])}, "2 finite numbers"),
    ],
)
def test_other_columns_than_the_trainings_had_are_refused(columns, words):
    with pytest.raises(SurrogateError, match=words):
        fitted("ridge").predict([one.spec for one in trainings(2)], columns)


def test_wrong_parameters_are_named():
    with pytest.raises(SurrogateError, match="gp, ridge, trees, boosting, deep_ensemble, ensemble, auto"):
        ErrorSurrogate("magic")
    with pytest.raises(SurrogateError, match=r"bound = 0\.0: must be positive"):
        ErrorSurrogate(bound=0.0)
