"""A whole study through Vitis, played by the stand-in program on PATH."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from fakes.studies import instant_stack

import evonas.study.training
from evonas.errors import FailureKind
from evonas.study.study import Study
from surrogates import Stage, TransferSurrogate

FAKE = Path(__file__).parents[2] / "fakes" / "vitis" / "vitis-run"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("g++") is None, reason="without g++ no Vitis design can be compared bit for bit"),
]


@pytest.fixture
def vitis(monkeypatch, tmp_path):
    """The stand-in on PATH; returns how to choose its behaviour."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "vitis-run"
    program.write_text(FAKE.read_text().replace("#!/usr/bin/env python3", f"#!{sys.executable}", 1))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(evonas.study.training, "train_stack", instant_stack)
    return lambda behaviour: monkeypatch.setenv("FAKE_VITIS", behaviour)


CHANGES = ("synthesis.backend=auto", "synthesis.front_designs=1", "search.population_size=3")


def test_vitis_is_taken_where_it_is_installed(vitis, configured, task, tmp_path):
    vitis("success")
    with Study(configured(*CHANGES), tmp_path / "s", task=task) as study:
        study.run()
    assert {r.target.tool for e in study.state.synthesised for r in e.records} == {"vitis"}
    assert len(study.state.synthesised) >= 2
    assert all(e.failure is None for e in study.state.synthesised)
    stages = {r.stage for e in study.state.synthesised for r in e.records}
    assert stages == {Stage.CSYNTH, Stage.SYNTHESISED}
    assert study.front(Stage.SYNTHESISED)
    # the surrogate learns from Vitis alone: records of two tools never train one model
    assert {r.target.tool for r in study.forecast.surrogate.records} == {"vitis"}
    assert isinstance(study.forecast.surrogate, TransferSurrogate)  # of what the open tools have taught
    with Study.resume(tmp_path / "s", task=task) as again:
        assert again.forecast.version == study.forecast.version


def test_without_a_licence_the_search_ends_with_typed_failures(vitis, configured, task, tmp_path):
    vitis("no_licence")
    with Study(configured(*CHANGES), tmp_path / "s", task=task) as study:
        study.run()
    assert {e.failure.kind for e in study.state.synthesised} == {FailureKind.TOOL_LICENCE}
    assert study.front()
    assert not study.front(Stage.SYNTHESISED)
