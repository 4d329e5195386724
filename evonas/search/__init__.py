"""Search algorithms behind one strict ask/tell contract; the libraries are loaded when an algorithm is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evonas.errors import ConfigurationError
from evonas.search.base import Evaluated, SearchAlgorithm
from evonas.search.front import front, ranks, reference_point

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from evonas.search.asktell import AskTell
    from evonas.space import SearchSpace

ALGORITHMS = ("nsga2", "deap-nsga2", "random")


def algorithm(
    name: str,
    space: SearchSpace,
    n_objectives: int,
    n_constraints: int = 0,
    population_size: int = 64,
    seed: int = 0,
    initial: NDArray[np.int64] | Sequence[tuple[int, ...]] | None = None,
) -> SearchAlgorithm:
    """A search algorithm by name; `initial` genomes (at most the population size) are asked first."""
    return _load(name)(space, n_objectives, n_constraints, population_size, seed, initial)


def _load(name: str) -> type[AskTell]:
    """The class of a name; imports its library."""
    if name == "nsga2":
        from evonas.search._pymoo import PymooNSGA2

        return PymooNSGA2
    if name == "deap-nsga2":
        from evonas.search._deap import DeapNSGA2

        return DeapNSGA2
    if name == "random":
        from evonas.search.random_search import RandomSearch

        return RandomSearch
    raise ConfigurationError("search.algorithm", name, f"must be one of {', '.join(ALGORITHMS)}")


def best(
    losses: NDArray[np.float64], violations: NDArray[np.float64], n: int, rng: np.random.Generator
) -> list[int]:
    """Indices of the n best of losses (k, m) with summed violations (k,): feasible, by front, then by crowding."""
    from evonas.search._pymoo import best as survivors

    return survivors(losses, violations, n, rng)


def hypervolume(losses: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Volume that losses (n, m) dominate below the reference point (m,); see `evonas.search._moocore`."""
    from evonas.search._moocore import hypervolume as volume

    return volume(losses, reference)


def nondominated(losses: NDArray[np.float64], keep_equal: bool = False) -> NDArray[np.bool_]:
    """Mask (n,) of the nondominated losses (n, m); of equal rows the first, or all of them."""
    from evonas.search._moocore import nondominated as mask

    return mask(losses, keep_equal)


__all__ = [
    "ALGORITHMS",
    "Evaluated",
    "SearchAlgorithm",
    "algorithm",
    "best",
    "front",
    "hypervolume",
    "nondominated",
    "ranks",
    "reference_point",
]
