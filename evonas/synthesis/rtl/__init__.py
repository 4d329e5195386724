"""Verilog that evonas writes itself: layers with shared multipliers, and the chain of a network's modules."""

from __future__ import annotations

from evonas.synthesis.rtl.design import Design, LogicSegment, Stage
from evonas.synthesis.rtl.shared_conv import SharedConv
from evonas.synthesis.rtl.shared_dense import SharedDense

__all__ = ["Design", "LogicSegment", "SharedConv", "SharedDense", "Stage"]
