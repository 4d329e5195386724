"""Tracing without synthesis: what the tool cannot do is said."""

from __future__ import annotations

import numpy as np
import pytest
from fakes.networks import random_network

from evonas.errors import FailureKind, ToolError
from evonas.synthesis.tracing import trace_design
from surrogates import HardwareTarget, Stage


def inputs(network):
    return np.random.default_rng(0).normal(size=(64, network.spec.n_inputs))


def test_a_network_is_traced_and_checked():
    network, steps = random_network(3, (6, 5, 3)), []
    record = trace_design(network, inputs(network), HardwareTarget(), progress=steps.append)
    assert (record.spec, record.stage, record.verified_vectors) == (network.spec, Stage.TRACED, 64)
    assert record.weights == network.layer_weights
    assert record.lut > 0
    assert steps == ["tracing"]


def test_no_time_is_a_failure_with_a_name():
    network = random_network(3, (6, 5, 3))
    with pytest.raises(ToolError) as raised:
        trace_design(network, inputs(network), HardwareTarget(), timeout_s=1e-3)
    assert raised.value.failure.kind == FailureKind.TOOL_TIMEOUT
