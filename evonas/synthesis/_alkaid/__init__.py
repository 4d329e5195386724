"""The door to alkaid: the only package that imports it. Graph -> bit-exact combinational logic -> pipelined Verilog."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from evonas.errors import ConfigurationError, FailureKind, ToolError
from evonas.synthesis._alkaid.layers import emit
from evonas.synthesis._alkaid.passes import optimised
from evonas.synthesis._alkaid.rtl import TOP, RtlDesign, write_rtl
from evonas.synthesis._alkaid.words import entering, variables
from evonas.synthesis.graph import Input

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alkaid.types import CombLogic
    from numpy.typing import NDArray

    from evonas.synthesis.graph import Graph, Node

__all__ = ["TOP", "VERSION", "RtlDesign", "combine", "interpret", "write_rtl"]

VERSION = version("alkaid")


def combine(graph: Graph, inputs: Sequence[str] | None = None, outputs: Sequence[str] | None = None) -> CombLogic:
    """The graph, or what lies between two sets of its nodes, as one piece of combinational logic.

    The words of the nodes `inputs` enter, with the types of their results, and those of `outputs` leave; several
    nodes one after the other. Raises `ToolError` (UNSUPPORTED) naming the layer that cannot be done, and
    `ConfigurationError` where `outputs` need an input of the graph that is not among `inputs`.
    """
    sources = [node.name for node in graph.inputs] if inputs is None else list(inputs)
    sinks = list(graph.outputs) if outputs is None else list(outputs)
    words = {name: [entering(kind) for kind in graph[name].results] for name in sources}
    entry = [word for name in sources for word in words[name]]
    for node in _between(graph, sources, sinks):
        try:
            words[node.name] = emit(node, [words[name] for name in node.inputs])
        except ToolError as error:
            raise ToolError(error.failure.kind, f"layer {node.name}: {error.failure.message}") from error
    leaving = [word for name in sinks for word in words[name]]
    if all(word.variable is None for word in leaving):
        raise ToolError(FailureKind.UNSUPPORTED, "no output depends on an input: there is nothing to synthesise")
    return optimised(variables(entry), variables(leaving))


def _between(graph: Graph, sources: Sequence[str], sinks: Sequence[str]) -> list[Node]:
    """The nodes that `sinks` need behind `sources`, in the graph's order."""
    needed = set(sinks)
    nodes: list[Node] = []
    for node in reversed(graph.nodes):
        if node.name not in needed or node.name in sources:
            continue
        if isinstance(node, Input):
            raise ConfigurationError("inputs", tuple(sources), f"the outputs need the input {node.name!r} too")
        needed.update(node.inputs)
        nodes.append(node)
    return nodes[::-1]


def interpret(logic: CombLogic, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Outputs (n, n_outputs) of alkaid's own interpreter for inputs (n, n_inputs) on the input grid."""
    return np.asarray(logic.predict(np.ascontiguousarray(inputs), n_threads=1), np.float64)
