"""Clock by clock simulation of a design through its handshake, in yosys."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Protocol

from evonas.errors import FailureKind, ToolError
from evonas.synthesis import yosys

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from evonas.synthesis.graph import Port
    from evonas.synthesis.process import ToolRun

RESET_EDGES = 1


class Timed(Protocol):
    """What is claimed of a design: its input port and its timing in clock cycles. A `Design`, or its figures."""

    @property
    def inputs(self) -> Port: ...  # noqa: D102
    @property
    def initiation_interval(self) -> int: ...  # noqa: D102
    @property
    def latency_cycles(self) -> int: ...  # noqa: D102


def simulate(
    design: Timed,
    rtl: Path,
    directory: Path,
    words: Sequence[int],
    gaps: Sequence[int] = (),
    *,
    timeout_s: float,
    memory_limit_bytes: int | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[list[int], ToolRun]:
    """Send the input `words` through the Verilog that `Design.write(rtl)` wrote; one output word for each.

    Each word is offered `gaps[k]` clock edges after the one before it was taken (0, also for gaps that are not given:
    at the next edge) and held until it is taken; in between, `model_inp` has a word that does not count. Raises
    `ToolError` (MISMATCH) unless each word is taken and each result comes at the very edge that the design's
    initiation interval and latency say, and what yosys fails with.
    """
    accepted = _accepted(design.initiation_interval, len(words), gaps)
    stimulus = _stimulus(design, words, gaps, accepted)
    _, run = yosys.simulate(
        rtl,
        directory,
        stimulus,
        sum(design.inputs.widths),
        controls=("in_valid", "rst"),
        timeout_s=timeout_s,
        memory_limit_bytes=memory_limit_bytes,
        cancelled=cancelled,
    )
    text = (directory / "out.vcd").read_text()
    valid, ready, offered, result = (
        yosys.read_waveform(text, port, len(stimulus)) for port in ("out_valid", "in_ready", "in_valid", "model_out")
    )
    taken = [edge for edge in range(RESET_EDGES, len(stimulus)) if offered[edge] == 1 and ready[edge] != 0]
    check_edges("input", "is taken", accepted, taken)
    finished = [edge for edge in range(RESET_EDGES, len(stimulus)) if valid[edge] != 0]
    check_edges("result", "comes", [edge + design.latency_cycles for edge in accepted], finished)
    outputs: list[int] = []
    for edge in finished:
        word = result[edge]
        if word is None:
            raise ToolError(FailureKind.MISMATCH, f"result {len(outputs)} of the Verilog is undefined")
        outputs.append(word)
    return outputs, run


def _accepted(interval: int, count: int, gaps: Sequence[int]) -> list[int]:
    """The clock edge at which each input must be taken."""
    edges: list[int] = []
    for _, gap in zip_longest(range(count), gaps[:count], fillvalue=0):
        earliest = edges[-1] + interval if edges else RESET_EDGES
        edges.append(max(earliest, (edges[-1] + 1 if edges else RESET_EDGES) + gap))
    return edges


def _stimulus(design: Timed, words: Sequence[int], gaps: Sequence[int], accepted: Sequence[int]) -> list[int]:
    """`model_inp`, `in_valid` and `rst` ahead of each clock edge, as one number."""
    width = sum(design.inputs.widths)
    valid, reset, ones = 1 << width, 2 << width, (1 << width) - 1
    stimulus = [reset] * RESET_EDGES
    for word, gap, edge in zip_longest(words, gaps[: len(words)], accepted, fillvalue=0):
        stimulus += [word ^ ones] * gap
        stimulus += [valid | word] * (edge + 1 - len(stimulus))
    return stimulus + [0] * (design.latency_cycles + design.initiation_interval)


def check_edges(what: str, happens: str, expected: Sequence[int], found: Sequence[int]) -> None:
    """Raise `ToolError` (MISMATCH) naming the first edge at which the Verilog does not keep to the schedule."""
    for index, (right, edge) in enumerate(zip_longest(expected, found)):
        if right != edge:
            message = f"{what} {index} of the Verilog {happens} at clock edge {edge}, not {right} as scheduled"
            raise ToolError(FailureKind.MISMATCH, message)
