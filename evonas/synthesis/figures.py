"""What is known of emitted Verilog before it is synthesised."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from evonas.synthesis.graph import Port

if TYPE_CHECKING:
    from pathlib import Path

BLOCK_RAM_18K_BITS = 18 * 1024


@final
@dataclass(frozen=True)
class Figures:
    """What is known of a design before synthesis; `lut` and `ff` are estimates, the other numbers are exact.

    `multipliers` are those that take a DSP slice, `block_ram_bits` the weights kept in block RAM. `handshake` tells
    whether the top module has `in_valid`, `in_ready` and `out_valid`, or takes an input at every clock edge.
    `latency_cycles` are clock edges from an input to its output, `stages` those of pipelined logic.
    """

    lut: float
    ff: float
    multipliers: int
    block_ram_bits: int
    latency_cycles: int
    initiation_interval: int
    stages: int
    handshake: bool
    inputs: Port
    outputs: Port

    @property
    def block_ram_18k(self) -> int:
        """Blocks of 18 kbit that hold so many bits; shapes may need more."""
        return math.ceil(self.block_ram_bits / BLOCK_RAM_18K_BITS)

    @classmethod
    def read(cls, directory: Path) -> Figures:
        """What `emit` wrote to the directory of the Verilog."""
        data = json.loads((directory / "figures.json").read_text())
        data |= {name: Port.from_dict(data[name]) for name in ("inputs", "outputs")}
        return cls(**data)
