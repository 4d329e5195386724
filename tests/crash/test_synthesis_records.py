"""The generator of the data set that ships: the same units from the same seed, and on from where it was stopped."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from surrogates import Stage
from surrogates.columns import read_columns

DIRECTORY = Path(__file__).parents[2] / "experiments" / "synthesis_records"
EMPTY, PRUNED, TINY = 138, 123, 528  # all that was drawn is out of the limits; no path is left; two small networks


def run(script, *arguments):
    command = [sys.executable, str(DIRECTORY / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def units(out, *numbers):
    for number in numbers:
        run("generate.py", "--out", out, "--first", number, "--units", 1, "--workers", 1)
    return (out / "units.jsonl").read_text().splitlines()


def packed(out):
    run("pack.py", out, "--to", out / "records.npz")
    found = read_columns(out / "records.npz")
    records = tuple(replace(r, wall_time_s=0.0, peak_memory_bytes=0) for r in found.records)
    return replace(found, records=records, failures=tuple(replace(f, wall_time_s=0.0) for f in found.failures))


@pytest.mark.slow
def test_units_go_on_behind_a_line_that_was_cut_off_and_are_the_same(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    whole = units(first, EMPTY, TINY, PRUNED)
    assert len(whole) == 3
    second.mkdir()
    (second / "units.jsonl").write_text(whole[0] + "\n" + whole[1][: len(whole[1]) // 2])
    assert len(units(second, PRUNED, TINY, EMPTY)) == 4  # the cut-off one stays, and is not read
    found, again = packed(first), packed(second)
    assert set(found.records) == set(again.records)
    assert set(found.failures) == set(again.failures)
    assert found.origins == again.origins
    assert {record.stage for record in found.records} >= {Stage.TRACED}
    assert {failure.kind for failure in found.failures} == {"unsupported"}
    assert {record.verified_vectors for record in found.records} == {64}
