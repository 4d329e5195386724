"""Which candidates share a stack."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from evonas.models.padding import needs_no_room, structure, widest
from evonas.space import MlpSpace
from evonas.space.published_bragg import BRAGG
from evonas.training.grouping import ROOMS, stacks, work
from surrogates import LayerSpec, ModelSpec

CPU = ROOMS["cpu"]
SPACE = MlpSpace(16, 5, depth=(1, 3), widths=(8, 16, 32, 64))


def mlp(*widths, activation="relu"):
    last = len(widths) - 2
    parts = [
        LayerSpec(a, b, 6, 0 if i == last else 6, "linear" if i == last else activation)
        for i, (a, b) in enumerate(pairwise(widths))
    ]
    return ModelSpec(6, tuple(parts))


@given(seed=st.integers(0, 2**16), n=st.integers(0, 40), batch_size=st.sampled_from([32, 128, 1024]))
def test_every_candidate_is_in_one_stack_of_its_structure(seed, n, batch_size):
    specs = [SPACE.decode(genome).spec for genome in SPACE.sample(n, np.random.default_rng(seed))] if n else []
    found = stacks(specs, batch_size)
    assert sorted(index for stack in found for index in stack) == list(range(n))
    for stack in found:
        assert len({structure(specs[index]) for index in stack}) == 1
        assert len(stack) <= CPU.largest
    assert len(found) >= min(CPU.spread - 1, n)  # of five candidates, in twos
    costs = [len(stack) * work(widest([specs[index] for index in stack])) for stack in found]
    assert costs == sorted(costs, reverse=True)


def test_small_networks_of_different_widths_share_a_stack():
    specs = [mlp(16, a, b, 5) for a in (8, 16, 32) for b in (8, 32)] * 8
    assert {len(stack) for stack in stacks(specs, 128)} == {CPU.largest}


def test_a_small_network_does_not_take_the_room_of_a_large_one():
    specs = [mlp(1024, 512, 5, activation="tanh"), mlp(1024, 2, 5, activation="tanh")] * 8
    for stack in stacks(specs, 128):
        assert len({specs[index].topology for index in stack}) == 1


def test_arithmetic_counts_by_the_batch():
    specs = [mlp(16, 64, 64, 5, activation="tanh"), mlp(16, 8, 8, 5, activation="tanh")] * 20
    mixed = [len({specs[i].topology for i in stack}) > 1 for stack in stacks(specs, 64)]
    apart = [len({specs[i].topology for i in stack}) > 1 for stack in stacks(specs, 8192)]
    assert any(mixed)
    assert not any(apart)


def test_what_needs_no_room_shares_a_stack_whatever_its_width():
    specs = [mlp(16, 512, 5), mlp(16, 2, 5)] * 20
    on_cpu = [{specs[i].topology for i in stack} for stack in stacks(specs, 8192)]
    padded = replace(CPU, side_by_side=False)
    on_gpu = [{specs[i].topology for i in stack} for stack in stacks(specs, 8192, place=padded)]
    assert any(len(found) > 1 for found in on_cpu)
    assert all(len(found) == 1 for found in on_gpu)
    tables = [mlp(16, 8, 5, activation="tanh"), mlp(16, 8, 5)] * 8
    assert all(len({needs_no_room(tables[i]) for i in stack}) == 1 for stack in stacks(tables, 128))


def test_large_networks_do_not_fill_the_memory():
    spec = BRAGG["braggnn"]()
    words = sum(positions * channels for positions, channels in spec.shapes)
    for stack in stacks([spec] * 40, 128):
        assert len(stack) == 1 or len(stack) * 128 * words <= CPU.words
    assert {len(stack) for stack in stacks([spec] * 40, 8)} == {CPU.largest}
    assert {len(stack) for stack in stacks([mlp(16, 8, 5)] * 40, 128, repeats=4)} == {CPU.largest // 4}
