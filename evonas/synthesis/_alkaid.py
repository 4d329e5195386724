"""The door to alkaid: the only module that imports it. Graph -> bit-exact combinational logic -> pipelined Verilog.

What alkaid 0.8 gets wrong without an error is avoided here: ReLU is its own operation and never a maximum of two
variables, conditions are never `>`, constants are folded before it sees them and held to 24 significant bits.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, final

import numpy as np
from alkaid.codegen import RTLModel
from alkaid.trace import FVArray, FVArrayInput, HWConfig, trace
from alkaid.trace.fixed_variable import FVariable

from evonas.errors import FailureKind, ToolError
from evonas.synthesis.graph import Port

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from alkaid.types import CombLogic
    from numpy.typing import NDArray

    from evonas.models.fixed_point import FixedPoint
    from evonas.synthesis.graph import GraphNode

VERSION = version("alkaid")
TOP = "dut"
HARDWARE = (1, 1, -1)  # (1, -1, -1) makes products of two variables fail
SOLVER = {"hard_dc": 2}  # levels of adders that a shared sub-expression may add to the shortest tree
CONSTANT_BITS = 24  # alkaid finds the least significant bit of a constant in single precision
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


@final
@dataclass(frozen=True)
class _Wire:
    """One word on its way through the graph: a variable, or None for a constant; `offset` is the constant (part)."""

    variable: FVariable | None
    offset: float = 0.0

    @property
    def low(self) -> float:
        return self.offset if self.variable is None else float(self.variable.low)

    @property
    def high(self) -> float:
        return self.offset if self.variable is None else float(self.variable.high)


def _check_constant(*values: float) -> None:
    """Raise `ToolError` (UNSUPPORTED) for a constant that alkaid would silently change."""
    for value in values:
        if float(np.float32(value)) != value:
            message = f"the constant {value!r} needs more than {CONSTANT_BITS} significant bits"
            raise ToolError(FailureKind.UNSUPPORTED, message)


def _wire(variable: Any, offset: float = 0.0) -> _Wire:
    """A word that alkaid made: recognises what became constant on the way."""
    if variable.low == variable.high:
        return _Wire(None, float(variable.low))
    return _Wire(variable, offset)


def _array(wires: Sequence[_Wire]) -> FVArray:
    variables = np.empty(len(wires), dtype=object)
    variables[:] = [wire.variable for wire in wires]
    return FVArray(variables, SOLVER, HWConfig(*HARDWARE))


def _dense(wires: list[_Wire], node: GraphNode) -> list[_Wire]:
    """x W + b; constant inputs are folded into the bias and all-zero columns are left out."""
    assert node.weight is not None
    assert node.bias is not None
    live = np.array([wire.variable is not None for wire in wires])
    constants = np.array([wire.offset if wire.variable is None else 0.0 for wire in wires])
    bias = node.bias + constants @ node.weight
    weight = node.weight[live]
    columns = np.flatnonzero(np.any(weight != 0, axis=0))
    result = [_Wire(None, float(value)) for value in bias]
    if columns.size:
        products = _array([wire for wire in wires if wire.variable is not None]) @ weight[:, columns]
        for column, variable in zip(columns, np.asarray(products), strict=True):
            offset = float(bias[column])
            _check_constant(offset)
            result[column] = _wire(variable + offset if offset else variable, offset)
    return result


def _relu(wire: _Wire) -> _Wire:
    if wire.low >= 0:
        return wire
    if wire.variable is None or wire.high <= 0:
        return _Wire(None, 0.0)
    return _wire(wire.variable.relu())


def _leaky_relu(wire: _Wire, slope: float) -> _Wire:
    if wire.low >= 0:
        return wire
    if wire.variable is None:
        return _Wire(None, wire.offset * slope)
    if wire.high <= 0:
        return _wire(wire.variable * slope, wire.offset * slope)
    x = _array([wire])
    return _wire(np.asarray(np.where(x < 0, x * slope, x))[0])


def _cast(wire: _Wire, kind: FixedPoint) -> _Wire:
    """The word cast to `kind`, left alone where that changes nothing."""
    if wire.variable is None:
        return _Wire(None, float(kind.quantise(np.array(wire.offset))))
    if kind.low <= wire.low and wire.high <= kind.high and wire.variable.step >= kind.lsb:
        return wire
    half = kind.lsb / 2 if kind.rounding != "TRN" else 0.0
    for limit in (0.0, kind.low, kind.high):  # alkaid merges the constants of rounding and clipping with the bias
        _check_constant(wire.offset + half - limit, wire.offset - limit)
    signed, integer, fraction = kind.kif
    return _wire(wire.variable.quantize(signed, integer, fraction, kind.overflow, kind.rounding))


def combine(nodes: Sequence[GraphNode]) -> CombLogic:
    """The graph as one piece of combinational logic. Raises `ToolError` (UNSUPPORTED)."""
    first = nodes[0]
    inputs = FVArrayInput((first.size,), HWConfig(*HARDWARE), SOLVER)
    signed, integer, fraction = first.result.kif
    wires = [_wire(variable) for variable in np.asarray(inputs.quantize(signed, integer, fraction))]  # always wraps
    for node in nodes[1:]:
        if node.kind == "dense":
            wires = _dense(wires, node)
        elif node.kind == "relu":
            wires = [_relu(wire) for wire in wires]
        else:
            wires = [_leaky_relu(wire, node.slope) for wire in wires]
        wires = [_cast(wire, node.result) for wire in wires]
    if all(wire.variable is None for wire in wires):
        raise ToolError(FailureKind.UNSUPPORTED, "no output depends on an input: there is nothing to synthesise")
    outputs = np.empty(len(wires), dtype=object)
    hardware = HWConfig(*HARDWARE)
    outputs[:] = [FVariable.from_const(w.offset, hardware) if w.variable is None else w.variable for w in wires]
    return trace(inputs, outputs)


def interpret(logic: CombLogic, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Outputs (n, n_outputs) of alkaid's own interpreter for inputs (n, n_inputs) on the input grid."""
    return np.asarray(logic.predict(np.ascontiguousarray(inputs), n_threads=1), np.float64)


def _port(precisions: Sequence[Any]) -> Port:
    signed, integer, fraction = zip(*precisions, strict=True)
    return Port(tuple(map(bool, signed)), tuple(map(int, integer)), tuple(map(int, fraction)))


def write_rtl(logic: CombLogic, directory: Path, part: str, clock_period_ns: float) -> RtlDesign:
    """Cut the logic into pipeline stages and write Verilog to `directory`, with `ports.json` beside it.

    The cut-off of a stage's estimated delay is `clock_period_ns` times `LATENCY_PER_NS`: 5 ns give 5 of alkaid's
    units. Inputs and outputs are registered, so n stages take n + 1 clock edges from input port to output port.
    """
    cutoff = clock_period_ns * LATENCY_PER_NS
    model = RTLModel(
        logic,
        directory,
        TOP,
        latency_cutoff=cutoff,
        print_latency=False,
        part_name=part,
        clock_period=clock_period_ns,
        ternary_fuse=False,
    )
    model.write()
    source, sink = model.fsm.inp_signals[0], model.fsm.out_signals[0]
    stages = sum(1 for name in model.fsm.logic if name.startswith("logic"))
    registers = sink.schedule.bias
    design = RtlDesign(
        directory,
        float(logic.cost),
        int(model.reg_bits),
        int(registers),
        stages,
        _port(source.precisions),
        _port(sink.precisions),
    )
    description = {key: value for key, value in asdict(design).items() if key != "directory"}
    (directory / "ports.json").write_text(json.dumps(description, indent=1, sort_keys=True) + "\n")
    return design
