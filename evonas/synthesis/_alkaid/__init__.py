"""The door to alkaid: the only package that imports it. Graph -> bit-exact combinational logic -> pipelined Verilog."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, final

import numpy as np

from evonas.errors import ConfigurationError, FailureKind, ToolError
from evonas.synthesis._alkaid.layers import emit
from evonas.synthesis._alkaid.passes import optimised
from evonas.synthesis._alkaid.rtl import TOP, RtlDesign, latency_cycles, write_rtl
from evonas.synthesis._alkaid.words import Range, entering, spanning, variables
from evonas.synthesis.graph import Input

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alkaid.types import CombLogic
    from numpy.typing import NDArray

    from evonas.synthesis._alkaid.words import Word
    from evonas.synthesis.graph import Graph, Node

__all__ = ["TOP", "VERSION", "Range", "RtlDesign", "Unit", "combine", "interpret", "latency_cycles", "write_rtl"]

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
        words[node.name] = _emitted(node, [words[name] for name in node.inputs])
    leaving = [word for name in sinks for word in words[name]]
    if all(word.variable is None for word in leaving):
        raise ToolError(FailureKind.UNSUPPORTED, "no output depends on an input: there is nothing to synthesise")
    return optimised(variables(entry), variables(leaving))


@final
@dataclass(frozen=True, eq=False)
class Unit:
    """Part of a circuit on its own: the words that enter it, and those that leave it."""

    entering: tuple[Word, ...]
    leaving: tuple[Word, ...]

    @classmethod
    def of(cls, nodes: Sequence[Node], spans: Sequence[Sequence[Range]]) -> Unit:
        """Nodes of which each reads the one before, the first of them operands whose words have the ranges `spans`."""
        operands = [[spanning(span) for span in operand] for operand in spans]
        words = _emitted(nodes[0], operands)
        for node in nodes[1:]:
            words = _emitted(node, [words])
        return cls(tuple(word for operand in operands for word in operand), tuple(words))

    @property
    def ranges(self) -> list[Range]:
        """Of the words that leave it."""
        return [Range.of(word) for word in self.leaving]

    def logic(self, wanted: Sequence[int]) -> CombLogic:
        """The logic of some of the words that leave it, not all of them constants; constants do not enter it."""
        entry = [word for word in self.entering if word.variable is not None]
        return optimised(variables(entry), variables([self.leaving[index] for index in wanted]))


def _emitted(node: Node, operands: list[list[Word]]) -> list[Word]:
    try:
        return emit(node, operands)
    except ToolError as error:
        raise ToolError(error.failure.kind, f"layer {node.name}: {error.failure.message}") from error


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
