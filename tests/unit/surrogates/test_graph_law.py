"""The layer-graph network as a law: taken where it is right, left where it is wrong, not asked about other tools."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from fakes.records import random_specs, synthetic_records

from surrogates import HardwareTarget, Stage, fit_surrogate, load_surrogate, save_surrogate, start_records
from surrogates.errors import PersistenceError
from surrogates.graph_law import GraphLaw, graph_costs, graph_digest, shipped
from surrogates.graph_table import FEATURES
from surrogates.law_choice import chosen_law
from surrogates.layer_graph import LayerGraph, shapes
from surrogates.layer_law import LayerLaw
from surrogates.pretrained import shipped_dataset
from surrogates.splits import part_of
from surrogates.training_set import TrainingSet

TARGET = HardwareTarget()


def member(seed, width=8):
    rng = np.random.default_rng(seed)
    made = {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes(len(FEATURES), width).items()}
    return made | {"scale": np.ones(len(FEATURES), np.float32)}


@pytest.fixture
def graph(monkeypatch):
    """A network with random weights, which no closed form follows."""
    made = LayerGraph((member(3),))
    monkeypatch.setattr("surrogates.graph_law.shipped", lambda: made)
    return made


def told_by_graph(n=60, noise=0.02):
    """Records whose costs are what the network in force says of them."""
    records = synthetic_records(n, np.random.default_rng(5))
    costs = graph_costs([r.spec for r in records], [r.target for r in records], [r.stage for r in records])
    rng = np.random.default_rng(6)
    return [
        replace(r, lut=float(np.expm1(costs["lut"][row] + noise * rng.normal()))) for row, r in enumerate(records)
    ]


def laid_out(records):
    return TrainingSet.of(records, np.ones(len(records)))


def test_the_package_has_a_network():
    assert shipped() is not None
    assert graph_digest(TARGET) == shipped().digest


def test_it_is_the_law_where_it_is_right(graph):
    assert chosen_law(laid_out(told_by_graph()), "lut") == GraphLaw("lut")
    assert chosen_law(laid_out(told_by_graph()[:2]), "lut") == GraphLaw("lut")  # nothing can be held out


def test_it_is_not_the_law_where_it_is_wrong(graph):
    records = synthetic_records(60, np.random.default_rng(5))
    assert isinstance(chosen_law(laid_out(records), "lut"), LayerLaw)
    assert isinstance(chosen_law(laid_out(records), "dsp"), LayerLaw)  # which it has not learnt


def test_a_factor_that_all_have_does_not_count(graph):
    records = [replace(r, lut=3 * r.lut) for r in told_by_graph()]
    assert chosen_law(laid_out(records), "lut") == GraphLaw("lut")


def test_a_surrogate_predicts_with_it(graph):
    records = told_by_graph(80)
    surrogate, unseen = fit_surrogate(records[:60], "ridge"), records[60:]
    found = surrogate.predict([r.spec for r in unseen], TARGET).mean["lut"]
    assert np.median(np.abs(found / np.array([r.lut for r in unseen]) - 1)) < 0.05


def test_saved_with_one_network_it_is_not_read_with_another(graph, monkeypatch, tmp_path):
    saved = fit_surrogate(told_by_graph(), "gp")
    save_surrogate(saved, tmp_path / "surrogate.json")
    specs = random_specs(5, np.random.default_rng(1))
    found = load_surrogate(tmp_path / "surrogate.json").predict(specs, TARGET)
    np.testing.assert_array_equal(found.mean["lut"], saved.predict(specs, TARGET).mean["lut"])
    other = LayerGraph((member(4),))
    monkeypatch.setattr("surrogates.graph_law.shipped", lambda: other)
    with pytest.raises(PersistenceError, match="this package fits version"):
        load_surrogate(tmp_path / "surrogate.json")


def test_without_it_the_closed_forms_are_the_law(monkeypatch):
    records = synthetic_records(30, np.random.default_rng(5))
    with_it = fit_surrogate(records, "ridge").version
    monkeypatch.setattr("surrogates.graph_law.shipped", lambda: None)
    without = fit_surrogate(records, "ridge")
    assert without.version != with_it
    assert without.predict([records[0].spec], TARGET).mean["lut"][0] > 0


def test_closed_forms_alone_never_ask_it(graph, monkeypatch, tmp_path):
    records = told_by_graph()
    surrogate = fit_surrogate(records, "gp", law="closed forms")
    expected = surrogate.predict([records[0].spec], TARGET).mean["lut"]
    assert fit_surrogate(records, "gp").predict([records[0].spec], TARGET).mean["lut"] != expected
    monkeypatch.setattr("surrogates.graph_law.shipped", lambda: None)
    save_surrogate(surrogate, tmp_path / "surrogate.json")
    for again in (fit_surrogate(records, "gp", law="closed forms"), load_surrogate(tmp_path / "surrogate.json")):
        assert again.version == surrogate.version
        assert again.predict([records[0].spec], TARGET).mean["lut"] == expected
    assert surrogate.fresh().fit(records).version == surrogate.version


def test_it_says_nothing_of_other_tools():
    vitis = HardwareTarget(tool="vitis")
    records = [replace(r, target=vitis) for r in synthetic_records(30, np.random.default_rng(5))]
    assert laid_out(records).graph == {}
    assert graph_digest(vitis) == ""


def test_architectures_are_in_one_part_whatever_their_bits():
    dataset = shipped_dataset()
    parts = {}
    for record in dataset.records:
        parts.setdefault(record.spec.topology, set()).add(part_of(record.spec))
    assert all(len(found) == 1 for found in parts.values())
    counts = Counter(next(iter(found)) for found in parts.values())
    assert counts["training"] > 4 * counts["calibration"] > 4 * counts["test"] > 0


def test_studies_start_from_the_calibration_part_and_dense_networks():
    dataset = shipped_dataset()
    held = [r for r in dataset.of(Stage.SYNTHESISED, weights="trained") if part_of(r.spec) == "calibration"]
    started = start_records()
    assert not set(started) & set(dataset.of(Stage.SYNTHESISED, weights="random"))
    assert held
    assert set(held) < set(started)
    assert all(r.stage is Stage.SYNTHESISED for r in started)
