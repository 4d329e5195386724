"""Which words of a graph matter: what no output depends on takes no hardware."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from evonas.synthesis import graph as g

if TYPE_CHECKING:
    from numpy.typing import NDArray

ONE_TO_ONE = (g.Scale, g.Rectify, g.Clip, g.Steps, g.Table, g.Lookup)


def live_words(graph: g.Graph) -> dict[str, NDArray[np.bool_]]:
    """For each node (size,): whether a word can change an output, as far as zero weights tell."""
    live = {node.name: np.full(node.size, node.name in graph.outputs) for node in graph.nodes}
    for node in reversed(graph.nodes):
        wanted = live[node.name]
        if isinstance(node, g.Linear):
            groups, positions, _ = node.gather.shape
            outputs = wanted.reshape(positions, groups, -1).transpose(1, 0, 2)  # (G, P, F)
            reads = np.einsum("gpf,gkf->gpk", outputs, node.weight != 0)
            _mark(live[node.inputs[0]], node.gather[reads])
        elif isinstance(node, g.Rearrange):
            ends = np.cumsum([live[name].size for name in node.inputs])
            read = node.gather[wanted & (node.gather != g.ABSENT)]
            for name, end in zip(node.inputs, ends, strict=True):
                inside = read - (end - live[name].size)
                _mark(live[name], inside[(inside >= 0) & (inside < live[name].size)])
        elif isinstance(node, ONE_TO_ONE):
            live[node.inputs[0]] |= wanted
        elif isinstance(node, g.Merge):
            for name in node.inputs:
                _mark(live[name], np.flatnonzero(wanted) % live[name].size)
        elif wanted.any():
            for name in node.inputs:
                live[name][:] = True
    return live


def _mark(live: NDArray[np.bool_], words: NDArray[np.int64]) -> None:
    live[words[words != g.ABSENT]] = True


def without_dead_weights(graph: g.Graph) -> g.Graph:
    """The same outputs, with the weights and biases of dense layers' dead words set to zero."""
    live = live_words(graph)
    nodes: list[g.Node] = []
    for node in graph.nodes:
        if isinstance(node, g.Linear) and node.gather.shape[:2] == (1, 1) and not live[node.name].all():
            keep = live[node.name]
            node = replace(node, weight=node.weight * keep, bias=node.bias * keep)
        nodes.append(node)
    return g.Graph(tuple(nodes), graph.outputs)
