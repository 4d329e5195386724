"""What every surrogate promises, as checks: for surrogates of your own, as scikit-learn's `check_estimator` is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from surrogates.errors import MixedRecordsError, NotFittedError, SurrogateError
from surrogates.layers import LayerSpec
from surrogates.records import TARGETS, Stage
from surrogates.spec import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from surrogates.prediction import Prediction, Surrogate
    from surrogates.records import SynthesisRecord

FIELDS = ("mean", "std", "log_std", "lower", "upper")
LEAST = 20  # records that the checks need
LARGEST = 1.01e9  # of a cost, cells or cycles


def check_surrogate(surrogate: Surrogate, records: Sequence[SynthesisRecord]) -> None:
    """Raise `AssertionError` that names the first promise of `Surrogate` that an unfitted surrogate breaks.

    `records` are at least 20 of one stage and tool that it can learn from, the more the better: that more bits, more
    outputs and fewer zeros cost more is to be learnt from them. Takes half a dozen fits; `surrogate` stays unfitted.
    """
    if len(records) < LEAST:
        raise ValueError(f"{len(records)} records: the checks need at least {LEAST}")
    for check in (_unfitted, _refusals, _predictions, _order, _weights, _fresh, _costs, _far_away, _foreseen):
        check(surrogate.fresh(), list(records))


def _promise(kept: bool, promise: str) -> None:
    if not kept:
        raise AssertionError(promise)


def _raises(error: type[Exception], call: Callable[[], object], promise: str) -> None:
    try:
        call()
    except error:
        return
    except Exception as other:
        raise AssertionError(f"{promise}: raised {other!r} in place of {error.__name__}") from other
    raise AssertionError(f"{promise}: raised nothing")


def _network(width: int = 32, bits: int = 6, sparsity: float = 0.2) -> ModelSpec:
    hidden = LayerSpec(16, width, bits, 6, "relu", sparsity)
    return ModelSpec(8, (hidden, LayerSpec(width, 5, bits, 0, "linear", sparsity)))


def _specs(records: Sequence[SynthesisRecord]) -> list[ModelSpec]:
    return [*(record.spec for record in records[:10]), _network()]


def _same(one: Prediction, other: Prediction) -> bool:
    return all(np.array_equal(getattr(one, f)[n], getattr(other, f)[n]) for f in FIELDS for n in TARGETS)


def _unfitted(surrogate: Surrogate, records: list[SynthesisRecord]) -> None:
    target = records[0].target
    _raises(NotFittedError, lambda: surrogate.predict([_network()], target), "predict before fit is a NotFittedError")
    _raises(NotFittedError, lambda: surrogate.version, "version before fit is a NotFittedError")
    _promise(surrogate.fit(records) is surrogate, "fit returns the surrogate itself")
    _promise(set(surrogate.learners) == set(TARGETS), "learners names what predicts each target")


def _refusals(surrogate: Surrogate, records: list[SynthesisRecord]) -> None:
    target, stage = records[0].target, records[0].stage
    _raises(SurrogateError, lambda: surrogate.fit([]), "fit without records is a SurrogateError")
    for weights in ([1.0], [0.0] * len(records), [-1.0] * len(records), [np.nan] * len(records)):
        wrong = np.array(weights)
        promise = f"fit with weights such as {wrong[0]} for {len(wrong)} of {len(records)} records is a SurrogateError"
        _raises(SurrogateError, lambda w=wrong: surrogate.fit(records, w), promise)  # type: ignore[misc]
    other = Stage.TRACED if stage != Stage.TRACED else Stage.SYNTHESISED
    mixed = [*records, replace(records[0], stage=other)]
    _raises(MixedRecordsError, lambda: surrogate.fit(mixed), "fit on records of two stages is a MixedRecordsError")
    tool = replace(target, tool="openrtl" if target.tool != "openrtl" else "vitis")
    mixed = [*records, replace(records[0], target=tool)]
    _raises(MixedRecordsError, lambda: surrogate.fit(mixed), "fit on records of two tools is a MixedRecordsError")
    fitted = surrogate.fit(records)
    _raises(SurrogateError, lambda: fitted.predict([_network()], tool), "predict for another tool is a SurrogateError")


def _predictions(surrogate: Surrogate, records: list[SynthesisRecord]) -> None:
    surrogate.fit(records)
    specs = _specs(records)
    for n in (0, 1, len(specs)):
        found = surrogate.predict(specs[:n], records[0].target)
        _promise(found.stage is Stage.PREDICTED, "a prediction is of stage PREDICTED")
        _promise(found.version == surrogate.version, "a prediction has the version of the surrogate")
        for field in FIELDS:
            values = getattr(found, field)
            _promise(set(values) == set(TARGETS), f"{field} has every target")
            for name, array in values.items():
                kept = array.shape == (n,) and array.dtype == np.float64 and bool(np.isfinite(array).all())
                _promise(kept, f"{field} of {name} is {n} finite double-precision numbers for {n} networks")
        for name in TARGETS:
            inside = (found.lower[name] <= found.mean[name]) & (found.mean[name] <= found.upper[name])
            _promise(bool(inside.all()), f"the interval of {name} contains the mean")
            _promise(bool((found.lower[name] >= 0).all()), f"no bound of {name} is negative")
            _promise(bool((found.std[name] >= 0).all()), f"no standard deviation of {name} is negative")
        _promise(bool((found.lower["latency_cycles"] >= 1).all()), "a network takes at least a cycle")
    alone = surrogate.predict(specs[-1:], records[0].target)
    whole = surrogate.predict(specs, records[0].target)
    kept = all(np.allclose(alone.mean[n], whole.mean[n][-1:], rtol=1e-9) for n in TARGETS)
    _promise(kept, "a prediction does not depend on the networks beside it")


def _order(surrogate: Surrogate, records: list[SynthesisRecord]) -> None:
    target = records[0].target
    weights = np.linspace(0.2, 2.0, len(records))
    straight = surrogate.fit(records, weights)
    version, found = straight.version, straight.predict(_specs(records), target)
    turned = surrogate.fresh().fit(records[::-1], weights[::-1])
    kept = turned.version == version and _same(turned.predict(_specs(records), target), found)
    _promise(kept, "the order of the records changes neither version nor prediction")


def _weights(surrogate: Surrogate, records: list[SynthesisRecord]) -> None:
    plain = surrogate.fit(records).version
    heavy = np.ones(len(records))
    heavy[: len(records) // 3] = 20.0
    _promise(surrogate.fresh().fit(records, heavy).version != plain, "other weights make another version")
    _promise(surrogate.fresh().fit(records[1:]).version != plain, "other records make another version")


def _fresh(surrogate: Surrogate, records: list[SynthesisRecord]) -> None:
    target = records[0].target
    version = surrogate.fit(records).version
    found = surrogate.predict(_specs(records), target)
    fresh = surrogate.fresh()
    _raises(NotFittedError, lambda: fresh.predict([_network()], target), "a fresh surrogate is not fitted")
    fresh.fit(records[: len(records) // 2])
    again = fresh.fit(records)
    kept = again.version == version and _same(again.predict(_specs(records), target), found)
    _promise(kept, "fit forgets what was learnt before, and fresh keeps the parameters")
    _promise(surrogate.version == version, "a fresh surrogate and the one it is of do not share what they learnt")


def _foreseen(surrogate: Surrogate, records: list[SynthesisRecord]) -> None:
    target, specs = records[0].target, _specs(records)
    before = surrogate.fit(records).predict(specs, target)
    told = surrogate.fresh({"lut": (20.0,) * len(records)})
    _promise(list(told.foreseen.get("lut", ())) == [20.0] * len(records), "fresh keeps the scores that it is given")
    twice = told.fresh({"lut": (1.0,), "ff": (2.0,)}).foreseen
    _promise(len(twice["lut"]) == len(records) + 1 and len(twice["ff"]) == 1, "fresh adds scores to those it has")
    after = told.fit(records).predict(specs, target)
    doubt = before.log_std["lut"] > 0
    widths = [np.log1p(found.upper["lut"]) - np.log1p(found.lower["lut"]) for found in (before, after)]
    _promise(bool((widths[1] > widths[0])[doubt].all()), "predictions that were far off widen the intervals")
    _promise(bool(np.allclose(before.mean["lut"], after.mean["lut"], rtol=1e-9)), "scores do not move a prediction")
    _promise(told.version != surrogate.version, "other scores make another version")


def _costs(surrogate: Surrogate, records: list[SynthesisRecord]) -> None:
    surrogate.fit(records)
    for what, chain in (
        ("bits", [_network(bits=bits) for bits in (3, 5, 8)]),
        ("outputs", [_network(width=width) for width in (12, 24, 48)]),
        ("weights that are not pruned", [_network(sparsity=sparsity) for sparsity in (0.8, 0.4, 0.0)]),
    ):
        luts = surrogate.predict(chain, records[0].target).mean["lut"]
        _promise(bool((np.diff(luts) > 0).all()), f"more {what} cost more LUTs, not {luts.round().tolist()}")


def _far_away(surrogate: Surrogate, records: list[SynthesisRecord]) -> None:
    surrogate.fit(records)
    giant = ModelSpec(16, tuple(LayerSpec(4096, 4096, 16, 16) for _ in range(7)))
    tiny = ModelSpec(1, (LayerSpec(1, 1, 1, 0, "linear", 1.0),))
    found = surrogate.predict([giant, tiny], records[0].target)
    for name in TARGETS:
        kept = bool(np.isfinite(found.upper[name]).all()) and bool((found.upper[name] <= LARGEST).all())
        _promise(kept, f"no bound of {name} is beyond {LARGEST:.3g}, however large a network is")
