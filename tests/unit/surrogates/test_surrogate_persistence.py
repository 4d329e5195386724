import json
from dataclasses import replace
from importlib.resources import as_file, files

import numpy as np
import pytest
from fakes.records import FITTABLE_KINDS, random_specs, synthetic_records

from surrogates import (
    TARGETS,
    HardwareTarget,
    Stage,
    TraceSurrogate,
    fit_surrogate,
    load_surrogate,
    load_trace_surrogate,
    save_surrogate,
    start_surrogate,
    trace_surrogate,
)
from surrogates.errors import NotFittedError, PersistenceError
from surrogates.estimators import ResidualSurrogate
from surrogates.layer_law import LayerLaw
from surrogates.persistence import saved_records
from surrogates.pretrained import SURROGATE, TRACE_SURROGATE, start_records, traced_records

RECORDS = synthetic_records(25, np.random.default_rng(0))
WEIGHTS = np.linspace(0.1, 2.0, 25)


@pytest.mark.parametrize(
    ("name", "kind", "reuse"),
    [("surrogate.json", "gp", False), *(("surrogate.json.gz", kind, True) for kind in FITTABLE_KINDS)],
)
def test_round_trip(tmp_path, name, kind, reuse):
    records = synthetic_records(25, np.random.default_rng(0), reuse=reuse)
    saved = ResidualSurrogate(kind, seed=3, foreseen={"lut": (0.5, 4.0)}).fit(records, WEIGHTS)
    save_surrogate(saved, tmp_path / name)
    loaded = load_surrogate(tmp_path / name)
    assert (loaded.learners, loaded.settings) == (saved.learners, saved.settings)
    assert (loaded.version, loaded.parameters, loaded.records) == (saved.version, saved.parameters, saved.records)
    assert loaded.stage is Stage.SYNTHESISED
    specs = random_specs(5, np.random.default_rng(1))
    first, second = saved.predict(specs, HardwareTarget()), loaded.predict(specs, HardwareTarget())
    for target in TARGETS:
        np.testing.assert_array_equal(first.mean[target], second.mean[target])
        np.testing.assert_array_equal(first.std[target], second.std[target])
        np.testing.assert_array_equal(first.upper[target], second.upper[target])


@pytest.mark.parametrize("n", [1, 2, 8])
def test_a_few_records(tmp_path, n):
    saved = fit_surrogate(RECORDS[:n], "auto")
    save_surrogate(saved, tmp_path / "few.json")
    spec, target = RECORDS[20].spec, HardwareTarget()
    loaded = load_surrogate(tmp_path / "few.json").predict([spec], target)
    assert loaded.upper["lut"] == saved.predict([spec], target).upper["lut"]


def test_nothing_is_searched_for_again(tmp_path, monkeypatch):
    save_surrogate(fit_surrogate(RECORDS, "ensemble"), tmp_path / "surrogate.json")

    def never(*_args, **_others):
        raise AssertionError

    monkeypatch.setattr("surrogates.gaussian_process.search_kernel", never)
    monkeypatch.setattr("surrogates._sklearn.grow", never)
    monkeypatch.setattr(LayerLaw, "fit", never)
    load_surrogate(tmp_path / "surrogate.json")


def test_the_surrogate_of_the_package_is_fitted_on_its_records():
    fitted, shipped = fit_surrogate(start_records()), start_surrogate()
    with as_file(files("surrogates.pretrained") / SURROGATE) as path:
        assert load_surrogate(path).version == fitted.version == shipped.version
    specs = random_specs(50, np.random.default_rng(4))
    one, other = (found.predict(specs, HardwareTarget()) for found in (fitted, shipped))
    for target in TARGETS:
        np.testing.assert_allclose(one.mean[target], other.mean[target], rtol=1e-3)


def test_the_bytes_depend_on_the_content_alone(tmp_path):
    order = np.random.default_rng(0).permutation(25)
    save_surrogate(fit_surrogate(RECORDS, "ridge", weights=WEIGHTS), tmp_path / "a.json.gz")
    turned = fit_surrogate([RECORDS[row] for row in order], "ridge", weights=WEIGHTS[order])
    save_surrogate(turned, tmp_path / "b.json.gz")
    assert (tmp_path / "a.json.gz").read_bytes() == (tmp_path / "b.json.gz").read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 1}, "schema 1, this version reads 4; load it with"),
        ({"format": "other"}, "not a saved surrogate"),
        ({"version": "0" * 16}, "fit a new surrogate"),
        ({"parameters": {"kind": "magic", "seed": 0, "stage": "synthesised"}}, "damaged"),
        ({"parameters": {"kind": "gp"}}, "damaged"),
        ({"weights": [1.0]}, "damaged"),
        ({"settings": {}}, "damaged: KeyError"),
        ({"settings": dict.fromkeys(TARGETS, 7)}, "damaged: TypeError"),
        ({"records": [{"schema": 99}]}, "records cannot be read"),
    ],
)
def test_other_files_are_refused_with_advice(tmp_path, change, message):
    path = tmp_path / "surrogate.json"
    save_surrogate(fit_surrogate(RECORDS[:5], "ridge"), path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(PersistenceError, match=message):
        load_surrogate(path)


@pytest.mark.parametrize("content", ["", "[]", "{}", "\x80pickle"])
def test_no_json_or_no_surrogate(tmp_path, content):
    path = tmp_path / "surrogate.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(PersistenceError, match="not a saved surrogate"):
        load_surrogate(path)


def test_a_missing_part_is_named(tmp_path):
    path = tmp_path / "surrogate.json"
    save_surrogate(fit_surrogate(RECORDS[:5], "ridge"), path)
    content = json.loads(path.read_text())
    del content["weights"]
    path.write_text(json.dumps(content))
    with pytest.raises(PersistenceError, match="lacks weights"):
        load_surrogate(path)


def traces(n):
    """Networks of both stages."""
    traced = [replace(record, stage=Stage.TRACED, lut=1.1 * record.lut) for record in RECORDS[:n]]
    return [*RECORDS[:n], *traced]


@pytest.mark.parametrize("n", [3, 25])
def test_a_surrogate_of_traces_round_trip(tmp_path, n):
    saved = TraceSurrogate(seed=2).fit(traces(n))
    save_surrogate(saved, tmp_path / "traces.json.gz")
    loaded = load_trace_surrogate(tmp_path / "traces.json.gz")
    assert (loaded.version, loaded.parameters, loaded.records) == (saved.version, saved.parameters, saved.records)
    assert loaded.settings == saved.settings
    asked = [record for record in traces(25) if record.stage == Stage.TRACED]
    one, other = saved.predict(asked), loaded.predict(asked)
    for target in TARGETS:
        for field in ("mean", "std", "log_std", "lower", "upper"):
            np.testing.assert_array_equal(getattr(one, field)[target], getattr(other, field)[target])
    assert saved_records(tmp_path / "traces.json.gz") == list(saved.records)


def test_surrogates_of_traces_and_of_descriptions_are_not_mixed_up(tmp_path):
    paths = tmp_path / "traces.json", tmp_path / "descriptions.json"
    save_surrogate(TraceSurrogate().fit(traces(4)), paths[0])
    save_surrogate(fit_surrogate(RECORDS[:5], "ridge"), paths[1])
    with pytest.raises(PersistenceError, match=r"is a surrogates.TraceSurrogate, not a surrogates.ResidualSurrogate"):
        load_surrogate(paths[0])
    with pytest.raises(PersistenceError, match=r"is a surrogates.ResidualSurrogate, not a surrogates.TraceSurrogate"):
        load_trace_surrogate(paths[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 1}, "schema 1, this version reads 4; load it with"),
        ({"version": "0" * 16}, "fit a new surrogate"),
        ({"parameters": {}}, "damaged: KeyError"),
        ({"settings": {"lut": {}}}, "damaged: KeyError"),
        ({"records": [{"schema": 99}]}, "records cannot be read"),
    ],
)
def test_other_files_of_traces_are_refused_with_advice(tmp_path, change, message):
    path = tmp_path / "traces.json"
    save_surrogate(TraceSurrogate().fit(traces(4)), path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(PersistenceError, match=message):
        load_trace_surrogate(path)


def test_the_surrogate_of_traces_of_the_package_is_fitted_on_its_records():
    fitted, shipped = TraceSurrogate().fit(traced_records()), trace_surrogate()
    with as_file(files("surrogates.pretrained") / TRACE_SURROGATE) as path:
        assert load_trace_surrogate(path).version == fitted.version == shipped.version
    asked = [record for record in fitted.records if record.stage == Stage.TRACED]
    one, other = fitted.predict(asked), shipped.predict(asked)
    for target in TARGETS:
        np.testing.assert_allclose(one.mean[target], other.mean[target], rtol=1e-3)
    assert trace_surrogate(seed=1).version != shipped.version


def test_records_survive_a_version_that_does_not(tmp_path):
    path = tmp_path / "surrogate.json"
    surrogate = fit_surrogate(RECORDS[:5], "ridge")
    save_surrogate(surrogate, path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": "old"}))
    assert fit_surrogate(saved_records(path), "ridge").version == surrogate.version


def test_an_unfitted_surrogate_is_not_saved(tmp_path):
    with pytest.raises(NotFittedError):
        save_surrogate(ResidualSurrogate(), tmp_path / "surrogate.json")
    assert not (tmp_path / "surrogate.json").exists()
