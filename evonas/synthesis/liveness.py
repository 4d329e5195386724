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
        if isinstance(node, g.Linear | g.Pool):
            _mark(live[node.inputs[0]], _read(node, wanted))
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


def _read(node: g.Linear | g.Pool, wanted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """What the windows read for the words that are wanted."""
    if isinstance(node, g.Pool):
        return node.gather[wanted]
    groups, positions, _ = node.gather.shape
    outputs = wanted.reshape(positions, groups, -1).transpose(1, 0, 2)  # (G, P, F)
    reads: NDArray[np.bool_] = np.einsum("gpf,gkf->gpk", outputs, node.weight != 0)
    return node.gather[reads]


def _mark(live: NDArray[np.bool_], words: NDArray[np.int64]) -> None:
    live[words[words != g.ABSENT]] = True


def without_dead_weights(graph: g.Graph) -> g.Graph:
    """The same outputs; what no word needs that lives, weights and biases are zero and windows read nothing."""
    live = live_words(graph)
    nodes = [_pruned(node, live[node.name]) if isinstance(node, g.Linear) else node for node in graph.nodes]
    return g.Graph(tuple(nodes), graph.outputs)


def _pruned(node: g.Linear, live: NDArray[np.bool_]) -> g.Linear:
    """The layer without the outputs of a group that are dead at all positions, and without dead positions."""
    groups, positions, _ = node.gather.shape
    words = live.reshape(positions, groups, -1)
    keep, read = np.asarray(words.any(axis=0)), np.asarray(words.any(axis=(1, 2)))
    gather = np.where(read[:, None], node.gather, g.ABSENT) if read.any() else node.gather
    return replace(node, gather=gather, weight=node.weight * keep[:, None], bias=node.bias * keep)
