"""The traced cost of a network too large to be traced whole: part by part, each at one of its places.

A network whose layers are applied at many positions does the same arithmetic over and over. Here every part (a layer
with its activation, a product of matrices, a softmax) is taken apart into units, one for each position, row or word;
units that read words of the same ranges through the same constants are traced once and counted as often as they are.
What enters a unit is what tracing the parts before it found: the same ranges, constants included, as in a whole trace.

Over 50 random networks of each family the sum is the figure of the whole trace to within 3 %, mostly to the last digit
(`tests/unit/synthesis/test_by_parts.py`). It is too high where parts at different places share work: products of
matrices whose weights turned out to be constants, and matrices too large for the solver, which are solved in blocks.
Flip-flops are not counted: where pipeline registers stand is decided for a design as a whole.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

import numpy as np

from evonas.errors import FailureKind, ToolError
from evonas.synthesis import _alkaid, units
from evonas.synthesis import graph as g
from evonas.synthesis.estimates import LogicBits, logic_bits_of
from evonas.synthesis.liveness import ONE_TO_ONE
from evonas.synthesis.lowering import lower
from evonas.synthesis.segments import is_shared
from surrogates import Stage, SynthesisRecord

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evonas.models.quantised_network import QuantisedNetwork
    from surrogates import HardwareTarget

    Words = NDArray[np.int64]


LARGEST_MATRIX = 2048  # weights that are solved at once: the time grows with more than the cube of the inputs
EMPTY, ALL = (1 << 30, -(1 << 30)), (-(1 << 30), 1 << 30)  # bits of a word that are needed: from, up to


@final
@dataclass(frozen=True)
class PartCost:
    """One part: its LUTs and DSP slices, how many units it has, and how many of them differ and were traced."""

    name: str
    lut: float
    dsp: int
    units: int
    traced: int


@final
@dataclass(frozen=True)
class PartwiseCost:
    """Estimated cost of a design, summed over parts traced on their own: not the figures of a whole trace.

    `lut` are LUTs as a whole trace estimates them (`evonas.synthesis.estimates`); `latency_cycles` clock edges from
    input to output by the longest path through the parts; the design takes an input at every edge.
    """

    parts: tuple[PartCost, ...]
    latency_cycles: int

    @property
    def lut(self) -> float:
        """Estimated LUTs of all parts."""
        return sum(part.lut for part in self.parts)

    @property
    def dsp(self) -> int:
        """DSP slices of all parts: products of two variables."""
        return sum(part.dsp for part in self.parts)


@final
@dataclass(frozen=True)
class _Place:
    """Where a unit stands: the words of its part that it computes, those of each operand that it reads."""

    unit: _alkaid.Unit
    outputs: Words
    reads: tuple[Words, ...]


@final
class _Limit:
    """Time that tracing may take, from now on; None is without end."""

    def __init__(self, timeout_s: float | None) -> None:
        self._timeout_s, self._end = timeout_s, math.inf if timeout_s is None else time.monotonic() + timeout_s

    def check(self, part: str) -> None:
        """Raise `ToolError` (TOOL_TIMEOUT) once the time is over; `part` is what would have been next."""
        if time.monotonic() > self._end:
            reason = f"tracing part by part took longer than {self._timeout_s:g} s and had come to {part}"
            raise ToolError(FailureKind.TOOL_TIMEOUT, reason)


def trace_by_parts(
    network: QuantisedNetwork, clock_period_ns: float = 5.0, timeout_s: float | None = None
) -> PartwiseCost:
    """The cost of a network of distributed arithmetic, of any size.

    Raises `ToolError`: UNSUPPORTED for what has no logic and for layers that share multipliers, TOOL_TIMEOUT ahead of
    the first unit that is begun after `timeout_s`.
    """
    return trace_graph_by_parts(lower(network), clock_period_ns, timeout_s)


def record_by_parts(
    network: QuantisedNetwork, target: HardwareTarget, timeout_s: float | None = None
) -> SynthesisRecord:
    """A record of stage TRACED whose `tool_version` says that it is a sum over parts; raises as `trace_by_parts`."""
    began = time.perf_counter()
    cost = trace_by_parts(network, target.clock_period_ns, timeout_s)
    return SynthesisRecord(
        network.spec,
        target,
        Stage.TRACED,
        f"alkaid {_alkaid.VERSION}, part by part",
        lut=cost.lut,
        ff=None,
        dsp=cost.dsp,
        bram_18k=0,
        latency_cycles=cost.latency_cycles,
        initiation_interval=1,
        weights=network.layer_weights,
        wall_time_s=time.perf_counter() - began,
    )


def trace_graph_by_parts(
    graph: g.Graph, clock_period_ns: float = 5.0, timeout_s: float | None = None
) -> PartwiseCost:
    """The cost of a graph: ranges of words from the inputs on, then what is read of them from the outputs back."""
    limit = _Limit(timeout_s)
    blocks = in_blocks(graph)
    chains = _chains(blocks)
    ranges = {node.name: list(map(_alkaid.Range.of_type, node.results)) for node in graph.inputs}
    known: dict[tuple[Any, ...], _alkaid.Unit] = {}
    places = [_places(chain, ranges, known, limit) for chain in chains]
    needs = {node.name: np.full((node.size, 2), EMPTY) for node in blocks.nodes}
    for name in graph.outputs:
        needs[name][:] = ALL
    parts = [_cost(chain, there, needs, limit) for chain, there in reversed(list(zip(chains, places, strict=True)))]
    latency = max(word.latency for name in graph.outputs for word in ranges[name])
    return PartwiseCost(tuple(reversed(parts)), _alkaid.latency_cycles(latency, clock_period_ns))


def in_blocks(graph: g.Graph, largest: int = LARGEST_MATRIX) -> g.Graph:
    """The same arithmetic, with matrices of more than `largest` weights as sums of smaller ones, some inputs each.

    The blocks share less than the whole, and add up: 13 % more LUTs in four blocks, measured on a layer of 48 x 24.
    """
    nodes: list[g.Node] = []
    for node in graph.nodes:
        number = 1
        if isinstance(node, g.Linear) and not is_shared(node):
            number = max(-(-int(np.count_nonzero(node.weight, axis=(1, 2)).max()) // largest), 1)
        nodes += _blocks(node, number) if isinstance(node, g.Linear) and number > 1 else [node]
    return g.Graph(tuple(nodes), graph.outputs)


def _blocks(node: g.Linear, number: int) -> list[g.Node]:
    """A layer as so many layers, the first with the bias, and their sums two by two; exact, as its accumulator is."""
    blocks: list[g.Node] = []
    for index, taps in enumerate(np.array_split(np.arange(node.gather.shape[2]), number)):
        bias = node.bias if index == 0 else np.zeros_like(node.bias)
        gather, weight = node.gather[:, :, taps], node.weight[:, taps]
        named = replace(node, name=f"{node.name}.{index}", result=node.accumulator)
        blocks.append(replace(named, gather=gather, weight=weight, bias=bias))
    left = [block.name for block in blocks]
    while len(left) > 1:
        pair = left.pop(0), left.pop(0)
        name = f"{node.name}.{len(blocks)}" if left else node.name
        result = node.accumulator if left else node.result
        blocks.append(g.Merge(name, pair, node.size, result, "add"))
        left.append(name)
    return blocks


def _chains(graph: g.Graph) -> list[list[g.Node]]:
    """Nodes that are traced together: an operation, and what is done to each of its words alone."""
    readers: dict[str, int] = dict.fromkeys(graph.outputs, 1)
    for node in graph.nodes:
        for name in node.inputs:
            readers[name] = readers.get(name, 0) + 1
    chains: dict[str, list[g.Node]] = {}  # by the last node of each
    for node in graph.nodes:
        if isinstance(node, g.Input):
            continue
        if is_shared(node):
            mend = "shares its multipliers, so it is no part that repeats; trace the network as a whole"
            raise ToolError(FailureKind.UNSUPPORTED, f"layer {node.name}: {mend}")
        before = node.inputs[0]
        joins = isinstance(node, ONE_TO_ONE) and before in chains and readers[before] == 1
        chains[node.name] = [*chains.pop(before), node] if joins else [node]
    return list(chains.values())


def _places(
    chain: list[g.Node],
    ranges: dict[str, list[_alkaid.Range]],
    known: dict[tuple[Any, ...], _alkaid.Unit],
    limit: _Limit,
) -> list[_Place]:
    """Where the units of a chain stand; notes those that are new and the ranges of the words that leave the chain."""
    first, last = chain[0], chain[-1]
    sources, found = [ranges[name] for name in first.inputs], [_alkaid.Range(0.0, 0.0, 1.0)] * last.size
    sizes, places = [len(source) for source in sources], []
    for outputs in units.places(first):
        node, reads = units.alone(first, outputs, sizes)
        nodes = [node, *(units.sliced(behind, outputs) for behind in chain[1:])]
        spans = tuple(tuple(source[word] for word in words) for source, words in zip(sources, reads, strict=True))
        key = (spans, *map(units.constants, nodes))
        if key not in known:
            limit.check(last.name)
            known[key] = _alkaid.Unit.of(nodes, spans)
        for word, span in zip(outputs.tolist(), known[key].ranges, strict=True):
            found[word] = span
        places.append(_Place(known[key], outputs, tuple(reads)))
    ranges[last.name] = found
    return places


def _cost(
    chain: list[g.Node], places: list[_Place], needs: dict[str, NDArray[np.int64]], limit: _Limit
) -> PartCost:
    """What the bits cost that are needed of a chain; notes which bits it needs of its operands."""
    lut, dsp, count, known = 0.0, 0, 0, {}
    for place in places:
        wanted = [
            (index, bits)
            for index, bits in enumerate(needs[chain[-1].name][place.outputs].tolist())
            if bits[0] < bits[1] and place.unit.leaving[index].variable is not None
        ]
        if not wanted:
            continue
        key = place.unit, *((index, *bits) for index, bits in wanted)
        if key not in known:
            limit.check(chain[-1].name)
            known[key] = _traced(place.unit, wanted)
        bits, reads = known[key]
        lut, dsp, count = lut + bits.lut, dsp + bits.dsp, count + 1
        read = iter(reads)
        for name, words in zip(chain[0].inputs, place.reads, strict=True):
            own = np.array([next(read) for _ in words], np.int64).reshape(-1, 2)
            needs[name][words, 0] = np.minimum(needs[name][words, 0], own[:, 0])
            needs[name][words, 1] = np.maximum(needs[name][words, 1], own[:, 1])
    return PartCost(chain[-1].name, lut, dsp, count, len(known))


def _traced(unit: _alkaid.Unit, wanted: list[tuple[int, list[int]]]) -> tuple[LogicBits, list[tuple[int, int]]]:
    """What a unit takes of which only some bits are wanted, and which bits these need of each word that enters it."""
    logic = unit.logic([index for index, _ in wanted])
    bits, read = logic_bits_of(logic, [(low, high) for _, (low, high) in wanted])
    variable = np.cumsum([word.variable is not None for word in unit.entering]) - 1  # constants do not enter the logic
    needed = [
        EMPTY if word.variable is None else read.get(int(number), EMPTY)
        for number, word in zip(variable, unit.entering, strict=True)
    ]
    return bits, needed
