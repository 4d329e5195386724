"""Help and version: quick, complete, and readable at 80 columns."""

from __future__ import annotations

import subprocess
import sys

import pytest
from command_line import ROOT, environment

COMMANDS = {
    "run": ("CONFIG", "--out", "--set", "--json", "report.html", "evonas resume DIR"),
    "resume": ("DIR", "--json"),
    "status": ("DIR", "--json"),
    "front": ("DIR", "--stage", "predicted", "traced", "synthesised", "--json"),
    "report": ("DIR", "--out"),
    "predict": ("SPEC", "--weight-bits", "--activation-bits", "--input-bits", "--sparsity", "90 %", "--json"),
    "synth": ("MODEL", "--out", "--backend", "--part", "--clock-period-ns", "--timeout-s", "--json"),
    "doctor": ("--json",),
}


def test_help_names_every_command_and_the_exit_codes(evonas):
    ended = evonas("--help")
    assert ended.code == 0
    assert all(f" {name} " in ended.out for name in COMMANDS)
    assert "130 interrupted" in ended.out
    assert all(len(line) <= 80 for line in ended.out.splitlines())


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(evonas, command):
    ended = evonas(command, "--help")
    assert ended.code == 0
    assert all(word in " ".join(ended.out.split()) for word in COMMANDS[command])
    assert all(len(line) <= 80 for line in ended.out.splitlines())


def test_version(evonas):
    ended = evonas("--version")
    assert ended.code == 0
    assert ended.out.startswith("evonas ")
    assert ended.err == ""


def test_without_a_command_the_help_is_shown_as_bad_input(evonas):
    ended = evonas()
    assert ended.code == 2
    assert "Usage: evonas" in ended.out + ended.err


@pytest.mark.parametrize("module", ["evonas", "evonas.cli"])
def test_help_loads_nothing_heavy(module):
    heavy = ("torch", "numpy", "pymoo", "hls4ml", "plotly", "sklearn", "pydantic", "surrogates")
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['evonas', '--help']\n"
        f"try: runpy.run_module({module!r}, run_name='__main__')\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        f"found = sorted(set({heavy!r}) & set(sys.modules))\n"
        "assert not found, found\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", ["status", "front"])
def test_looking_loads_no_learning_and_no_tool(command, finished):
    heavy = ("torch", "pymoo", "hls4ml", "alkaid", "plotly", "sklearn", "pandas")
    code = (
        "import sys\n"
        "from evonas.cli import main\n"
        f"try: main([{command!r}, {str(finished)!r}])\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        f"found = sorted(set({heavy!r}) & set(sys.modules))\n"
        "assert not found, found\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
