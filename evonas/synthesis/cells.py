"""Cells of mapped designs counted by kind, for the Xilinx families, ECP5 and iCE40."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

from evonas.errors import FailureKind, ToolError
from evonas.synthesis.flows import LUT_INPUTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evonas.synthesis.flows import Family

ICE40_FF = [
    f"SB_DFF{edge}{how}" for edge in ("", "N") for how in ("", "E", "R", "SR", "S", "SS", "ER", "ESR", "ES", "ESS")
]

# Kind, how many of it one cell is, and the cells.
KINDS = (
    ("logic_lut", 1, "LUT1 LUT2 LUT3 LUT4 LUT5 LUT6 LUT6_2 SB_LUT4"),
    ("logic_lut", 2, "CCU2C"),  # both LUTs of a slice, joined by its carry
    ("memory_lut", 1, "SRL16E SRLC16E SRLC32E RAM32X1S RAM64X1S"),
    ("memory_lut", 2, "RAM32X1D RAM64X1D RAM128X1S"),
    ("memory_lut", 4, "RAM32M RAM64M RAM128X1D RAM256X1S"),
    ("memory_lut", 6, "TRELLIS_DPR16X4"),  # three slices of two LUTs
    ("memory_lut", 8, "RAM32M16 RAM64M8 RAM32X16DR8 RAM64X8SW RAM256X1D RAM512X1S"),
    ("ff", 1, "FDRE FDSE FDCE FDPE FDRE_1 FDSE_1 FDCE_1 FDPE_1 TRELLIS_FF " + " ".join(ICE40_FF)),
    ("dsp", 1, "DSP48E1 DSP48E2 MULT18X18D SB_MAC16"),
    ("bram_36k_blocks", 1, "RAMB36E1 RAMB36E2"),
    ("bram_18k_blocks", 1, "RAMB18E1 RAMB18E2 DP16KD PDPW16KD"),
    ("bram_4k_blocks", 1, "SB_RAM40_4K SB_RAM40_4KNR SB_RAM40_4KNW SB_RAM40_4KNRNW"),
    ("uram", 1, "URAM288 URAM288_BASE"),
    ("carry", 1, "CARRY4 CARRY8 CCU2C SB_CARRY"),
    ("wide_mux", 1, "MUXF7 MUXF8 MUXF9 PFUMX L6MUX21"),
)
NOT_COUNTED = (
    "INV",
    "GND",
    "VCC",
    "VLO",
    "VHI",
    "BUFG",
    "SB_GB",
    "$scopeinfo",
)  # the last is a remnant of the hierarchy
KNOWN = frozenset(NOT_COUNTED).union(*(names.split() for _, _, names in KINDS))


@final
@dataclass(frozen=True)
class Utilisation:
    """Cells of a synthesised design.

    `lut` counts LUTs of up to `lut_inputs` inputs and includes `memory_lut` (shift registers and LUT RAM). Inverters
    are not counted: LUTs absorb most. `lut_packed` estimates the LUT sites of a Xilinx device (`packing.packed_luts`);
    None for other families. `carry` counts CARRY4, CCU2C (whose two LUTs are in `lut`) or SB_CARRY: 4, 2 or 1 bits
    each. `wide_mux` are the multiplexers behind LUTs (MUXF7 to 9, PFUMX, L6MUX21). `dsp` are DSP48, MULT18X18D or
    SB_MAC16. `bram_18k` is block RAM in units of 18 kbit: two for each of `bram_36k_blocks`, one for each of
    `bram_18k_blocks` (also ECP5's DP16KD); iCE40's blocks of 4 kbit are apart, and so is `uram` of 288 kbit.

    `delay_ns` is the longest register-to-register path by static timing with the cell delays that yosys knows (for
    Xilinx those of the 7 series) and no wires: comparable between designs of a family, not a clock period. None if
    yosys found no path. `cells` are the raw counts. `modules` has the figures of each module that was kept, by name,
    for one copy of it and without the path delay and packing; empty for a flat design.
    """

    lut: int
    memory_lut: int
    ff: int
    dsp: int
    bram_18k: int
    carry: int
    delay_ns: float | None
    cells: dict[str, int]
    lut_inputs: int = 6
    lut_packed: int | None = None
    bram_36k_blocks: int = 0
    bram_18k_blocks: int = 0
    bram_4k_blocks: int = 0
    uram: int = 0
    wide_mux: int = 0
    modules: dict[str, Utilisation] = field(default_factory=dict)


def count(cells: Mapping[str, int], delay_ns: float | None, family: Family = "xcup") -> Utilisation:
    """Add up cells by kind. Raises `ToolError` (REPORT_BROKEN) for a cell that belongs to no kind."""
    unknown = sorted(set(cells) - KNOWN)
    if unknown:
        raise ToolError(FailureKind.REPORT_BROKEN, f"yosys left cells of unknown kind: {', '.join(unknown)}")
    total: Counter[str] = Counter()
    for kind, each, names in KINDS:
        total[kind] += each * sum(cells.get(name, 0) for name in names.split())
    return Utilisation(
        lut=total["logic_lut"] + total["memory_lut"],
        memory_lut=total["memory_lut"],
        ff=total["ff"],
        dsp=total["dsp"],
        bram_18k=2 * total["bram_36k_blocks"] + total["bram_18k_blocks"],
        carry=total["carry"],
        delay_ns=delay_ns,
        cells=dict(sorted(cells.items())),
        lut_inputs=LUT_INPUTS[family],
        bram_36k_blocks=total["bram_36k_blocks"],
        bram_18k_blocks=total["bram_18k_blocks"],
        bram_4k_blocks=total["bram_4k_blocks"],
        uram=total["uram"],
        wide_mux=total["wide_mux"],
    )
