"""Published networks that can be rebuilt, through OpenRTL: what our open tools say of them.

    python experiments/published_designs/designs.py --out runs/published

The dense networks are trained quantised on the embedded jets. Deep Sets are built as hls4ml sees them, from torch
layers with a fixed random initialisation (the embedded sample has no constituents), so they have no accuracy. Writes
`results.json` and prints the table of the README. A design larger than `--largest` weights is traced, not synthesised.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hls4ml
import torch

from evonas.errors import Failure
from evonas.models.quantised_network import QuantisedNetwork
from evonas.study.jobs import SynthesisOrder, Training, score, synthesise_candidate, train_candidate
from evonas.tasks import load_task
from surrogates import HardwareTarget, LayerSpec, ModelSpec


@dataclass(frozen=True)
class Dense:
    """16-64-32-32-5 at one width of weights and activations, with a fraction of its weights pruned."""

    name: str
    bits: int
    sparsity: float
    reuse_factor: int = 0  # 0: distributed arithmetic

    @property
    def spec(self) -> ModelSpec:
        """Layers of the network."""
        sizes = (16, 64, 32, 32, 5)
        shared: dict[str, Any] = {}
        if self.reuse_factor:
            shared = {"strategy": "reuse", "reuse_factor": self.reuse_factor}
        layers = []
        for index, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
            last = index == len(sizes) - 2
            activation, bits = ("linear", 0) if last else ("relu", self.bits)
            layers.append(LayerSpec(n_in, n_out, self.bits, bits, activation, self.sparsity, **shared))
        return ModelSpec(self.bits, tuple(layers))


DENSE = (
    Dense("16-64-32-32-5, 6 bit, 50 % pruned", 6, 0.5),
    Dense("16-64-32-32-5, 6 bit", 6, 0.0),
    Dense("16-64-32-32-5, 8 bit, 50 % pruned", 8, 0.5),
    Dense("16-64-32-32-5, 8 bit", 8, 0.0),
    Dense("16-64-32-32-5, 8 bit, reuse factor 4", 8, 0.0, 4),
    Dense("16-64-32-32-5, 8 bit, reuse factor 16", 8, 0.0, 16),
)


class DeepSets(torch.nn.Module):
    """phi and rho of equal width over constituents with 3 features; the mean between them."""

    def __init__(self, constituents: int, phi: tuple[int, ...], rho: tuple[int, ...]) -> None:
        super().__init__()
        sizes = (3, *phi)
        layers: list[torch.nn.Module] = []
        for n_in, n_out in itertools.pairwise(sizes):
            layers += [torch.nn.Conv1d(n_in, n_out, 1), torch.nn.ReLU()]
        self.phi = torch.nn.Sequential(*layers)
        self.mean = torch.nn.AvgPool1d(constituents)
        self.flatten = torch.nn.Flatten()
        sizes, layers = (phi[-1], *rho, 5), []
        for n_in, n_out in itertools.pairwise(sizes):
            layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
        self.rho = torch.nn.Sequential(*layers[:-1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of constituents (n, 3, constituents)."""
        return self.rho(self.flatten(self.mean(self.phi(x))))


def deep_sets(out: Path, constituents: int, bits: int, largest: int) -> dict[str, Any]:
    """Deep Sets phi 32-32-32, mean, rho 32, all types `bits` wide, weights uniformly random."""
    torch.manual_seed(0)
    network = DeepSets(constituents, (32, 32, 32), (32,)).eval()
    word, weight = f"fixed<{bits},3,RND,SAT>", f"fixed<{bits},1,RND,SAT>"
    with contextlib.redirect_stdout(io.StringIO()):
        config = hls4ml.utils.config_from_pytorch_model(
            network, (3, constituents), granularity="name", backend="OpenRTL", default_precision="fixed<16,6>"
        )
        for layer in config["LayerName"].values():
            layer["Precision"] |= {"result": word}
            if "weight" in layer["Precision"]:
                layer["Precision"] |= {"weight": weight, "bias": weight, "accum": "fixed<24,10>"}
        model = hls4ml.converters.convert_from_pytorch_model(
            network, hls_config=config, backend="OpenRTL", output_dir=str(out)
        )
    weights = sum(parameter.numel() for parameter in network.parameters())
    began = time.process_time()
    report = model.build(vsynth=weights <= largest, cosim=weights <= largest, timeout_s=5400.0)
    estimate, cells = report["CSynthesisReport"], report.get("VivadoSynthReport")
    row = {
        "traced_lut": int(estimate["LUT"]),
        "cycles": int(estimate["BestLatency"]),
        "ii": int(estimate["IntervalMax"]),
    }
    row |= {"lut": int(cells["LUT"]), "ff": int(cells["FF"]), "dsp": int(cells["DSP48E"])} if cells else {}
    return {
        "name": f"Deep Sets, {constituents} constituents, {bits} bit, random weights",
        "seconds": time.process_time() - began,
    } | row


def dense(design: Dense, out: Path, epochs: int) -> dict[str, Any]:
    """Train, synthesise, and verify one dense network."""
    task = load_task("jets")
    trained = train_candidate(task, design.spec.to_dict(), 0.01, 1, Training(epochs, 1024, 4.0))
    if isinstance(trained, Failure):
        raise SystemExit(f"{design.name}: {trained.message}")
    network = QuantisedNetwork.from_bytes(trained.network)
    accuracy = next(m.value for m in score(task, network, "test") if m.metric == "accuracy")
    order = SynthesisOrder("openrtl", {"csim": "never"}, HardwareTarget(), str(out), 5400.0, 256)
    result = synthesise_candidate(task, trained.network, order)
    row: dict[str, Any] = {"name": design.name, "accuracy": accuracy}
    for record in result.records:
        if record.stage.label == "traced":
            row |= {"traced_lut": record.lut}
        else:
            row |= {"lut": record.lut, "ff": record.ff, "dsp": record.dsp, "bram_18k": record.bram_18k}
        row |= {"cycles": record.latency_cycles, "ii": record.initiation_interval}
        row |= {"seconds": record.wall_time_s, "peak_memory_bytes": record.peak_memory_bytes}
    if result.failure is not None:
        row["failure"] = f"{result.failure.kind.value}: {result.failure.message}"
    return row


def main() -> None:
    """Build everything; rows that exist are not made again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--largest", type=int, default=4000, help="weights of the largest design to synthesise")
    parser.add_argument("--only", default="", help="only the networks with this in their name")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "results.json"
    rows: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    jobs = {design.name: (lambda d=design: dense(d, options.out / d.name, options.epochs)) for design in DENSE}
    name = "Deep Sets, 8 constituents, 8 bit, random weights"
    jobs[name] = lambda: deep_sets(options.out / name, 8, 8, options.largest)
    for name, job in jobs.items():
        if any(row["name"] == name for row in rows) or options.only not in name:
            continue
        rows.append(job())
        path.write_text(json.dumps(rows, indent=1) + "\n")
        print(rows[-1], flush=True)
    print("| network | accuracy | LUT | FF | DSP | cycles | II | traced LUT |\n|---|---|---|---|---|---|---|---|")
    for row in rows:
        accuracy = f"{100 * row['accuracy']:.1f} %" if "accuracy" in row else ""
        cells = [row.get(key, "") for key in ("lut", "ff", "dsp", "cycles", "ii", "traced_lut")]
        print(f"| {row['name']} | {accuracy} | " + " | ".join(f"{c:,.0f}" if c != "" else "" for c in cells) + " |")


if __name__ == "__main__":
    main()
