"""What the syntheses that a study may choose are expected to take, and whether they will end with a result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evonas.study.study import Study
    from surrogates import ModelSpec


@final
@dataclass(frozen=True)
class Effort:
    """Of one synthesis: the expected time, and the probability that it ends with a result within the time allowed."""

    seconds: float
    success: float


def expected_efforts(study: Study, specs: Sequence[ModelSpec]) -> dict[str, Effort]:
    """By digest of the networks; empty where too few syntheses are known to expect anything."""
    expected = study.forecast.effort(specs, study.state) if specs else None
    if expected is None:
        return {}
    values = zip(expected.seconds.tolist(), expected.success.tolist(), strict=True)
    return {spec.digest: Effort(*value) for spec, value in zip(specs, values, strict=True)}
