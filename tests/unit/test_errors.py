"""Exceptions and failures cross process boundaries and keep what they know."""

from __future__ import annotations

import inspect
import pickle

import pytest

from evonas import errors
from evonas.errors import (
    ConfigurationError,
    DataError,
    EvonasError,
    Failure,
    FailureKind,
    StudyCorruptError,
    StudyError,
    StudyExistsError,
    StudyLockedError,
    StudyMismatchError,
    ToolError,
)

EXAMPLES = [
    ConfigurationError("a.b", [1], "must be 2"),
    DataError("is broken", "file.npz"),
    DataError("is broken"),
    ToolError(FailureKind.TOOL_TIMEOUT, "too slow"),
    StudyLockedError("held by 3"),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda e: type(e).__name__)
def test_an_error_survives_the_way_from_a_worker(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_the_messages_name_field_value_and_place():
    assert str(EXAMPLES[0]) == "a.b = [1]: must be 2"
    assert str(EXAMPLES[1]) == "file.npz: is broken"
    assert str(EXAMPLES[3]) == "tool_timeout: too slow"


def test_the_tree_is_the_one_in_the_docstring():
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, Exception)]
    assert all(issubclass(c, EvonasError) for c in classes)
    for specific in (StudyExistsError, StudyCorruptError, StudyLockedError, StudyMismatchError):
        assert issubclass(specific, StudyError)
    for one in classes:
        assert one.__name__ in (errors.__doc__ or "")
        assert one.__doc__


def test_a_configuration_error_is_a_value_error():
    assert issubclass(ConfigurationError, ValueError)


def test_failures_are_values():
    assert Failure(FailureKind.DIVERGED, "x") == Failure(FailureKind.DIVERGED, "x")
    assert FailureKind("diverged") is FailureKind.DIVERGED
