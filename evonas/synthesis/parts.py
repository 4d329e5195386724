"""Named FPGA parts: what a device holds, to say which share of it a design takes.

Totals are those of the vendors' data sheets: UltraScale+ from AMD DS890 (overview) and DS962 (Alveo U200 and U250),
Zynq UltraScale+ from DS891, Zynq-7000 from DS190, Artix-7 from DS180, ECP5 from Lattice FPGA-DS-02012, iCE40 UltraPlus
from FPGA-DS-02008, iCE40 HX from FPGA-DS-02029.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from evonas.errors import ConfigurationError
from evonas.synthesis.flows import LUT_INPUTS

if TYPE_CHECKING:
    from evonas.synthesis.cells import Utilisation
    from evonas.synthesis.flows import Family

# First match names the family. Without a "p" behind their number Kintex and Virtex are UltraScale, not UltraScale+.
PATTERNS: tuple[tuple[str, Family], ...] = (
    (r"xc7", "xc7"),
    (r"xc[kv]u\d+p", "xcup"),
    (r"xc[kv]u", "xcu"),
    (r"xczu|xcu\d", "xcup"),
    (r"lfe5u", "ecp5"),
    (r"ice40(up|ul)", "ice40up"),
    (r"ice40(hx|lp)", "ice40"),
)
BITS_PER_CARRY: dict[Family, int] = {"xcup": 8, "xcu": 8, "xc7": 4, "ecp5": 2, "ice40up": 1, "ice40": 1}
BITS_PER_CARRY_CELL: dict[Family, int] = BITS_PER_CARRY | {"xcup": 4, "xcu": 4}  # yosys emits CARRY4


@final
@dataclass(frozen=True)
class Part:
    """A device and its totals.

    `lut` have `lut_inputs` inputs; `logic_cells` is the vendor's own measure of size; `bram_18k` and `bram_4k` are
    blocks of block RAM of 18 and 4 kbit (a RAMB36 is two of 18); `dsp` are DSP48, MULT18X18D or SB_MAC16.
    """

    name: str
    family: Family
    lut: int
    ff: int
    dsp: int
    logic_cells: int
    bram_18k: int = 0
    bram_4k: int = 0
    uram: int = 0

    @property
    def lut_inputs(self) -> int:
        """6 for Xilinx, 4 for Lattice."""
        return LUT_INPUTS[self.family]

    @property
    def carry(self) -> int:
        """Carry cells of the device: CARRY8 (UltraScale), CARRY4 (7 series), CCU2C or SB_CARRY; one bit per LUT."""
        return self.lut // BITS_PER_CARRY[self.family]


PARTS = (
    Part("xcvu13p", "xcup", 1_728_000, 3_456_000, 12_288, 3_780_000, bram_18k=5_376, uram=1_280),
    Part("xcvu9p", "xcup", 1_182_240, 2_364_480, 6_840, 2_586_150, bram_18k=4_320, uram=960),
    Part("xcu250", "xcup", 1_728_000, 3_456_000, 12_288, 3_780_000, bram_18k=5_376, uram=1_280),
    Part("xczu7ev", "xcup", 230_400, 460_800, 1_728, 504_000, bram_18k=624, uram=96),
    Part("xc7z020", "xc7", 53_200, 106_400, 220, 85_000, bram_18k=280),
    Part("xc7z007s", "xc7", 14_400, 28_800, 66, 23_000, bram_18k=100),
    Part("xc7a35t", "xc7", 20_800, 41_600, 90, 33_280, bram_18k=100),
    Part("xc7a100t", "xc7", 63_400, 126_800, 240, 101_440, bram_18k=270),
    Part("lfe5u-25f", "ecp5", 24_288, 24_288, 28, 24_000, bram_18k=56),
    Part("lfe5u-45f", "ecp5", 43_848, 43_848, 72, 44_000, bram_18k=108),
    Part("lfe5u-85f", "ecp5", 83_640, 83_640, 156, 84_000, bram_18k=208),
    Part("ice40up5k", "ice40up", 5_280, 5_280, 8, 5_280, bram_4k=30),
    Part("ice40hx8k", "ice40", 7_680, 7_680, 0, 7_680, bram_4k=32),
)
SHORT = re.compile(r"^(xc|ice40)")  # what a short name leaves out


def family(part: str) -> Family:
    """yosys's name for the family of a part, known or not. Raises `ConfigurationError` for any other vendor's."""
    name = _plain(part)
    for pattern, found in PATTERNS:
        if re.match(pattern, name):
            return found
    known = _find(name)
    if known is not None:
        return known.family
    mend = "must be a part that yosys can map to: xc7*, xcku*, xcvu*, xczu*, xcu* (Alveo), lfe5u*, ice40*"
    raise ConfigurationError("target.part", part, mend)


def find_part(name: str) -> Part:
    """The part of a full name (xcvu13p-flga2577-2-e) or a short one (vu13p). Raises `ConfigurationError`."""
    found = _find(_plain(name))
    if found is not None:
        return found
    known = [part.name for part in PARTS]
    shortened = {SHORT.sub("", part.name): part.name for part in PARTS}
    device = _plain(name).split("-")[0]
    close = difflib.get_close_matches(device, [*known, *shortened], n=4, cutoff=0.5)
    similar = list(dict.fromkeys(shortened.get(match, match) for match in close))
    message = f"is not a known part; {'similar' if similar else 'known'} are {', '.join(similar or known)}"
    raise ConfigurationError("part", name, message)


def utilisation(used: Utilisation, part: Part) -> dict[str, float]:
    """The share of each kind of cell that a design takes, 1.0 for all; infinite where the part has none of it.

    LUTs are raw LUT cells. Raises `ConfigurationError` for a design that was mapped to LUTs of another size.
    """
    if used.lut_inputs != part.lut_inputs:
        mend = f"has LUTs of {part.lut_inputs} inputs, the design was mapped to {used.lut_inputs}"
        raise ConfigurationError("part", part.name, mend)
    pairs = {
        "lut": (used.lut, part.lut),
        "ff": (used.ff, part.ff),
        "dsp": (used.dsp, part.dsp),
        "bram_18k": (used.bram_18k, part.bram_18k),
        "bram_4k": (used.bram_4k_blocks, part.bram_4k),
        "uram": (used.uram, part.uram),
        "carry": (used.carry * BITS_PER_CARRY_CELL[part.family], part.carry * BITS_PER_CARRY[part.family]),
    }
    return {kind: _share(number, total) for kind, (number, total) in pairs.items() if number or total}


def _share(number: int, total: int) -> float:
    return number / total if total else float("inf")


def _plain(name: str) -> str:
    """Lower case, with Lattice's variants (LFE5UM, LFE5UM5G, iCE40-HX) under the name of the plain device."""
    plain = re.sub(r"[\s_]+", "-", name.strip().lower()).removeprefix("alveo-")
    plain = re.sub(r"^(lfe5um(5g)?|ecp5)-", "lfe5u-", plain)
    return re.sub(r"^ice40-", "ice40", plain)


def _find(name: str) -> Part | None:
    """The known part whose name, whole or short, is `name` or begins it before a package."""
    for part in PARTS:
        for known in (part.name, SHORT.sub("", part.name)):
            if re.match(rf"{known}(?:$|-|[a-z]{{2,}}\d)", name):
                return part
    return None
