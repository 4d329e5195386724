"""Networks as graphs: what is refused and how it is named, plain data, digests, topologies."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import surrogates
from surrogates import LayerSpec, ModelSpec, OperationSpec, SpecError, Window, analytic_costs, read_records
from surrogates.layers import OPERATIONS, REDUCTIONS


def dense(n_in, n_out, positions=1, activation="relu"):
    return LayerSpec(n_in, n_out, 4, 0 if activation == "linear" else 4, activation, positions=positions)


def output(n_in, n_out=2):
    return dense(n_in, n_out, activation="linear")


DEEP_SET = ModelSpec(8, (dense(3, 4, 6), OperationSpec("mean"), output(4)))
SKIP = ModelSpec(
    8,
    (dense(3, 3, 6), OperationSpec("add", activation_bits=4), OperationSpec("flatten"), output(18)),
    ((-1, 0), (0, 1), (-1, 1), (1, 2), (2, 3)),
)
TWICE = ModelSpec(8, (OperationSpec("concatenate"), output(6)), ((-1, 0), (-1, 0), (0, 1)), (1, 3))
BROADCAST = ModelSpec(
    8, (OperationSpec("broadcast", 4), dense(3, 2, 4), OperationSpec("flatten"), output(8)), (), (1, 3)
)
CONV = ModelSpec(
    8,
    (
        LayerSpec(2, 3, 4, 4, kind="conv", positions=20, window=Window(4, 5, 3)),
        OperationSpec("transpose"),
        OperationSpec("max", 3),
        OperationSpec("flatten"),
        output(18),
    ),
)
GRAPHS = {"deep set": DEEP_SET, "skip": SKIP, "twice": TWICE, "broadcast": BROADCAST, "convolution": CONV}


@pytest.mark.parametrize(
    ("arguments", "field", "mend"),
    [
        ((0, (output(3),)), "input_bits", "between 1 and 16"),
        ((8, ()), "layers", "at least one layer"),
        ((8, (OperationSpec("flatten"), output(3))), "input_shape", "begins with an operation"),
        ((8, (output(3),), (), (3,)), "input_shape", "must be (positions, channels)"),
        ((8, (output(3),), (), (0, 3)), "input_shape", "must be (positions, channels)"),
        ((8, (dense(3, 4, 6), OperationSpec("mean"))), "layers", "must end with a layer"),
        ((8, (dense(3, 4), output(5))), "layers[1].n_in", "must equal the 4 outputs before it"),
        ((8, (dense(3, 4, 6), output(4))), "layers[1].positions", "must equal the 6 positions before it"),
        ((8, (output(3),), (), (1, 4)), "layers[0].n_in", "must equal the 4 outputs before it"),
        ((8, (dense(3, 4, activation="linear"), output(4))), "layers[0].activation", "only for the last layer"),
        ((8, (dense(3, 64, 4000), OperationSpec("mean"), output(64))), "layers[0]", "more than 65,536 words"),
        ((8, (dense(3, 4), output(4)), ((0, 1), (-1, 0))), "edges", "in the order of the parts"),
        ((8, (dense(3, 4), output(4)), ((-1, 0), (-1, 1), (0, 1))), "edges", "layers[1] needs 1 of them"),
        ((8, (dense(3, 4), output(4)), ((-1, 0),)), "edges", "layers[1] needs 1 of them"),
        (
            (8, (dense(3, 3), OperationSpec("add"), output(3)), ((-1, 0), (0, 1), (1, 2))),
            "edges",
            "layers[1] needs 2 of them",
        ),
        ((8, (dense(3, 4), output(4)), ((0, 0), (0, 1))), "edges", "can only read what comes before it"),
        ((8, (dense(3, 4), output(4)), ((-2, 0), (0, 1))), "edges", "can only read what comes before it"),
        ((8, (dense(3, 3), output(3)), ((-1, 0), (-1, 1))), "edges", "leave these parts unread"),
        ((8, (dense(3, 3), output(3)), ((-1, 0), (0, 1), (0, 2))), "edges", "parts that do not exist"),
        ((8, (dense(3, 3), output(3)), ((0, -1), (-1, 0), (0, 1))), "edges", "parts that do not exist"),
        (
            (8, (dense(3, 4, 6), OperationSpec("mean", 4), output(4))),
            "groups",
            "must divide the 6 positions",
        ),
    ],
)
def test_an_impossible_network_is_named(arguments, field, mend):
    with pytest.raises(SpecError) as caught:
        ModelSpec(*arguments)
    assert caught.value.field == field
    assert mend in caught.value.mend


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer": []}, "unknown fields"),
        ({"layers": None}, "wrong name or type"),
        ({"layers": [{"kind": "sum", "width": 4}]}, "wrong name or type"),
        ({"layers": [{"n_in": 4}]}, "wrong name or type"),
        ({"layers": [{"kind": "sum", "groups": 1, "activation_bits": 99}]}, "activation_bits = 99"),
        ({"edges": [[0]]}, "."),
    ],
)
def test_damaged_plain_data_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        ModelSpec.from_dict({**DEEP_SET.to_dict(), **change})


@pytest.mark.parametrize("name", ["layers", "input_bits"])
def test_a_missing_field_is_named(name):
    data = DEEP_SET.to_dict()
    del data[name]
    with pytest.raises(SpecError, match=f"{name}.*is missing this field"):
        ModelSpec.from_dict(data)


@pytest.mark.parametrize("spec", GRAPHS.values(), ids=GRAPHS)
def test_graphs_survive_plain_data_and_pickle(spec):
    restored = ModelSpec.from_dict(json.loads(json.dumps(spec.to_dict())))
    assert restored == spec
    assert restored.digest == spec.digest
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert copy.deepcopy(spec).shapes == spec.shapes
    assert not spec.is_chain


def test_digests_tell_graphs_apart():
    swapped = ModelSpec(8, SKIP.layers, ((-1, 0), (-1, 1), (0, 1), (1, 2), (2, 3)))
    others = [swapped, dataclasses.replace(DEEP_SET, input_bits=7)]
    others.append(ModelSpec(8, (dense(3, 4, 7), OperationSpec("mean"), output(4))))
    others.append(ModelSpec(8, (dense(3, 4, 6), OperationSpec("sum"), output(4))))
    assert len({spec.digest for spec in (*GRAPHS.values(), *others)}) == len(GRAPHS) + len(others)


def test_topologies_are_readable():
    assert DEEP_SET.topology == "6x3-4-mean-2"
    assert SKIP.topology == "6x3-3-add(0,-1)-flatten-2"
    assert CONV.topology == "20x2-3k3-transpose-max3-flatten-2"
    assert ModelSpec(8, (dense(3, 4), output(4))).topology == "3-4-2"


def test_shapes_and_counts():
    assert CONV.shapes == ((20, 2), (6, 3), (3, 6), (3, 6), (1, 18), (1, 2))
    assert (CONV.n_inputs, CONV.n_outputs) == (40, 2)
    assert SKIP.sources == ((-1,), (0, -1), (1,), (2,))
    assert [layer.n_out for layer in SKIP.weighted] == [3, 2]


def test_only_a_multi_layer_perceptron_is_a_chain():
    layers = dense(3, 4), output(4)
    assert ModelSpec(8, layers).is_chain
    assert ModelSpec(8, layers, ((-1, 0), (0, 1)), (1, 3)).is_chain
    window = Window(1, 1, 1)
    assert not ModelSpec(8, (LayerSpec(3, 4, 4, 4, kind="conv", window=window), output(4))).is_chain


def test_multi_layer_perceptrons_keep_their_plain_form():
    """What earlier versions wrote, character by character: digests are keys of logs and of saved surrogates."""
    spec = ModelSpec(8, (LayerSpec(16, 32, 6, 5, "relu", 0.5), LayerSpec(32, 5, 4, 0, "linear", 0.0, "reuse", 4)))
    assert json.dumps(spec.to_dict(), sort_keys=True) == (
        '{"edges": [[-1, 0], [0, 1]], "input_bits": 8, "layers": ['
        '{"activation": "relu", "activation_bits": 5, "kind": "dense", "n_in": 16, "n_out": 32, "reuse_factor": 1, '
        '"sparsity": 0.5, "strategy": "distributed_arithmetic", "weight_bits": 6}, '
        '{"activation": "linear", "activation_bits": 0, "kind": "dense", "n_in": 32, "n_out": 5, "reuse_factor": 4, '
        '"sparsity": 0.0, "strategy": "reuse", "weight_bits": 4}]}'
    )


def test_the_shipped_records_keep_their_digests():
    """The first and the last record, and all of them together, as they were before there were other networks."""
    records = read_records(Path(surrogates.__file__).parent / "pretrained" / "records.jsonl.gz")
    digests = [record.spec.digest for record in records]
    assert digests[0] == "56bdcd3a635bfbfc439e67d792e900d024ca325b0087509bc184ca45b05d430d"
    assert digests[-1] == "94ae7e0bdb1464ca6c58e44a56cb08ce622845171c8574635f6cbc7e89b52047"
    assert records[0].spec.topology == "16-8-4-16-12-4-5"
    assert all(record.spec.is_chain for record in records)


@st.composite
def graphs(draw):
    """Layers and operations at random behind each other, now and then beside themselves."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    parts, edges, shapes = [], [], [(draw(st.integers(1, 6)), draw(st.integers(1, 4)))]

    def add(part, *sources):
        edges.extend((source, len(parts)) for source in sources)
        parts.append(part)
        shapes.append(part.shape if isinstance(part, LayerSpec) else part.shape(*(shapes[s + 1] for s in sources)))

    def layer(n_in, n_out, positions):
        activation = str(rng.choice(["relu", "leaky_relu", "hard_tanh"]))
        bits = rng.integers(1, 17, 2).tolist()
        return LayerSpec(n_in, n_out, *bits, activation, float(rng.random()), positions=positions)

    for kind in draw(st.lists(st.sampled_from(["dense", *OPERATIONS]), max_size=5)):
        positions, channels = shapes[-1]
        last = len(parts) - 1
        if kind in ("concatenate", "add"):
            add(OperationSpec(kind), last, last)
        elif kind == "matmul":
            add(OperationSpec("transpose"), last)
            add(OperationSpec(kind, 1, int(rng.integers(0, 17))), last, last + 1)
        elif kind == "softmax":
            add(OperationSpec(kind, 1, int(rng.integers(1, 17))), last)
        elif kind == "dense" or not {"pairs": 1 < positions < 4, "broadcast": positions == 1}.get(kind, True):
            add(layer(channels, int(rng.integers(1, 5)), positions), last)
        elif kind == "select":
            start = int(rng.integers(positions))
            add(OperationSpec(kind, start=start, length=int(rng.integers(1, positions - start + 1))), last)
        else:
            fit = {"broadcast": int(rng.integers(1, 4))} | dict.fromkeys(REDUCTIONS, int(rng.choice([1, positions])))
            add(OperationSpec(kind, fit.get(kind, 1)), last)
    add(OperationSpec("flatten"), len(parts) - 1)
    add(output(shapes[-1][1]), len(parts) - 1)
    return ModelSpec(int(rng.integers(1, 17)), tuple(parts), tuple(edges), shapes[0])


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_any_graph_survives_plain_data(spec):
    restored = ModelSpec.from_dict(json.loads(json.dumps(spec.to_dict())))
    assert restored == spec
    assert restored.digest == spec.digest
    assert restored.to_dict() == spec.to_dict()
    costs = vars(analytic_costs([spec])).items()
    assert not [name for name, (value,) in costs if not (np.isfinite(value) and value >= 0)]
