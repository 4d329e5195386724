"""Scripts of yosys passes that map a design to the cells of a device family.

The Xilinx script is `synth_xilinx` cut down for pipelined arithmetic. What it saves, measured on fully unrolled
networks of 3,400 to 25,000 LUTs, makes it two to three times as fast at the same cells (LUT within 1 %): public names
of wires inside the design are dropped (timing analysis and cleaning look at every name), libraries and passes for
memories, multipliers and control logic are left out where the design has none, and LUT mapping starts from structural
hashing alone, because between carry chains there is little to restructure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

Family = Literal["xcup", "xcu", "xc7", "ecp5", "ice40up", "ice40"]
Command = str | list[str]  # a list: a selection, and commands for when it is not empty

LUT_INPUTS: dict[Family, int] = {"xcup": 6, "xcu": 6, "xc7": 6, "ecp5": 4, "ice40up": 4, "ice40": 4}
PRIMITIVES = "t:* t:$* %d"  # cells that are no operators of yosys: the design instantiates them itself
MEMORIES = "t:$mem*"
CONTROL = "t:$pmux t:$shiftx t:$shift t:$mem* t:$mul t:$__mul t:DSP48* t:RAMB* t:RAM*M*"  # or what became of it
TIDY = ["opt_expr", "opt_merge", "opt_dff -nodffe -nosdff", "opt_clean -purge"]
ACROSS = ["opt_hier", *TIDY]  # constants and equal bits between kept modules
KEEP_TOP = ["select * {top} %d", "flatten", "select -clear", "hierarchy -top {top}"]


def flat(top: str) -> list[Command]:
    """One module, whose inner wires have no public names."""
    return [f"hierarchy -top {top}", "proc", "flatten", "rename -hide w:*"]


def script(family: Family, top: str, *, per_module: bool = False, dsp_map: Path | None = None) -> list[Command]:
    """Commands that follow the reading of the Verilog and end with mapped cells.

    With `per_module`, the modules that `top` instantiates stay modules; else all is flat. `dsp_map` is a techmap for
    products with the attribute use_dsp, applied before multipliers are mapped. Both are for Xilinx families only.
    """
    if family == "ecp5":
        return [*flat(top), f"synth_ecp5 -top {top} -run begin:check"]
    if family in ("ice40up", "ice40"):  # only UltraPlus has DSPs
        device = "-device u -dsp" if family == "ice40up" else "-device hx"
        return [*flat(top), f"synth_ice40 -top {top} {device} -run begin:check"]
    xilinx = f"synth_xilinx -family {family} -noiopad -noclkbuf -top {top} -run"
    library = "read_verilog -lib -nooverwrite +/xilinx/cells_xtra.v"
    flatten = [command.format(top=top) for command in KEEP_TOP] if per_module else ["flatten"]
    across = ACROSS if per_module else []
    return [
        "read_verilog -lib -specify +/xilinx/cells_sim.v",
        f"hierarchy -top {top}",
        "proc",
        *flatten,
        [PRIMITIVES, library, "hierarchy -check"],
        "rename -hide w:*",
        *TIDY,
        *across,
        [CONTROL, "fsm"],
        "opt",
        "wreduce",
        "peepopt",
        "opt_clean",
        [CONTROL, "pmux2shiftx", "clean", library],
        *([f'techmap -map "{dsp_map.resolve()}" a:use_dsp=yes'] if dsp_map else []),
        [CONTROL, f"{xilinx} map_dsp:coarse"],
        "techmap -map +/cmp2lut.v -map +/cmp2lcu.v -D LUT_WIDTH=6",
        "alumacc",
        [CONTROL, "share", "opt"],
        *TIDY,
        *across,
        [MEMORIES, "memory -nomap", "opt_clean", f"{xilinx} map_memory:map_ffram", "opt -fast -full", "memory_map"],
        "opt -full",
        [CONTROL, "xilinx_srl -variable -minlen 3"],
        "techmap -map +/techmap.v -D LUT_SIZE=6 -map +/xilinx/arith_map.v",
        "opt_expr",
        "opt_merge",
        "opt_dff",
        "clean",
        [CONTROL, "opt -fast"],  # again and again: through registers between operators constants move step by step
        *across,
        "techmap -map +/techmap.v -map +/xilinx/cells_map.v",
        "dfflegalize -cell $_DFFE_?P?P_ 01 -cell $_SDFFE_?P?P_ 01 -cell $_DLATCH_?P?_ 01",
        "techmap -map +/xilinx/ff_map.v",
        "opt_expr -mux_undef -noclkinv",
        'abc -luts 2:2,3,6:5 -script "+strash;if"',
        "xilinx_srl -fixed -minlen 3",
        "techmap -map +/xilinx/lut_map.v -map +/xilinx/cells_map.v -D LUT_WIDTH=6",
        "xilinx_dffopt",
        "opt_lut_ins -tech xilinx",
        "clean",
    ]
