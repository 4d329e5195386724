"""NSGA-II (Deb et al., IEEE Trans. Evol. Comput. 6 (2002) 182) on DEAP; the one door to DEAP.

DEAP supplies non-dominated sorting, crowding and selection. Its tournament is not used: it draws from Python's
global random state and wants populations of multiples of four.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np
from deap.base import Fitness
from deap.tools.emo import assignCrowdingDist, selNSGA2, sortNondominated

from evonas.search.asktell import AskTell
from evonas.space import crossover, mutate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from evonas.search.base import Evaluated

CROSSOVER_RATE = 0.9  # share of pairs that exchange genes before mutation, as in the paper


@final
class _Fitness(Fitness):  # type: ignore[misc]
    """Losses with constraint domination.

    DEAP's own `ConstrainedFitness` looks at violations only where the losses are missing, and cannot be hashed, which
    its sorting needs. Equality covers the violation, because the sorting lumps equal fitnesses together.
    """

    def __init__(self, losses: tuple[float, ...], violation: float) -> None:
        self.weights = (-1.0,) * len(losses)  # minimise all; on the instance, so that no class per number is needed
        self.violation = violation
        self.crowding_dist = 0.0
        super().__init__(losses)

    def dominates(self, other: _Fitness, obj: slice = slice(None)) -> bool:
        if self.violation > 0 or other.violation > 0:
            return self.violation < other.violation
        return bool(super().dominates(other, obj))

    def __hash__(self) -> int:
        return hash((self.wvalues, self.violation))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Fitness) and (self.wvalues, self.violation) == (other.wvalues, other.violation)


@final
class _Individual:
    """An evaluated candidate as DEAP wants it."""

    def __init__(self, evaluated: Evaluated, losses: tuple[float, ...]) -> None:
        self.evaluated = evaluated
        self.fitness = _Fitness(losses, evaluated.violation)


def _individuals(pool: Sequence[Evaluated]) -> list[_Individual]:
    """The pool with the losses that vary in it.

    A constant loss decides no domination, but DEAP would give the first and the last candidate an infinite crowding
    distance for it and so protect an arbitrary pair.
    """
    losses = np.array([one.losses for one in pool], dtype=np.float64)
    varying = losses.max(axis=0) > losses.min(axis=0)
    if not varying.any():
        varying[0] = True
    return [_Individual(one, tuple(row)) for one, row in zip(pool, losses[:, varying].tolist(), strict=True)]


@final
class DeapNSGA2(AskTell):
    """NSGA-II with DEAP's non-dominated sorting and crowding distance, and our tournament and variation."""

    def _offspring(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        adults = _individuals(self._survivors)
        for front in sortNondominated(adults, len(adults)):
            assignCrowdingDist(front)
        genomes = np.array([one.evaluated.genome for one in adults], dtype=np.int64)
        pairs = (n + 1) // 2
        mothers, fathers = genomes[_tournament(adults, pairs, rng)], genomes[_tournament(adults, pairs, rng)]
        crossed = rng.random((pairs, 1)) < CROSSOVER_RATE
        first, second = crossover(self.space, mothers, fathers, rng)
        children = np.concatenate([np.where(crossed, first, mothers), np.where(crossed, second, fathers)])
        return mutate(self.space, children, rng)[:n]

    def _survive(self, pool: list[Evaluated], rng: np.random.Generator) -> list[Evaluated]:
        shuffled = rng.permutation(len(pool))  # DEAP sorts stably, so ties would favour the older candidates
        individuals = _individuals([pool[index] for index in shuffled])
        chosen: list[Any] = selNSGA2(individuals, min(self.population_size, len(individuals)))
        return [one.evaluated for one in chosen]


def _tournament(adults: list[_Individual], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices (n,) of winners of binary tournaments by domination, then crowding, then chance."""
    repeats = -(-2 * n // len(adults))
    order = np.concatenate([rng.permutation(len(adults)) for _ in range(repeats)])[: 2 * n].reshape(n, 2)
    heads = rng.random(n) < 0.5
    winners = np.where(heads, order[:, 0], order[:, 1])
    for game, (a, b) in enumerate(order.tolist()):
        first, second = adults[a].fitness, adults[b].fitness
        if first.dominates(second):
            winners[game] = a
        elif second.dominates(first):
            winners[game] = b
        elif first.crowding_dist != second.crowding_dist:
            winners[game] = a if first.crowding_dist > second.crowding_dist else b
    return winners
