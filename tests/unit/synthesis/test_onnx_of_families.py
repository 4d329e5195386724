"""ONNX files of every family: the same bits, both precisions, read back, damage named."""

from __future__ import annotations

import dataclasses
from importlib import import_module

import numpy as np
import pytest
from fakes.families import FAMILIES, inputs, space_of, untrained
from onnx import numpy_helper

from evonas.errors import DataError
from evonas.models.fixed_point import FixedPoint
from evonas.models.operations import QuantisedOperation
from evonas.synthesis import _onnx
from surrogates import LayerSpec, ModelSpec, OperationSpec

BUILD = import_module("evonas.synthesis._onnx.build")  # the package has a function of that name


@pytest.fixture(scope="module", params=FAMILIES)
def networks(request):
    space = space_of(request.param)
    specs = [space.decode(genome).spec for genome in space.sample(4, np.random.default_rng(10))]
    return [untrained([spec], [seed]).export(0) for seed, spec in enumerate(specs)]


def test_onnxruntime_gives_the_bits_of_the_network(networks):
    for network in networks:
        x = inputs(network.spec, 200, np.random.default_rng(11))
        np.testing.assert_array_equal(_onnx.run(_onnx.build(network), x), network.predict(x))


def test_double_precision_gives_the_same_bits(networks, monkeypatch):
    monkeypatch.setattr(BUILD, "FLOAT32_BITS", 0)
    for network in networks[:2]:
        assert _onnx.precision(network) is np.float64
        x = inputs(network.spec, 100, np.random.default_rng(11))
        np.testing.assert_array_equal(_onnx.run(_onnx.build(network), x), network.predict(x))


def test_a_file_is_read_back_whole(networks, tmp_path):
    for number, network in enumerate(networks):
        path = tmp_path / f"{number}.onnx"
        _onnx.write_onnx(network, inputs(network.spec, 20, np.random.default_rng(12)), path)
        _onnx.check_sound(path)
        assert _onnx.is_ours(path)
        again = _onnx.read_onnx(path)
        assert again.digest == network.digest
        assert again.spec == network.spec


def test_a_changed_weight_is_noticed(networks, tmp_path):
    model = _onnx.build(networks[0])
    entry = next(entry for entry in model.graph.initializer if entry.name.startswith("bias_"))
    value = numpy_helper.to_array(entry).copy()
    value[0] += networks[0].weighted[0].bias_type.lsb
    entry.CopyFrom(numpy_helper.from_array(value, entry.name))
    path = tmp_path / "changed.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(DataError, match="not those that were written"):
        _onnx.read_onnx(path)


OPERATIONS = [
    OperationSpec("sum", 2, 4),
    OperationSpec("mean", 2, 3),
    OperationSpec("mean"),
    OperationSpec("max", 3),
    OperationSpec("pairs"),
    OperationSpec("transpose"),
    OperationSpec("flatten"),
    OperationSpec("add", 1, 4),
    OperationSpec("concatenate"),
    OperationSpec("select", start=1, length=4),
    OperationSpec("softmax", 1, 5),
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
@pytest.mark.parametrize("bits", [24, 0], ids=["single", "double"])
def test_every_operation_in_both_precisions(operation, bits, monkeypatch):
    monkeypatch.setattr(BUILD, "FLOAT32_BITS", bits)
    shape = operation.shape(*[(6, 3)] * operation.n_inputs)
    operands = [(-1, 0), (0, 1)] if operation.n_inputs == 1 else [(-1, 0), (0, 1), (-1, 1)]
    parts = (LayerSpec(3, 3, 4, 4, "leaky_relu", positions=6), operation, OperationSpec("flatten"),
             LayerSpec(shape[0] * shape[1], 2, 4, 0, "linear"))  # fmt: skip
    network = untrained([ModelSpec(5, parts, (*operands, (1, 2), (2, 3)))], [2]).export(0)
    assert (_onnx.precision(network) is np.float32) == (bits == 24)
    x = inputs(network.spec, 100, np.random.default_rng(1))
    np.testing.assert_array_equal(_onnx.run(_onnx.build(network), x), network.predict(x))


def test_sums_that_need_more_than_single_precision_get_double():
    parts = (OperationSpec("sum"), LayerSpec(1, 1, 16, 0, "linear"))
    spec = ModelSpec(16, parts, (), (16, 1))
    network = untrained([spec], [0]).export(0)
    assert network.exact_types[1].width > 24
    assert _onnx.precision(network) is np.float64
    x = inputs(spec, 200, np.random.default_rng(0))
    np.testing.assert_array_equal(_onnx.run(_onnx.build(network), x), network.predict(x))


def test_operations_wrap_where_their_type_does():
    parts = (OperationSpec("sum", activation_bits=3), LayerSpec(2, 1, 2, 0, "linear"))
    network = untrained([ModelSpec(4, parts, (), (5, 2))], [0]).export(0)
    wrapping = QuantisedOperation(parts[0], FixedPoint(True, 3, 2))
    network = dataclasses.replace(network, layers=(wrapping, network.layers[1]))
    x = inputs(network.spec, 200, np.random.default_rng(0))
    np.testing.assert_array_equal(_onnx.run(_onnx.build(network), x), network.predict(x))
