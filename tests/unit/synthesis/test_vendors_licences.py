"""At most so many runs of a licensed tool at one time, also of several processes."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evonas.errors import FailureKind, ToolError
from evonas.synthesis.licences import licence

ROOT = Path(__file__).parents[3]
HOLD = """
import sys
from evonas.synthesis.licences import licence
with licence("tool", 1, timeout_s=5.0):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def own_folder(monkeypatch, tmp_path):
    """Locks of this test alone, in this process and in those it starts."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


@contextlib.contextmanager
def holder():
    """Another process that holds the one licence."""
    command = [sys.executable, "-c", HOLD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def refused(count=1, **options):
    with pytest.raises(ToolError) as caught, licence("tool", count, **({"timeout_s": 0.2} | options)):
        pass
    return caught.value.failure.kind


def test_another_process_holds_the_only_one():
    with holder() as process:
        assert refused() is FailureKind.TOOL_TIMEOUT
        assert refused(timeout_s=60.0, cancelled=lambda: True) is FailureKind.CANCELLED
        with licence("tool", 2, timeout_s=0.2), licence("other", 1, timeout_s=0.2):  # a second one; another tool
            pass
        process.kill()
        process.wait()
        with licence("tool", 1, timeout_s=5.0):  # a killed process holds nothing
            pass


def test_it_is_given_back_also_after_a_failure():
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), licence("tool", 1, timeout_s=0.2):
            raise ZeroDivisionError
    with licence("tool", 1, timeout_s=0.2):
        assert refused() is FailureKind.TOOL_TIMEOUT


def test_a_waiting_run_goes_on_when_one_becomes_free():
    started = threading.Event()
    order = []

    def wait():
        started.set()
        with licence("tool", 1, timeout_s=30.0):
            order.append("second")

    with licence("tool", 1, timeout_s=0.2):
        thread = threading.Thread(target=wait)
        thread.start()
        started.wait()
        time.sleep(0.05)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(1, 3), runs=st.integers(1, 8))
def test_never_more_than_allowed(count, runs):
    now, most, lock = 0, 0, threading.Lock()

    def run():
        nonlocal now, most
        with licence("tool", count, timeout_s=30.0):
            with lock:
                now += 1
                most = max(most, now)
            time.sleep(0.01)
            with lock:
                now -= 1

    threads = [threading.Thread(target=run) for _ in range(runs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert now == 0
    assert 1 <= most <= count


def test_a_folder_that_cannot_be_used(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    assert refused() is FailureKind.TOOL_LICENCE
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("os.getuid", lambda: 12345)
    assert refused() is FailureKind.TOOL_LICENCE


def test_no_limit_needs_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with licence("tool", None, timeout_s=0.0):
        pass
