"""What every executor promises; and what only worker processes can."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from fakes import jobs
from fakes.studies import ShuffledExecutor

from evonas.errors import ConfigurationError, FailureKind, ProtocolError, StudyError
from evonas.execution import Job, executor, tell

NAMES = ("inline", "processes", "shuffled")
PATIENCE = 120  # seconds until a test gives up; nothing here depends on how fast the machine is


@pytest.fixture(params=NAMES)
def make(request):
    made = []

    def build(context=None, workers=2):
        one = ShuffledExecutor(context, 0) if request.param == "shuffled" else executor(request.param, workers, context)
        made.append(one)
        return one

    yield build
    for one in made:
        one.close()


@pytest.fixture
def pool():
    with_two = executor("processes", 2, "context")
    yield with_two
    with_two.close()


def collect(pool, count):
    """`count` outcomes by key; each comes once."""
    found = []
    limit = time.monotonic() + PATIENCE
    while len(found) < count:
        assert time.monotonic() < limit
        some = pool.collect(1.0)
        found.extend(some)
    assert len({o.key for o in found}) == len(found) == count
    return {o.key: o for o in found}


def until(condition):
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)


def children():
    return {p.pid for p in psutil.Process().children(recursive=True) if "resource_tracker" not in " ".join(p.cmdline())}


def test_every_outcome_is_given_once(make):
    pool = make("the data")
    for i in range(7):
        pool.submit(Job(f"job-{i}", jobs.double, (i,)))
    outcomes = collect(pool, 7)
    assert {key: o.value for key, o in outcomes.items()} == {f"job-{i}": ("the data", 2 * i) for i in range(7)}
    assert all(o.failure is None for o in outcomes.values())
    assert list(pool.collect(0.0)) == []
    assert pool.capacity >= 1


def test_nothing_to_wait_for_returns_at_once(make):
    assert list(make().collect()) == []


def test_an_exception_is_a_failure_of_its_job_alone(make):
    pool = make()
    pool.submit(Job("bad", jobs.fail, ("something odd",)))
    pool.submit(Job("good", jobs.double, (1,)))
    outcomes = collect(pool, 2)
    assert outcomes["bad"].failure.kind is FailureKind.WORKER_DIED
    assert outcomes["bad"].failure.message.startswith("ValueError: something odd")
    assert outcomes["good"].value == (None, 2)


def test_an_error_for_the_user_passes_through(make):
    pool = make()
    pool.submit(Job("full", jobs.fail_for_the_user))
    with pytest.raises(StudyError, match="the disk is full"):
        collect(pool, 1)
    pool.submit(Job("setting", jobs.fail_in_a_setting))
    with pytest.raises(ConfigurationError) as caught:
        collect(pool, 1)
    assert (caught.value.field, caught.value.value, caught.value.mend) == ("a.b", 3, "must be 4")
    pool.submit(Job("after", jobs.double, (1,)))
    assert collect(pool, 1)["after"].value == (None, 2)


def test_a_key_cannot_be_used_twice_at_once(make):
    pool = make()
    for key in ("a", "b", "c"):
        pool.submit(Job(key, jobs.double, (1,)))
    with pytest.raises(ProtocolError, match="'c' was submitted twice"):
        pool.submit(Job("c", jobs.double, (1,)))
    collect(pool, 3)
    pool.submit(Job("a", jobs.double, (3,)))
    assert collect(pool, 1)["a"].value == (None, 6)


def test_what_jobs_tell_while_they_run_arrives_in_order_before_their_outcomes(make):
    pool, heard, outcomes = make("data"), [], []
    for name, number in (("a", 3), ("b", 2), ("c", 0)):
        pool.submit(Job(name, jobs.count_aloud, (number,)))
    limit = time.monotonic() + PATIENCE
    while len(outcomes) < 3:
        assert time.monotonic() < limit
        ended = pool.collect(1.0, told=lambda key, value: heard.append((key, value)))
        for outcome in ended:
            assert [value for key, value in heard if key == outcome.key] == [("data", n) for n in range(outcome.value)]
        outcomes += ended
    tell("outside of any job")
    assert sorted(heard) == [(name, ("data", n)) for name, n in (("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 1))]


def test_an_error_of_the_listener_is_not_the_jobs(make):
    pool = make()
    pool.submit(Job("a", jobs.count_aloud, (2,)))

    def broken(key, value):
        raise ValueError("a bar that cannot be drawn")

    with pytest.raises(ValueError, match="cannot be drawn"):
        pool.collect(told=broken)
    assert collect(pool, 1)["a"].value == 2


def test_outcomes_say_how_long_a_job_ran_and_not_how_long_it_waited(make):
    pool = make()
    began = time.monotonic()
    for name in "abcd":
        pool.submit(Job(name, jobs.sleep, (0.2,)))
    pool.submit(Job("bad", jobs.fail, ("x",)))
    outcomes = collect(pool, 5)
    took = [outcomes[name].wall_time_s for name in "abcd"]
    assert min(took) >= 0.2
    assert sum(took) <= pool.capacity * (time.monotonic() - began)
    assert outcomes["bad"].wall_time_s >= 0


def test_a_wait_ends_with_an_outcome_and_not_with_what_is_told(make):
    pool = make()
    pool.submit(Job("a", jobs.count_aloud, (5,)))
    assert [outcome.value for outcome in pool.collect()] == [5]
    pool.submit(Job("b", jobs.double, (1,)))
    assert collect(pool, 1)["b"].value == (None, 2)


def test_a_cancelled_job_ends_as_cancelled(make):
    pool = make()
    for i in range(5):
        pool.submit(Job(str(i), jobs.double, (i,)))
    pool.cancel("4")
    pool.cancel("unknown")
    outcomes = collect(pool, 5)
    assert outcomes["4"].failure.kind is FailureKind.CANCELLED
    assert [outcomes[str(i)].value for i in range(4)] == [(None, 2 * i) for i in range(4)]
    pool.cancel("4")
    assert list(pool.collect(0.0)) == []


def test_closing_twice(make):
    pool = make()
    pool.submit(Job("a", jobs.double, (1,)))
    pool.close()
    pool.close()
    assert list(pool.collect(0.0)) == []


def test_an_unknown_executor_and_no_workers():
    with pytest.raises(ConfigurationError, match="inline, processes"):
        executor("threads")
    with pytest.raises(ConfigurationError, match="at least 1"):
        executor("processes", -1)


def test_jobs_run_in_at_most_so_many_other_processes(pool):
    for i in range(6):
        pool.submit(Job(str(i), jobs.process))
    pids = {o.value for o in collect(pool, 6).values()}
    assert 1 <= len(pids) <= 2
    assert psutil.Process().pid not in pids


def test_what_a_job_tells_does_not_end_the_wait_and_time_does(pool, tmp_path):
    heard = []
    pool.submit(Job("endless", jobs.tell_and_wait, (str(tmp_path / "pid"),)))
    until(lambda: (tmp_path / "pid").exists())
    assert list(pool.collect(0.05, told=lambda key, value: heard.append((key, value)))) == []
    assert heard == [("endless", "still here")]
    pool.submit(Job("other", jobs.double, (1,)))
    assert collect(pool, 1)["other"].value == ("context", 2)


def test_a_cancelled_process_is_gone(pool, tmp_path):
    pool.submit(Job("endless", jobs.announce_and_wait, (str(tmp_path / "pid"),)))
    pool.submit(Job("other", jobs.double, (1,)))
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    pid = int((tmp_path / "pid").read_text())
    pool.cancel("endless")
    assert not psutil.pid_exists(pid)
    outcomes = collect(pool, 2)
    assert outcomes["endless"].failure.kind is FailureKind.CANCELLED
    assert outcomes["other"].value == ("context", 2)


@pytest.mark.parametrize(
    ("job", "argument", "words"),
    [
        (jobs.die, signal.SIGKILL, "killed by signal 9; often the kernel, for lack of memory"),
        (jobs.leave, 3, "exited with 3"),
    ],
)
def test_a_dying_worker_costs_its_own_job_alone(pool, job, argument, words):
    pool.submit(Job("victim", job, (argument,)))
    for i in range(4):
        pool.submit(Job(str(i), jobs.double, (i,)))
    outcomes = collect(pool, 5)
    assert outcomes["victim"].failure.kind is FailureKind.WORKER_DIED
    assert words in outcomes["victim"].failure.message
    assert [outcomes[str(i)].value for i in range(4)] == [("context", 2 * i) for i in range(4)]


def test_a_worker_killed_while_idle_costs_nothing(pool):
    pool.submit(Job("first", jobs.process))
    victim = psutil.Process(collect(pool, 1)["first"].value)
    victim.kill()
    psutil.wait_procs([victim], timeout=PATIENCE)
    pool.submit(Job("second", jobs.double, (1,)))
    outcome = collect(pool, 1)["second"]
    assert outcome.value == ("context", 2) or outcome.failure.kind is FailureKind.WORKER_DIED
    pool.submit(Job("third", jobs.double, (1,)))
    assert collect(pool, 1)["third"].value == ("context", 2)


def test_ctrl_c_in_the_terminal_is_the_drivers_business(pool):
    pool.submit(Job("a", jobs.interrupt))
    assert collect(pool, 1)["a"].value == "still here"


def test_a_result_that_cannot_be_sent_is_a_failure(pool):
    pool.submit(Job("a", jobs.unpicklable))
    assert collect(pool, 1)["a"].failure.kind is FailureKind.WORKER_DIED


def test_a_job_that_cannot_be_sent_is_refused_and_nothing_waits_for_it(pool):
    with pytest.raises(Exception, match=r"pickle|local"):
        pool.submit(Job("a", lambda _context: 1))
    assert list(pool.collect()) == []
    pool.submit(Job("b", jobs.double, (1,)))
    assert collect(pool, 1)["b"].value == ("context", 2)


def test_nothing_is_left_behind(tmp_path):
    before = children()
    pool = executor("processes", 2)
    for i in range(3):
        pool.submit(Job(str(i), jobs.announce_and_wait, (str(tmp_path / str(i)),)))
    until(lambda: len(children() - before) == 2)
    pool.close()
    assert children() == before
    assert list(pool.collect(0.0)) == []


@pytest.mark.parametrize("size", [0, 5_000_000])
def test_a_context_that_workers_cannot_read_ends_clearly(size):
    pool = executor("processes", 1, jobs.Refusing(size))
    try:
        with pytest.raises(ProtocolError, match="ended while it started"):  # noqa: PT012 - it depends on the pipe's size
            pool.submit(Job("a", jobs.double, (1,)))
            failure = collect(pool, 1)["a"].failure
            assert failure.kind is FailureKind.WORKER_DIED
            raise ProtocolError("the worker ended while it started")
    finally:
        pool.close()


DRIVER = """
import sys, time
from evonas.execution import Job, executor
from fakes import jobs
if __name__ == "__main__":
    pool = executor("processes", 2)
    for i in range(2):
        pool.submit(Job(str(i), jobs.announce_and_wait, (f"{sys.argv[1]}/{i}",)))
    time.sleep(600)
"""


def test_workers_end_with_their_driver(tmp_path):
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    path = ":".join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
    driver = subprocess.Popen([sys.executable, script, tmp_path], env={"PYTHONPATH": path, "PATH": ""})
    try:
        files = [tmp_path / "0", tmp_path / "1"]
        until(lambda: all(f.exists() and f.read_text() for f in files))
        pids = [int(f.read_text()) for f in files]
    finally:
        driver.kill()
        driver.wait()
    until(lambda: not any(psutil.pid_exists(pid) for pid in pids))


@pytest.mark.parametrize(("of_the_user", "found"), [(None, 1), ("2", 2)])
def test_a_worker_does_its_linear_algebra_on_one_thread(monkeypatch, of_the_user, found):
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    for name in names:
        monkeypatch.delenv(name, raising=False)
        if of_the_user:
            monkeypatch.setenv(name, of_the_user)
    pool = executor("processes", 1)
    try:
        pool.submit(Job("threads", jobs.blas_threads))
        threads = collect(pool, 1)["threads"].value
    finally:
        pool.close()
    assert set(threads) == {min(found, len(os.sched_getaffinity(0)))}
    assert [os.environ.get(name) for name in names] == [of_the_user] * 3
