"""The layer-graph network that comes with the package, in the place of a closed form: what a residual starts from.

It has learnt from thousands of networks of all families what the closed forms of `surrogates.layer_law` learn from the
records of one fit. Where those records are of our own tools, held-out architectures say which of the two is the better
law (`surrogates.law_choice`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, final

import numpy as np

from surrogates.graph_table import FEATURES, GraphTable
from surrogates.layer_graph import LEARNT, LayerGraph
from surrogates.layer_law import OURS, Flow, flow_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from surrogates.records import Stage
    from surrogates.spec import HardwareTarget, ModelSpec
    from surrogates.table import Floats, LayerTable

FILE = "layer_graph.npz"  # made by experiments/synthesis_records/train.py


@cache
def shipped() -> LayerGraph | None:
    """The network that comes with the package; None in a checkout that has none."""
    resource = files("surrogates.pretrained") / FILE
    if not resource.is_file():
        return None
    with as_file(resource) as path:
        return LayerGraph.load(path, len(FEATURES))


def graph_costs(
    specs: Sequence[ModelSpec],
    targets: Sequence[HardwareTarget],
    stages: Sequence[Stage],
    layers: LayerTable | None = None,
) -> Mapping[str, Floats]:
    """log(1 + cost) of n networks by the shipped network, (n,) for each cost that it has learnt; none without it.

    `layers` are those of the networks, if they are laid out already.
    """
    graph = shipped()
    if graph is None:
        return {}
    mean = dict(graph.predict(GraphTable.of(specs, targets, stages=stages, layers=layers)).mean)
    mean["latency_cycles"] = np.log1p(np.maximum(mean["latency_cycles"], 1.0))
    return {name: mean[name] for name in LEARNT}


def graph_digest(target: HardwareTarget) -> str:
    """Digest of the network that predictions for this target may depend on; empty where there is none."""
    graph = shipped() if flow_of(target) == OURS else None
    return "" if graph is None else graph.digest


@final
@dataclass(frozen=True)
class GraphLaw:
    """The law of one target; nothing of it is fitted."""

    target: str
    flow: Flow = OURS

    def of(self, costs: Mapping[str, Floats]) -> Floats:
        """log(1 + cost) of each network, (n,), out of what `graph_costs` gives."""
        return costs[self.target]
