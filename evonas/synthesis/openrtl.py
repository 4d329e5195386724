"""A `Graph` as Verilog: cut into links, each link made, and all of them joined; with estimates of its cells."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from evonas.errors import FailureKind, ToolError
from evonas.synthesis import _alkaid, segments
from evonas.synthesis import graph as g
from evonas.synthesis.evaluate import cast, compute
from evonas.synthesis.figures import Figures
from evonas.synthesis.graph import Port
from evonas.synthesis.liveness import without_dead_weights
from evonas.synthesis.rtl import Design, LogicSegment, SharedDense, Stage

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FLIP_FLOPS_PER_REGISTER_BIT = 0.92  # yosys merges equal and drops constant register bits: measured over 20 networks
# alkaid takes rounding and saturation for cheaper than they are: fitted to 31 trained networks of up to 5,000 weight
# bits after logic synthesis (median error 4 %); 12 to 16 % too much for 16-64-32-32-5, whose casts weigh less.
LUT_PER_COST = 1.15
CONTROL_CELLS = 30.0  # measured: LUTs and flip-flops of a shared layer's counters and flags


@final
@dataclass(frozen=True)
class Verilog:
    """An emitted design: its figures, and its logic for the interpreter."""

    figures: Figures
    chain: segments.Chain
    logic: dict[int, Any]  # link number -> alkaid's combinational logic

    def interpret(self, *inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Output words (n, size) by alkaid's interpreter, shared layers by numpy; inputs (n, size) on their grid."""
        graph = self.chain.graph
        values = {node.name: cast(data, node.result) for node, data in zip(graph.inputs, inputs, strict=True)}
        for number, link in enumerate(self.chain.links):
            if isinstance(link, segments.Shared):
                node = graph[link.node]
                (source,) = node.inputs
                values[node.name] = cast(compute(node, [values[source]], [graph[source].results]), node.result)
                continue
            words = np.concatenate([values[name] for name in link.inputs], axis=1)
            found = _alkaid.interpret(self.logic[number], words)
            ends = np.cumsum([graph[name].size for name in link.outputs])
            values |= dict(zip(link.outputs, np.split(found, ends[:-1], axis=1), strict=True))
        return np.concatenate([values[name] for name in graph.outputs], axis=1)


def emit(graph: g.Graph, directory: Path, part: str, clock_period_ns: float) -> Verilog:
    """Write the Verilog of `graph` to `directory`/src and its figures beside it.

    Raises `ToolError` (UNSUPPORTED) naming a layer that has no hardware.
    """
    chain = segments.chain(without_dead_weights(graph))
    if chain.shared:
        verilog = _joined(chain, directory, part, clock_period_ns)
    else:
        logic = _alkaid.combine(graph)
        rtl = _alkaid.write_rtl(logic, directory, part, clock_period_ns)
        figures = Figures(
            lut=LUT_PER_COST * rtl.cost,
            ff=FLIP_FLOPS_PER_REGISTER_BIT * rtl.register_bits,
            multipliers=0,
            block_ram_bits=0,
            latency_cycles=rtl.latency_cycles,
            initiation_interval=1,
            stages=rtl.stages,
            handshake=False,
            inputs=rtl.inputs,
            outputs=rtl.outputs,
        )
        verilog = Verilog(figures, chain, {0: logic})
    text = json.dumps(asdict(verilog.figures), indent=1, sort_keys=True)
    (directory / "figures.json").write_text(text + "\n")
    return verilog


def _joined(chain: segments.Chain, directory: Path, part: str, clock_period_ns: float) -> Verilog:
    """A chain with shared layers: every link a module, joined behind a handshake."""
    graph = chain.graph
    layout = [(node.name, index) for node in graph.inputs for index in range(node.size)]  # of the bundle of words
    port = Port.of(kind.kif for node in graph.inputs for kind in node.results)
    source, stages, logics = port, [], {}
    rtls = []
    for number, link in enumerate(chain.links):
        if isinstance(link, segments.Shared):
            stage = _shared(chain, link, layout, port, f"layer{number}_{_identifier(link.node)}")
            outputs = [(link.node, index) for index in range(graph[link.node].size)]
            layout = outputs + [layout[word] for word in stage.passes]
        else:
            logics[number] = logic = _alkaid.combine(graph, link.inputs, link.outputs)
            module = f"link{number}"
            rtl = _alkaid.write_rtl(logic, directory / "links" / module, part, clock_period_ns, module=module)
            segment = LogicSegment(module, directory / "links" / module, rtl.inputs, rtl.outputs, rtl.latency_cycles)
            place = {word: position for position, word in enumerate(layout)}
            words = [(name, index) for name in link.inputs for index in range(graph[name].size)]
            stage = Stage(segment, tuple(place[word] for word in words))
            layout = [(name, index) for name in link.outputs for index in range(graph[name].size)]
            rtls.append(rtl)
        stages.append(stage)
        port = Design(source, tuple(stages)).outputs
    design = Design(source, tuple(stages))
    design.write(directory)
    dense = [stage.segment for stage in stages if isinstance(stage.segment, SharedDense)]
    figures = Figures(
        lut=LUT_PER_COST * sum(rtl.cost for rtl in rtls) + sum(map(lut_estimate, dense)),
        ff=FLIP_FLOPS_PER_REGISTER_BIT * sum(rtl.register_bits for rtl in rtls) + sum(map(ff_estimate, dense)),
        multipliers=design.multipliers,
        block_ram_bits=sum(layer.memory_bits for layer in dense if layer.storage == "block"),
        latency_cycles=design.latency_cycles,
        initiation_interval=design.initiation_interval,
        stages=sum(rtl.stages for rtl in rtls),
        handshake=True,
        inputs=design.inputs,
        outputs=design.outputs,
    )
    return Verilog(figures, chain, logics)


def _shared(
    chain: segments.Chain, link: segments.Shared, layout: list[tuple[str, int]], port: Port, name: str
) -> Stage:
    """The stage of a shared layer: which words of the bundle it reads, and which pass by."""
    node = chain.graph[link.node]
    assert isinstance(node, g.Linear)
    if node.gather.shape[:2] != (1, 1) or (node.gather == g.ABSENT).any():
        message = f"{node.name}: only a dense layer can share multipliers; set ReuseFactor 1 and Strategy Latency"
        raise ToolError(FailureKind.UNSUPPORTED, message)
    place = {word: position for position, word in enumerate(layout)}
    reads = tuple(place[node.inputs[0], int(index)] for index in node.gather.ravel())
    passes = tuple(place[name, index] for name in link.bypass for index in range(chain.graph[name].size))
    segment = SharedDense(
        name=name,
        inputs=port.pick(reads),
        weight=node.weight[0],
        weight_type=node.weight_type,
        bias=node.bias.ravel(),
        accumulator=node.accumulator,
        reuse_factor=node.reuse_factor,
        storage="block" if node.implementation == "block_ram" else "distributed",
    )
    return Stage(segment, reads, passes)


def _identifier(name: str) -> str:
    return re.sub(r"\W", "_", name)


def lut_estimate(layer: SharedDense) -> float:
    """LUTs of a shared layer: one for each bit of an adder or accumulator, and the choice of inputs and weights.

    The form of `surrogates.shared_multipliers.lut`, with the multipliers that these very weights take.
    """
    plan, (left, _) = layer.schedule, layer.product_widths
    accumulators = int(layer.live.any(axis=1).sum()) * layer.accumulator.width
    inputs = int(layer.live.any(axis=0).sum()) * left * math.ceil((plan.positions - 1) / 3)
    weights = _weight_bits(layer) if layer.storage == "distributed" else 0
    return float(_tree_bits(layer) + accumulators + inputs + weights + CONTROL_CELLS)


def ff_estimate(layer: SharedDense) -> float:
    """Flip-flops of a shared layer: held inputs, operands, products, trees, accumulators and earlier outputs."""
    left, right = layer.product_widths
    held = int(layer.weight.any(axis=1).sum()) * left if layer.reuse_factor > 1 else 0
    words = layer.multipliers * (left + right) + _tree_bits(layer)
    outputs = int(layer.weight.any(axis=0).sum()) * layer.accumulator.width
    operands = int(layer.live.any(axis=0).sum()) * left
    return float(operands + held + _weight_bits(layer) + words + outputs + CONTROL_CELLS)


def _weight_bits(layer: SharedDense) -> int:
    """Bits of weights that the multipliers meet in one cycle; constants take none."""
    return layer.multipliers * layer.weight_type.width if layer.reuse_factor > 1 else 0


def _tree_bits(layer: SharedDense) -> float:
    """Bits of all sums in the adder trees; a sum has a bit more than its terms."""
    lanes = max(int(layer.live.any(axis=1).sum()), 1)
    live, bits = float(layer.live.sum()) / lanes, 0.0
    for level in range(1, layer.schedule.tree_levels + 1):
        live = max(live / 2, 1.0)
        bits += live * (sum(layer.product_widths) + level)
    return bits * lanes
