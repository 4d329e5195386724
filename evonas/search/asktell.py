"""What all algorithms share: the protocol, the memory of what was asked, and fresh candidates when short of some."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.errors import ConfigurationError, ProtocolError
from evonas.seeding import stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from evonas.search.base import Evaluated
    from evonas.space import SearchSpace

Genome = tuple[int, ...]
MATING_ROUNDS = 20  # how often mating is tried before missing offspring are sampled
FRUITLESS_SAMPLES = 50  # batches without any unseen genome before the space is walked through


class AskTell(ABC):
    """A generational algorithm as two functions: offspring of a population, and survivors of a pool.

    All state is plain: the survivors, the genomes asked so far and the generation. Every generation draws from random
    streams of its own, named by its number, so failures or top-ups in one do not shift the numbers of the next, and
    algorithms of the same seed start from the same initial population.
    """

    def __init__(
        self,
        space: SearchSpace,
        n_objectives: int,
        n_constraints: int = 0,
        population_size: int = 64,
        seed: int = 0,
        initial: NDArray[np.int64] | Sequence[Genome] | None = None,
    ) -> None:
        for field, value, lowest in (
            ("n_objectives", n_objectives, 1),
            ("n_constraints", n_constraints, 0),
            ("population_size", population_size, 2),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
                raise ConfigurationError(field, value, f"must be an integer of at least {lowest}")
        self.space, self.seed, self.population_size = space, seed, population_size
        self.n_objectives, self.n_constraints = n_objectives, n_constraints
        self._initial: list[Genome] = []
        if initial is not None and len(initial) > 0:
            self._initial = list(dict.fromkeys(rows(space.repair(np.asarray(initial)))))
        if len(self._initial) > population_size:
            raise ConfigurationError("initial", len(self._initial), f"must be at most {population_size} genomes")
        self._generation = 0
        self._survivors: tuple[Evaluated, ...] = ()
        self._seen: set[Genome] = set()
        self._asked: list[Genome] = []

    @abstractmethod
    def _offspring(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """About n canonical children (k, n_genes) of the survivors, of which there is at least one."""

    @abstractmethod
    def _survive(self, pool: list[Evaluated], rng: np.random.Generator) -> list[Evaluated]:
        """The best `population_size` of a pool of different candidates that all have losses."""

    @property
    def generation(self) -> int:
        """Number of completed generations."""
        return self._generation

    def population(self) -> tuple[Evaluated, ...]:
        """The survivors; all have losses."""
        return self._survivors

    def ask(self, n: int | None = None) -> NDArray[np.int64]:
        """The next candidates (n, n_genes), none of them asked before; see `SearchAlgorithm.ask`."""
        if self._asked:
            raise ProtocolError(f"ask called twice: tell what became of the {len(self._asked)} asked candidates first")
        wanted = self.population_size if n is None else n
        if wanted < 1:
            raise ConfigurationError("n", n, "must be at least 1, or left out for the population size")
        found: dict[Genome, None] = {}  # an ordered set
        self._collect(found, self._initial, wanted)
        if self._survivors:
            self._mate(found, wanted)
        self._top_up(found, wanted)
        self._asked = list(found)
        self._seen.update(self._asked)
        return np.array(self._asked, dtype=np.int64).reshape(len(self._asked), self.space.n_genes)

    def select(self, genomes: Sequence[Genome]) -> None:
        """Go on with some of the asked candidates alone; see `SearchAlgorithm.select`."""
        kept = set(genomes)
        if not self._asked or list(genomes) != [genome for genome in self._asked if genome in kept]:
            raise ProtocolError(f"select: expected some of the {len(self._asked)} asked candidates in their order")
        self._seen.difference_update(set(self._asked) - kept)
        self._asked = list(genomes)

    def tell(self, evaluated: Sequence[Evaluated]) -> None:
        """What became of the asked candidates; see `SearchAlgorithm.tell`."""
        if not self._asked:
            raise ProtocolError("tell called before ask: there are no candidates to be told about")
        self._check(evaluated, self._asked, "asked candidates")
        measured = [one for one in evaluated if one.losses is not None]
        if measured:
            pool = [*self._survivors, *measured]
            self._survivors = tuple(self._survive(pool, stream(self.seed, "search", "survival", self._generation)))
        self._asked = []
        self._generation += 1

    def rescore(self, evaluated: Sequence[Evaluated]) -> None:
        """Replace the losses of the survivors; see `SearchAlgorithm.rescore`."""
        if self._asked or self._generation == 0:
            raise ProtocolError("rescore is only possible between a tell and the next ask")
        self._check(evaluated, [one.genome for one in self._survivors], "survivors")
        measured = [one for one in evaluated if one.losses is not None]
        rng = stream(self.seed, "search", "rescore", self._generation)
        self._survivors = tuple(self._survive(measured, rng)) if measured else ()

    def _check(self, evaluated: Sequence[Evaluated], expected: list[Genome], what: str) -> None:
        if len(evaluated) != len(expected):
            raise ProtocolError(f"expected the {len(expected)} {what} in their order, got {len(evaluated)}")
        for position, (one, genome) in enumerate(zip(evaluated, expected, strict=True)):
            where = f"candidate {position} of {len(expected)}"
            if one.genome != genome:
                raise ProtocolError(f"{where}: expected genome {genome}, got {one.genome}")
            if one.losses is None:
                continue
            if len(one.losses) != self.n_objectives:
                raise ProtocolError(f"{where}: expected {self.n_objectives} losses, got {one.losses}")
            if not all(math.isfinite(loss) for loss in one.losses):
                raise ProtocolError(f"{where}: losses must be finite, got {one.losses}; a failure is a Failure")
            if len(one.violations) != self.n_constraints:
                raise ProtocolError(f"{where}: expected {self.n_constraints} violations, got {one.violations}")

    def _collect(self, found: dict[Genome, None], genomes: Iterable[Genome], wanted: int) -> int:
        """Add unseen genomes until there are as many as wanted; returns how many were added."""
        before = len(found)
        for genome in genomes:
            if len(found) >= wanted:
                break
            if genome not in self._seen:
                found[genome] = None
        return len(found) - before

    def _mate(self, found: dict[Genome, None], wanted: int) -> None:
        rng = stream(self.seed, "search", "variation", self._generation)
        for _ in range(MATING_ROUNDS):
            missing = wanted - len(found)
            if missing <= 0:
                break
            self._collect(found, rows(self._offspring(missing, rng)), wanted)

    def _top_up(self, found: dict[Genome, None], wanted: int) -> None:
        """Fill with sampled genomes; walks through the space when sampling hardly meets unseen ones any more."""
        rng = stream(self.seed, "search", "sample", self._generation)
        fruitless = 0
        while len(found) < wanted and len(self._seen) + len(found) < self.space.size:
            if fruitless < FRUITLESS_SAMPLES:
                added = self._collect(found, rows(self.space.sample(wanted, rng)), wanted)
                fruitless = 0 if added else fruitless + 1
                continue
            missing = wanted - len(found)
            unseen = (genome for genome in self.space.enumerate() if genome not in self._seen and genome not in found)
            self._collect(found, list(islice(unseen, missing)), wanted)
            break


def rows(genomes: NDArray[Any]) -> list[Genome]:
    """Genomes (n, n_genes) as tuples of Python integers."""
    return [tuple(row) for row in genomes.tolist()]
