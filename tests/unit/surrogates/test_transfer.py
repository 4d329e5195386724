"""What a handful of records of another target make of a surrogate that knows a first."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from fakes.records import random_specs, synthetic_records

from surrogates import HardwareTarget, Stage, SurrogateError, fit_surrogate
from surrogates.metrics import relative_errors
from surrogates.transfer import TransferSurrogate

KNOWN, OTHER = HardwareTarget(), HardwareTarget("xc7z020-clg400-1", 10.0)


@cache
def base():
    return fit_surrogate(synthetic_records(80, np.random.default_rng(0)), "gp")


def elsewhere(n, seed=1, tool="openrtl"):
    """Records of another part: a constant and a power more LUTs, two cycles more."""
    target = replace(OTHER, tool=tool)
    found = synthetic_records(n, np.random.default_rng(seed))
    return [replace(r, target=target, lut=1.7 * r.lut**1.04, latency_cycles=r.latency_cycles + 2) for r in found]


def lut_error(surrogate, unseen):
    predicted = surrogate.predict([r.spec for r in unseen], unseen[0].target)
    return np.median(relative_errors(np.array([r.lut for r in unseen]), predicted.mean["lut"]))


@pytest.mark.parametrize("n", [8, 25])
def test_few_records_correct_a_base_that_knows_the_order(n):
    transferred = TransferSurrogate(base(), KNOWN).fit(elsewhere(n))
    unseen = elsewhere(60, seed=2)
    alone = fit_surrogate(elsewhere(n))
    uncorrected = base().predict([r.spec for r in unseen], KNOWN).mean["lut"]
    assert np.median(relative_errors(np.array([r.lut for r in unseen]), uncorrected)) > 0.4
    assert lut_error(transferred, unseen) < min(0.15, lut_error(alone, unseen))
    assert transferred.learners["lut"] == "transfer"


def test_what_the_base_knows_exactly_stays_exact():
    transferred = TransferSurrogate(base(), KNOWN).fit(elsewhere(12))
    predicted = transferred.predict(random_specs(20, np.random.default_rng(5)), OTHER)
    for part in (predicted.mean, predicted.lower, predicted.upper, predicted.std):
        np.testing.assert_array_equal(part["dsp"], 0.0)
    np.testing.assert_array_equal(predicted.mean["initiation_interval"], 1.0)
    assert transferred.learners["dsp"] == base().learners["dsp"] == "closed form"


def test_a_base_that_misleads_is_left():
    rng = np.random.default_rng(3)
    any_lut = [replace(r, lut=float(np.exp(rng.uniform(2, 9)))) for r in synthetic_records(80, rng)]
    misled = fit_surrogate(any_lut, "trees")
    records = elsewhere(40)
    transferred = TransferSurrogate(misled, KNOWN).fit(records)
    assert transferred.learners["lut"] != "transfer"
    unseen, alone = elsewhere(60, seed=2), fit_surrogate(records)
    assert lut_error(transferred, unseen) == pytest.approx(lut_error(alone, unseen))


@pytest.mark.parametrize(("tool", "learner"), [("openrtl", "transfer"), ("vitis", "offset")])
def test_one_record_says_too_little_to_leave_a_base_of_the_same_tool(tool, learner):
    records = elsewhere(1, tool=tool)
    transferred = TransferSurrogate(base(), KNOWN).fit(records)
    assert transferred.learners["lut"] == learner
    predicted = transferred.predict([records[0].spec], records[0].target)
    assert predicted.lower["lut"][0] < records[0].lut < predicted.upper["lut"][0]


def test_intervals_are_those_of_the_new_target():
    transferred = TransferSurrogate(base(), KNOWN).fit(elsewhere(50))
    inside = []
    for seed in range(5):
        unseen = elsewhere(40, seed=10 + seed)
        predicted = transferred.predict([r.spec for r in unseen], OTHER)
        truth = np.array([r.lut for r in unseen])
        inside.append(np.mean((predicted.lower["lut"] <= truth) & (truth <= predicted.upper["lut"])))
    assert 0.75 <= np.mean(inside) <= 1.0


def test_other_stages_and_the_base_itself_decide_the_version():
    traced = [replace(r, stage=Stage.TRACED) for r in elsewhere(9)]
    first = TransferSurrogate(base(), KNOWN, stage=Stage.TRACED).fit(traced)
    assert first.version == first.fresh().fit(traced[::-1]).version
    other = fit_surrogate(synthetic_records(30, np.random.default_rng(8)), "gp")
    assert TransferSurrogate(other, KNOWN, stage=Stage.TRACED).fit(traced).version != first.version
    with pytest.raises(SurrogateError, match="vitis"):
        first.predict([traced[0].spec], replace(OTHER, tool="vitis"))
