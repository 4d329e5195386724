"""Random search: the baseline that an algorithm has to beat."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np

from evonas.search.asktell import AskTell
from evonas.search.front import ranks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evonas.search.base import Evaluated


@final
class RandomSearch(AskTell):
    """Samples the space without replacement; the survivors are the best of all so far by Pareto rank."""

    def _offspring(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        return self.space.sample(n, rng)

    def _survive(self, pool: list[Evaluated], rng: np.random.Generator) -> list[Evaluated]:
        del rng
        losses = np.array([one.losses for one in pool], dtype=np.float64)
        order = np.argsort(ranks(losses, np.array([one.violation for one in pool])), kind="stable")
        return [pool[index] for index in order[: self.population_size]]
