"""When a surrogate is recalibrated, and how much one recalibration may take; asked after each generation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, final, get_args

import numpy as np

from surrogates.errors import SurrogateError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from surrogates.acquisition import Pick
    from surrogates.spec import HardwareTarget, ModelSpec
    from surrogates.table import Floats

PolicyName = Literal["every", "error", "novelty"]
NEIGHBOURS = 0.9  # share of the known networks that are not farther from their nearest neighbour than "near"


@final
@dataclass(frozen=True)
class Observed:
    """What the last recalibration found on new designs before it refitted, of one target; None where unknown."""

    median_relative_error: float | None
    coverage: float | None


@final
@dataclass(frozen=True)
class Situation:
    """What a policy may look at.

    `generation` is the newest one, from 0, and `last` that of the last recalibration, None before the first; `observed`
    goes by target. `front` are the networks that are non-dominated by prediction, `known` those with records.
    """

    generation: int
    last: int | None
    front: Sequence[ModelSpec]
    known: Sequence[ModelSpec]
    target: HardwareTarget
    observed: Mapping[str, Observed] = field(default_factory=dict)

    @property
    def waited(self) -> int:
        """Generations since the last recalibration, or since the beginning."""
        return self.generation - (-1 if self.last is None else self.last)


class Policy(Protocol):
    """Says whether to recalibrate now, by the situation alone: a search that is resumed goes the same way."""

    def due(self, situation: Situation) -> bool:
        """Whether to recalibrate after the newest generation."""


@final
@dataclass(frozen=True)
class Every:
    """After every so many generations."""

    generations: int

    def due(self, situation: Situation) -> bool:
        """See `Policy`."""
        return (situation.generation + 1) % self.generations == 0


@final
@dataclass(frozen=True)
class OnError:
    """Generation after generation while the surrogate was wrong about the last designs, else after `longest` of them.

    Wrong: a median relative error above `error`, or fewer than `coverage` of the truths within the 90 % intervals, for
    any target.
    """

    longest: int
    error: float = 0.1
    coverage: float = 0.75

    def due(self, situation: Situation) -> bool:
        """See `Policy`."""
        wrong = any(
            (seen.median_relative_error or 0.0) > self.error
            or (seen.coverage is not None and seen.coverage < self.coverage)
            for seen in situation.observed.values()
        )
        return situation.waited >= (1 if wrong else self.longest)


@final
@dataclass(frozen=True)
class OnNovelty:
    """As soon as `share` of the front is unlike all that has records, else after `longest` generations.

    Unlike: farther from its nearest known network than nine tenths of the known ones are from theirs, by compact
    features scaled to the spread of the known ones.
    """

    longest: int
    share: float = 0.5

    def due(self, situation: Situation) -> bool:
        """See `Policy`."""
        return situation.waited >= self.longest or self.novel(situation) >= self.share

    def novel(self, situation: Situation) -> float:
        """Share of the front that is unlike what is known; 0 without a front, 1 with fewer than two known networks."""
        from surrogates.features import COMPACT, feature_matrix

        known = list({spec.digest: spec for spec in situation.known}.values())
        if not situation.front or len(known) < 2:
            return float(bool(situation.front))
        features = feature_matrix([*known, *situation.front], situation.target)[:, : len(COMPACT)]
        spread = features[: len(known)].std(axis=0)
        scaled = features / np.where(spread > 1e-9, spread, 1.0)
        ours, theirs = scaled[: len(known)], scaled[len(known) :]
        among = _distances(ours, ours) + np.diag(np.full(len(ours), np.inf))
        near = float(np.quantile(among.min(axis=1), NEIGHBOURS))
        return float(np.mean(_distances(theirs, ours).min(axis=1) > near))


def policy(name: PolicyName, generations: int) -> Policy:
    """The policy of this name, with its interval or its longest wait. Raises `SurrogateError` for another name."""
    made: dict[str, Policy] = {
        "every": Every(generations), "error": OnError(generations), "novelty": OnNovelty(generations)
    }  # fmt: skip
    if name not in made:
        raise SurrogateError(f"policy {name!r}: must be one of {', '.join(get_args(PolicyName))}")
    return made[name]


def affordable(picks: Sequence[Pick], seconds: Floats, budget_s: float) -> list[Pick]:
    """The first of `picks` whose expected `seconds` (n,) together stay within the budget, but at least one."""
    within = np.cumsum(seconds) <= budget_s
    return [pick for pick, fits in zip(picks, within, strict=True) if fits] or list(picks[:1])


def _distances(left: Floats, right: Floats) -> Floats:
    """Euclidean distances (n, m) between rows."""
    distances: Floats = np.sqrt(((left[:, None, :] - right[None, :, :]) ** 2).sum(axis=2))
    return distances
