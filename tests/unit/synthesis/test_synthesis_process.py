"""Tools can always be stopped, and say how they ended."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from evonas.errors import FailureKind, ToolError
from evonas.synthesis.process import log_tail, run_tool


def run(tmp_path, code, timeout_s=20.0, **options):
    command = [sys.executable, "-c", code]
    return run_tool(command, name="tool", log=tmp_path / "log", timeout_s=timeout_s, cwd=tmp_path, **options)


def kind_of(tmp_path, code, **options):
    with pytest.raises(ToolError) as caught:
        run(tmp_path, code, **options)
    return caught.value.failure


def gone(pid):
    """Whether a process has ended (or is about to be collected)."""
    for _ in range(100):
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


GRANDCHILD = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session={new})
pathlib.Path("pid").write_text(str(child.pid))
time.sleep(600)
"""


def test_success_has_log_and_private_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/nobody-here")
    ended = run(tmp_path, "import os; print(os.environ['HOME']); print(os.environ['TMPDIR']); print(os.getpgid(0))")
    home, scratch, group = (tmp_path / "log").read_text().split()
    assert home != "/home/nobody-here"
    assert home.endswith("home")
    assert scratch.endswith("tmp")
    assert not Path(home).exists()
    assert int(group) != os.getpgid(0)
    assert ended.seconds > 0


def test_exit_code_and_log_are_reported(tmp_path):
    failure = kind_of(tmp_path, "print('the reason'); raise SystemExit(3)")
    assert failure.kind is FailureKind.TOOL_CRASHED
    assert "exit code 3" in failure.message
    assert "the reason" in failure.message


def test_missing_program(tmp_path):
    with pytest.raises(ToolError) as caught:
        run_tool(["no-such-program-anywhere"], name="tool", log=tmp_path / "log", timeout_s=5)
    assert caught.value.failure.kind is FailureKind.TOOL_MISSING


@pytest.mark.parametrize("new_session", [False, True])
def test_timeout_kills_grandchildren(tmp_path, new_session):
    failure = kind_of(tmp_path, GRANDCHILD.format(new=new_session), timeout_s=1.0)
    assert failure.kind is FailureKind.TOOL_TIMEOUT
    assert gone(int((tmp_path / "pid").read_text()))


def test_cancel_kills_grandchildren(tmp_path):
    pid = tmp_path / "pid"
    failure = kind_of(tmp_path, GRANDCHILD.format(new=False), timeout_s=60, cancelled=pid.exists)
    assert failure.kind is FailureKind.CANCELLED
    assert gone(int(pid.read_text()))


def test_background_children_do_not_outlive_a_success(tmp_path):
    run(tmp_path, GRANDCHILD.format(new=True).replace("time.sleep(600)\n", "\n", 2))
    assert gone(int((tmp_path / "pid").read_text()))


def test_killed_by_someone_else_counts_as_memory(tmp_path):
    failure = kind_of(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert failure.kind is FailureKind.TOOL_MEMORY


def test_out_of_memory_message(tmp_path):
    assert kind_of(tmp_path, "raise MemoryError").kind is FailureKind.TOOL_MEMORY


def test_memory_limit_and_peak(tmp_path):
    hungry = "x = bytearray(300 * 2**20); import time; time.sleep({seconds})"
    ended = run(tmp_path, hungry.format(seconds=0.3))
    assert 300 * 2**20 < ended.peak_memory_bytes < 500 * 2**20
    failure = kind_of(tmp_path, hungry.format(seconds=60), memory_limit_bytes=200 * 2**20)
    assert failure.kind is FailureKind.TOOL_MEMORY
    assert "200 MiB" in failure.message


def test_peak_of_a_short_run_is_measured_without_the_memory_of_the_starter(tmp_path):
    ballast = bytearray(os.urandom(1)) * (400 * 2**20)
    ended = run(tmp_path, "x = bytearray(60 * 2**20)")
    assert 60 * 2**20 < ended.peak_memory_bytes < 200 * 2**20
    assert len(ballast) > 0


def test_diagnosis_from_the_log(tmp_path):
    def diagnose(log):
        return FailureKind.TOOL_LICENCE if "licence" in log else None

    assert kind_of(tmp_path, "print('no licence'); exit(1)", diagnose=diagnose).kind is FailureKind.TOOL_LICENCE
    assert kind_of(tmp_path, "exit(1)", diagnose=diagnose).kind is FailureKind.TOOL_LICENCE  # the log is appended to


def test_tool_dies_with_its_starter(tmp_path):
    root = Path(__file__).parents[3]
    starter = (
        "import sys; from pathlib import Path; from evonas.synthesis.process import run_tool\n"
        f"run_tool([sys.executable, '-c', {GRANDCHILD.format(new=True)!r}], name='tool', log=Path('log'), timeout_s=60)"
    )
    environment = {**os.environ, "PYTHONPATH": str(root)}
    process = subprocess.Popen([sys.executable, "-c", starter], cwd=tmp_path, env=environment)
    pid = tmp_path / "pid"
    while not pid.exists() or not pid.read_text():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert gone(int(pid.read_text()))


def test_runs_in_threads_do_not_disturb_each_other(tmp_path):
    failures = []

    def one(number):
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            run(folder, f"import time; time.sleep({0.2 * number}); print({number})")
        except ToolError as error:
            failures.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert [(tmp_path / str(n) / "log").read_text().strip() for n in range(4)] == ["0", "1", "2", "3"]


def test_log_tail_of_nothing(tmp_path):
    assert log_tail(tmp_path / "none") == ""
