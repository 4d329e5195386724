"""Which law a surrogate of one cost starts from: closed forms of layers, or the layer-graph network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from surrogates.calibration import weighted_quantile
from surrogates.graph_law import GraphLaw
from surrogates.layer_law import LayerLaw
from surrogates.splits import group_folds

if TYPE_CHECKING:
    from surrogates.table import Floats
    from surrogates.training_set import Described, TrainingSet

Law = LayerLaw | GraphLaw
LawName = Literal["auto", "closed forms"]
LAWS: tuple[LawName, ...] = get_args(LawName)
N_FOLDS = 6


def chosen_law(data: TrainingSet, target: str) -> Law:
    """The fitted law of layers or the layer-graph network, whichever errs less on held-out architectures.

    Both without a residual, and without what it takes away first, a common factor. With too few architectures to say,
    the network that has seen thousands.
    """
    fitted = refitted(LayerLaw.plain(target, data.flow), data)
    if target not in data.graph:
        return fitted
    law = GraphLaw(target)
    if len(set(data.groups)) < 3:
        return law
    truth, errors = np.log1p(data.values(target)), {}
    everything = np.arange(len(data.records))
    for candidate in (fitted, law):
        left = np.empty(len(truth))
        for fold in group_folds(data.groups, N_FOLDS):
            train, test = data.rows(np.setdiff1d(everything, fold)), data.rows(fold)
            own = refitted(candidate, train)
            factor = weighted_quantile(np.log1p(train.values(target)) - log_cost(own, train), train.weights, 0.5)
            left[fold] = truth[fold] - log_cost(own, test) - factor
        errors[candidate is law] = float(np.average(np.abs(left), weights=data.weights))
    return law if errors[True] < errors[False] else fitted


def refitted(kind: Law, data: TrainingSet) -> Law:
    """A law of the same kind, fitted to `data` if there is something to fit."""
    if isinstance(kind, GraphLaw):
        return kind
    return LayerLaw.fit(data.table, data.values(kind.target), data.weights, kind.target, data.flow)


def log_cost(law: Law, networks: TrainingSet | Described) -> Floats:
    """log(1 + cost) by the law alone (n,)."""
    return law.of(networks.graph) if isinstance(law, GraphLaw) else law.log_cost(networks.table)
