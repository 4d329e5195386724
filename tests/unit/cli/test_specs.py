"""Networks as the command line names them: reuse factors of a topology."""

from __future__ import annotations

import pytest

from evonas.cli.predict import _reuse_factors
from evonas.cli.specs import Shorthand, from_topology, read_spec
from evonas.errors import ConfigurationError
from surrogates import LayerSpec


def layers(topology, reuse_factor=None):
    spec = from_topology(topology, Shorthand(reuse_factor=reuse_factor))
    return [(layer.strategy, layer.reuse_factor) for layer in spec.layers]


def test_adders_unless_asked():
    assert layers("16-8-5") == [("distributed_arithmetic", 1)] * 2
    assert from_topology("4-2", Shorthand()).layers == (LayerSpec(4, 2, 6, 0, "linear"),)


@pytest.mark.parametrize(
    ("asked", "found", "said"),
    [
        ("8", [8, 8], "reuse factors 8,8"),
        ("1", [1, 1], "reuse factors 1,1"),
        ("7", [8, 8], "reuse factors 8,8, the legal ones nearest to 7"),
        ("128", [128, 40], "reuse factors 128,40, the legal ones nearest to 128"),
        ("16, 2", [16, 2], "reuse factors 16,2"),
        ("3,-", [2, None], "reuse factors 2,-, the legal ones nearest to 3,-"),
    ],
)
def test_reuse_factors_are_repaired(asked, found, said):
    expected = [("distributed_arithmetic", 1) if factor is None else ("reuse", factor) for factor in found]
    assert layers("16-8-5", asked) == expected
    assert _reuse_factors(from_topology("16-8-5", Shorthand(reuse_factor=asked)), asked) == said


@pytest.mark.parametrize("asked", ["0", "", "x", "1.5", "-3", "8,4,2", "8,0"])
def test_impossible_reuse_factors(asked):
    with pytest.raises(ConfigurationError, match="--reuse-factor"):
        from_topology("16-8-5", Shorthand(reuse_factor=asked))


def test_a_file_has_its_own(tmp_path):
    path = tmp_path / "spec.json"
    path.write_text("{}")
    with pytest.raises(ConfigurationError, match="leave out --reuse-factor"):
        read_spec(str(path), Shorthand(reuse_factor="4"))
