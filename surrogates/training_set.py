"""Records, and networks to predict, as the arrays that all learners read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, final

import numpy as np

from surrogates.features import features_of
from surrogates.graph_law import graph_costs
from surrogates.layer_law import OURS, flow_of
from surrogates.splits import architecture_groups
from surrogates.table import Floats, layer_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from surrogates.law_choice import LawName
    from surrogates.layer_law import Flow
    from surrogates.records import Stage, SynthesisRecord
    from surrogates.spec import HardwareTarget, ModelSpec
    from surrogates.table import LayerTable


@final
@dataclass(frozen=True)
class TrainingSet:
    """Records as arrays: features (n, p), layers, weights (n,) and the architecture of each record."""

    records: tuple[SynthesisRecord, ...]
    table: LayerTable
    features: Floats
    weights: Floats
    groups: tuple[str, ...]
    graph: Mapping[str, Floats]

    @classmethod
    def of(cls, records: Sequence[SynthesisRecord], weights: Floats, law: LawName = "auto") -> TrainingSet:
        """Lay `records` out in their order; `weights` (n,) belong to them."""
        specs, targets = [record.spec for record in records], [record.target for record in records]
        table = layer_table(specs)
        graph: Mapping[str, Floats] = {}
        if law == "auto" and flow_of(targets[0]) == OURS:
            graph = graph_costs(specs, targets, [record.stage for record in records], table)
        features = features_of(table, np.array([target.clock_period_ns for target in targets], dtype=np.float64))
        return cls(tuple(records), table, features, weights, architecture_groups(specs), graph)

    @property
    def flow(self) -> Flow:
        """Whose closed forms the records have; they are of one tool."""
        return flow_of(self.records[0].target)

    def values(self, target: str) -> Floats:
        """What the tool reported for `target`, (n,)."""
        return np.array([getattr(record, target) for record in self.records], dtype=np.float64)

    def rows(self, keep: NDArray[np.intp]) -> TrainingSet:
        """The records `keep` (m,) alone."""
        records = tuple(self.records[row] for row in keep)
        table = layer_table([record.spec for record in records])
        groups = tuple(self.groups[row] for row in keep)
        graph = {name: costs[keep] for name, costs in self.graph.items()}
        return TrainingSet(records, table, self.features[keep], self.weights[keep], groups, graph)


@final
@dataclass(frozen=True)
class Described:
    """Networks as the arrays that models of all their costs read: their layers, and features (n, p)."""

    specs: Sequence[ModelSpec]
    target: HardwareTarget
    stage: Stage
    table: LayerTable
    features: Floats

    @classmethod
    def of(cls, specs: Sequence[ModelSpec], target: HardwareTarget, stage: Stage) -> Described:
        """Lay `specs`, n of them, out once for all costs."""
        table = layer_table(specs)
        features = features_of(table, np.full(len(specs), float(target.clock_period_ns)))
        return cls(specs, target, stage, table, features)

    @cached_property
    def graph(self) -> Mapping[str, Floats]:
        """What `graph_costs` says of them."""
        n = len(self.specs)
        return graph_costs(self.specs, [self.target] * n, [self.stage] * n, self.table)
