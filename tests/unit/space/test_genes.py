from __future__ import annotations

import numpy as np
import pytest

from evonas.errors import ConfigurationError
from evonas.space.genes import Condition, Gene, GeneTable, table

GENES = (
    Gene("depth", (1, 2, 3)),
    Gene("kind", ("a", "b"), ordered=False),
    Gene("width2", (4, 8), condition=Condition("depth", (2, 3)), block="layer2"),
    Gene("bits2", (2, 3, 4), condition=Condition("width2", (8,)), block="layer2"),
)


def test_conditions_can_depend_on_conditional_genes():
    genomes = np.array([[0, 0, 1, 0], [1, 0, 0, 0], [1, 0, 1, 0], [2, 1, 1, 2]])
    active = GeneTable(GENES).active(genomes)
    assert active.tolist() == [
        [True, True, False, False],
        [True, True, True, False],
        [True, True, True, True],
        [True, True, True, True],
    ]


def test_blocks_are_numbered_and_single_genes_are_their_own():
    assert GeneTable(GENES).block.tolist() == [0, 1, 2, 2]


def test_stratified_sample_meets_every_choice_evenly():
    sample = GeneTable(GENES).stratified(12, np.random.default_rng(0))
    for column, gene in enumerate(GENES):
        assert np.bincount(sample[:, column]).tolist() == [12 // len(gene.choices)] * len(gene.choices)


def test_uniform_sample_is_within_the_choices():
    sample = GeneTable(GENES).uniform(500, np.random.default_rng(0))
    assert sample.max(axis=0).tolist() == [2, 1, 1, 2]
    assert sample.min() == 0


@pytest.mark.parametrize("choices", [(), (1, 1), (1, 1.0)])
def test_bad_choices(choices):
    with pytest.raises(ConfigurationError, match="width"):
        Gene("width", choices)


@pytest.mark.parametrize(
    "genes",
    [
        (Gene("x", (1,)), Gene("x", (2,))),
        (Gene("x", (1,), condition=Condition("y", (1,))), Gene("y", (1,))),
        (Gene("x", (1,), condition=Condition("x", (1,))),),
    ],
)
def test_names_must_differ_and_conditions_look_back(genes):
    with pytest.raises(ConfigurationError):
        GeneTable(genes)


def test_tables_are_built_once():
    assert table(GENES) is table(tuple(GENES))
