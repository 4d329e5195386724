"""What a training will come to, from its scores so far and from trainings that went to their end.

A regression on the partial curve together with hyper-parameters (Baker et al., arXiv 1705.10823). Scores early in a
training do not only differ by how good the networks are: a high learning rate looks bad until it falls, and what will
be pruned looks good until it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from surrogates.layers import LayerSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from surrogates.spec import ModelSpec
    from surrogates.table import Floats

FEWEST = 8  # finished trainings, below which nothing is learned


def curve_features(spec: ModelSpec, learning_rate: float, normalised: bool, scores: Sequence[float]) -> Floats:
    """What is known of a training (p,): its network, how it is trained, and its positive scores so far, in order."""
    layers = [part for part in spec.layers if isinstance(part, LayerSpec)]
    weights = np.array([layer.n_weights for layer in layers], np.float64)
    shares = weights / weights.sum()
    bits = [float(shares @ [getattr(layer, name) for layer in layers]) for name in ("weight_bits", "activation_bits")]
    kept = sum(layer.n_nonzero for layer in layers)
    known = [np.log(weights.sum()), np.log(kept), *bits, spec.input_bits, np.log(learning_rate), float(normalised)]
    return np.array([*known, *np.log(np.maximum(scores, 1e-9))])


def extrapolated(finished: Floats, finals: Floats, going_on: Floats) -> Floats | None:
    """Predicted last scores (k,) of trainings `going_on` (k, p), learned from those of `finished` (n, p) and `finals`.

    None while fewer than `FEWEST` are finished.
    """
    if len(finished) < FEWEST:
        return None
    from surrogates._sklearn import ridge

    return np.exp(ridge(finished, np.log(np.maximum(finals, 1e-9)))(going_on))
