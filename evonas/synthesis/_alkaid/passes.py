"""The way from variables to alkaid's logic, without its optimiser.

alkaid 0.8's own sequence clears a bit position it should keep (`canonicalize_msb_wraps`), narrows the interval of a
key or a table's index after the fact when it merges equal operations, and traces everything anew. Equal operations
are rare here, because layers share their own, so three sound passes and the orderings do.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from alkaid.trace import trace
from alkaid.trace.passes.canon import canonicalize_outputs
from alkaid.trace.passes.dce import dead_code_elimin
from alkaid.trace.passes.null_op import null_quant_elimin
from alkaid.trace.passes.order import canonical_sort, topo_bandwidth_sort
from alkaid.trace.passes.surrogate import add_surrogate, cost_lat_lut

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from alkaid.trace.fixed_variable import FVariable
    from alkaid.types import CombLogic

LOOKUP = 8  # alkaid's code of the operation
LUT_INPUTS = (6, 5)  # of a whole LUT, of each of its two halves
DEPTH = 1_000_000  # alkaid walks a chain of operations by recursion


@contextmanager
def _deep_recursion() -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, DEPTH))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _with_costs(logic: CombLogic) -> CombLogic:
    """The logic with alkaid's cost and latency of each operation; equal tables are counted once, which takes long."""
    counted: dict[tuple[object, ...], float] = {}
    ops = list(logic.ops)
    for index, op in enumerate(ops):
        if op.opcode == LOOKUP:
            table, source = logic.lookup_tables[op.data[0]], ops[op.addr[0]].qint
            if (op.data[0], source) not in counted:
                counted[op.data[0], source] = cost_lat_lut(source, table, *LUT_INPUTS)[0]
            ops[index] = op._replace(cost=counted[op.data[0], source])
    return add_surrogate(logic._replace(ops=ops), _skip_op8_cost=True)


def optimised(inputs: Sequence[FVariable], outputs: Sequence[FVariable]) -> CombLogic:
    """The logic from `inputs` to `outputs` with cost and latency, in an order that suits the interpreter."""
    sources, sinks = (np.empty(len(variables), dtype=object) for variables in (inputs, outputs))
    sources[:], sinks[:] = inputs, outputs
    with _deep_recursion():
        logic = trace(sources, sinks, optimize=False)
    logic = null_quant_elimin(dead_code_elimin(logic))
    logic = dead_code_elimin(canonicalize_outputs(logic))
    return topo_bandwidth_sort(canonical_sort(_with_costs(canonical_sort(logic))))
