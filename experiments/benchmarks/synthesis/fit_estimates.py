"""Make the coefficients of `evonas/synthesis/estimates.py` again, and say how good they are where they come from.

    python experiments/benchmarks/synthesis/fit_estimates.py --out runs/fit_estimates

Logic: random networks of another seed than the benchmark's, networks trained on the embedded jets, and 16-64-32-32-5
with 6 and 8 bits. Layers with shared multipliers: trained mixtures, module by module. Relative errors are minimised,
with coefficients that are not negative. What `--out` holds is not made again.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from benchmark import LARGE, LARGEST, TARGET, random_network, random_sizes
from scipy.optimize import nnls

from evonas.errors import Failure, ToolError
from evonas.models.quantised_network import QuantisedNetwork
from evonas.seeding import derive, stream
from evonas.space import MlpSpace
from evonas.study.jobs import Training, train_candidate
from evonas.synthesis import yosys
from evonas.synthesis._hls4ml import convert, read
from evonas.synthesis.estimates import DenseBits, LogicBits, dense_bits, logic_bits, logic_ff
from evonas.synthesis.openrtl import emit
from evonas.synthesis.rtl import SharedDense
from evonas.tasks import load_task

IMPLEMENTATIONS = ("distributed_arithmetic", 1, 2, 4, 8, 16, 32, 64)
SMALLEST = 100.0  # cells: of smaller designs the absolute error counts
Rows = list[dict[str, Any]]


def logic_row(network: QuantisedNetwork, directory: Path) -> dict[str, Any]:
    """Bits of a network of distributed arithmetic, and its cells."""
    graph = read(convert(network, TARGET, directory / "hls4ml", "OpenRTL"))
    verilog = emit(graph, directory / "verilog", TARGET.part, TARGET.clock_period_ns)
    used, _ = yosys.synthesise(directory / "verilog", directory / "yosys", TARGET.part, timeout_s=3600.0)
    (logic,), registers = verilog.logic.values(), verilog.figures.ff / logic_ff(1)
    return asdict(logic_bits(logic)) | {"register_bits": registers, "lut": used.lut, "ff": used.ff}


def mixture_row(network: QuantisedNetwork, directory: Path) -> dict[str, Any]:
    """Bits and cells of each shared layer of a network; all estimates and cells of the network."""
    graph = read(convert(network, TARGET, directory / "hls4ml", "OpenRTL"))
    verilog = emit(graph, directory / "verilog", TARGET.part, TARGET.clock_period_ns)
    folder = directory / "verilog", directory / "yosys"
    used, _ = yosys.synthesise(*folder, TARGET.part, per_module=True, timeout_s=3600.0)
    layers = [
        asdict(dense_bits(layer)) | {"lut": used.modules[layer.name].lut, "ff": used.modules[layer.name].ff}
        for layer in verilog.shared
        if isinstance(layer, SharedDense) and layer.name in used.modules
    ]
    figures = verilog.figures
    whole = {"traced_lut": figures.lut, "lut": used.lut, "traced_ff": figures.ff, "ff": used.ff}
    return whole | {"multipliers": figures.multipliers, "dsp": used.dsp, "layers": layers}


def random_networks(seed: int, count: int) -> list[QuantisedNetwork]:
    """Random networks as in the benchmark, and two of 16-64-32-32-5."""
    rng = np.random.default_rng(seed)
    networks = [random_network(rng, LARGE, bits, 0.5) for bits in (6, 8)]
    for _ in range(count):
        sizes, bits = random_sizes(rng), int(rng.integers(2, 9))
        networks.append(random_network(rng, sizes, bits, float(rng.choice([0.0, 0.3, 0.5, 0.7, 0.85]))))
    return networks


def trained_network(space: MlpSpace, name: str, seed: int, *, shared: bool) -> QuantisedNetwork:
    """A network drawn from the space, of at most `LARGEST` weights that are not zero, after a little training."""
    rng, task = stream(seed, name), load_task("jets")
    found = (space.decode(genome) for genome in space.sample(256, rng))
    phenotype = next(
        each
        for each in found
        if any(layer.strategy != "distributed_arithmetic" for layer in each.spec.layers) == shared
        and sum(layer.n_nonzero for layer in each.spec.layers) <= LARGEST
    )
    trained = train_candidate(
        task, phenotype.spec.to_dict(), phenotype.learning_rate, derive(seed, name), Training(2, 1024, 4.0)
    )
    if isinstance(trained, Failure):
        raise SystemExit(f"{name}: {trained.message}")
    return QuantisedNetwork.from_bytes(trained.network)


def made(out: Path, name: str, row: Any, network: Any) -> dict[str, Any]:
    """The row of a design, from `out` if it was made before; empty for a design without hardware."""
    path = out / name / "row.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            found = row(network(), out / name)
        except ToolError as error:
            found = {}
            print(f"{name}: {error.failure.message}", flush=True)
        path.write_text(json.dumps(found))
    print(name, flush=True)
    return dict(json.loads(path.read_text()))


def fitted(rows: Rows, names: tuple[str, ...], given: tuple[str, ...], figure: str) -> dict[str, float]:
    """Coefficients of the quantities `names` for a figure, beside which those of `given` count in full."""
    truth = np.array([row[figure] for row in rows], float)
    weight = 1 / np.maximum(truth, SMALLEST)
    rest = truth - np.array([sum(row[name] for name in given) for row in rows], float)
    columns = np.array([[float(row[name]) for name in names] for row in rows])
    found, _ = nnls(columns * weight[:, None], rest * weight)
    return dict(zip(names, found.round(3).tolist(), strict=True))


def errors(pairs: list[tuple[float, float]]) -> dict[str, float]:
    """Relative errors of pairs of an estimate and the truth, without designs of less than ten cells."""
    error = np.array([estimate / truth - 1 for estimate, truth in pairs if truth >= 10])
    size = np.abs(error)
    values = {"designs": len(error), "median": np.median(size), "p90": np.quantile(size, 0.9), "bias": np.median(error)}
    return {name: round(float(value), 4) for name, value in values.items()}


def logic_report(rows: Rows) -> dict[str, Any]:
    """Coefficients for logic, and the errors of those in use."""
    bits = [LogicBits(*(row[name] for name in ("sums", "borrows", "selections", "tables"))) for row in rows]
    return {
        "lut_coefficients": fitted(rows, ("sums", "borrows", "selections"), ("tables",), "lut"),
        "ff_coefficient": round(float(np.median([row["ff"] / row["register_bits"] for row in rows])), 3),
        "lut_error": errors([(bit.lut, row["lut"]) for bit, row in zip(bits, rows, strict=True)]),
        "ff_error": errors([(logic_ff(round(row["register_bits"])), row["ff"]) for row in rows]),
    }


def shared_report(rows: Rows) -> dict[str, Any]:
    """Coefficients for shared layers, and the errors of those in use, for layers and whole mixtures."""
    layers = [layer for row in rows for layer in row["layers"]]
    bits = [DenseBits(**{k: v for k, v in layer.items() if k not in ("lut", "ff")}) for layer in layers]
    for layer, bit in zip(layers, bits, strict=True):
        layer["all"] = bit.lut
    return {
        "lut_coefficient": fitted(layers, ("all",), (), "lut"),
        "ff_coefficients": fitted(layers, ("merged", "shared"), ("kept",), "ff"),
        "lut_error": errors([(bit.lut, layer["lut"]) for bit, layer in zip(bits, layers, strict=True)]),
        "ff_error": errors([(bit.ff, layer["ff"]) for bit, layer in zip(bits, layers, strict=True)]),
        "network_lut_error": errors([(row["traced_lut"], row["lut"]) for row in rows]),
        "network_ff_error": errors([(row["traced_ff"], row["ff"]) for row in rows]),
        "dsp_exact": [sum(row["multipliers"] == row["dsp"] for row in rows), len(rows)],
    }


def main() -> None:
    """Make the designs and print both reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--random", type=int, default=40)
    parser.add_argument("--trained", type=int, default=40)
    parser.add_argument("--mixtures", type=int, default=40)
    parser.add_argument("--seed", type=int, default=2)
    options = parser.parse_args()
    task = load_task("jets")
    plain = MlpSpace(task.n_inputs, task.n_classes)
    mixed = MlpSpace(task.n_inputs, task.n_classes, implementations=IMPLEMENTATIONS)
    out, seed = options.out, options.seed

    logic = [
        made(out, f"random{index}", logic_row, lambda network=network: network)
        for index, network in enumerate(random_networks(seed, options.random))
    ]
    for index in range(options.trained):
        name = f"trained{index}"
        logic.append(made(out, name, logic_row, lambda name=name: trained_network(plain, name, seed, shared=False)))
    mixtures = []
    for index in range(options.mixtures):
        name = f"mixture{index}"
        mixtures.append(made(out, name, mixture_row, lambda name=name: trained_network(mixed, name, seed, shared=True)))
    report = {"logic": logic_report([row for row in logic if row])}
    if any(mixtures):
        report["shared"] = shared_report([row for row in mixtures if row])
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
