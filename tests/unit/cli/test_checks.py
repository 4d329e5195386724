"""What the diagnosis says of a damaged installation."""

from __future__ import annotations

import sys

import pytest

from evonas.cli import checks
from evonas.cli.checks import Verdict


@pytest.mark.parametrize(
    ("archive", "found"), [(b"half a download", "is not that of jets.json"), (None, "the embedded sample is missing")]
)
def test_a_damaged_sample_fails_and_is_named(tmp_path, monkeypatch, archive, found):
    from evonas.tasks.jets import description

    about = description()
    module = sys.modules["evonas.tasks.jets"]
    monkeypatch.setattr(module, "_data_file", lambda name: tmp_path / name)
    monkeypatch.setattr(module, "description", lambda: about)
    if archive is not None:
        (tmp_path / "jets.npz").write_bytes(archive)
    check = checks.check_jets()
    assert check.verdict is Verdict.FAILED
    assert found in check.found
    assert check.note == str(tmp_path / "jets.npz")


def test_the_diagnosis_goes_on_when_a_check_breaks():
    (row,) = checks._guarded("data", "start records", lambda: {}["sha256"])
    assert (row.verdict, row.found) == (Verdict.FAILED, "'sha256'")
