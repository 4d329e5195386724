"""A surrogate that fits in microseconds: a closed form times the median ratio of the records it was given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from surrogates import TARGETS
from surrogates.prediction import Prediction
from surrogates.records import training_digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from surrogates import HardwareTarget, ModelSpec, SynthesisRecord
    from surrogates.prediction import Foreseen


class InstantSurrogate:
    """As far as a study is concerned, a `ResidualSurrogate`."""

    def __init__(self) -> None:
        self.records: tuple[SynthesisRecord, ...] = ()
        self.version = "unfitted"
        self.foreseen: Foreseen = {}
        self._factor = 1.0

    @property
    def learners(self) -> dict[str, str]:
        return dict.fromkeys(TARGETS, "ratio")

    def fresh(self, foreseen: Foreseen | None = None) -> InstantSurrogate:
        return InstantSurrogate()

    def fit(self, records: Sequence[SynthesisRecord], weights: Any = None) -> Self:
        self.records = tuple(records)
        self.version = f"instant-{training_digest(records)[:12]}"
        self._factor = float(np.median(sorted(r.lut / _size(r.spec) for r in records)))
        return self

    def predict(self, specs: Sequence[ModelSpec], target: HardwareTarget) -> Prediction:
        size = np.array([_size(spec) for spec in specs], dtype=np.float64)
        depth = np.array([1.0 + len(spec.layers) for spec in specs])
        none, one = np.zeros(len(specs)), np.ones(len(specs))
        mean = {"lut": self._factor * size, "ff": 20 * depth, "dsp": none, "bram_18k": none}
        mean |= {"latency_cycles": depth, "initiation_interval": one}
        spread = {name: np.full(len(specs), 0.1) for name in TARGETS}
        return Prediction(
            mean=mean,
            std={name: 0.1 * (1 + mean[name]) for name in TARGETS},
            log_std=spread,
            lower={name: 0.8 * mean[name] for name in TARGETS},
            upper={name: 1.2 * mean[name] for name in TARGETS},
            version=self.version,
        )


def _size(spec: ModelSpec) -> float:
    return float(sum(layer.n_nonzero * layer.weight_bits for layer in spec.layers))
