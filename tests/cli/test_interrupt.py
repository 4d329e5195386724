"""A real study on the command line: run to the end, interrupted, interrupted twice, terminated, and resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from command_line import environment

CONFIG = """
name = "tiny"
seed = 3

[task]
name = "jets"
n_jets = 1200

[space]
depth = [1, 1]
widths = [4, 6]
weight_bits = [2, 3]
activation_bits = [3]
input_bits = [4]
sparsity = [0.5]

[training]
epochs = 1
batch_size = 256

[search]
population_size = 4
generations = 2

[surrogate]
recalibrate_every = 1
designs = 1

[synthesis]
backend = "openrtl"
csim = "never"
front_designs = 1

[execution]
executor = "inline"
"""
NO_FRONT = ("--set", "synthesis.front_designs=0")  # the design of the recalibration is enough
pytestmark = pytest.mark.slow


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(CONFIG)
    return path


class Running:
    """`evonas run --json` in a process group of its own, as a shell would start it."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "evonas", *map(str, arguments)],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.kinds = []

    def wait_for(self, kind):
        """Read events until one of this kind came."""
        for line in self.process.stdout:
            self.kinds.append(json.loads(line)["kind"])
            if self.kinds[-1] == kind:
                return
        raise AssertionError(f"ended after {self.kinds}: {self.process.stderr.read()}")

    def signal(self, number):
        """To the whole group, as the terminal does."""
        os.killpg(self.process.pid, number)

    def end(self):
        """Exit code and standard error."""
        _, error = self.process.communicate(timeout=240)
        return self.process.returncode, error


def group_is_gone(leader):
    """Whether no process of the group is left, after a moment for the system to notice."""
    for _ in range(100):
        try:
            os.killpg(leader, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def check_interrupted(running, study):
    """Exit code 130, the line that continues, and nothing left behind."""
    code, error = running.end()
    assert code == 130, error
    assert "Traceback" not in error
    assert f"\n  evonas resume {study}\n" in error
    assert group_is_gone(running.process.pid)


def check_finished(evonas, study):
    """Resuming goes to the end; the study is then like one that was never interrupted."""
    resumed = evonas("resume", study)
    assert resumed.code == 0, resumed.err
    assert "Verified front: " in resumed.out
    assert str(study / "report.html") in resumed.out
    assert (study / "report.html").is_file()
    status = json.loads(evonas("status", study, "--json").out)
    assert status["finished"]
    assert status["candidates"]["pending"] == 0
    return status


def test_run_to_the_end_and_resume_what_is_finished(evonas, config, tmp_path):
    study = tmp_path / "study"
    ended = evonas("run", config, "--out", study, "--set", "search.generations=1", *NO_FRONT)
    assert ended.code == 0, ended.err
    assert "generation 0: " in ended.out
    assert "own simulation" in ended.out
    assert "Verified front: " in ended.out
    assert (study / "report.html").is_file()
    (study / "report.html").unlink()
    log = (study / "study.sqlite").read_bytes()
    check_finished(evonas, study)
    assert (study / "study.sqlite").read_bytes() == log
    front = json.loads(evonas("front", study, "--json").out)["designs"]
    design = study / front[0]["directory"]
    model = design / "model.onnx"
    again = evonas("synth", model, "--out", tmp_path / "again", "--json")
    assert again.code == 0, again.err
    records = json.loads(again.out)["records"]
    assert records[-1]["stage"] == "synthesised"
    assert records[-1]["lut"] == front[0]["hardware"]["lut"]
    predicted = json.loads(evonas("predict", design / "design.json", "--json").out)
    assert predicted["spec"] == front[0]["spec"]


def test_a_signal_ends_in_good_order(evonas, config, tmp_path):
    study = tmp_path / "study"
    running = Running("run", config, "--out", study, "--json")
    running.wait_for("asked")
    running.signal(signal.SIGTERM)
    check_interrupted(running, study)
    assert not (study / "report.html").exists()
    assert not json.loads(evonas("status", study, "--json").out)["running"]


def test_interrupted_once_then_twice_the_study_goes_on_to_its_end(evonas, config, tmp_path):
    study = tmp_path / "study"
    workers = ("--set", "execution.executor=processes", "--set", "execution.workers=1")
    once = Running("run", config, "--out", study, "--json", "--set", "surrogate.recalibrate_every=0", *workers)
    once.wait_for("measured")
    once.signal(signal.SIGINT)
    check_interrupted(once, study)
    twice = Running("resume", study, "--json")
    twice.wait_for("chosen")
    twice.signal(signal.SIGINT)
    twice.signal(signal.SIGINT)
    check_interrupted(twice, study)
    assert twice.kinds.count("asked") == 1  # the first generation was in the log
    status = check_finished(evonas, study)
    assert len(status["generations"]) == 2
