"""Random networks through every implementation, hls4ml's C simulation included: torch = hls4ml = alkaid = RTL."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from fakes.networks import random_network

from evonas.synthesis.open_backend import OpenBackend
from surrogates import HardwareTarget, Stage

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("g++") is None, reason="hls4ml's C simulation needs g++"),
]


@pytest.mark.parametrize("seed", range(24))
def test_all_implementations_agree_on_every_bit(seed, tmp_path):
    rng = np.random.default_rng(seed)
    topology = [int(n) for n in rng.integers(2, 13, size=int(rng.integers(2, 5)))]
    network = random_network(
        seed,
        topology,
        weight_bits=int(rng.integers(2, 9)),
        activation_bits=int(rng.integers(1, 9)),
        activation=str(rng.choice(["relu", "leaky_relu", "hard_tanh"])),
        sparsity=float(rng.choice([0.0, 0.5, 0.8])),
        rounding=str(rng.choice(["TRN", "RND", "RND_CONV"])),
        overflow=str(rng.choice(["WRAP", "SAT"])),
    )
    vectors = rng.uniform(network.input_type.low, network.input_type.high, (256, topology[0]))
    result = OpenBackend(csim="always").synthesise(
        network, vectors, HardwareTarget(), tmp_path / "work", until=Stage.SYNTHESISED, timeout_s=300
    )
    assert result.failure is None
    assert result.record(Stage.SYNTHESISED).verified_vectors >= 64
