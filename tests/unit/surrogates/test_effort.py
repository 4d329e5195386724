"""Time, memory and success of synthesis, from runs of which some were stopped at a limit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes.records import random_specs, synthetic_records

from surrogates import HardwareTarget, Stage, SurrogateError
from surrogates.dataset import Dataset, FailedSynthesis
from surrogates.effort import SynthesisEffort
from surrogates.errors import NotFittedError

TARGET = HardwareTarget()
BYTES_PER_LUT = 50_000


def seconds(record):
    return 0.002 * record.lut**1.2


def runs(n, seed=0, limit_s=np.inf, limit_bytes=np.inf):
    """Runs that take longer and more memory the more LUTs there are, stopped at limits."""
    rng = np.random.default_rng(seed)
    records, failures = [], []
    for record in synthetic_records(n, rng):
        took, memory = seconds(record) * rng.lognormal(0, 0.1), int(BYTES_PER_LUT * record.lut)
        kind = "tool_timeout" if took > limit_s else "tool_memory" if memory > limit_bytes else ""
        if kind:
            bytes_limit = int(min(limit_bytes, 1 << 40))
            spent = min(took, limit_s)
            failure = FailedSynthesis(record.spec, TARGET, Stage.SYNTHESISED, kind, spent, limit_s, bytes_limit)
            failures.append(failure)
        else:
            records.append(replace(record, wall_time_s=took, peak_memory_bytes=memory))
    return Dataset(tuple(records), tuple(failures))


def truth(n=200, seed=9):
    return synthetic_records(n, np.random.default_rng(seed))


def test_time_and_memory_of_networks_never_synthesised():
    unseen = truth()
    found = SynthesisEffort(Stage.SYNTHESISED).fit(runs(60)).predict([r.spec for r in unseen], TARGET)
    wanted = np.array([seconds(r) for r in unseen])
    assert np.median(np.abs(found.seconds / wanted - 1)) < 0.2
    memory = BYTES_PER_LUT * np.array([r.lut for r in unseen])
    assert np.median(np.abs(found.memory_bytes / memory - 1)) < 0.2
    assert np.mean(wanted < found.seconds_upper) >= 0.85
    assert (found.success == 1).all()  # no limit, and nothing else ever failed


def test_runs_stopped_at_a_limit_teach_that_they_take_longer():
    unseen = truth()
    step = np.quantile([r.lut for r in unseen], 0.4)

    def took(record):  # beyond some size the tool is ten times slower
        return seconds(record) * (10 if record.lut > step else 1)

    limit = 2 * float(np.quantile([seconds(r) for r in unseen], 0.4))
    records = [replace(r, wall_time_s=took(r)) for r in synthetic_records(80, np.random.default_rng(0))]
    ended = tuple(r for r in records if r.wall_time_s <= limit)
    late = tuple(FailedSynthesis(r.spec, TARGET, Stage.SYNTHESISED, "tool_timeout", limit, limit, 1 << 31)
                 for r in records if r.wall_time_s > limit)  # fmt: skip
    specs, success = [r.spec for r in unseen], np.array([took(r) <= limit for r in unseen])

    def brier(failures):
        found = SynthesisEffort(Stage.SYNTHESISED).fit(Dataset(ended, failures)).predict(specs, TARGET, limit_s=limit)
        return float(np.mean((found.success - success) ** 2))

    assert min(len(ended), len(late)) > 20
    assert brier(late) < 0.7 * brier(())


@pytest.mark.parametrize("limit", ["limit_s", "limit_bytes"])
def test_success_is_as_likely_as_it_turns_out(limit):
    unseen = truth()
    values = np.array([seconds(r) if limit == "limit_s" else BYTES_PER_LUT * r.lut for r in unseen])
    at = float(np.quantile(values, 0.6))
    found = SynthesisEffort(Stage.SYNTHESISED).fit(runs(80, **{limit: at})).predict(
        [r.spec for r in unseen], TARGET, **{limit: at}
    )
    ended = values <= at
    assert np.mean((found.success > 0.5) == ended) > 0.9
    assert np.mean((found.success - ended) ** 2) < 0.08  # Brier score; a coin has 0.25


def test_other_failures_are_learnt():
    dataset = runs(60)
    pruned = [replace(spec, layers=tuple(replace(layer, sparsity=0.99) for layer in spec.layers))
              for spec in random_specs(20, np.random.default_rng(4))]  # fmt: skip
    failures = [FailedSynthesis(spec, TARGET, Stage.SYNTHESISED, "unsupported", 0.1, 60.0, 1 << 31) for spec in pruned]
    effort = SynthesisEffort(Stage.SYNTHESISED).fit(replace(dataset, failures=tuple(failures[:14])))
    assert effort.predict(pruned[14:], TARGET).success.max() < 0.3
    assert np.median(effort.predict([r.spec for r in truth(40)], TARGET).success) > 0.8
    few = SynthesisEffort(Stage.SYNTHESISED).fit(replace(dataset, failures=tuple(failures[:2])))
    assert few.predict(pruned[:1], TARGET).success == pytest.approx(1 - 2 / 63)


def test_other_stages_do_not_count_and_too_little_is_refused():
    dataset = runs(20)
    with pytest.raises(SurrogateError, match="0 timed results of stage traced"):
        SynthesisEffort(Stage.TRACED).fit(dataset)
    with pytest.raises(NotFittedError):
        SynthesisEffort(Stage.SYNTHESISED).predict([dataset.records[0].spec], TARGET)
    without_memory = Dataset(tuple(replace(r, peak_memory_bytes=0) for r in dataset.records))
    found = SynthesisEffort(Stage.SYNTHESISED).fit(without_memory).predict([dataset.records[0].spec], TARGET)
    assert np.isnan(found.memory_bytes).all()
    assert found.success[0] == 1
