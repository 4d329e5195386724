"""Exceptions become exit codes and one clear line."""

from __future__ import annotations

import json
import sys

import pytest

from evonas.cli._typer import Exit
from evonas.cli.guard import guarded, resume_command
from evonas.cli.output import json_object, machine_output
from evonas.errors import (
    ConfigurationError,
    DataError,
    EvonasError,
    FailureKind,
    StudyCorruptError,
    StudyExistsError,
    StudyInterruptedError,
    StudyLockedError,
    StudyMismatchError,
    ToolError,
)
from surrogates import SpecError
from surrogates.errors import SurrogateError


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """No tracebacks, whatever the environment of the tests says."""
    monkeypatch.delenv("EVONAS_DEBUG", raising=False)


def code_of(error, study=None):
    """The exit code for an error."""
    with pytest.raises(Exit) as ended, guarded(study):
        raise error
    return ended.value.exit_code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("a.b", 3, "must be 4"), 2),
        (DataError("is empty", "x.npz"), 2),
        (StudyExistsError("holds a study"), 2),
        (SpecError("n_in", 0, "must be positive"), 2),
        (StudyCorruptError("is broken"), 1),
        (StudyLockedError("is in use"), 1),
        (StudyMismatchError("is another"), 1),
        (ToolError(FailureKind.TOOL_CRASHED, "fell over"), 1),
        (SurrogateError("not fitted"), 1),
        (EvonasError("something"), 1),
    ],
)
def test_known_errors_are_one_line(capsys, error, code):
    assert code_of(error) == code
    assert capsys.readouterr().err == f"evonas: {error}\n"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), StudyInterruptedError("stopped")])
def test_an_interruption_names_the_line_that_continues(capsys, tmp_path, error):
    study = tmp_path / "my study"
    assert code_of(error, study) == 130
    assert capsys.readouterr().err == "Interrupted.\n"  # nothing there to resume
    study.mkdir()
    (study / "study.sqlite").touch()
    assert code_of(error, study) == 130
    assert capsys.readouterr().err.splitlines()[-1] == f"  evonas resume '{study}'"
    assert resume_command(study) == f"evonas resume '{study}'"


def test_an_unexpected_error_is_kept_in_the_study(capsys, tmp_path):
    (tmp_path / "study.sqlite").touch()
    assert code_of(RuntimeError("first line\nsecond"), tmp_path) == 1
    trace = (tmp_path / "crash.txt").read_text()
    assert "Traceback" in trace
    assert "RuntimeError: first line" in trace
    error = capsys.readouterr().err
    assert "evonas: unexpected RuntimeError: first line" in error
    assert str(tmp_path / "crash.txt") in error
    assert f"evonas resume {tmp_path}" in error
    assert "Traceback" not in error


def test_an_unexpected_error_without_a_study_is_shown(capsys):
    assert code_of(ZeroDivisionError("zero")) == 1
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert error.splitlines()[-1] == "evonas: unexpected ZeroDivisionError: zero"


def test_debugging_shows_the_traceback_too(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("EVONAS_DEBUG", "1")
    assert code_of(DataError("is empty")) == 2
    assert "Traceback" in capsys.readouterr().err
    assert code_of(RuntimeError("oh"), tmp_path) == 1
    assert "Traceback" in capsys.readouterr().err


def test_json_begins_with_the_schema_and_refuses_nan():
    assert next(iter(json.loads(json_object({"a": 1})))) == "schema"
    assert "\n" not in json_object({"a": [1, 2]}, lines=True)
    with pytest.raises(ValueError, match="JSON"):
        json_object({"a": float("nan")})


def test_machine_output_keeps_what_somebody_captures(capsys):
    with machine_output() as stream:
        assert stream is sys.stdout
        stream.write("x\n")
    assert capsys.readouterr().out == "x\n"
