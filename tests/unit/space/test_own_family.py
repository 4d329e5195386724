"""The tutorial's family is a family like any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evonas.config import load_config
from evonas.space import fitted

FOLDER = Path(__file__).parents[3] / "experiments" / "own_family"


@pytest.fixture
def space(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    settings = load_config(FOLDER / "experiment.toml").space
    return fitted(settings.family, settings.choices, (1, 16), 5)


def test_genomes_and_networks_are_one_to_one(space):
    genomes = np.unique(space.sample(100, np.random.default_rng(0)), axis=0)
    assert np.array_equal(space.repair(genomes), genomes)
    phenotypes = [space.decode(genome) for genome in genomes]
    assert len({phenotype.digest for phenotype in phenotypes}) == len(genomes)
    assert [space.encode(phenotype) for phenotype in phenotypes] == [tuple(genome) for genome in genomes.tolist()]


def test_blocks_are_bypassed(space):
    spec = space.decode(space.sample(1, np.random.default_rng(1))[0]).spec
    sums = [index for index, part in enumerate(spec.layers) if getattr(part, "kind", "") == "add"]
    assert sums
    assert all(spec.sources[index] == (index - 1, index - 3) for index in sums)
