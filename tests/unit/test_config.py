"""Every wrong setting is answered with field, value and mend; what is right comes out resolved."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evonas.config import StudyConfig, load_config, resolve, restore
from evonas.errors import ConfigurationError
from evonas.objectives import HARDWARE_METRICS
from evonas.study.evolution import make_space

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "jets_hlf" / "experiment.toml"


def refused(data, *overrides):
    with pytest.raises(ConfigurationError) as caught:
        resolve(data, overrides)
    error = caught.value
    assert error.field
    assert error.mend
    assert str(error) == f"{error.field} = {error.value!r}: {error.mend}"
    return error


def test_the_defaults_are_a_whole_study():
    config = resolve({})
    assert [o.metric for o in config.objectives] == ["error", "latency_ns", "lut", "dsp"]
    assert config.target.part == config.synthesis.part
    assert config == StudyConfig()


@pytest.mark.parametrize(
    ("data", "field", "suggestion"),
    [
        ({"serch": {}}, "serch", "search"),
        ({"search": {"generation": 3}}, "search.generation", "generations"),
        ({"space": {"width": [3]}}, "space.width", "widths"),
        ({"surrogate": {"retrain_every": 2}}, "surrogate.retrain_every", None),
        ({"search": {"objectives": [{"metric": "error", "directon": "minimise"}]}}, None, None),
    ],
)
def test_an_unknown_field_is_named_with_a_suggestion(data, field, suggestion):
    error = refused(data)
    assert field is None or error.field == field
    assert "no such field" in error.mend
    assert suggestion is None or f"did you mean {suggestion!r}?" in error.mend


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("search", "population_size", 1),
        ("search", "population_size", "many"),
        ("search", "generations", 0),
        ("search", "generations", 2.5),
        ("search", "algorithm", "nsga3"),
        ("search", "objectives", []),
        ("training", "epochs", 0),
        ("training", "max_rows", 0),
        ("surrogate", "recalibrate_every", -1),
        ("surrogate", "designs", -1),
        ("synthesis", "vectors", 10),
        ("synthesis", "timeout_s", 0),
        ("synthesis", "timeout_s", float("nan")),
        ("synthesis", "timeout_s", float("inf")),
        ("synthesis", "clock_period_ns", 0.01),
        ("synthesis", "clock_period_ns", float("inf")),
        ("synthesis", "clock_period_ns", 1e6),
        ("synthesis", "backend", "vivado"),
        ("execution", "workers", 0),
        ("execution", "executor", "threads"),
        ("space", "family", "cnn"),
        ("space", "depth", [1, 2, 3]),
        ("space", "widths", ["wide"]),
    ],
)
def test_an_impossible_value_is_named(section, name, value):
    error = refused({section: {name: value}})
    assert error.field.startswith(f"{section}.{name}")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("widths", []),
        ("weight_bits", []),
        ("activations", []),
        ("activations", ["swish"]),
        ("learning_rate", [0.0]),
        ("sparsity", [1.0]),
        ("depth", [3, 1]),
        ("depth", [0, 0]),
        ("widths", [4, 4]),
        ("weight_bits", [17]),
        ("implementations", []),
        ("norms", ["layer"]),
        ("implementations", ["dsp"]),
        ("implementations", [0]),
    ],
)
def test_a_space_without_networks_is_refused(name, value, task):
    config = resolve({"space": {name: value}})
    with pytest.raises(ConfigurationError) as caught:
        make_space(config, task)
    assert caught.value.field.startswith(f"space.{name}")


@pytest.mark.parametrize(
    ("search", "word"),
    [
        ({"objectives": [{"metric": "beauty"}]}, "beauty"),
        ({"objectives": [{"metric": "error"}, {"metric": "error"}]}, "different"),
        ({"objectives": [{"metric": "error", "direction": "sideways"}]}, "sideways"),
        ({"constraints": [{"metric": "lut"}]}, "bound"),
        ({"constraints": [{"metric": "lut", "upper": 1, "lower": 2}]}, "above"),
        ({"constraints": [{"metric": "lut", "upper": float("nan")}]}, "finite"),
        ({"constraints": [{"metric": "lut", "upper": float("inf")}]}, "finite"),
    ],
)
def test_wrong_objectives_and_constraints(search, word):
    assert word in str(refused({"search": search}))


def test_a_search_can_steer_by_every_hardware_metric():
    metrics = sorted(HARDWARE_METRICS)
    search = {
        "objectives": [{"metric": metric} for metric in metrics],
        "constraints": [{"metric": metric, "upper": 9} for metric in metrics],
    }
    assert [o.metric for o in resolve({"search": search}).objectives] == metrics


def test_implementations_are_chosen_or_left_at_distributed_arithmetic(task):
    old = make_space(resolve({}), task)
    assert {gene.name for gene in old.genes if gene.name.endswith("implementation")} == set()
    text = 'space.implementations=["distributed_arithmetic", 1, 4]'
    config = resolve({}, [text])
    assert config.space.implementations == ("distributed_arithmetic", 1, 4)
    assert restore(json.loads(json.dumps(config.model_dump(mode="json")))) == config
    new = make_space(config, task)
    assert len(new.genes) == len(old.genes) + 7
    logged = resolve({}).model_dump(mode="json")
    del logged["space"]["implementations"]  # as an earlier version wrote it
    assert restore(logged) == resolve({})


@pytest.mark.parametrize(
    ("text", "word"),
    [("a = ", "TOML"), ("[search\n", "TOML"), ("[a]\n[a]\n", "TOML"), ("\x00", "TOML")],
)
def test_bad_toml(tmp_path, text, word):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=word) as caught:
        load_config(path)
    assert caught.value.value == str(path)


def test_unreadable_files(tmp_path):
    with pytest.raises(ConfigurationError, match="no such file"):
        load_config(tmp_path / "none.toml")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_config(tmp_path)
    path = tmp_path / "latin.toml"
    path.write_bytes(b"name = '\xe9'")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_config(path)


PRESETS = {
    "search": {"generations": 9, "population_size": 8},
    "presets": {"smoke": {"search": {"generations": 2}}, "big": {"preset": "big", "search": {"population_size": 99}}},
}


def test_presets_change_only_what_they_name():
    assert resolve(PRESETS).search.generations == 9
    smoke = resolve({**PRESETS, "preset": "smoke"})
    assert (smoke.search.generations, smoke.search.population_size, smoke.preset) == (2, 8, "smoke")
    assert resolve(PRESETS, ["preset=big"]).search.population_size == 99
    assert PRESETS["search"]["generations"] == 9  # the caller's data stay as they were


@pytest.mark.parametrize("preset", ["huge", "[1]", "3", "{a = 1}"])
def test_an_unknown_preset_names_the_known_ones(preset):
    error = refused(PRESETS, f"preset={preset}")
    assert error.field == "preset"
    assert "big, smoke, standard" in error.mend


@pytest.mark.parametrize("presets", [3, ["smoke"], {"smoke": 3}])
def test_presets_must_be_tables(presets):
    assert refused({"presets": presets, "preset": "smoke"}).field.startswith("preset")


def test_overrides_win_over_presets_and_may_be_nested_or_lists():
    config = resolve(
        {**PRESETS, "preset": "smoke"},
        [
            "search.generations=5",
            "space.widths=[3, 5]",
            "search.algorithm=random",
            'search.objectives=[{metric = "error"}, {metric = "lut"}]',
            "task.inputs=hlf",
            "surrogate.rescore=false",
            "name=a = b",
        ],
    )
    assert config.search.generations == 5
    assert config.space.widths == (3, 5)
    assert config.search.algorithm == "random"
    assert [o.metric for o in config.objectives] == ["error", "lut"]
    assert config.task.options == {"inputs": "hlf"}
    assert config.surrogate.rescore is False
    assert config.name == "a = b"


@pytest.mark.parametrize("override", ["search.generations", "=3", "", "search..generations=3", "search=3", "name.x=3"])
def test_bad_overrides(override):
    refused({}, override)


@pytest.mark.parametrize("data", [{"search": 3}, {"search": [1]}, {"task": None}, {"space": {"depth": "ab"}}])
def test_sections_must_be_tables(data):
    refused(data)


def test_what_was_dumped_resolves_to_the_same():
    for preset in ("standard", "smoke"):
        config = load_config(EXPERIMENT, [f"preset={preset}", "surrogate.start_records=some/where.jsonl"])
        dumped = json.loads(json.dumps(config.model_dump(mode="json")))
        assert restore(dumped) == config
        assert restore(dumped).model_dump(mode="json") == dumped


def test_a_configuration_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        resolve({}).seed = 3
