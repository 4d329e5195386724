"""From logic to pipelined Verilog."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from alkaid.codegen import RTLModel

from evonas.synthesis.graph import Port

if TYPE_CHECKING:
    from pathlib import Path

    from alkaid.types import CombLogic

TOP = "dut"
LATENCY_PER_NS = 1.0  # alkaid's unit of delay, about one level of adders, per nanosecond of the clock period


@final
@dataclass(frozen=True)
class RtlDesign:
    """Pipelined Verilog in `directory`, with alkaid's own figures.

    `cost` estimates LUTs; `register_bits` is the sum of all pipeline registers, input and output included;
    `latency_cycles` is the clock edges from an input to its output.
    """

    directory: Path
    cost: float
    register_bits: int
    latency_cycles: int
    stages: int
    inputs: Port
    outputs: Port


def latency_cycles(latency: float, clock_period_ns: float) -> int:
    """Clock edges from input port to output port of logic whose longest path has this latency, in alkaid's unit."""
    return max(math.ceil(latency / (clock_period_ns * LATENCY_PER_NS)), 1) + 1


def write_rtl(logic: CombLogic, directory: Path, part: str, clock_period_ns: float, module: str = TOP) -> RtlDesign:
    """Cut the logic into pipeline stages and write Verilog to `directory`.

    The cut-off of a stage's estimated delay is `clock_period_ns` times `LATENCY_PER_NS`: 5 ns give 5 of alkaid's
    units. Inputs and outputs are registered, so n stages take n + 1 clock edges from input port to output port.
    `module` is the name of the top module.
    """
    model = RTLModel(
        logic,
        directory,
        module,
        latency_cutoff=clock_period_ns * LATENCY_PER_NS,
        print_latency=False,
        part_name=part,
        clock_period=clock_period_ns,
        ternary_fuse=False,
    )
    model.write()
    source, sink = model.fsm.inp_signals[0], model.fsm.out_signals[0]
    return RtlDesign(
        directory,
        float(logic.cost),
        int(model.reg_bits),
        int(sink.schedule.bias),
        sum(1 for name in model.fsm.logic if name.startswith("logic")),
        Port.of(source.precisions),
        Port.of(sink.precisions),
    )
