"""Verilog that evonas writes itself: dense layers with shared multipliers, and the chain of a network's modules."""

from __future__ import annotations

from evonas.synthesis.rtl.design import Design, LogicSegment, Stage
from evonas.synthesis.rtl.shared_dense import SharedDense

__all__ = ["Design", "LogicSegment", "SharedDense", "Stage"]
