"""Which candidates are worth a synthesis: some on the front, some unsure, some far from all known, some at random."""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING, Literal, final, get_args

import numpy as np

from surrogates.features import COMPACT, feature_matrix

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from surrogates.prediction import Surrogate
    from surrogates.spec import HardwareTarget, ModelSpec
    from surrogates.table import Floats

Reason = Literal["front", "uncertain", "diverse", "random", "improvement"]
REASONS: tuple[Reason, ...] = get_args(Reason)
LEAST_SUCCESS = 0.5  # probability below which a synthesis is left to chance


@final
@dataclass(frozen=True)
class Shares:
    """Shares of the syntheses by reason, relative to each other.

    `front` pays for what the user will look at, `uncertain` and `diverse` for what the surrogate does not know,
    `improvement` for what may beat all that is verified, and `random` is the control: only errors on candidates drawn
    at random are an unbiased estimate for the search space.
    """

    front: float = 0.3
    uncertain: float = 0.15
    diverse: float = 0.15
    random: float = 0.2
    improvement: float = 0.2

    def __post_init__(self) -> None:
        shares = astuple(self)
        if min(shares) < 0 or not 0 < sum(shares) < float("inf"):
            raise ValueError(f"shares {shares}: none may be negative and one must be positive")

    def quotas(self, n: int) -> dict[Reason, int]:
        """Whole numbers that add up to n, by largest remainder; earlier reasons win ties."""
        exact = np.array(astuple(self)) / sum(astuple(self)) * n
        counts = np.floor(exact).astype(int)
        for place in np.argsort(-(exact - counts), kind="stable")[: n - counts.sum()]:
            counts[place] += 1
        return {reason: int(count) for reason, count in zip(REASONS, counts, strict=True)}


@final
@dataclass(frozen=True)
class Pick:
    """A network to synthesise and why."""

    spec: ModelSpec
    reason: Reason


def choose(
    front: Sequence[ModelSpec],
    pool: Sequence[ModelSpec],
    n: int,
    *,
    surrogate: Surrogate,
    target: HardwareTarget,
    known: Collection[ModelSpec],
    rng: np.random.Generator,
    shares: Shares | None = None,
    improvement: Mapping[str, float] | None = None,
    success: Mapping[str, float] | None = None,
) -> list[Pick]:
    """At most n different networks of `front` and `pool` that are not in `known` (those already synthesised).

    `front` holds the predicted non-dominated networks; `pool` any others worth a look and may contain the front.
    `improvement` says, by digest, how much a network is expected to add to what is verified, such as the expected
    improvement of the hypervolume (Emmerich et al., IEEE TEVC 10, 421, 2006); without it that share is the front's.
    `success` is the probability, by digest, that a synthesis ends with a result (1 where it is not named): improvements
    are multiplied by it, and what fails more often than not is left to the random share. That is drawn first, from all
    candidates, so that nothing else conditions it. A reason that runs out of candidates leaves its places to the
    others; fewer than n come back only if there are fewer candidates. The result depends on the contents of the
    collections, not on their order. Raises `ValueError` for a negative n.
    """
    if n < 0:
        raise ValueError(f"n = {n}: cannot choose a negative number of networks")
    done = {spec.digest for spec in known}
    candidates = _distinct([*front, *pool], done)
    if n == 0 or not candidates:
        return []
    chooser = _Chooser(candidates, _distinct(known, set()), {spec.digest for spec in front}, surrogate, target)
    chooser.success = np.array([(success or {}).get(spec.digest, 1.0) for spec in candidates])
    wanted = shares or Shares()
    if improvement is None:
        wanted = replace(wanted, front=wanted.front + wanted.improvement, improvement=0.0)
    quotas = wanted.quotas(min(n, len(candidates)))
    chooser.at_random(quotas["random"], rng)
    chooser.most_improving(quotas["improvement"], improvement or {})
    chooser.spread(quotas["front"], "front")
    chooser.most_uncertain(quotas["uncertain"])
    chooser.spread(quotas["diverse"], "diverse")
    # places that a short front left over: first what teaches most, last what will hardly end
    chooser.most_uncertain(min(n, len(candidates)) - len(chooser.picks))
    chooser.at_random(min(n, len(candidates)) - len(chooser.picks), rng)
    return chooser.picks


def _distinct(specs: Collection[ModelSpec], without: Collection[str]) -> list[ModelSpec]:
    by_digest = {spec.digest: spec for spec in specs if spec.digest not in without}
    return [by_digest[digest] for digest in sorted(by_digest)]


@final
class _Chooser:
    """Free candidates, the picks so far, and the distance of every candidate to what is known or picked."""

    def __init__(
        self,
        candidates: list[ModelSpec],
        known: list[ModelSpec],
        front: Collection[str],
        surrogate: Surrogate,
        target: HardwareTarget,
    ) -> None:
        self.candidates, self.picks = candidates, list[Pick]()
        self.free = np.ones(len(candidates), dtype=bool)
        self.success = np.ones(len(candidates))
        self.on_front = np.array([spec.digest in front for spec in candidates])
        self.doubt = surrogate.predict(candidates, target).log_std["lut"]
        features = feature_matrix([*candidates, *known], target)[:, : len(COMPACT)]
        spread = features.std(axis=0)
        scaled = (features - features.mean(axis=0)) / np.where(spread > 1e-9, spread, 1.0)
        self.points = scaled[: len(candidates)]
        self.distance = np.full(len(candidates), np.inf)
        for point in scaled[len(candidates) :]:
            self._approach(point)

    def _approach(self, point: Floats) -> None:
        self.distance = np.minimum(self.distance, np.sqrt(np.sum((self.points - point) ** 2, axis=1)))

    def _take(self, row: int, reason: Reason) -> None:
        self.free[row] = False
        self._approach(self.points[row])
        self.picks.append(Pick(self.candidates[row], reason))

    @property
    def likely(self) -> NDArray[np.bool_]:
        """Free candidates (n,) whose synthesis is expected to end with a result."""
        likely: NDArray[np.bool_] = self.free & (self.success >= LEAST_SUCCESS)
        return likely

    def at_random(self, n: int, rng: np.random.Generator) -> None:
        """Draw n free candidates uniformly."""
        free = np.flatnonzero(self.free)
        for row in rng.choice(free, size=min(n, len(free)), replace=False):
            self._take(int(row), "random")

    def spread(self, n: int, reason: Literal["front", "diverse"]) -> None:
        """Greedy maximin (k-centre): each time the free candidate farthest from all that is known or picked."""
        for _ in range(n):
            allowed = self.likely & self.on_front if reason == "front" else self.likely
            if not allowed.any():
                return
            self._take(int(np.argmax(np.where(allowed, self.distance, -1.0))), reason)

    def most_improving(self, n: int, improvement: Mapping[str, float]) -> None:
        """The free candidates of the largest expected improvement, as long as it is one."""
        gains = self.success * np.array([improvement.get(spec.digest, 0.0) for spec in self.candidates])
        for row in np.argsort(-gains, kind="stable"):
            if n > 0 and self.likely[row] and gains[row] > 0:
                self._take(int(row), "improvement")
                n -= 1

    def most_uncertain(self, n: int) -> None:
        """The free candidates of the largest predicted spread of log LUT."""
        likely = self.likely
        for row in np.argsort(np.where(likely, -self.doubt, np.inf), kind="stable")[: min(n, int(likely.sum()))]:
            self._take(int(row), "uncertain")
