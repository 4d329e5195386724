"""status, front and report on logs written by hand."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from command_line import environment, events, write_log

from evonas.store.event_log import EventLog

PROVENANCE = "own simulation"


def test_status_of_a_finished_study(evonas, finished):
    ended = evonas("status", finished)
    assert ended.code == 0, ended.err
    words = " ".join(ended.out.split())
    assert "finished (all generations done)" in words
    assert "44 trained, 1 reused, 1 dropped, 2 failed" in words
    assert "1 diverged, 1 tool timeout, 1 worker died" in words
    assert "median LUT error on the front 18.3 % -> 6.4 %, at random 14.2 % -> –" in words
    assert PROVENANCE in words
    assert "evonas resume" not in words
    assert all(len(line) <= 80 for line in ended.out.splitlines())


def test_status_of_a_stopped_study_names_the_way_on(evonas, begun):
    ended = evonas("status", begun)
    assert ended.code == 0, ended.err
    assert "stopped; searching, 1 of 3 generations done" in ended.out
    assert f"evonas resume '{begun}'" in ended.out


def test_status_in_json(evonas, begun):
    ended = evonas("status", begun, "--json")
    data = json.loads(ended.out)
    assert next(iter(data)) == "schema"
    assert data["schema"] == 1
    assert data["task"] == {"name": "jets", "provenance": PROVENANCE, "error_definition": ""}
    assert not data["running"]
    assert data["finished"] is None
    assert data["generations_wanted"] == 3
    first, second = data["generations"]
    assert first["trained"] == 15
    assert first["hypervolume"] == pytest.approx(0.412)
    assert second["hypervolume"] is None
    assert (second["reused"], second["dropped"]) == (1, 1)
    counts = data["candidates"]
    assert counts["asked"] == sum(n for name, n in counts.items() if name != "asked")
    assert data["front_sizes"]["synthesised"] == 6
    assert ended.err == ""


def test_status_sees_the_process_that_writes_and_does_not_disturb_it(evonas, begun):
    code = (
        "import sys, pathlib\nfrom evonas.store.event_log import EventLog\n"
        f"log = EventLog(pathlib.Path({str(begun)!r}))\nprint('open', flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        data = json.loads(evonas("status", begun, "--json").out)
        assert data["running"]
        assert data["process"] == holder.pid
        refused = evonas("resume", begun)
        assert refused.code == 1
        assert str(holder.pid) in refused.err
    assert not json.loads(evonas("status", begun, "--json").out)["running"]


def test_front_shows_one_stage_and_the_provenance(evonas, finished):
    ended = evonas("front", finished)
    assert ended.code == 0, ended.err
    words = " ".join(ended.out.split())
    assert "front of stage synthesised" in words
    assert f"accuracy on the validation and test splits, {PROVENANCE}" in words
    assert "Verified bit for bit on 256 inputs or more." in words
    assert "73.51 73.11 1,154" in words  # design 40: validation, test, LUT as synthesised
    assert all(len(line) <= 80 for line in ended.out.splitlines())


@pytest.mark.parametrize("stage", ["predicted", "traced", "synthesised"])
def test_front_in_json(evonas, finished, stage):
    ended = evonas("front", finished, "--stage", stage, "--json")
    data = json.loads(ended.out)
    assert next(iter(data)) == "schema"
    assert data["stage"] == stage
    assert data["task"]["provenance"] == PROVENANCE
    assert data["designs"]
    assert {design["stage"] for design in data["designs"]} == {stage}
    assert all(design["hardware"]["lut"] > 0 for design in data["designs"])
    assert all((design["std"] != {}) == (stage == "predicted") for design in data["designs"])
    if stage == "synthesised":
        assert all(design["verified_vectors"] == 256 for design in data["designs"])
        assert next(d for d in data["designs"] if d["candidate"] == 40)["directory"] == "designs/40"


def test_an_empty_front_says_which_stage_is_not(evonas, tmp_path):
    study = write_log(tmp_path / "young", events(18))
    ended = evonas("front", study)
    assert ended.code == 0, ended.err
    assert "No design is on the front of stage synthesised yet." in ended.out
    assert "predicted:" in ended.out
    assert json.loads(evonas("front", study, "--json").out)["designs"] == []


def test_a_study_that_only_began(evonas, tmp_path):
    study = write_log(tmp_path / "new", events(1))
    assert evonas("status", study).code == 0
    assert "0 of 3 generations done" in evonas("status", study).out
    assert evonas("front", study).code == 0


def test_report_says_where_it_is(evonas, finished, tmp_path):
    ended = evonas("report", finished)
    assert ended.code == 0, ended.err
    assert ended.out.strip() == str(finished / "report.html")
    page = (finished / "report.html").read_text(encoding="utf-8")
    assert PROVENANCE in page
    elsewhere = tmp_path / "new folder" / "r.html"
    assert evonas("report", finished, "--out", elsewhere).code == 0
    assert elsewhere.is_file()


def test_a_reader_that_leaves_is_no_crash(finished):
    command = f"{sys.executable} -m evonas front {finished} --stage predicted --json | head -c 1"
    done = subprocess.run(
        ["bash", "-c", command], env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "{"
    assert "Traceback" not in done.stderr


def test_looking_changes_no_byte_of_the_log(evonas, finished):
    before = (finished / "study.sqlite").read_bytes()
    for command in (["status"], ["front"], ["report"]):
        assert evonas(*command, finished).code == 0
    assert (finished / "study.sqlite").read_bytes() == before
    with EventLog(finished, write=False) as log:
        assert len(log) == len(events())


def test_json_stays_clean_when_a_library_writes_to_standard_output():
    code = (
        "import os, sys\nfrom evonas.cli.output import machine_output\n"
        "with machine_output() as stream:\n"
        "    print('noise', flush=True); os.write(1, b'more noise\\n'); stream.write('{}\\n')\n"
        "print('after')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "{}\nafter\n"
    assert "noise\nmore noise" in done.stderr
