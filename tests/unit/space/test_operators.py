from __future__ import annotations

import numpy as np

from evonas.space import MlpSpace, crossover, mutate
from evonas.space.genes import table

SPACE = MlpSpace(16, 5, sparsity=(0.0, 0.5))  # no sparsity is ever repaired for these widths, see below
GENES = table(SPACE.genes)


def population(n, seed=0):
    return SPACE.sample(n, np.random.default_rng(seed))


def test_children_take_every_gene_from_a_parent():
    first, second = population(400), population(400, 1)
    for child in crossover(SPACE, first, second, np.random.default_rng(2)):
        active = GENES.active(child)
        # 4 wide into 64: half of 256 weights still feed 64 outputs, so repair leaves sparsity alone
        inherited = (child == first) | (child == second)
        assert (inherited | ~active).all()


def test_the_two_children_are_complementary_where_both_parents_have_the_gene():
    first, second = population(200), population(200, 1)
    one, two = crossover(SPACE, first, second, np.random.default_rng(2))
    shared = GENES.active(first) & GENES.active(second) & GENES.active(one) & GENES.active(two)
    assert (one + two == first + second)[shared].all()


def test_a_deeper_child_inherits_the_layers_of_its_deeper_parent():
    shallow, deep = population(300), population(300, 1)
    shallow[:, 0], deep[:, 0] = 0, 5
    deep[:, 4:] = np.maximum(deep[:, 4:], 1)  # so that a canonical 0 of an absent layer would show
    shallow, deep = SPACE.repair(shallow), SPACE.repair(deep)
    for child in crossover(SPACE, shallow, deep, np.random.default_rng(2)):
        grown = child[child[:, 0] == 5]
        assert 100 < len(grown) < 200
        assert (grown[:, 8:28] > 0).all()


def test_about_half_of_the_pairs_exchange_whole_layers():
    first, second = population(1000), population(1000, 1)
    first[:, 0] = second[:, 0] = 5
    first, second = SPACE.repair(first), SPACE.repair(second)
    child, _ = crossover(SPACE, first, second, np.random.default_rng(2))
    whole = np.ones(1000, dtype=bool)
    for block in np.unique(GENES.block):
        columns = GENES.block == block
        whole &= (child == first)[:, columns].all(axis=1) | (child == second)[:, columns].all(axis=1)
    assert 450 < whole.sum() < 650


def test_mutation_changes_one_gene_or_few():
    genomes = population(2000)
    mutants = mutate(SPACE, genomes, np.random.default_rng(3))
    same_depth = mutants[:, 0] == genomes[:, 0]
    changed = (mutants != genomes)[same_depth].sum(axis=1)
    assert changed.min() >= 1
    assert 1.0 < changed.mean() < 2.0


def test_ordered_genes_mostly_take_small_steps_and_reach_everything():
    genomes = np.repeat(population(1), 20000, axis=0)
    genomes[:, 4] = 0  # narrowest first layer
    width = mutate(SPACE, SPACE.repair(genomes), np.random.default_rng(4))[:, 4]
    steps = np.bincount(width[width > 0], minlength=8)
    assert (steps[1:] > 0).all()
    assert steps[1] > steps[2] > 3 * steps[3:].max()


def test_categorical_genes_go_anywhere_alike():
    genomes = np.repeat(population(1), 20000, axis=0)
    genomes[:, 2] = 1
    activation = mutate(SPACE, genomes, np.random.default_rng(4))[:, 2]
    _, up, down = (np.sum(activation == value) for value in (1, 0, 2))
    assert 0.8 < up / down < 1.25


def test_layers_that_appear_by_mutation_are_drawn_and_not_canonical():
    genomes = np.repeat(population(1), 30000, axis=0)
    genomes[:, 0] = 0
    genomes = SPACE.repair(genomes)
    mutants = mutate(SPACE, genomes, np.random.default_rng(5))
    grown = mutants[mutants[:, 0] == 1]
    assert len(grown) > 300
    assert (np.bincount(grown[:, 8], minlength=8) > len(grown) / 16).all()  # second layer's width


def test_nothing_to_mutate():
    one = MlpSpace(3, 2, (1, 1), (4,), (2,), (4,), (8,), (0.0,), ("relu",), (0.01,))
    genomes = one.sample(3, np.random.default_rng(0))
    assert np.array_equal(mutate(one, genomes, np.random.default_rng(0)), genomes)


def test_operators_leave_their_arguments_alone():
    first, second = population(20), population(20, 1)
    kept = first.copy(), second.copy()
    crossover(SPACE, first, second, np.random.default_rng(0))
    mutate(SPACE, first, np.random.default_rng(0))
    assert np.array_equal(first, kept[0])
    assert np.array_equal(second, kept[1])


def test_no_genomes_at_all():
    empty = np.empty((0, SPACE.n_genes), dtype=np.int64)
    assert mutate(SPACE, empty, np.random.default_rng(0)).shape == empty.shape
    assert crossover(SPACE, empty, empty, np.random.default_rng(0))[0].shape == empty.shape
