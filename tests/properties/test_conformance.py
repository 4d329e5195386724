"""Every kind of layer that OpenRTL reads computes the bits of hls4ml's own C simulation, whatever the types."""

from __future__ import annotations

import shutil

import pytest
from fakes import hls4ml_graphs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("g++") is None, reason="hls4ml's C simulation needs g++"),
]
PRODUCTS = (
    "dense dense_resource dense_ternary dense_on_rows conv1d conv2d depthwise1d separable1d einsum_dense batch_norm "
    "resource_conv1d resource_conv2d resource_pointwise1d resource_conv1d"
)
WINDOWS = "max_pool1d average_pool2d global_max2d global_average1d multiply maximum dot einsum reshape transpose pad1d"
FUNCTIONS = (
    "leaky_relu prelu elu selu relu6 sigmoid tanh hard_tanh ternary_tanh softmax_stable softmax_latency embedding"
)
KINDS = (
    f"{PRODUCTS} relu add concatenate",
    f"{WINDOWS} crop1d resize2d",
    f"{FUNCTIONS} quantiser_narrow",
    "gru gru_torch lstm lstm_torch gru lstm_torch",
)


@pytest.mark.parametrize("seed", range(len(KINDS)))
def test_every_bit_of_the_c_simulation(seed, tmp_path):
    parts = hls4ml_graphs.branches(seed, KINDS[seed].split())
    assert hls4ml_graphs.mismatches(parts, tmp_path, 1000) == []
