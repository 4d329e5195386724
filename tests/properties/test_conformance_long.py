"""Hundreds of combinations of kind, shape, strategy and types through hls4ml's C simulation and OpenRTL."""

from __future__ import annotations

import shutil

import pytest
from fakes import hls4ml_graphs

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("g++") is None, reason="hls4ml's C simulation needs g++"),
]
MODELS, SIZE, VECTORS = 24, 13, 1000  # 312 combinations


@pytest.mark.parametrize("index", range(MODELS))
def test_every_bit_of_the_c_simulation(index, tmp_path):
    parts = hls4ml_graphs.branches(1000 + index, hls4ml_graphs.deal(index, SIZE))
    assert hls4ml_graphs.mismatches(parts, tmp_path, VECTORS) == []
