"""The size of stacks is measured once on a machine, and nothing that is wrong with the cache stops a study."""

from __future__ import annotations

import json

import pytest

from evonas.study.stack_size import largest_stack
from evonas.training.calibration import SIZES, seconds_per_member
from evonas.training.grouping import ROOMS

TIMES = {1: 3.0, 2: 1.6, 4: 1.03, 8: 1.0, 16: 1.2}


def counted(calls):
    def measure():
        calls.append(1)
        return TIMES

    return measure


def test_the_smallest_that_is_hardly_slower_than_the_best_is_remembered(tmp_path):
    calls = []
    assert largest_stack(counted(calls), tmp_path) == 4
    assert largest_stack(counted(calls), tmp_path) == 4
    assert len(calls) == 1
    assert list(json.loads((tmp_path / "stacks.json").read_text()).values()) == [4]
    assert [path.name for path in tmp_path.iterdir()] == ["stacks.json"]


def test_what_other_machines_measured_stays(tmp_path):
    (tmp_path / "stacks.json").write_text(json.dumps({"another": 16}))
    assert largest_stack(counted([]), tmp_path) == 4
    assert json.loads((tmp_path / "stacks.json").read_text())["another"] == 16


@pytest.mark.parametrize("text", ["", "{", "[]", '{"x": -1}', "\x00"])
def test_a_damaged_cache_is_measured_again(text, tmp_path):
    calls = []
    (tmp_path / "stacks.json").write_text(text)
    assert largest_stack(counted(calls), tmp_path) == 4
    assert calls


def test_a_cache_that_cannot_be_written_does_not_matter(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert largest_stack(counted([]), blocked / "cache") == 4


def test_a_measurement_that_failed_leaves_the_usual_size(tmp_path):
    assert largest_stack(dict, tmp_path) == ROOMS["cpu"].largest
    assert not list(tmp_path.iterdir())


def test_it_is_measured_for_every_size():
    found = seconds_per_member()
    assert tuple(found) == SIZES
    assert all(seconds > 0 for seconds in found.values())
