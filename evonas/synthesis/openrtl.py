"""A `Graph` as Verilog: cut into links, each link made, and all of them joined; with estimates of its cells."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from evonas.errors import FailureKind, ToolError
from evonas.synthesis import _alkaid, segments
from evonas.synthesis import graph as g
from evonas.synthesis.estimates import dense_ff, dense_lut, logic_bits, logic_ff
from evonas.synthesis.evaluate import cast, compute
from evonas.synthesis.figures import Figures
from evonas.synthesis.graph import Port
from evonas.synthesis.liveness import without_dead_weights
from evonas.synthesis.narrowing import narrowed
from evonas.synthesis.rtl import Design, LogicSegment, SharedConv, SharedDense, Stage
from evonas.synthesis.rtl.conv_estimates import flip_flops, luts

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@final
@dataclass(frozen=True)
class Verilog:
    """An emitted design: its figures, its logic for the interpreter, and its layers with shared multipliers."""

    figures: Figures
    chain: segments.Chain
    logic: dict[int, Any]  # link number -> alkaid's combinational logic
    shared: tuple[SharedDense | SharedConv, ...] = ()

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
        bits = logic_bits(logic)
        figures = Figures(
            lut=bits.lut,
            ff=logic_ff(rtl.register_bits),
            multipliers=bits.dsp,
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
    logics = {
        number: _alkaid.combine(chain.graph, link.inputs, link.outputs)
        for number, link in enumerate(chain.links)
        if isinstance(link, segments.Logic)
    }
    chain = narrowed(chain, logics)
    graph = chain.graph
    layout = [(node.name, index) for node in graph.inputs for index in range(node.size)]  # of the bundle of words
    port = Port.of(kind.kif for node in graph.inputs for kind in node.results)
    source, stages, rtls = port, [], []
    for number, link in enumerate(chain.links):
        if isinstance(link, segments.Shared):
            stage = _shared(chain, link, layout, port, f"layer{number}_{_identifier(link.node)}")
            outputs = [(link.node, index) for index in range(graph[link.node].size)]
            layout = outputs + [layout[word] for word in stage.passes]
        else:
            module = f"link{number}"
            rtl = _alkaid.write_rtl(logics[number], directory / "links" / module, part, clock_period_ns, module=module)
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
    shared, bits = design.shared, [logic_bits(logic) for logic in logics.values()]
    figures = Figures(
        lut=sum(logic.lut for logic in bits) + sum(luts(layer, dense_lut) for layer in shared),
        ff=logic_ff(sum(rtl.register_bits for rtl in rtls)) + sum(flip_flops(layer, dense_ff) for layer in shared),
        multipliers=design.multipliers + sum(logic.dsp for logic in bits),
        block_ram_bits=sum(layer.memory_bits for layer in shared if layer.storage == "block"),
        latency_cycles=design.latency_cycles,
        initiation_interval=design.initiation_interval,
        stages=sum(rtl.stages for rtl in rtls),
        handshake=True,
        inputs=design.inputs,
        outputs=design.outputs,
    )
    return Verilog(figures, chain, logics, shared)


def _shared(
    chain: segments.Chain, link: segments.Shared, layout: list[tuple[str, int]], port: Port, name: str
) -> Stage:
    """The stage of a shared layer: which words of the bundle it reads, and which pass by."""
    node = chain.graph[link.node]
    assert isinstance(node, g.Linear)
    if len(node.bias) > 1:
        message = (
            f"{node.name}: with a bias for each position no multiplier is shared; set ReuseFactor 1, Strategy Latency"
        )
        raise ToolError(FailureKind.UNSUPPORTED, message)
    dense = node.gather.shape[:2] == (1, 1) and not (node.gather == g.ABSENT).any()
    words = node.gather.ravel().tolist() if dense else range(chain.graph[node.inputs[0]].size)
    place = {word: position for position, word in enumerate(layout)}
    reads = tuple(place[node.inputs[0], index] for index in words)
    passes = tuple(place[name, index] for name in link.bypass for index in range(chain.graph[name].size))
    fields: dict[str, Any] = {
        "name": name,
        "inputs": port.pick(reads),
        "weight_type": node.weight_type,
        "accumulator": node.accumulator,
        "reuse_factor": node.reuse_factor,
        "storage": "block" if node.implementation == "block_ram" else "distributed",
    }
    if dense:
        return Stage(SharedDense(weight=node.weight[0], bias=node.bias[0, 0], **fields), reads, passes)
    windows = {"gather": node.gather, "weight": node.weight, "bias": node.bias[0], "parallel": node.parallel}
    return Stage(SharedConv(**windows, **fields), reads, passes)


def _identifier(name: str) -> str:
    return re.sub(r"\W", "_", name)
