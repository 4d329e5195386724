"""Surrogates that break one promise each are caught, by its name."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from fakes.records import synthetic_records

from surrogates import TARGETS, HardwareTarget, Stage, check_surrogate
from surrogates.estimators import ResidualSurrogate
from surrogates.prediction import Prediction

RECORDS = synthetic_records(30, np.random.default_rng(0))


class Wrapped:
    """A good surrogate, for others to spoil."""

    def __init__(self):
        self.inner = ResidualSurrogate("ridge")

    @property
    def version(self):
        return self.inner.version

    @property
    def learners(self):
        return self.inner.learners

    @property
    def foreseen(self):
        return self.inner.foreseen

    def fresh(self, foreseen=None):
        made = type(self)()
        made.inner = self.inner.fresh(foreseen)
        return made

    def fit(self, records, weights=None):
        self.inner.fit(records, weights)
        return self

    def predict(self, specs, target):
        return self.inner.predict(specs, target)


def changed(prediction, field, change):
    values = {name: change(array) for name, array in getattr(prediction, field).items()}
    return dataclasses.replace(prediction, **{field: values})


class WithoutTargets(Wrapped):
    learners = {"lut": "ridge"}  # noqa: RUF012


class ReturnsNothing(Wrapped):
    def fit(self, records, weights=None):
        self.inner.fit(records, weights)


class GuessesUnfitted(Wrapped):
    def predict(self, specs, target):
        zeros = {name: np.zeros(len(specs)) for name in TARGETS}
        return Prediction(zeros, zeros, zeros, zeros, zeros, "none")


class TakesAnyWeights(Wrapped):
    def fit(self, records, weights=None):
        good = weights is not None and len(weights) == len(records) and np.isfinite(weights).all() and min(weights) > 0
        return super().fit(records, weights if good else None)


class TakesAnyStage(Wrapped):
    def fit(self, records, weights=None):
        return super().fit([dataclasses.replace(r, stage=Stage.SYNTHESISED) for r in records], weights)


class TakesAnyTool(Wrapped):
    def fit(self, records, weights=None):
        return super().fit([dataclasses.replace(r, target=HardwareTarget()) for r in records], weights)


class PredictsAnyTool(Wrapped):
    def predict(self, specs, target):
        return super().predict(specs, dataclasses.replace(target, tool="openrtl"))


class RaisesOtherwise(Wrapped):
    def predict(self, specs, target):
        if target.tool != "openrtl":
            raise KeyError(target.tool)
        return super().predict(specs, target)


class SaysSynthesised(Wrapped):
    def predict(self, specs, target):
        return dataclasses.replace(super().predict(specs, target), stage=Stage.SYNTHESISED)


class OtherVersion(Wrapped):
    def predict(self, specs, target):
        return dataclasses.replace(super().predict(specs, target), version="mine")


class SinglePrecision(Wrapped):
    def predict(self, specs, target):
        return changed(super().predict(specs, target), "mean", lambda a: a.astype(np.float32))


class LowEnds(Wrapped):
    def predict(self, specs, target):
        return changed(super().predict(specs, target), "upper", lambda a: a * 0)


class Negative(Wrapped):
    def predict(self, specs, target):
        return changed(super().predict(specs, target), "lower", lambda a: a - 1e6)


class Relative(Wrapped):
    def predict(self, specs, target):
        found = super().predict(specs, target)
        return changed(found, "upper", np.asarray) if len(specs) < 2 else changed(
            changed(found, "mean", lambda a: a * 1.01), "upper", lambda a: a * 1.01
        )


class InOrder(Wrapped):
    def fit(self, records, weights=None):
        self.first = records[0].spec.digest if records else ""
        return super().fit(records, weights)

    @property
    def version(self):
        return super().version + self.first

    def predict(self, specs, target):
        return dataclasses.replace(super().predict(specs, target), version=self.version)


class DeafToWeights(Wrapped):
    def fit(self, records, weights=None):
        self.inner.fit(records, weights)
        self.inner.fit(records)
        return self


class Remembers(Wrapped):
    def fit(self, records, weights=None):
        self.inner.fit(records, weights)
        self.old = [*getattr(self, "old", []), *records]
        if len(self.old) > len(records):
            self.inner.fit(self.old)
        return self


class Flat(Wrapped):
    def predict(self, specs, target):
        same = {name: np.ones(len(specs)) for name in TARGETS}
        super().predict(specs, target)
        return Prediction(same, same, same, same, same, self.version)


class Explodes(Wrapped):
    def predict(self, specs, target):
        return changed(super().predict(specs, target), "upper", lambda a: a * 1e6)


class Forgetful(Wrapped):
    def fresh(self, foreseen=None):
        return type(self)()


class StartsAgain(Wrapped):
    def fresh(self, foreseen=None):
        made = type(self)()
        made.inner = ResidualSurrogate("ridge", foreseen=foreseen)
        return made


class Unmoved(Wrapped):
    def fit(self, records, weights=None):
        self.blind = ResidualSurrogate("ridge").fit(records, weights)
        return super().fit(records, weights)

    def predict(self, specs, target):
        found = super().predict(specs, target)
        return dataclasses.replace(self.blind.predict(specs, target), version=found.version)


class Drags(Wrapped):
    def predict(self, specs, target):
        found = super().predict(specs, target)
        return changed(found, "mean", lambda a: a * 0.99 if self.foreseen else a)


def test_a_good_one():
    surrogate = Wrapped()
    check_surrogate(surrogate, RECORDS)
    assert surrogate.inner._fitted is None


@pytest.mark.parametrize(
    ("surrogate", "promise"),
    [
        (WithoutTargets, "learners names"),
        (ReturnsNothing, "fit returns"),
        (GuessesUnfitted, "predict before fit"),
        (TakesAnyWeights, "fit with weights such as 1.0 for 1 of 30"),
        (TakesAnyStage, "two stages"),
        (TakesAnyTool, "two tools"),
        (PredictsAnyTool, "another tool is a SurrogateError: raised nothing"),
        (RaisesOtherwise, "another tool is a SurrogateError: raised KeyError"),
        (SaysSynthesised, "stage PREDICTED"),
        (OtherVersion, "has the version"),
        (SinglePrecision, "double-precision"),
        (LowEnds, "contains the mean"),
        (Negative, "no bound of"),
        (Relative, "networks beside it"),
        (InOrder, "order of the records"),
        (DeafToWeights, "other weights"),
        (Remembers, "fit forgets"),
        (Flat, "more bits cost more"),
        (Explodes, "however large"),
        (Forgetful, "keeps the scores"),
        (StartsAgain, "adds scores"),
        (Unmoved, "widen the intervals"),
        (Drags, "do not move a prediction"),
    ],
)
def test_a_broken_promise_is_named(surrogate, promise):
    with pytest.raises(AssertionError, match=promise):
        check_surrogate(surrogate(), RECORDS)


def test_too_few_records():
    with pytest.raises(ValueError, match="5 records"):
        check_surrogate(Wrapped(), RECORDS[:5])
