"""What each layer takes on its own: every node made, and synthesised, out of the context of the others."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from evonas.errors import FailureKind, ToolError
from evonas.synthesis import graph as g
from evonas.synthesis import openrtl, yosys

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FREE = (g.Input, g.Rearrange)  # wires; a cast on its own is counted with the layer before it
CELLS = ("lut", "lut_packed", "memory_lut", "ff", "carry", "dsp", "bram_18k")


def alone(graph: g.Graph, node: g.Node) -> g.Graph:
    """The node by itself: what it reads comes in, of the same types."""
    sources = tuple(dict.fromkeys(node.inputs))
    entries = tuple(g.Input(f"in{i}", (), graph[s].size, graph[s].results) for i, s in enumerate(sources))
    names = {source: entry.name for source, entry in zip(sources, entries, strict=True)}
    return g.Graph((*entries, replace(node, inputs=tuple(names[name] for name in node.inputs))), (node.name,))


def per_layer(
    graph: g.Graph,
    directory: Path,
    part: str,
    clock_period_ns: float,
    *,
    timeout_s: float,
    memory_limit_bytes: int | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> list[dict[str, Any]]:
    """One row per layer that is more than wires: its name and kind, figures before synthesis, and cells.

    The rows add up to more than the whole design: what is known of the range of a word, and equal parts of several
    layers, are lost between them, and every layer has registers at both ends. Raises `ToolError`.
    """
    rows = []
    deadline = time.monotonic() + timeout_s
    for index, node in enumerate(graph.nodes):
        if isinstance(node, FREE):
            continue
        row: dict[str, Any] = {"name": node.name, "kind": type(node).__name__.lower()}
        folder = directory / f"layer{index}"
        try:
            figures = openrtl.emit(alone(graph, node), folder / "verilog", part, clock_period_ns).figures
        except ToolError as error:
            if error.failure.kind is not FailureKind.UNSUPPORTED or "nothing to synthesise" not in str(error):
                raise
            rows.append(row | dict.fromkeys(CELLS, 0))
            continue
        row |= {"traced_lut": figures.lut, "multipliers": figures.multipliers}
        row |= {"latency_cycles": figures.latency_cycles, "initiation_interval": figures.initiation_interval}
        bounds = {"memory_limit_bytes": memory_limit_bytes, "cancelled": cancelled}
        left = max(deadline - time.monotonic(), 1.0)
        used, _ = yosys.synthesise(folder / "verilog", folder / "yosys", part, timeout_s=left, **bounds)  # type: ignore[arg-type]
        cells = asdict(used)
        rows.append(row | {name: cells[name] for name in CELLS if name in cells})
    return rows
