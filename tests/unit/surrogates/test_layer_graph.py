"""Layer-graph networks: rows and edges, sums over parts whatever the batch, numpy against torch, learning."""

from __future__ import annotations

import numpy as np
import pytest
from fakes.families import FAMILIES, every_gene, space_of

from surrogates import HardwareTarget, LayerSpec, ModelSpec, Stage
from surrogates.errors import PersistenceError
from surrogates.graph_table import FEATURES, KINDS, GraphTable
from surrogates.layer_graph import LEARNT, LayerGraph, shapes
from surrogates.weights import LayerWeights

TARGET = HardwareTarget()


def networks(n=4, seed=1):
    rng = np.random.default_rng(seed)
    spaces = [space_of(family, **every_gene(family)) for family in FAMILIES]
    return [space.decode(genome).spec for space in spaces for genome in space.sample(n, rng)]


def random_member(seed, width=8):
    rng = np.random.default_rng(seed)
    wanted = shapes(len(FEATURES), width).items()
    member = {name: rng.normal(0, 0.2, shape).astype(np.float32) for name, shape in wanted}
    return member | {"scale": np.ones(len(FEATURES), np.float32)}


def column(table, name):
    return table.features[:, FEATURES.index(name)]


def test_a_row_for_the_input_and_one_for_each_part():
    spec = ModelSpec(8, (LayerSpec(16, 32, 6, 5, sparsity=0.5), LayerSpec(32, 5, 4, 0, "linear")))
    table = GraphTable.of([spec, spec], [TARGET, HardwareTarget("xc7a35t", 10.0)])
    assert table.owner.tolist() == [0, 0, 0, 1, 1, 1]
    assert table.edges.tolist() == [[0, 1], [1, 2], [3, 4], [4, 5]]
    assert [KINDS[row.argmax()] for row in table.features[:3, FEATURES.index("is_input") :][:, : len(KINDS)]] == [
        "input", "dense", "dense",
    ]  # fmt: skip
    assert column(table, "bits_in")[:3].tolist() == [0, 8, 5]
    assert column(table, "nonzero")[1] == np.log2(257)
    assert column(table, "ultrascale").tolist() == [1, 1, 1, 0, 0, 0]
    assert np.allclose(table.stages[3:], table.stages[:3] / 2)  # twice the clock period, half of the stages


def test_weights_that_are_known_take_the_place_of_those_expected():
    spec = ModelSpec(8, (LayerSpec(16, 32, 6, 5, sparsity=0.5), LayerSpec(32, 5, 4, 0, "linear")))
    known = LayerWeights(250, 600, 40, 9, 15, 31)
    table = GraphTable.of([spec, spec], [TARGET, TARGET], [(known, known), None])
    assert column(table, "known").tolist() == [0, 1, 1, 0, 0, 0]
    assert column(table, "digits")[1] == np.log2(601)
    assert column(table, "live_inputs")[1] == 15 / 16
    assert column(table, "digits")[4] != column(table, "digits")[1]


def test_the_stage_is_a_feature():
    spec = ModelSpec(8, (LayerSpec(4, 2, 6, 0, "linear"),))
    table = GraphTable.of([spec, spec], [TARGET, TARGET], stages=[Stage.TRACED, Stage.SYNTHESISED])
    assert column(table, "synthesised").tolist() == [0, 0, 1, 1]


def test_a_prediction_does_not_depend_on_who_is_beside():
    specs = networks()
    graph = LayerGraph((random_member(1), random_member(2)))
    together = graph.predict(GraphTable.of(specs, [TARGET] * len(specs)))
    for place in (0, 5, len(specs) - 1):
        alone = graph.predict(GraphTable.of([specs[place]], [TARGET]))
        for name in LEARNT:
            assert alone.mean[name][0] == pytest.approx(together.mean[name][place], rel=1e-12)
            assert alone.spread[name][0] == pytest.approx(together.spread[name][place], rel=1e-12)


def test_selected_networks_are_as_if_laid_out_alone():
    specs = networks()
    chosen = np.array([1, 4, 9])
    found = GraphTable.of(specs, [TARGET] * len(specs)).select(chosen)
    wanted = GraphTable.of([specs[place] for place in chosen], [TARGET] * 3)
    for name in ("owner", "edges", "features", "lut", "ff", "stages", "cycles"):
        assert np.array_equal(getattr(found, name), getattr(wanted, name)), name


def test_members_disagree_and_the_spread_says_so():
    table = GraphTable.of(networks(2), [TARGET] * 2 * len(FAMILIES))
    one, other = random_member(1), random_member(2)
    twins, strangers = LayerGraph((one, one)).predict(table), LayerGraph((one, other)).predict(table)
    alone = LayerGraph((one,)).predict(table)
    assert np.allclose(twins.spread["lut"], alone.spread["lut"])
    assert np.mean(strangers.spread["lut"]) > np.mean(alone.spread["lut"]) / 2


def test_training_learns_what_it_is_shown():
    torch_door = pytest.importorskip("surrogates._torch", reason="torch is not installed", exc_type=ImportError)
    specs = networks(16, seed=5)
    table = GraphTable.of(specs, [TARGET] * len(specs))
    bits = table.total(table.lut * (0.5 + column(table, "bits_in") / 8))
    truth = np.column_stack([bits, 2 * table.total(table.ff), np.rint(table.cycles + 2 * table.total(table.stages))])
    recipe = torch_door.Recipe(width=16, epochs=60, batch=32)
    losses = []
    made = [
        torch_door.train_member(
            [table], truth, [np.ones(len(specs))], recipe, 3, progress=lambda _epoch, loss: losses.append(loss)
        )
        for _ in range(2)
    ]
    assert losses[59] < losses[0] - 2
    assert all(np.array_equal(made[0][name], made[1][name]) for name in made[0])  # the same seed twice
    found = LayerGraph((made[0],)).predict(table)
    errors = np.abs(np.expm1(found.mean["lut"]) / truth[:, 0] - 1)
    assert np.median(errors) < 0.1
    assert np.mean(np.rint(found.mean["latency_cycles"]) == truth[:, 2]) > 0.5


def test_what_is_saved_comes_back(tmp_path):
    graph = LayerGraph((random_member(1), random_member(2)))
    graph.save(tmp_path / "graph.npz")
    found = LayerGraph.load(tmp_path / "graph.npz", len(FEATURES))
    assert found.digest == graph.digest != LayerGraph((random_member(2), random_member(1))).digest
    found.save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "graph.npz").read_bytes()
    with pytest.raises(PersistenceError, match=r"another table of features .* train it again"):
        LayerGraph.load(tmp_path / "graph.npz", len(FEATURES) + 1)
    (tmp_path / "text.npz").write_text("nothing")
    with pytest.raises(PersistenceError, match="is not a saved layer-graph network"):
        LayerGraph.load(tmp_path / "text.npz", len(FEATURES))


def test_numpy_and_torch_compute_the_same():
    torch_door = pytest.importorskip("surrogates._torch", reason="torch is not installed", exc_type=ImportError)
    specs = networks(2)
    table = GraphTable.of(specs, [TARGET] * len(specs))
    member = random_member(4)
    found = LayerGraph((member,)).predict(table)
    mean, spread = torch_door.forward(member, table)
    for place, name in enumerate(LEARNT):
        assert np.allclose(mean[place], found.mean[name], rtol=1e-4)
        assert np.allclose(np.exp(spread[place]), found.spread[name], rtol=1e-4)
