"""The processes that keep the libraries loaded: kept, killed, replaced."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from fakes.networks import random_network

from evonas.errors import FailureKind, ToolError
from evonas.synthesis import worker as worker_module
from evonas.synthesis.worker import WorkerPool
from surrogates import HardwareTarget


@pytest.fixture
def pool():
    pool = WorkerPool()
    yield pool
    pool.close()


def prepared(tmp_path, topology=(4, 3, 2), **options):
    network = random_network(0, topology, **options)
    (tmp_path / "network.bin").write_bytes(network.to_bytes())
    np.save(tmp_path / "inputs.npy", np.zeros((64, topology[0])))
    return {"directory": str(tmp_path), "target": HardwareTarget().to_dict()}


def workers():
    return {child.pid for child in psutil.Process().children() if "_worker.py" in " ".join(child.cmdline())}


def call(pool, tmp_path, arguments, operation="trace", timeout_s=60.0, **options):
    return pool.call(operation, dict(arguments), log=tmp_path / "log", timeout_s=timeout_s, **options)


def test_a_worker_is_kept_and_measured(pool, tmp_path, monkeypatch):
    before = workers()
    arguments = prepared(tmp_path)
    assert call(pool, tmp_path, arguments) > 50 * 2**20
    (first,) = workers() - before
    call(pool, tmp_path, arguments)
    assert workers() - before == {first}
    assert (tmp_path / "verilog" / "src" / "dut.v").is_file()
    (tmp_path / "inputs.npy").unlink()  # what a library raises is a crash, and leaves the worker fit
    with pytest.raises(ToolError, match="FileNotFoundError") as caught:
        call(pool, tmp_path, arguments)
    assert caught.value.failure.kind is FailureKind.TOOL_CRASHED
    assert "Traceback" in (tmp_path / "log").read_text()
    monkeypatch.setattr(worker_module, "REQUESTS_PER_PROCESS", 1)  # after many requests comes a fresh one
    call(pool, tmp_path, prepared(tmp_path))
    assert workers() == before


def test_timeout_cancel_memory_and_death_end_the_worker(pool, tmp_path):
    before = workers()
    arguments = prepared(tmp_path, (128, 64, 5), weight_bits=8, sparsity=0.0)  # traces for a minute
    started = time.monotonic()
    failures = {
        FailureKind.TOOL_TIMEOUT: {"timeout_s": 3.0},
        FailureKind.CANCELLED: {"cancelled": lambda: time.monotonic() > started + 6},
        FailureKind.TOOL_MEMORY: {"memory_limit_bytes": 20 * 2**20},
    }
    for kind, options in failures.items():
        with pytest.raises(ToolError) as caught:
            call(pool, tmp_path, arguments, **options)
        assert caught.value.failure.kind is kind
        assert workers() == before
    killer = threading.Timer(2.0, lambda: [os.kill(pid, signal.SIGKILL) for pid in workers() - before])
    killer.start()
    with pytest.raises(ToolError) as caught:
        call(pool, tmp_path, arguments)
    assert caught.value.failure.kind is FailureKind.TOOL_MEMORY
    killer.join()
    call(pool, tmp_path, prepared(tmp_path))  # the next one is served


def test_a_worker_ends_with_the_process_that_started_it(tmp_path):
    prepared(tmp_path)
    code = """
import os, sys, time
from pathlib import Path
from evonas.synthesis.worker import POOL
from surrogates import HardwareTarget
directory = sys.argv[1]
arguments = {"directory": directory, "target": HardwareTarget().to_dict()}
POOL.call("trace", arguments, log=Path(directory) / "log", timeout_s=60)
Path(directory, "pid").write_text(str(POOL._idle[0].process.pid))
time.sleep(600)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env=environment)
    pid = tmp_path / "pid"
    while not pid.exists() or not pid.read_text():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    child = int(pid.read_text())
    for _ in range(200):
        if not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.05)
    pytest.fail("the worker outlived its starter")
