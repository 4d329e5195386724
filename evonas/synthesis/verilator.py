"""Verilator: emitted Verilog compiled to a program, which simulates very many vectors. Optional, not a dependency.

Compiling takes from seconds to minutes, a vector then microseconds: for thousands of vectors it is far faster than
yosys, for a hundred it is not. It knows no undefined bits: registers and memories without a reset or an initial value
start with random bits, so that a result which depends on them is wrong instead of undefined.
"""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.errors import FailureKind, ToolError
from evonas.synthesis import yosys
from evonas.synthesis.process import ToolRun, run_tool
from evonas.synthesis.rtl.simulation import RESET_EDGES, check_edges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from evonas.synthesis.figures import Figures

PROGRAM = "verilator"
SIMULATION = "Vdut"  # the program that it makes
NEWER_WARNINGS = ("-Wfuture-WIDTHTRUNC",)  # the Verilog names them; verilator before 5.008 takes that for an error
OPTIMISED_EDGES = 150_000  # clock edges from which optimising the C++ takes less time than it saves: measured
# Reads lines "pause word", writes "in edge" when an input is taken and "out edge word" when there is a result; words
# are hexadecimal. It ends when `drain` edges pass in which no input is taken or paused for.
BENCH = r"""
#include "Vdut.h"
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

using Word = std::vector<uint32_t>;  // least significant 32 bits first

template <std::size_t N> void drive(VlWide<N>& port, const Word& word) {
    for (std::size_t i = 0; i < N; ++i) port[i] = word[i];
}
template <class T> void drive(T& port, const Word& word) {
    port = static_cast<T>(word[0] | (word.size() > 1 ? static_cast<uint64_t>(word[1]) << 32 : 0));
}
template <std::size_t N> void print(std::FILE* file, const VlWide<N>& port) {
    for (std::size_t i = N; i-- > 0;) std::fprintf(file, "%08x", port[i]);
}
template <class T> void print(std::FILE* file, const T& port) {
    std::fprintf(file, "%llx", static_cast<unsigned long long>(port));
}
Word parse(const std::string& digits) {
    Word word(digits.size() / 8);
    for (std::size_t i = 0; i < word.size(); ++i)
        word[word.size() - 1 - i] = std::stoul(digits.substr(8 * i, 8), nullptr, 16);
    return word;
}
Word invert(Word word) {  // bits above the port's width stay 0
    for (uint32_t& part : word) part = ~part;
    if (INPUT_BITS % 32) word.back() &= (1u << INPUT_BITS % 32) - 1;
    return word;
}

int main(int, char** argv) {
    VerilatedContext context;
    context.randReset(2);
    context.randSeed(1);
    Vdut dut{&context};
    std::ifstream stimulus{argv[1]};
    std::FILE* results = std::fopen(argv[2], "w");
    const uint64_t reset_edges = std::stoull(argv[3]), drain = std::stoull(argv[4]);
    if (!stimulus || !results) return 2;
    std::size_t pause = 0;
    std::string digits;
    Word word((INPUT_BITS + 31) / 32);
    bool waiting = false;
    auto next = [&] {
        waiting = static_cast<bool>(stimulus >> pause >> digits);
        if (waiting) word = parse(digits);
    };
    next();
    for (uint64_t edge = 0, quiet = 0; quiet < drain; ++edge) {
        const bool offered = waiting && edge >= reset_edges && pause == 0;
        drive(dut.model_inp, offered ? word : invert(word));
        dut.clk = 0;
#if HANDSHAKE
        dut.rst = edge < reset_edges;
        dut.in_valid = offered;
        dut.eval();
        const bool taken = offered && dut.in_ready, result = edge >= reset_edges && dut.out_valid;
#else
        dut.eval();
        const bool taken = offered, result = true;
#endif
        if (taken) std::fprintf(results, "in %llu\n", static_cast<unsigned long long>(edge));
        if (result) {
            std::fprintf(results, "out %llu ", static_cast<unsigned long long>(edge));
            print(results, dut.model_out);
            std::fputc('\n', results);
        }
        dut.clk = 1;
        dut.eval();
        quiet = waiting && !offered || taken ? 0 : quiet + 1;
        if (waiting && edge >= reset_edges && pause) --pause;
        if (taken) next();
    }
    dut.final();
    return std::fclose(results) ? 3 : 0;
}
"""


def find_program() -> str | None:
    """Path of the program; None without."""
    return shutil.which(PROGRAM)


def simulate(
    rtl: Path,
    directory: Path,
    figures: Figures,
    words: Sequence[int],
    gaps: Sequence[int] = (),
    *,
    timeout_s: float,
    **bounds: Any,
) -> tuple[list[int], ToolRun]:
    """Compile the Verilog under `rtl` and send the input `words` through it; one output word for each.

    `gaps` and what is raised as for `run`, and by `compile_verilog`; `bounds` (memory_limit_bytes, cancelled) and
    `timeout_s` as for `run_tool`. The `ToolRun` is both together. Files go to `directory`.
    """
    deadline = time.monotonic() + timeout_s
    edges = len(words) * figures.initiation_interval
    first = compile_verilog(rtl, directory, figures, optimise=edges > OPTIMISED_EDGES, timeout_s=timeout_s, **bounds)
    outputs, second = run(directory, figures, words, gaps, timeout_s=deadline - time.monotonic(), **bounds)
    peak = max(first.peak_memory_bytes, second.peak_memory_bytes)
    return outputs, ToolRun(first.seconds + second.seconds, peak, first.log)


def compile_verilog(rtl: Path, directory: Path, figures: Figures, *, optimise: bool = False, **bounds: Any) -> ToolRun:
    """Make the program `directory`/Vdut of the Verilog under `rtl`, whose ports are those of `figures`.

    `optimise` is for long simulations. Raises `ToolError`: TOOL_MISSING without verilator, make or a C++ compiler, and
    what `run_tool` raises, which has the `bounds`.
    """
    program = find_program()
    if program is None:
        raise ToolError(FailureKind.TOOL_MISSING, f"{PROGRAM} is not on PATH")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / SIMULATION).unlink(missing_ok=True)
    defines = f"-DINPUT_BITS={sum(figures.inputs.widths)} -DHANDSHAKE={int(figures.handshake)}"
    levels = f"OPT_FAST={'-O1' if optimise else '-O0'} OPT_SLOW=-O0 OPT_GLOBAL=-O0"
    command = [program, "--cc", "--exe", "--build", "--top-module", "dut", "--Mdir", "compiled"]
    command += ["--x-assign", "unique", "--x-initial", "unique", "-Wno-fatal", "-Wno-lint", *NEWER_WARNINGS]
    command += ["-MAKEFLAGS", levels, "-CFLAGS", defines, "bench.cpp", "design.v"]
    with TemporaryDirectory(prefix="evonas-verilator-") as name:  # make cannot work where a path has a space
        scratch = Path(name)
        (scratch / "bench.cpp").write_text(BENCH)
        (scratch / "design.v").write_text("\n".join(file.read_text() for file in yosys.sources(rtl)))
        log = directory / "verilator.log"
        ran = run_tool(command, name=PROGRAM, log=log, cwd=scratch, diagnose=_diagnose, **bounds)
        shutil.copy(scratch / "compiled" / "Vdut", directory / SIMULATION)
    return ran


def run(
    directory: Path, figures: Figures, words: Sequence[int], gaps: Sequence[int] = (), **bounds: Any
) -> tuple[list[int], ToolRun]:
    """Send the input `words` through what was compiled in `directory`; one output word for each.

    Each word is offered `gaps[k]` clock edges after the one before it was taken (0, also for gaps that are not given:
    at the next edge), as in `rtl.simulation.simulate`; in between, `model_inp` has a word that does not count. Without
    a handshake the output is read `figures.latency_cycles` edges later. With one, raises `ToolError` (MISMATCH) unless
    each word is taken and each result comes at the very edge that initiation interval and latency say. Also raises
    what `run_tool` does.
    """
    reset = RESET_EDGES if figures.handshake else 0
    digits = 8 * -(-sum(figures.inputs.widths) // 32)
    pauses = [*gaps[: len(words)], *[0] * (len(words) - len(gaps))]
    lines = [f"{pause} {word:0{digits}x}\n" for pause, word in zip(pauses, words, strict=True)]
    (directory / "stimulus.txt").write_text("".join(lines))
    (directory / "results.txt").unlink(missing_ok=True)
    program = str((directory / SIMULATION).resolve())
    drain = figures.latency_cycles + figures.initiation_interval
    ran = run_tool(
        [program, "stimulus.txt", "results.txt", str(reset), str(drain)],
        name="the simulation that verilator made",
        log=directory / "simulation.log",
        cwd=directory,
        **bounds,
    )
    taken, finished, outputs = _read(directory / "results.txt")
    if not figures.handshake:
        return [outputs[edge] for edge in taken + figures.latency_cycles], ran
    expected = _schedule(taken, figures.initiation_interval, np.array(pauses, np.int64))
    check_edges("input", "is taken", expected.tolist(), taken.tolist())
    check_edges("result", "comes", (taken + figures.latency_cycles).tolist(), finished.tolist())
    return outputs, ran


def _diagnose(log: str) -> FailureKind | None:
    """verilator needs make and a C++ compiler."""
    absent = re.search(r"^make(\[\d+\])?: \S+: No such file or directory|\bmake: not found", log, re.MULTILINE)
    return FailureKind.TOOL_MISSING if absent else None


def _read(results: Path) -> tuple[NDArray[np.int64], NDArray[np.int64], list[int]]:
    """Edges at which inputs were taken, edges of results, and the results' words."""
    taken, finished, outputs = [], [], []
    with results.open() as lines:
        for line in lines:
            fields = line.split()
            if fields[0] == "in":
                taken.append(int(fields[1]))
            else:
                finished.append(int(fields[1]))
                outputs.append(int(fields[2], 16))
    return np.array(taken, np.int64), np.array(finished, np.int64), outputs


def _schedule(taken: NDArray[np.int64], interval: int, pauses: NDArray[np.int64]) -> NDArray[np.int64]:
    """The clock edge at which each input must be taken, if the one before it was taken when it was."""
    following = taken[: len(pauses) - 1]
    busy_until = np.concatenate([[RESET_EDGES], following + interval])
    offered = np.concatenate([[RESET_EDGES], following + 1]) + pauses[: len(following) + 1]
    edges: NDArray[np.int64] = np.maximum(busy_until, offered)
    return edges
