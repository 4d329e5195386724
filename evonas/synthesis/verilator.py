"""Verilator: emitted Verilog compiled to a program, which simulates very many vectors. Optional, not a dependency.

Compiling takes from seconds to minutes, a vector then microseconds: for thousands of vectors it is far faster than
yosys, for a hundred it is not. It knows no undefined bits: registers and memories without a reset or an initial value
start with random bits, so that a result which depends on them is wrong instead of undefined.
"""

from __future__ import annotations

import re
import shutil
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.errors import FailureKind, ToolError
from evonas.synthesis import yosys
from evonas.synthesis.process import ToolRun, run_tool
from evonas.synthesis.rtl.simulation import RESET_EDGES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from evonas.synthesis.figures import Figures

PROGRAM = "verilator"
OPTIMISATION = ("OPT_FAST=-O1", "OPT_SLOW=-O0", "OPT_GLOBAL=-O1")  # of the C++: more costs more than it gains
# Reads "pause word" lines and writes "in edge" when an input is taken, "out edge word" when there is a result; words
# are hexadecimal, 32 bits to a group of 8 digits. It ends when DRAIN edges pass with no input offered or none taken.
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
    for (uint64_t edge = 0, quiet = 0; quiet < DRAIN; ++edge) {
        const bool offered = waiting && edge >= RESET_EDGES && pause == 0;
        drive(dut.model_inp, offered ? word : invert(word));
        dut.clk = 0;
#if HANDSHAKE
        dut.rst = edge < RESET_EDGES;
        dut.in_valid = offered;
        dut.eval();
        const bool taken = offered && dut.in_ready, result = edge >= RESET_EDGES && dut.out_valid;
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
        if (waiting && edge >= RESET_EDGES && pause) --pause;
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
    memory_limit_bytes: int | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[list[int], ToolRun]:
    """Send the input `words` through the Verilog under `rtl`; one output word for each. Files go to `directory`.

    Without a handshake a word comes at each clock edge, and its output is read `figures.latency_cycles` edges later.
    Behind one each word is offered `gaps[k]` clock edges after the one before it was taken (0, also for gaps that are
    not given: at the next edge), as in `rtl.simulation.simulate`. Raises `ToolError`: MISMATCH unless each word is
    taken and each result comes at the very edge that initiation interval and latency say, TOOL_MISSING without
    verilator or what it needs, and what `run_tool` raises. The `ToolRun` is compiling and simulating together.
    """
    deadline = time.monotonic() + timeout_s
    bounds: dict[str, Any] = {"memory_limit_bytes": memory_limit_bytes, "cancelled": cancelled}
    compiled = _compile(rtl, directory, figures, timeout_s=timeout_s, **bounds)
    stimulus, results = directory / "stimulus.txt", directory / "results.txt"
    digits = 8 * -(-sum(figures.inputs.widths) // 32)
    pauses = [*gaps[: len(words)], *[0] * (len(words) - len(gaps))]
    stimulus.write_text("".join(f"{pause} {word:0{digits}x}\n" for pause, word in zip(pauses, words, strict=True)))
    results.unlink(missing_ok=True)
    ran = run_tool(
        [str((directory / "compiled" / "Vdut").resolve()), stimulus.name, results.name],
        name="the simulation compiled by verilator",
        log=directory / "simulation.log",
        cwd=directory,
        timeout_s=deadline - time.monotonic(),
        **bounds,
    )
    run = ToolRun(compiled.seconds + ran.seconds, max(compiled.peak_memory_bytes, ran.peak_memory_bytes), compiled.log)
    taken, finished, outputs = _read(results)
    if not figures.handshake:
        return outputs[figures.latency_cycles :][: len(words)], run
    _compare("input", "is taken", _schedule(taken, figures.initiation_interval, np.array(pauses)), taken)
    _compare("result", "comes", taken + figures.latency_cycles, finished)
    return outputs, run


def _compile(rtl: Path, directory: Path, figures: Figures, **bounds: Any) -> ToolRun:
    """Make the program `directory`/compiled/Vdut."""
    program = find_program()
    if program is None:
        raise ToolError(FailureKind.TOOL_MISSING, f"{PROGRAM} is not on PATH")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "bench.cpp").write_text(BENCH)
    defines = {
        "INPUT_BITS": sum(figures.inputs.widths),
        "HANDSHAKE": int(figures.handshake),
        "RESET_EDGES": RESET_EDGES if figures.handshake else 0,
        "DRAIN": figures.latency_cycles + figures.initiation_interval,
    }
    command = [program, "--cc", "--exe", "--build", "--top-module", "dut", "--Mdir", "compiled", "-Wno-fatal"]
    command += ["-Wfuture-WIDTHTRUNC", "-Wno-lint", "--x-assign", "unique", "--x-initial", "unique", "-MAKEFLAGS", " ".join(OPTIMISATION)]
    command += ["-CFLAGS", " ".join(f"-D{name}={value}" for name, value in defines.items()), "bench.cpp"]
    command += [str(file.resolve()) for file in yosys.sources(rtl)]
    shutil.rmtree(directory / "compiled", ignore_errors=True)
    return run_tool(
        command, name=PROGRAM, log=directory / "verilator.log", cwd=directory, diagnose=_diagnose, **bounds
    )


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
    return np.maximum(busy_until, offered)


def _compare(what: str, happens: str, expected: NDArray[np.int64], found: NDArray[np.int64]) -> None:
    """Raise `ToolError` (MISMATCH) naming the first edge at which the Verilog does not keep to the schedule."""
    common = min(len(expected), len(found))
    wrong = np.flatnonzero(expected[:common] != found[:common])
    if len(wrong) == 0 and len(expected) == len(found):
        return
    index = int(wrong[0]) if len(wrong) else common
    right, edge = (int(edges[index]) if index < len(edges) else None for edges in (expected, found))
    message = f"{what} {index} of the Verilog {happens} at clock edge {edge}, not {right} as scheduled"
    raise ToolError(FailureKind.MISMATCH, message)
