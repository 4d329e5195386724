"""Whatever is wrong with the input, one clear line says so, with the right exit code and without a traceback."""

from __future__ import annotations

import json
import sqlite3

import pytest
from command_line import write_log

CONFIG = 'name = "t"\n[search]\ngenerations = 2\npopulation_size = 4\n'


def refused(ended, code, *words):
    """One short message that holds these words."""
    assert ended.code == code, ended.err
    assert "Traceback" not in ended.err
    assert ended.out == ""
    flat = " ".join(ended.err.split())
    assert all(word in flat for word in words), ended.err


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(CONFIG)
    return path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[search]\ngeneration = 3\n", ("search.generation", "did you mean 'generations'")),
        ("[serch]\n", ("serch", "did you mean 'search'")),
        ("[search]\ngenerations = 0\n", ("search.generations", "0", "greater than or equal to 1")),
        ("[space]\nfamily = 'cnn'\n", ("space.family", "cnn", "mlp")),
        ("[[search.objectives]]\nmetric = 'beauty'\n", ("beauty", "must be one of")),
        ("[[search.constraints]]\nmetric = 'lut'\n", ("constraints.lut", "upper or a lower bound")),
        ("preset = 'huge'\n", ("preset", "huge", "must be one of")),
        ("[search\n", ("study.toml", "not valid TOML")),
    ],
)
def test_wrong_configuration(evonas, tmp_path, config, text, words):
    config.write_text(text)
    refused(evonas("run", config, "--out", tmp_path / "o"), 2, *words)
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("search.generations=-1", ("search.generations",)),
        ("search.generations", ("--set", "section.field=value")),
        ("search.nonsense=1", ("search.nonsense", "known fields")),
    ],
)
def test_wrong_override(evonas, tmp_path, config, override, words):
    refused(evonas("run", config, "--out", tmp_path / "o", "--set", override), 2, *words)


def test_wrong_configuration_with_json_leaves_stdout_empty(evonas, tmp_path, config):
    config.write_text("[nonsense]\n")
    refused(evonas("run", config, "--out", tmp_path / "o", "--json"), 2, "nonsense")


def test_a_range_that_cannot_be(evonas, tmp_path, config):
    ended = evonas("run", config, "--out", tmp_path / "o", "--set", "space.depth=[5, 2]")
    refused(ended, 2, "depth")
    assert not (tmp_path / "o" / "study.sqlite").exists()


def test_a_task_that_is_unknown(evonas, tmp_path, config):
    refused(evonas("run", config, "--out", tmp_path / "o", "--set", "task.name=chess"), 2, "task", "chess")


def test_data_that_are_missing(evonas, tmp_path, config):
    missing = tmp_path / "no.npz"
    ended = evonas("run", config, "--out", tmp_path / "o", "--set", f"task.source='{missing}'")
    refused(ended, 2, str(missing))


def test_configuration_file_that_is_missing(evonas, tmp_path):
    refused(evonas("run", tmp_path / "none.toml", "--out", tmp_path / "o"), 2, "none.toml", "no such file")


def test_configuration_that_is_no_text(evonas, tmp_path, config):
    config.write_bytes(b"\xff\xfe\x00")
    refused(evonas("run", config, "--out", tmp_path / "o"), 2, "cannot be read")


def test_run_where_a_study_is(evonas, config, finished):
    refused(evonas("run", config, "--out", finished), 2, "already holds a study", f"evonas resume {finished}")


def test_run_below_a_file(evonas, tmp_path, config):
    refused(evonas("run", config, "--out", config / "study"), 2, "--out", "is not a directory")


@pytest.mark.parametrize("arguments", [("run",), ("run", "a.toml"), ("front",), ("nonsense",), ("status", "--bogus")])
def test_usage(evonas, arguments):
    ended = evonas(*arguments)
    assert ended.code == 2
    assert "Usage: evonas" in ended.err
    assert "Traceback" not in ended.err


def test_unknown_stage(evonas, finished):
    ended = evonas("front", finished, "--stage", "routed")
    assert ended.code == 2
    assert "synthesised" in ended.err


@pytest.mark.parametrize("command", ["resume", "status", "front", "report"])
def test_directory_without_a_study(evonas, tmp_path, command):
    refused(evonas(command, tmp_path), 1, str(tmp_path), "holds no study", "evonas run CONFIG --out")


def test_directory_that_does_not_exist(evonas, tmp_path):
    refused(evonas("resume", tmp_path / "none"), 1, "does not exist")


@pytest.mark.parametrize("command", ["resume", "front"])
def test_truncated_log(evonas, finished, command):
    log = finished / "study.sqlite"
    log.write_bytes(log.read_bytes()[: log.stat().st_size // 2])
    refused(evonas(command, finished), 1, "study.sqlite", "restore it from a copy")


def test_log_that_is_something_else(evonas, tmp_path):
    (tmp_path / "study.sqlite").write_text("this is not a database" * 100)
    refused(evonas("resume", tmp_path), 1, "not a readable study log")


@pytest.mark.parametrize("command", ["resume", "status"])
def test_edited_log(evonas, finished, command):
    with sqlite3.connect(finished / "study.sqlite") as database:
        database.execute("UPDATE events SET body = replace(body, 'jets', 'tags') WHERE position = 1")
    database.close()
    refused(evonas(command, finished), 1, "event 1 is missing or was changed")


@pytest.mark.parametrize("command", ["resume", "status"])
def test_empty_log(evonas, tmp_path, command):
    study = write_log(tmp_path / "empty", [])
    refused(evonas(command, study), 1, "no event")


def test_report_to_a_place_that_is_none(evonas, finished, tmp_path):
    refused(evonas("report", finished, "--out", tmp_path), 2, "is a directory")
    refused(evonas("report", finished, "--out", finished / "study.sqlite" / "r.html"), 2, "cannot be written")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nonsense",), ("SPEC", "nonsense", "16-32-16-5")),
        (("16-0-5",), ("n_out", "0")),
        (("16-8-5", "--weight-bits", "99"), ("weight_bits", "99", "1 and 16")),
        (("16-8-5", "--sparsity", "1.5"), ("sparsity", "1.5")),
        (("16-8-5", "--clock-period-ns", "0"), ("clock_period_ns",)),
    ],
)
def test_wrong_network(evonas, arguments, words):
    refused(evonas("predict", *arguments), 2, *words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", ("not valid JSON",)),
        ("[1]", ("must hold",)),
        ('{"layers": []}', ("input_bits",)),
        ('{"input_bits": 8, "layers": [{"n_in": 2}]}', ("wrong name or type",)),
    ],
)
def test_wrong_network_file(evonas, tmp_path, content, words):
    path = tmp_path / "net.json"
    path.write_text(content)
    refused(evonas("predict", path), 2, *words)


def test_options_of_a_topology_do_not_go_with_a_file(evonas, tmp_path):
    path = tmp_path / "net.json"
    path.write_text(json.dumps({}))
    refused(evonas("predict", path, "--weight-bits", "4"), 2, "leave out --weight-bits")


def test_synth_of_nothing_and_into_something(evonas, tmp_path):
    refused(evonas("synth", tmp_path / "no.onnx", "--out", tmp_path / "o"), 2, "no.onnx", "no such file")
    refused(evonas("synth", tmp_path / "no.onnx", "--out", tmp_path), 2, "--out", "is not empty")
    refused(evonas("synth", "x", "--out", tmp_path / "o", "--timeout-s", "0"), 2, "--timeout-s")


def test_debugging_adds_the_traceback(evonas, tmp_path):
    ended = evonas("status", tmp_path, EVONAS_DEBUG="1")
    assert ended.code == 1
    assert "Traceback" in ended.err
    assert ended.err.strip().splitlines()[-1].startswith("evonas: ")
