import dataclasses
import json
from typing import ClassVar

import numpy as np
import pytest
from fakes.records import synthetic_records

from surrogates import TARGETS, Prediction, SurrogateError, fit_surrogate, predict_records, recalibrate
from surrogates.acquisition import REASONS

RNG = np.random.default_rng(0)
OLD = synthetic_records(40, RNG)
NEW = [dataclasses.replace(record, lut=1.6 * record.lut) for record in synthetic_records(24, RNG)]
ROLES = ["front", "uncertain", "random"] * 8
SURROGATE = fit_surrogate(OLD, "ridge")
RENEWED, SUMMARY = recalibrate(SURROGATE, OLD, NEW, ROLES)


def test_the_new_surrogate_has_learnt_from_both_and_the_old_one_is_untouched():
    assert len(RENEWED.records) == len(OLD) + len(NEW)
    assert RENEWED.version == SURROGATE.fresh(SUMMARY.foreseen).fit([*OLD, *NEW]).version == SUMMARY.version_after
    assert SURROGATE.version == fit_surrogate(OLD, "ridge").version == SUMMARY.version_before
    assert (SUMMARY.data_before, SUMMARY.data_after) == (SURROGATE.data_digest, RENEWED.data_digest)
    assert (SUMMARY.n_old, SUMMARY.n_new) == (40, 24)


def test_every_role_and_target_is_told():
    for part in (SUMMARY.before, SUMMARY.after):
        assert set(part) == {"all", *REASONS}
        for role, targets in part.items():
            assert set(targets) == set(TARGETS)
            assert targets["lut"].n == {"all": 24, "diverse": 0, "improvement": 0}.get(role, 8)
        assert part["diverse"]["lut"].median_relative_error is None


def test_a_shift_shows_before_and_shrinks_after():
    before, after = SUMMARY.before["all"]["lut"], SUMMARY.after["all"]["lut"]
    assert before.median_relative_error > 0.3
    assert before.coverage < 0.5
    assert after.median_relative_error < before.median_relative_error
    assert after.coverage > before.coverage


class Parrot:
    """Knows by heart the architectures it was fitted on, and nothing else: a leak shows as a perfect prediction."""

    version = "parrot"
    learners: ClassVar = {}
    foreseen: ClassVar = {}

    def fresh(self, foreseen=None):
        return Parrot()

    def fit(self, records, weights=None):
        self.records, self.weights = list(records), list(weights)
        self.heart = {record.spec.topology: record for record in records}
        return self

    def predict(self, specs, target):
        found = [self.heart.get(spec.topology) for spec in specs]
        mean = {name: np.array([getattr(record, name, 0.0) for record in found], dtype=float) for name in TARGETS}
        return Prediction(mean, mean, mean, mean, mean, self.version)


def test_the_error_after_is_on_records_left_out_with_their_siblings():
    siblings = [
        dataclasses.replace(record, spec=dataclasses.replace(record.spec, input_bits=7), lut=record.lut + 1)
        for record in NEW
    ]
    taken = {record.spec.topology for record in NEW}
    old = [record for record in OLD if record.spec.topology not in taken]
    renewed, summary = recalibrate(
        Parrot().fit(old, np.ones(len(old))), old, [*NEW, *siblings], [*ROLES, *ROLES], new_weight=3.0
    )
    for part in (summary.before, summary.after):
        assert part["all"]["lut"].median_relative_error == part["all"]["lut"].mean_relative_error == 1.0
        assert part["all"]["lut"].coverage == 0.0
    assert "cross-validation" in summary.after_method
    assert renewed.weights == [1.0] * len(old) + [3.0] * 48


def test_predictions_that_were_wrong_are_remembered_from_one_recalibration_to_the_next():
    scores = predict_records(SURROGATE, NEW).scores(NEW)
    assert SUMMARY.foreseen == RENEWED.foreseen == scores
    assert len(scores["lut"]) == len(NEW)
    truth, found = np.array([r.lut for r in NEW]), predict_records(SURROGATE, NEW)
    by_hand = np.abs(np.log1p(truth) - np.log1p(found.mean["lut"])) / found.log_std["lut"]
    assert np.allclose(scores["lut"], np.sort(by_hand), atol=1e-6)
    more = [dataclasses.replace(r, spec=dataclasses.replace(r.spec, input_bits=5), lut=3 * r.lut) for r in NEW[:6]]
    renewed, summary = recalibrate(RENEWED, [*OLD, *NEW], more, ROLES[:6])
    assert len(summary.foreseen["lut"]) == len(NEW) + 6
    assert renewed.foreseen == summary.foreseen
    again = SURROGATE.fresh(summary.to_dict()["foreseen"]).fit(renewed.records, renewed.weights)
    assert again.version == renewed.version  # what a log holds is enough


def test_plain_data():
    data = json.loads(json.dumps(SUMMARY.to_dict(), allow_nan=False))
    assert data["after"]["random"]["ff"]["n"] == 8
    assert data["version_after"] == RENEWED.version


def test_one_new_record_has_a_before_and_no_after():
    _, summary = recalibrate(SURROGATE, OLD, NEW[:1], ["front"])
    assert summary.before["front"]["lut"].n == 1
    assert summary.after["front"]["lut"].n == 0
    assert summary.after_method.startswith("none")


@pytest.mark.parametrize(
    ("new", "roles", "message"),
    [
        ([], [], "no new records"),
        (NEW[:2], ["front"], "1 roles for 2"),
        (NEW[:1], ["lucky"], "lucky"),
        (OLD[:1], ["front"], "also old ones"),
    ],
)
def test_what_would_not_be_honest_is_refused(new, roles, message):
    with pytest.raises(SurrogateError, match=message):
        recalibrate(SURROGATE, OLD, new, roles)
