"""NSGA-II (Deb et al., IEEE Trans. Evol. Comput. 6 (2002) 182) on pymoo; the one door to pymoo.

pymoo supplies selection, mating and survival; its `Algorithm` object, whose termination, display and optimum we do
not need, is never advanced. That leaves no state outside the survivors, so a generation of which some or all
candidates failed is nothing special.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2, binary_tournament
from pymoo.core.crossover import Crossover
from pymoo.core.mutation import Mutation
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.repair import Repair
from pymoo.operators.selection.tournament import TournamentSelection
from pymoo.operators.survival.rank_and_crowding import RankAndCrowding

from evonas.search.asktell import AskTell
from evonas.space import crossover, mutate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from evonas.search.asktell import Genome
    from evonas.search.base import Evaluated
    from evonas.space import SearchSpace


@final
class _Crossover(Crossover):  # type: ignore[misc]
    """Two parents, two children; parents (2, n, n_genes)."""

    def __init__(self, space: SearchSpace) -> None:
        super().__init__(n_parents=2, n_offsprings=2, prob=0.9)
        self.space = space

    def _do(self, _problem: Any, X: NDArray[np.int64], *_args: Any, random_state: Any = None, **_kw: Any) -> Any:
        return np.stack(crossover(self.space, X[0], X[1], random_state))


@final
class _Mutation(Mutation):  # type: ignore[misc]
    """At least one gene of every child."""

    def __init__(self, space: SearchSpace) -> None:
        super().__init__(prob=1.0)
        self.space = space

    def _do(self, _problem: Any, X: NDArray[np.int64], *_args: Any, random_state: Any = None, **_kw: Any) -> Any:
        return mutate(self.space, X, random_state)


@final
class _Repair(Repair):  # type: ignore[misc]
    """The space's own repair."""

    def __init__(self, space: SearchSpace) -> None:
        super().__init__()
        self.space = space

    def _do(self, _problem: Any, X: NDArray[np.int64], **_kw: Any) -> Any:
        return self.space.repair(X)


@final
class StableRankAndCrowding(RankAndCrowding):  # type: ignore[misc]
    """pymoo's survival with stable sorts.

    pymoo breaks ties of crowding and of violations by numpy's quicksort, whose order of equal keys depends on the
    vector instructions of the processor; boundary points, all of infinite crowding, make ties the rule. A study that
    is resumed on another machine would then breed another population.
    """

    def __init__(self) -> None:
        super().__init__()
        self.filter_infeasible = False  # done here, because pymoo's own split sorts unstably

    def _do(
        self, _problem: Any, pop: Any, *_args: Any, random_state: Any = None, n_survive: int = 0, **_kw: Any
    ) -> Any:
        losses = pop.get("F").astype(np.float64)
        violations = pop.get("CV")[:, 0]
        feasible = np.flatnonzero(violations <= 0)
        infeasible = np.flatnonzero(violations > 0)
        survivors: list[int] = []
        for rank, members in enumerate(self.nds.do(losses[feasible], n_stop_if_ranked=n_survive)):
            front = feasible[members]
            crowding = self.crowding_func.do(losses[front])
            for index, distance in zip(front, crowding, strict=True):
                pop[index].set("rank", rank)
                pop[index].set("crowding", distance)
            shuffled = random_state.permutation(len(front))  # or ties would favour the older candidates
            best = shuffled[np.argsort(-crowding[shuffled], kind="stable")]
            survivors.extend(front[best][: n_survive - len(survivors)])
        order = infeasible[np.argsort(violations[infeasible], kind="stable")]
        survivors.extend(order[: n_survive - len(survivors)])
        return pop[survivors]


def best(losses: NDArray[Any], violations: NDArray[Any], n: int, rng: np.random.Generator) -> list[int]:
    """Indices of the n that NSGA-II would let survive of losses (k, m) with summed violations (k,)."""
    individuals = Population.new(
        X=np.arange(len(losses))[:, None],
        F=np.asarray(losses, np.float64),
        G=np.asarray(violations, np.float64)[:, None],
    )
    problem = Problem(n_var=1, n_obj=losses.shape[1], n_ieq_constr=1)
    survivors = StableRankAndCrowding().do(problem, individuals, n_survive=n, random_state=rng)
    return [int(index) for index in survivors.get("X")[:, 0]]


@final
class PymooNSGA2(AskTell):
    """NSGA-II with pymoo's binary tournament, mating, non-dominated sorting and crowding distance."""

    def __init__(
        self,
        space: SearchSpace,
        n_objectives: int,
        n_constraints: int = 0,
        population_size: int = 64,
        seed: int = 0,
        initial: NDArray[np.int64] | Sequence[Genome] | None = None,
    ) -> None:
        super().__init__(space, n_objectives, n_constraints, population_size, seed, initial)
        self._nsga2 = NSGA2(
            pop_size=population_size,
            selection=TournamentSelection(func_comp=binary_tournament),
            crossover=_Crossover(space),
            mutation=_Mutation(space),
            repair=_Repair(space),
            survival=StableRankAndCrowding(),
            eliminate_duplicates=False,  # AskTell does it, against everything ever asked
        )
        self._nsga2.mating.n_max_iterations = 1
        self._problem = Problem(n_var=space.n_genes, n_obj=n_objectives, n_ieq_constr=n_constraints, vtype=int)

    def _offspring(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        parents = self._ranked(list(self._survivors), len(self._survivors), rng)
        self._nsga2.random_state = rng  # the tournament reads it there, the rest takes it as an argument
        children = self._nsga2.mating.do(self._problem, parents, n, algorithm=self._nsga2, random_state=rng)
        return np.asarray(children.get("X"), dtype=np.int64)

    def _survive(self, pool: list[Evaluated], rng: np.random.Generator) -> list[Evaluated]:
        by_genome = {one.genome: one for one in pool}
        survivors = self._ranked(pool, self.population_size, rng)
        return [by_genome[tuple(genome)] for genome in survivors.get("X").tolist()]

    def _ranked(self, pool: list[Evaluated], n: int, rng: np.random.Generator) -> Any:
        """The best n as a pymoo population whose feasible members know their rank and crowding."""
        individuals = Population.new(
            X=np.array([one.genome for one in pool], dtype=np.int64),
            F=np.array([one.losses for one in pool], dtype=np.float64),
            # one column even without constraints, because pymoo reads the violation of individuals it never evaluated
            G=np.array([one.violations or (0.0,) for one in pool], dtype=np.float64),
        )
        return self._nsga2.survival.do(self._problem, individuals, n_survive=n, random_state=rng)
