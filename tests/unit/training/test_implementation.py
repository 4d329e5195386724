"""How layers are computed goes through training unchanged, and changes no bit of a network."""

from __future__ import annotations

import numpy as np
from fakes.studies import N_CLASSES, N_INPUTS, make_task

from evonas.models.quantised_network import QuantisedNetwork
from evonas.study.jobs import Training, train_candidate
from surrogates import LayerSpec, ModelSpec


def trained(strategy, *reuse_factors):
    hidden = LayerSpec(N_INPUTS, 4, 4, 4, "relu", 0.25, strategy, reuse_factors[0])
    spec = ModelSpec(5, (hidden, LayerSpec(4, N_CLASSES, 4, 0, "linear", 0.0, strategy, reuse_factors[1])))
    candidate = train_candidate(make_task(), spec.to_dict(), 0.02, 7, Training(2, 64, 4.0))
    network = QuantisedNetwork.from_bytes(candidate.network)
    assert network.spec == spec
    return network


def test_strategy_and_reuse_factors_reach_the_trained_network_and_change_nothing_else():
    shared, distributed = trained("reuse", 5, 12), trained("distributed_arithmetic", 1, 1)
    assert [layer.reuse_factor for layer in shared.spec.layers] == [5, 12]
    for one, other in zip(shared.layers, distributed.layers, strict=True):
        np.testing.assert_array_equal(one.weight_codes, other.weight_codes)
        np.testing.assert_array_equal(one.bias_codes, other.bias_codes)
        assert (one.weight_type, one.bias_type, one.output_type) == (
            other.weight_type,
            other.bias_type,
            other.output_type,
        )
    assert shared.digest != distributed.digest
