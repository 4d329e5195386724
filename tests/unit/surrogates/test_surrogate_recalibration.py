import dataclasses
import json

import numpy as np
import pytest

from surrogates import TARGETS, SurrogateError, fit_surrogate, recalibrate
from surrogates.acquisition import REASONS
from surrogates.testing import synthetic_records

RNG = np.random.default_rng(0)
OLD = synthetic_records(40, RNG)
NEW = [dataclasses.replace(record, lut=1.6 * record.lut) for record in synthetic_records(24, RNG)]
ROLES = ["front", "uncertain", "random"] * 8
SURROGATE = fit_surrogate(OLD, "ridge")
RENEWED, SUMMARY = recalibrate(SURROGATE, OLD, NEW, ROLES)


def test_the_new_surrogate_has_learnt_from_both_and_the_old_one_is_untouched():
    assert len(RENEWED.records) == len(OLD) + len(NEW)
    assert RENEWED.version == fit_surrogate([*OLD, *NEW], "ridge").version == SUMMARY.version_after
    assert SURROGATE.version == fit_surrogate(OLD, "ridge").version == SUMMARY.version_before
    assert (SUMMARY.data_before, SUMMARY.data_after) == (SURROGATE.data_digest, RENEWED.data_digest)
    assert (SUMMARY.n_old, SUMMARY.n_new) == (40, 24)


def test_every_role_and_target_is_told():
    for part in (SUMMARY.before, SUMMARY.after):
        assert set(part) == {"all", *REASONS}
        for role, targets in part.items():
            assert set(targets) == set(TARGETS)
            assert targets["lut"].n == {"all": 24, "diverse": 0}.get(role, 8)
        assert part["diverse"]["lut"].median_relative_error is None


def test_a_shift_shows_before_and_shrinks_after():
    before, after = SUMMARY.before["all"]["lut"], SUMMARY.after["all"]["lut"]
    assert before.median_relative_error > 0.3
    assert before.coverage < 0.5
    assert after.median_relative_error < before.median_relative_error
    assert after.coverage > before.coverage


def test_the_error_after_is_not_the_training_error():
    luts = RNG.permutation([record.lut for record in NEW])  # nothing to learn: only memory could be right
    noise = [dataclasses.replace(record, lut=float(lut)) for record, lut in zip(NEW, luts, strict=True)]
    _, summary = recalibrate(fit_surrogate(OLD, "gp"), OLD, noise, ROLES, new_weight=50.0)
    assert summary.after["all"]["lut"].median_relative_error > 0.3
    assert "cross-validation" in summary.after_method


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
