"""The section [space] of a configuration for other families than multi-layer perceptrons."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fakes.families import FAMILIES

from evonas.config import FamilyConfig, SpaceConfig, load_config, resolve, restore
from evonas.errors import ConfigurationError
from evonas.space.families import fitted, options
from evonas.space.published_readout import qick_readout

QUBIT = Path(__file__).parents[2] / "experiments" / "qubit" / "experiment.toml"


def refused(space):
    with pytest.raises(ConfigurationError) as caught:
        resolve({"space": space})
    return caught.value


@pytest.mark.parametrize("family", FAMILIES)
def test_defaults_are_written_out(family):
    section = resolve({"space": {"family": family, "weight_bits": [4, 5]}}).space
    assert isinstance(section, FamilyConfig)
    assert section.family == family
    assert section.choices == options(family) | {"weight_bits": (4, 5)}
    assert "family" not in section.choices


@pytest.mark.parametrize("family", FAMILIES)
def test_a_log_holds_the_whole_section(family):
    config = resolve({"space": {"family": family}})
    restored = restore(json.loads(config.model_dump_json()))
    assert restored == config
    assert restored.space.choices == config.space.choices


def test_the_default_family_is_the_multi_layer_perceptron():
    assert resolve({}).space == resolve({"space": {"family": "mlp"}}).space == SpaceConfig()


def test_fields_of_a_family_can_be_set_from_the_command_line(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text('[space]\nfamily = "deep_sets"\nwidths = [4, 8]\n[presets.small.space]\nbottleneck = [2]\n')
    section = load_config(path, ["preset=small", "space.phi_depth=[1, 1]"]).space
    assert section.choices["widths"] == (4, 8)
    assert section.choices["bottleneck"] == (2,)
    assert section.choices["phi_depth"] == (1, 1)


@pytest.mark.parametrize("preset", ["small", "full"])
def test_the_windows_of_the_qubit_experiment_fit_its_traces(preset):
    config = load_config(QUBIT, [f"preset={preset}"])
    options = config.task.options
    positions = options["window_size"] // options["decimation"]
    space = fitted(config.space.family, config.space.choices, (positions, 2), 2)
    assert options["window_start"] == 0
    assert space.window_start[-1] + space.window_size[0] <= positions
    assert space.window_size[-1] > 0.9 * positions or preset == "full"
    assert qick_readout(options["decimation"], options["window_size"]).input_shape == (positions, 2)


def test_an_import_path_is_a_family():
    section = resolve({"space": {"family": "evonas.space.mixer:MixerSpace", "channels": [4]}}).space
    assert section.choices == options("mixer") | {"channels": (4,)}


@pytest.mark.parametrize(
    ("space", "field", "value", "mend"),
    [
        ({"family": "cnn"}, "space.family", "cnn", "must be one of mlp, attention"),
        ({"family": 3}, "space.family", 3, "string"),
        ({"family": ["deep_sets"]}, "space.family", ["deep_sets"], "string"),
        ({"family": "deep_sets", "width": [3]}, "space.width", [3], "no such field; deep_sets has activation_bits"),
        ({"family": "deep_sets", "channels": [3]}, "space.channels", [3], "bottleneck"),
        ({"family": "deep_sets", "constituents": 8}, "space.constituents", 8, "no such field"),
        ({"family": "mlp", "phi_depth": [1, 2]}, "space.phi_depth", [1, 2], "no such field"),
        ({"phi_depth": [1, 2]}, "space.phi_depth", [1, 2], "known fields are activation_bits"),
        ({"family": "nothing:Here"}, "space.family", "nothing:Here", "cannot be imported"),
        ({"family": "json:loads"}, "space.family", "json:loads", "must be a subclass"),
        (5, "space", 5, "valid dictionary"),
    ],
)
def test_a_wrong_field_is_named(space, field, value, mend):
    error = refused(space)
    assert (error.field, error.value) == (field, value)
    assert mend in error.mend
