"""pymoo and DEAP against each other, against random search, and across processors."""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache

import numpy as np
import pytest

from evonas.search import ALGORITHMS, Evaluated, algorithm, front, hypervolume, ranks
from evonas.search._deap import DeapNSGA2
from evonas.search._pymoo import PymooNSGA2, StableRankAndCrowding
from evonas.space import MlpSpace

SPACE = MlpSpace(16, 5)
NSGA2 = (PymooNSGA2, DeapNSGA2)


def pool_of(rng, n, m, constrained):
    """Losses with many ties, so that fronts, crowding and violations all have to break some."""
    genomes = np.unique(SPACE.sample(4 * n, rng), axis=0)[:n]
    losses = rng.integers(0, 6, size=(n, m)).astype(float)
    violations = rng.choice([0.0, 0.0, 0.5, 1.0], size=(n, 1)) if constrained else np.zeros((n, 0))
    return [Evaluated(*three) for three in zip(genomes.tolist(), losses.tolist(), violations.tolist(), strict=True)]


def rank_of(pool):
    numbers = ranks(np.array([one.losses for one in pool]), np.array([one.violation for one in pool]))
    return {one.genome: int(number) for one, number in zip(pool, numbers, strict=True)}


@pytest.mark.parametrize("constrained", [False, True])
@pytest.mark.parametrize("m", [1, 2, 4])
def test_both_libraries_keep_the_same_ranks(m, constrained):
    for seed in range(25):
        rng = np.random.default_rng(seed)
        size = int(rng.integers(2, 30))
        pool = pool_of(rng, 40, m, constrained)
        rank = rank_of(pool)
        expected = sorted(rank.values())[:size]
        for kind in NSGA2:
            search = kind(SPACE, m, int(constrained), size)
            survivors = search._survive(pool, np.random.default_rng(seed))
            assert sorted(rank[one.genome] for one in survivors) == expected, kind
            assert len({one.genome for one in survivors}) == size


@pytest.mark.parametrize("kind", NSGA2)
def test_survivors_of_the_last_front_are_the_least_crowded(kind):
    xs = [0.0, 0.1, 0.2, 0.3, 5.0, 9.7, 9.8, 9.9, 10.0]
    genomes = np.unique(SPACE.sample(50, np.random.default_rng(0)), axis=0)[: len(xs)]
    pool = [Evaluated(tuple(g), (x, 10.0 - x)) for g, x in zip(genomes, xs, strict=True)]
    survivors = kind(SPACE, 2, population_size=5)._survive(pool, np.random.default_rng(0))
    assert {one.losses[0] for one in survivors} == {0.0, 0.3, 5.0, 9.7, 10.0}  # ends, and those beside the gaps


def test_stable_survival_keeps_what_pymoo_keeps():
    """Up to the choice among equals: the survivors' ranks, crowding and violations are those of pymoo's own."""
    from pymoo.core.population import Population
    from pymoo.core.problem import Problem
    from pymoo.operators.survival.rank_and_crowding import RankAndCrowding

    for seed in range(20):
        rng = np.random.default_rng(seed)
        losses, violations = rng.random((30, 2)), np.maximum(rng.normal(size=(30, 1)), 0)
        kept = []
        for survival in (RankAndCrowding(), StableRankAndCrowding()):
            pool = Population.new(X=np.arange(30)[:, None], F=losses, G=violations)
            problem = Problem(n_var=1, n_obj=2, n_ieq_constr=1)
            survivors = survival.do(problem, pool, n_survive=11 + seed, random_state=np.random.default_rng(1))
            merit = [(one.CV[0], one.get("rank"), one.get("crowding")) for one in survivors]
            kept.append(sorted((cv, rank, crowding) if cv == 0 else (cv,) for cv, rank, crowding in merit))
        assert kept[0] == kept[1]


PROGRAM = """
import hashlib, warnings
warnings.simplefilter("ignore")
import numpy as np
from evonas.search import Evaluated, algorithm
from evonas.space import MlpSpace
digest = hashlib.sha256()
for name in ("nsga2", "deap-nsga2", "random"):
    search = algorithm(name, MlpSpace(16, 5), 3, 1, population_size=60, seed=1)
    for _ in range(5):
        genomes = search.ask()
        digest.update(genomes.tobytes())
        search.tell([Evaluated(tuple(g), (g[0] // 2, g[1] // 2, g[2]), (float(g[3] > 6),)) for g in genomes])
print(digest.hexdigest())
"""


def test_the_same_search_whatever_the_vector_instructions():
    """numpy sorts equal keys in another order with AVX-512, AVX2 or neither; no search may notice."""
    from numpy._core._multiarray_umath import __cpu_dispatch__ as dispatched

    if not dispatched:
        pytest.skip("this numpy has only one code path")
    results = set()
    for disabled in ("", " ".join(dispatched)):
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={"NPY_DISABLE_CPU_FEATURES": disabled, "PYTHONPATH": ":".join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=True,
        )
        results.add(run.stdout)
    assert len(results) == 1


def toy(genome):
    """A network's made-up error, which falls with its capacity and has interior optima, and its bit operations."""
    phenotype = SPACE.decode(genome)
    layers = phenotype.spec.layers
    operations = sum(layer.n_nonzero * layer.weight_bits for layer in layers)
    capacity = sum(np.log1p(layer.n_nonzero / layer.n_out) * (1 - 2.0 ** (1 - layer.weight_bits)) for layer in layers)
    detours = 0.1 * abs(np.log(phenotype.learning_rate / 0.005)) + 0.02 * (len(layers) - 4) ** 2
    rounding = sum(2.0**-layer.activation_bits for layer in layers[:-1]) + 2.0**-phenotype.spec.input_bits
    return 1 / (1 + capacity) + detours + rounding, np.log10(operations)


@lru_cache(maxsize=32)
def reached(name, seed):
    """Hypervolume of everything found in 25 generations of 24."""
    search, everything = algorithm(name, SPACE, 2, population_size=24, seed=seed), []
    for _ in range(25):
        told = [Evaluated(tuple(genome), toy(genome)) for genome in search.ask()]
        search.tell(told)
        everything += told
    return hypervolume(np.array([one.losses for one in front(everything)]), np.array([1.5, 5.0]))


@pytest.mark.parametrize("seed", range(3))
def test_nsga2_beats_random_search_and_the_libraries_agree(seed):
    volume = {name: reached(name, seed) for name in ALGORITHMS}
    assert volume["nsga2"] > 1.03 * volume["random"]
    assert volume["deap-nsga2"] > 1.03 * volume["random"]
    assert volume["nsga2"] == pytest.approx(volume["deap-nsga2"], rel=0.05)
