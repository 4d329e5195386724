"""Measure the open synthesis: how good the estimate before it is, what it costs, and how two runs share two cores.

    python experiments/benchmarks/synthesis/benchmark.py --out runs/synthesis_benchmark

`estimates`: random dense networks of at most 1,000 weights, the traced LUTs and flip-flops against those of logic
synthesis, and the time of tracing. `overhead`: our run against a bare yosys process with the same script on the same
Verilog, in turns. `large`: 16-64-32-32-5 with 6 bits, half of it pruned, in CPU seconds and memory. `scaling`: two at
once. Other work on the machine falsifies wall times more than CPU seconds; `load` has its average before and after.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from evonas.errors import FailureKind, ToolError
from evonas.models.fixed_point import FixedPoint, QuantisedDense
from evonas.models.quantised_network import QuantisedNetwork
from evonas.synthesis import yosys
from evonas.synthesis._hls4ml import convert, read
from evonas.synthesis.openrtl import emit
from surrogates import HardwareTarget, LayerSpec, ModelSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from evonas.synthesis.figures import Figures

Result = TypeVar("Result")
TARGET = HardwareTarget()
LARGE = (16, 64, 32, 32, 5)
MEDIUM = (16, 32, 16, 5)
LARGEST = 1000  # weights of a random design
BARE = """import json, sys
from pyosys import libyosys
design = libyosys.Design()
for command in json.loads(sys.argv[1]):
    design.run_pass(command)
"""


def random_network(rng: np.random.Generator, sizes: tuple[int, ...], bits: int, sparsity: float) -> QuantisedNetwork:
    """Weights and biases normal, cut to `bits`; a fraction of the weights is zero."""
    layers, specs, words = [], [], FixedPoint(True, bits, 3, "RND", "SAT")
    for index, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        last = index == len(sizes) - 2
        kind = FixedPoint(True, bits, 1, "RND", "SAT")
        weight = kind.codes(rng.normal(0, 1 / np.sqrt(n_in), (n_in, n_out)))
        weight[rng.random(weight.shape) < sparsity] = 0
        bias = kind.codes(rng.normal(0, 0.3, n_out))
        result = None if last else FixedPoint(False, bits, 2, "RND", "SAT")
        layers.append(QuantisedDense(weight, kind, bias, kind, "linear" if last else "relu", result))
        specs.append(LayerSpec(n_in, n_out, bits, 0 if last else bits, "linear" if last else "relu", sparsity))
    return QuantisedNetwork(ModelSpec(bits, tuple(specs)), words, tuple(layers))


@dataclass(frozen=True)
class Cost:
    """Seconds of a call: by the clock, and of CPU time in this process and its children that ended."""

    wall_s: float
    cpu_s: float


def measured(call: Callable[[], Result]) -> tuple[Result, Cost]:
    """What `call` returns, and what it costs."""
    clock, cpu = time.perf_counter(), cpu_s()
    result = call()
    return result, Cost(time.perf_counter() - clock, cpu_s() - cpu)


def cpu_s() -> float:
    """CPU seconds of this process and its ended children so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + usage.ru_utime + usage.ru_stime


def trace(network: QuantisedNetwork, directory: Path) -> tuple[Figures, Cost]:
    """The figures before synthesis, and the cost from hls4ml's graph to written Verilog."""
    graph = read(convert(network, TARGET, directory / "hls4ml", "OpenRTL"))
    verilog, cost = measured(lambda: emit(graph, directory / "verilog", TARGET.part, TARGET.clock_period_ns))
    return verilog.figures, cost


def synthesise(directory: Path) -> tuple[yosys.Utilisation, Any]:
    """Cells of the Verilog in `directory`."""
    return yosys.synthesise(directory / "verilog", directory / "yosys", TARGET.part, timeout_s=3600.0)


def random_sizes(rng: np.random.Generator) -> tuple[int, ...]:
    """A network of one to three hidden layers and at most `LARGEST` weights."""
    while True:
        sizes = (16, *(int(n) for n in rng.choice([4, 8, 12, 16, 24], int(rng.integers(1, 4)))), 5)
        if sum(n_in * n_out for n_in, n_out in itertools.pairwise(sizes)) <= LARGEST:
            return sizes


def estimates(out: Path, designs: int, seed: int) -> dict[str, Any]:
    """Traced against synthesised on random designs."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    while len(rows) < designs:
        sizes = random_sizes(rng)
        bits, sparsity = int(rng.integers(2, 9)), float(rng.choice([0.0, 0.3, 0.5, 0.7, 0.85]))
        directory = out / f"design{len(rows)}"
        try:
            figures, cost = trace(random_network(rng, sizes, bits, sparsity), directory)
        except ToolError as error:
            if error.failure.kind is not FailureKind.UNSUPPORTED:
                raise
            continue  # so few bits and weights that no output depends on an input
        used, _ = synthesise(directory)
        rows.append({"sizes": sizes, "bits": bits, "sparsity": sparsity})
        rows[-1] |= {"traced_lut": figures.lut, "lut": used.lut, "traced_ff": figures.ff, "ff": used.ff}
        rows[-1] |= {"trace_s": cost.wall_s, "trace_cpu_s": cost.cpu_s}
        print(rows[-1], flush=True)
    summary: dict[str, Any] = {"designs": len(rows)} | errors(rows, "lut") | errors(rows, "ff")
    for name in ("trace_s", "trace_cpu_s"):
        seconds = [row[name] for row in rows]
        summary |= {f"median_{name}": float(np.median(seconds)), f"slowest_{name}": max(seconds)}
    return summary | {"rows": rows}


def errors(rows: list[dict[str, Any]], figure: str) -> dict[str, float]:
    """Relative errors of the traced figure, and their sign (`bias`)."""
    error = np.array([row[f"traced_{figure}"] / row[figure] - 1 for row in rows])
    size = np.abs(error)
    values = np.median(size), np.quantile(size, 0.9), size.max(), np.median(error)
    return {f"{figure}_{name}": float(v) for name, v in zip(("median", "p90", "largest", "bias"), values, strict=True)}


def bare(directory: Path) -> None:
    """yosys without anything of ours: the same commands as the last synthesis in `directory`."""
    commands = json.loads((directory / "yosys" / "synthesis.json").read_text())["commands"]
    plain = [command for command in commands if isinstance(command, str)]  # lists are for memories and multipliers
    call = [sys.executable, "-c", BARE, json.dumps(plain)]
    subprocess.run(call, cwd=directory / "yosys", check=True, stdout=subprocess.DEVNULL)


def overhead(out: Path, seed: int, times: int = 5) -> dict[str, Any]:
    """Our run against bare yosys, in turns: medians of the ratios of neighbours."""
    directory = out / "overhead"
    trace(random_network(np.random.default_rng(seed), MEDIUM, 6, 0.5), directory)
    pairs = []
    for _ in range(times):
        _, ours = measured(lambda: synthesise(directory))
        _, plain = measured(lambda: bare(directory))
        pairs.append((ours, plain))
    result: dict[str, Any] = {"ours": [asdict(ours) for ours, _ in pairs]}
    result["bare"] = [asdict(plain) for _, plain in pairs]
    for name in ("wall_s", "cpu_s"):
        ratios = [getattr(ours, name) / getattr(plain, name) for ours, plain in pairs]
        result[f"{name[:-2]}_ratio"] = float(np.median(ratios))
    return result


def large(out: Path, seed: int) -> dict[str, Any]:
    """Cost of one large design."""
    directory = out / "large"
    network = random_network(np.random.default_rng(seed), LARGE, 6, 0.5)
    figures, tracing = trace(network, directory)
    (used, run), synthesis = measured(lambda: synthesise(directory))
    return {
        "traced_lut": figures.lut,
        "lut": used.lut,
        "traced_ff": figures.ff,
        "ff": used.ff,
        "tracing_cpu_s": tracing.cpu_s,
        "synthesis_cpu_s": synthesis.cpu_s,
        "peak_memory_bytes": run.peak_memory_bytes,
    }


def scaling(out: Path, seed: int) -> dict[str, float]:
    """Two designs one after the other, and both at once."""
    directories = [out / f"pair{index}" for index in range(2)]
    for index, directory in enumerate(directories):
        trace(random_network(np.random.default_rng(seed + index), MEDIUM, 6, 0.5), directory)
    clock = time.perf_counter()
    for directory in directories:
        synthesise(directory)
    apart = time.perf_counter() - clock
    clock = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(synthesise, directories))
    together = time.perf_counter() - clock
    return {"one_after_the_other_s": apart, "both_at_once_s": together, "speed_up": apart / together}


def rounded(value: Any) -> Any:
    """Numbers with four digits."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list | tuple) else value


def main() -> None:
    """Run all parts and write `results.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--designs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    out, seed = options.out, options.seed
    out.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {"load": [os.getloadavg()[0]]}
    results |= {"scaling": scaling(out, seed), "overhead": overhead(out, seed), "large": large(out, seed)}
    print(json.dumps(results, indent=1), flush=True)
    results["estimates"] = estimates(out, options.designs, seed)
    results["load"].append(os.getloadavg()[0])
    (out / "results.json").write_text(json.dumps(rounded(results), indent=1) + "\n")
    print(json.dumps({k: v for k, v in results["estimates"].items() if k != "rows"}, indent=1))


if __name__ == "__main__":
    main()
