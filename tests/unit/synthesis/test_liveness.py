"""Words that no output depends on: found, and their weights removed without changing an output."""

from dataclasses import replace

import numpy as np
import pytest
from fakes.graphs import random_graph

from evonas.synthesis import graph as g
from evonas.synthesis.evaluate import evaluate, trace
from evonas.synthesis.liveness import live_words, without_dead_weights


def sparse(seed):
    """A random graph with most of its weights gone."""
    graph, rng = random_graph(seed, depth=4, size=5), np.random.default_rng(seed)
    nodes = [
        replace(n, weight=n.weight * (rng.random(n.weight.shape) < 0.3)) if isinstance(n, g.Linear) else n
        for n in graph.nodes
    ]
    return g.Graph(tuple(nodes), graph.outputs)


@pytest.mark.parametrize("seed", range(20))
def test_outputs_stay_and_dead_words_change_nothing(seed):
    graph = sparse(seed)
    x = np.random.default_rng(1).uniform(-3, 3, (100, 5))
    expected = evaluate(graph, x)[0]
    pruned = without_dead_weights(graph)
    assert np.array_equal(evaluate(pruned, x)[0], expected)
    live, before, after = live_words(graph), trace(graph, x), trace(pruned, x)
    for name, words in live.items():
        assert np.array_equal(before[name][:, words], after[name][:, words])
    noise = x + np.random.default_rng(2).uniform(-3, 3, x.shape) * ~live["x"]
    assert np.array_equal(evaluate(graph, noise)[0], expected)


def test_weights_of_dead_words_are_gone():
    graphs = [sparse(seed) for seed in range(20)]
    removed = 0
    for graph in graphs:
        for node, kept in zip(graph.nodes, without_dead_weights(graph).nodes, strict=True):
            if isinstance(node, g.Linear):
                dead = ~live_words(graph)[node.name]
                removed += int(np.count_nonzero(node.weight[0][:, dead]))
                assert not kept.weight[0][:, dead].any()
                assert np.array_equal(kept.weight[0][:, ~dead], node.weight[0][:, ~dead])
    assert removed > 0
