"""Real logic synthesis of small designs for each family: what is counted, and what the short Xilinx script may cost."""

import random

import pytest

from evonas.errors import ConfigurationError, FailureKind, ToolError
from evonas.synthesis import yosys
from evonas.synthesis.cells import count

ULTRASCALE, SEVEN, ECP5, ULTRAPLUS, HX = "xcvu13p-flga2577-2-e", "xc7z020clg400-1", "LFE5U-25F", "UP5K", "HX8K"
ADDERS = """
module add (input [7:0] a, input [7:0] b, output [8:0] s);
    assign s = a + b;
endmodule
module dut (input clk, input [31:0] model_inp, output reg [9:0] model_out);
    reg [31:0] held;
    reg [17:0] half;
    wire [8:0] left, right;
    add first (.a(held[7:0]), .b(held[15:8]), .s(left));
    add second (.a(held[23:16]), .b(held[31:24]), .s(right));
    always @(posedge clk) begin
        held <= model_inp;
        half <= {left, right};
        model_out <= half[17:9] + half[8:0];
    end
endmodule
"""
MULTIPLIER_AND_MEMORY = """
module dut (input clk, input [15:0] model_inp, output reg [31:0] model_out);
    (* rom_style = "block" *) reg [15:0] weights [0:1023];
    integer i;
    initial for (i = 0; i < 1024; i = i + 1) weights[i] = i * 40503;
    reg [15:0] held, weight, delayed;
    always @(posedge clk) begin
        held <= model_inp;
        weight <= weights[held[9:0]];
        delayed <= held;
        model_out <= $signed(delayed) * $signed(weight);
    end
endmodule
"""


def write(folder, text):
    (folder / "rtl" / "src").mkdir(parents=True, exist_ok=True)
    (folder / "rtl" / "src" / "dut.v").write_text(text)
    return folder / "rtl"


def synthesise(folder, text, part, **options):
    used, _ = yosys.synthesise(write(folder, text), folder / "yosys", part, **({"timeout_s": 120} | options))
    return used


@pytest.mark.parametrize(
    ("part", "lut_inputs", "lut", "carry"),
    [
        (ULTRASCALE, 6, range(25, 27), range(7, 10)),  # a LUT to a bit, four bits to a CARRY4
        (SEVEN, 6, range(25, 27), range(7, 10)),
        (ECP5, 4, range(26, 31), range(13, 16)),  # two bits to a CCU2C
        (ULTRAPLUS, 4, range(25, 29), range(22, 28)),
        (HX, 4, range(25, 29), range(22, 28)),
    ],
)
def test_adders(tmp_path, part, lut_inputs, lut, carry):
    used = synthesise(tmp_path, ADDERS, part)
    assert (used.ff, used.dsp, used.bram_18k, used.memory_lut) == (32 + 18 + 10, 0, 0, 0)
    assert used.lut_inputs == lut_inputs
    assert used.lut in lut
    assert used.carry in carry
    assert 0.3 < used.delay_ns < 20
    assert (used.lut_packed is None) == (lut_inputs == 4)
    assert not used.modules


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "dsp", "bram_18k", "bram_4k"),
    [(ULTRASCALE, 1, 1, 0), (SEVEN, 1, 1, 0), (ECP5, 1, 1, 0), (ULTRAPLUS, 1, 0, 4), (HX, 0, 0, 4)],
)
def test_a_multiplier_and_a_memory(tmp_path, part, dsp, bram_18k, bram_4k):
    used = synthesise(tmp_path, MULTIPLIER_AND_MEMORY, part)
    assert (used.dsp, used.bram_18k, used.bram_4k_blocks, used.uram) == (dsp, bram_18k, bram_4k, 0)
    assert (used.lut > 200) == (part == HX)  # which has no multipliers


def test_modules_add_up_and_equal_ones_are_one(tmp_path):
    used = synthesise(tmp_path, ADDERS, ULTRASCALE, per_module=True)
    flat = synthesise(tmp_path, ADDERS, ULTRASCALE)
    adder, top = used.modules["add"], used.modules["dut"]
    assert set(used.modules) == {"add", "dut"}
    assert (adder.lut, adder.ff, top.ff) == (8, 0, 60)
    assert (2 * adder.lut + top.lut, 2 * adder.carry + top.carry) == (used.lut, used.carry) == (flat.lut, flat.carry)
    assert used.delay_ns == flat.delay_ns
    with pytest.raises(ConfigurationError, match="per_module"):
        synthesise(tmp_path, ADDERS, ECP5, per_module=True)


def test_files(tmp_path):
    synthesise(tmp_path, ADDERS, ECP5, netlist=True)
    assert "CCU2C" in (tmp_path / "yosys" / "netlist.json").read_text()
    synthesise(tmp_path, ADDERS, ULTRASCALE)
    assert {file.name for file in (tmp_path / "yosys").iterdir()} == {
        *("synthesis.json", "synthesis.log", "stat.json", "sta.txt"),
    }


def test_cells_that_the_design_instantiates_itself(tmp_path):
    delay = "SRL16E #(.INIT(0)) line (.CLK(clk), .CE(1'b1), .D(model_inp[0]), .A0(1'b1), .A1(1'b1), "
    delay += ".A2(1'b1), .A3(1'b0), .Q(model_out));"
    ports = "input clk, input [0:0] model_inp, output model_out"
    used = synthesise(tmp_path, f"module dut ({ports}); {delay} endmodule", ULTRASCALE)
    assert (used.lut, used.memory_lut, used.lut_packed) == (1, 1, 1)
    with pytest.raises(ToolError, match="nothing") as caught:
        synthesise(tmp_path, f"module dut ({ports}); nothing n (model_inp, model_out); endmodule", ULTRASCALE)
    assert caught.value.failure.kind is FailureKind.TOOL_CRASHED


def random_adders(seed, words=24, bits=7, layers=3):
    """Verilog of shifted sums and differences with rectification, registers between the layers."""
    rng = random.Random(seed)
    lines, names, width = [], [f"x{i}" for i in range(words)], bits
    lines += [f"reg signed [{bits - 1}:0] x{i};" for i in range(words)]
    lines += [f"always @(posedge clk) x{i} <= model_inp[{bits * i} +: {bits}];" for i in range(words)]
    for layer in range(layers):
        width += 3
        fresh = [f"y{layer}_{i}" for i in range(len(names) * 2 // 3)]
        for name in fresh:
            first, second = rng.sample(names, 2)
            total = f"{first} {rng.choice('+-')} ({second} <<< {rng.randrange(3)})"
            lines += [f"wire signed [{width - 1}:0] w{name} = {total};", f"reg signed [{width - 1}:0] {name};"]
            lines += [f"always @(posedge clk) {name} <= w{name} < 0 ? 0 : w{name};"]
        names = fresh
    ports = f"input clk, input [{words * bits - 1}:0] model_inp, output [{len(names) * width - 1}:0] model_out"
    return f"module dut ({ports});\n" + "\n".join(lines) + f"\nassign model_out = {{{', '.join(names)}}};\nendmodule\n"


def reference(folder, text):
    """All of yosys's own Xilinx script, but for LUTs mapped by abc: abc9 takes longer and finds some percent fewer."""
    rtl = write(folder, text)
    (folder / "whole").mkdir()
    flow = "synth_xilinx -family xcup -flatten -noiopad -noclkbuf -top dut -run begin:map_luts"
    luts = ["opt_expr -mux_undef -noclkinv", "abc -luts 2:2,3,6:5", "clean", "xilinx_srl -fixed -minlen 3"]
    luts += ["techmap -map +/xilinx/lut_map.v -map +/xilinx/cells_map.v -D LUT_WIDTH=6", "xilinx_dffopt"]
    reports = ["tee -q -o sta.txt sta", "tee -q -o stat.json stat -tech xilinx -json"]
    commands = [*yosys._read(rtl), flow, *luts, "opt_lut_ins -tech xilinx", "clean", *reports]
    yosys._run(
        commands, directory=folder / "whole", step="whole", timeout_s=120, memory_limit_bytes=None, cancelled=None
    )
    return yosys.read_reports(folder / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_the_short_script_costs_no_cells(tmp_path, seed):
    text = random_adders(seed)
    whole, short = reference(tmp_path, text), synthesise(tmp_path, text, ULTRASCALE)
    assert whole.lut > 150
    assert short.carry <= whole.carry
    assert short.ff <= whole.ff
    assert short.lut <= 1.01 * whole.lut


def test_counts_of_memories_and_other_kinds():
    cells = {"RAMB36E2": 2, "RAMB18E2": 1, "URAM288": 3, "MUXF7": 4, "MUXF8": 1, "RAM64M8": 1, "SRL16E": 2, "LUT3": 5}
    used = count(cells, None)
    assert (used.bram_36k_blocks, used.bram_18k_blocks, used.bram_18k, used.uram) == (2, 1, 5, 3)
    assert (used.wide_mux, used.memory_lut, used.lut) == (5, 10, 15)
    lattice = count({"DP16KD": 2, "MULT18X18D": 1, "TRELLIS_DPR16X4": 1, "CCU2C": 3, "LUT4": 4}, None, "ecp5")
    assert (lattice.bram_18k, lattice.dsp, lattice.memory_lut, lattice.lut, lattice.lut_inputs) == (2, 1, 6, 16, 4)
