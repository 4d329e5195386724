"""Measure the open synthesis: how good the estimate before it is, what it costs, and how two runs share two cores.

    python experiments/benchmarks/synthesis/benchmark.py --out runs/synthesis_benchmark

`estimates`: random dense networks (trained ones differ little in cost), the traced LUTs against those of logic
synthesis, and the time of tracing. `overhead`: our run against a bare yosys process with the same script on the same
Verilog. `large`: 16-64-32-32-5 with 6 bits, half of it pruned, in CPU seconds and memory. `scaling`: two at once.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from evonas.models.fixed_point import FixedPoint, QuantisedDense, QuantisedNetwork
from evonas.synthesis import yosys
from evonas.synthesis._hls4ml import convert, read
from evonas.synthesis.openrtl import emit
from surrogates import HardwareTarget, LayerSpec, ModelSpec

TARGET = HardwareTarget()
LARGE = (16, 64, 32, 32, 5)
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


def trace(network: QuantisedNetwork, directory: Path) -> tuple[float, float]:
    """Traced LUTs, and the seconds from hls4ml's graph to written Verilog."""
    graph = read(convert(network, TARGET, directory / "hls4ml", "OpenRTL"))
    began = time.perf_counter()
    figures = emit(graph, directory / "verilog", TARGET.part, TARGET.clock_period_ns).figures
    return figures.lut, time.perf_counter() - began


def synthesise(directory: Path) -> tuple[yosys.Utilisation, Any]:
    """Cells of the Verilog in `directory`."""
    return yosys.synthesise(directory / "verilog", directory / "yosys", TARGET.part, timeout_s=3600.0)


def estimates(out: Path, designs: int, seed: int) -> dict[str, Any]:
    """Traced against synthesised on random designs of at most 1,000 weights."""
    rng = np.random.default_rng(seed)
    rows = []
    while len(rows) < designs:
        depth = int(rng.integers(1, 4))
        sizes = (16, *(int(n) for n in rng.choice([4, 8, 12, 16, 24], depth)), 5)
        bits, sparsity = int(rng.integers(2, 9)), float(rng.choice([0.0, 0.3, 0.5, 0.7, 0.85]))
        network = random_network(rng, sizes, bits, sparsity)
        directory = out / f"design{len(rows)}"
        lut, seconds = trace(network, directory)
        used, _ = synthesise(directory)
        weights = sum(layer.weight_codes.size for layer in network.layers)
        rows.append({"sizes": sizes, "bits": bits, "sparsity": sparsity, "weights": weights})
        rows[-1] |= {"traced_lut": lut, "lut": used.lut, "trace_s": seconds}
        print(rows[-1], flush=True)
    error = np.array([abs(row["traced_lut"] - row["lut"]) / row["lut"] for row in rows])
    small = [row["trace_s"] for row in rows if row["weights"] < 1000]
    summary = {"designs": len(rows), "median_error": float(np.median(error)), "largest_error": float(error.max())}
    return summary | {"median_trace_s": float(np.median(small)), "slowest_trace_s": max(small), "rows": rows}


def children_cpu_s() -> float:
    """CPU seconds of ended children so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def large(out: Path, seed: int) -> dict[str, Any]:
    """Cost of one large design, and the overhead of our run over bare yosys with the same commands."""
    directory = out / "large"
    network = random_network(np.random.default_rng(seed), LARGE, 6, 0.5)
    began = time.process_time()
    lut, _ = trace(network, directory)
    tracing_cpu_s = time.process_time() - began
    cpu, clock = children_cpu_s(), time.perf_counter()
    used, run = synthesise(directory)
    ours_s, ours_cpu_s = time.perf_counter() - clock, children_cpu_s() - cpu
    commands = json.loads((directory / "yosys" / "synthesis.json").read_text())["commands"]
    plain = [command for command in commands if isinstance(command, str)]  # lists are for memories and multipliers
    clock = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", BARE, json.dumps(plain)], cwd=directory / "yosys", check=True, stdout=subprocess.DEVNULL
    )
    bare_s = time.perf_counter() - clock
    return {
        "traced_lut": lut,
        "lut": used.lut,
        "tracing_cpu_s": tracing_cpu_s,
        "yosys_cpu_s": ours_cpu_s,
        "peak_memory_bytes": run.peak_memory_bytes,
        "our_run_s": ours_s,
        "bare_yosys_s": bare_s,
        "ratio": ours_s / bare_s,
    }


def scaling(out: Path, seed: int) -> dict[str, float]:
    """Two designs one after the other, and both at once."""
    directories = [out / f"pair{index}" for index in range(2)]
    for index, directory in enumerate(directories):
        trace(random_network(np.random.default_rng(seed + index), (16, 32, 16, 5), 6, 0.5), directory)
    clock = time.perf_counter()
    for directory in directories:
        synthesise(directory)
    apart = time.perf_counter() - clock
    clock = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(synthesise, directories))
    together = time.perf_counter() - clock
    return {"one_after_the_other_s": apart, "both_at_once_s": together, "speed_up": apart / together}


def main() -> None:
    """Run all parts and write `results.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--designs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    results = {"scaling": scaling(options.out, options.seed), "large": large(options.out, options.seed)}
    print(json.dumps(results, indent=1), flush=True)
    results["estimates"] = estimates(options.out, options.designs, options.seed)
    (options.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps({k: v for k, v in results["estimates"].items() if k != "rows"}, indent=1))


if __name__ == "__main__":
    main()
