"""A graph cut into a chain: logic that takes an input every clock cycle, and layers that share their multipliers.

Between two links flows a bundle of words: what the links behind still read. Logic registers whatever passes through it,
a shared layer is bypassed by a delay, so all words of a bundle belong to the same input.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np

from evonas.synthesis import graph as g


@final
@dataclass(frozen=True)
class Logic:
    """Everything between two shared layers: names of the nodes whose words come in and go out, in order."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Whether nothing is computed here: what goes out came in."""
        return set(self.outputs) <= set(self.inputs)


@final
@dataclass(frozen=True)
class Shared:
    """A `Linear` whose multipliers are shared; `bypass` names what passes by it, `inputs` all that comes in."""

    node: str
    inputs: tuple[str, ...]
    bypass: tuple[str, ...]


@final
@dataclass(frozen=True)
class Chain:
    """`graph` with the casts of shared layers as nodes of their own, and its links; logic that is empty is left out."""

    graph: g.Graph
    links: tuple[Logic | Shared, ...]

    @property
    def shared(self) -> tuple[g.Linear, ...]:
        """The shared layers in order."""
        nodes = (self.graph[link.node] for link in self.links if isinstance(link, Shared))
        return tuple(node for node in nodes if isinstance(node, g.Linear))


def is_shared(node: g.Node) -> bool:
    """Whether the node's multipliers are shared rather than unrolled into adders."""
    return isinstance(node, g.Linear) and node.implementation != "distributed_arithmetic"


def chain(graph: g.Graph) -> Chain:
    """Cut `graph` at its shared layers, one after the other even where they do not depend on each other."""
    graph = _with_casts(graph)
    stage: dict[str, int] = {}
    shared: list[str] = []
    for node in graph.nodes:
        stage[node.name] = max((stage[name] for name in node.inputs), default=0)
        if is_shared(node):
            shared.append(node.name)
            stage[node.name] = len(shared)
    last_use: dict[str, float] = dict.fromkeys(graph.outputs, len(shared) + 1.0)  # they leave behind the last link
    for node in graph.nodes:
        for name in node.inputs:
            reader = stage[node.name] - (0.5 if is_shared(node) else 0)  # read between two logic stages
            last_use[name] = max(last_use.get(name, 0), reader)
    links: list[Logic | Shared] = []
    entering = tuple(node.name for node in graph.inputs)
    for number in range(len(shared) + 1):
        alive = tuple(n.name for n in graph.nodes if stage[n.name] <= number and last_use.get(n.name, -1) > number)
        leaving = alive if number < len(shared) else graph.outputs
        logic = Logic(entering, leaving)
        if not logic.empty or (number == len(shared) and entering != leaving):
            links.append(logic)
        else:
            leaving = entering
        if number < len(shared):
            name = shared[number]
            bypass = tuple(n for n in leaving if last_use[n] > number + 0.5)
            links.append(Shared(name, leaving, bypass))
            entering = (name, *bypass)
    return Chain(graph, tuple(links))


def _with_casts(graph: g.Graph) -> g.Graph:
    """The same arithmetic, with the accumulators of shared layers cast to their result in a node of its own."""
    nodes: list[g.Node] = []
    for node in graph.nodes:
        if not isinstance(node, g.Linear) or not is_shared(node):
            nodes.append(node)
            continue
        if set(node.results) == {node.accumulator}:
            nodes.append(node)
            continue
        sums = f"{node.name}_sums"
        nodes.append(replace(node, name=sums, result=node.accumulator))
        nodes.append(g.Rearrange(node.name, (sums,), node.size, node.result, gather=np.arange(node.size)))
    return g.Graph(tuple(nodes), graph.outputs)
