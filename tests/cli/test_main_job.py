"""The README's first command with its smoke preset: real training, real synthesis, hand-over, report."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import evonas
from evonas.synthesis.handover import load_design
from evonas.tasks import load_task

CONFIG = Path(__file__).parents[2] / "experiments" / "jets_hlf" / "experiment.toml"

pytestmark = pytest.mark.long


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "evonas", *words], capture_output=True, text=True, check=False)


def test_the_main_job_from_data_to_firmware(tmp_path):
    out = tmp_path / "smoke"
    done = command("run", str(CONFIG), "--out", str(out), "--set", "preset=smoke")
    assert done.returncode == 0, done.stderr
    assert (out / "report.html").stat().st_size > 1e6
    study = evonas.load_study(out)
    assert study.state.finished is not None
    assert len(study.state.recalibrations) == 2
    front = study.front("synthesised")
    assert front
    x = load_task("jets").split("test").x
    for design in front:
        folder = out / "designs" / f"{design.candidate:04d}"
        expected = study.network(design.candidate).predict(x)
        for name in ("design.json", "model.onnx"):
            assert np.array_equal(load_design(folder / name).predict(x), expected)
        assert (folder / "verilog").is_dir()
    listed = json.loads(command("front", str(out), "--stage", "synthesised", "--json").stdout)
    assert [d["candidate"] for d in listed["designs"]] == [d.candidate for d in front]
    assert command("run", str(CONFIG), "--out", str(out)).returncode == 2
