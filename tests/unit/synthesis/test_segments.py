"""Cutting a graph into links changes nothing that it computes, and no link reads what has not been made."""

import itertools

import numpy as np
import pytest
from fakes.graphs import random_graph

from evonas.synthesis import graph as g
from evonas.synthesis.evaluate import cast, compute, evaluate, trace
from evonas.synthesis.segments import Logic, Shared, chain


def run(links, x):
    """Link by link, knowing only what each is given."""
    graph = links.graph
    (source,) = graph.inputs
    bundle = {source.name: cast(x, source.result)}
    for link in links.links:
        assert set(link.inputs) <= set(bundle)
        if isinstance(link, Shared):
            node = graph[link.node]
            made = cast(compute(node, [bundle[node.inputs[0]]], [graph[node.inputs[0]].results]), node.result)
            bundle = {link.node: made} | {name: bundle[name] for name in link.bypass}
            continue
        known = {name: bundle[name] for name in link.inputs}
        for node in graph.nodes:
            if node.name not in known and all(name in known for name in node.inputs) and node.inputs:
                operands = [known[name] for name in node.inputs]
                known[node.name] = cast(compute(node, operands, [graph[n].results for n in node.inputs]), node.result)
        bundle = {name: known[name] for name in link.outputs}
    return np.concatenate([bundle[name] for name in graph.outputs], axis=1)


@pytest.mark.parametrize("seed", range(40))
def test_a_chain_computes_what_its_graph_does(seed):
    graph = random_graph(seed)
    x = np.random.default_rng(seed).uniform(-3, 3, (50, 4))
    links = chain(graph)
    assert np.array_equal(run(links, x), evaluate(graph, x)[0])
    wanted = [n.name for n in graph.nodes if isinstance(n, g.Linear) and n.implementation != "distributed_arithmetic"]
    assert [node.name.removesuffix("_sums") for node in links.shared] == wanted
    kinds = [type(link) for link in links.links]
    assert all((first, second) != (Logic, Logic) for first, second in itertools.pairwise(kinds))
    assert not any(isinstance(link, Logic) and link.empty and link is not links.links[-1] for link in links.links)


def test_a_graph_without_shared_layers_is_one_link():
    graph = random_graph(1, shared=0.0)
    (link,) = chain(graph).links
    assert link == Logic(("x",), graph.outputs)


def test_names_and_values_of_a_graph_survive():
    graph = random_graph(3, shared=1.0)
    x = np.random.default_rng(0).uniform(-3, 3, (20, 4))
    before, after = trace(graph, x), trace(chain(graph).graph, x)
    assert all(np.array_equal(before[name], after[name]) for name in before)
