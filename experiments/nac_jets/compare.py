"""The networks that a study found beside published ones: same data, same training, same tools, one count of operations.

    evonas run experiments/nac_jets/experiment.toml --out runs/nac_jets
    python experiments/nac_jets/compare.py runs/nac_jets --synthesise

Trains the published networks on the study's task with the study's epochs and batch size, traces them through OpenRTL
(with `--synthesise` synthesises them), and writes `results.md` and `results.json` to STUDY/published. What is there
already is not made again, so a run may be interrupted, and `--synthesise` given later.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import evonas
from evonas.errors import Failure
from evonas.models.quantised_network import QuantisedNetwork
from evonas.seeding import derive
from evonas.space.published import PUBLISHED
from evonas.study.jobs import Training, score, train_candidate
from evonas.synthesis import choose
from evonas.tasks import load_task
from surrogates import Stage, SynthesisRecord, analytic_costs
from surrogates.metrics import spearman

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from evonas.config import StudyConfig
    from evonas.study.state import CandidateState
    from evonas.tasks import Task

BASELINES = (
    "ultrafast_mlp_8",
    "ultrafast_deep_sets_8",
    "ultrafast_interaction_8",
    "nac_deep_sets_large",
    "nac_deep_sets_medium",
    "nac_deep_sets_small",
    "nac_deep_sets_tiny",
)
COSTS = {"bops": "BOPs", "ebops": "EBOPs", "traced_lut": "LUT traced"}
AS_PUBLISHED = """\
| network | accuracy | LUT | DSP | ns | II | stage | source |
|---|---|---|---|---|---|---|---|
| ultrafast_mlp_8, 8 bit | 63.77 % (float) | 155,080 | 262 | 105 | 1 | synthesised | arXiv:2512.15998, as its baseline |
| ultrafast_deep_sets_8, 8 bit | 64.0 % | 386,000 | 626 | 95 | 3 | not known | arXiv:2402.01876 |
| nac_deep_sets_medium, 8 bit | 65.1 % | 130,000 | 548 | 110 | | not known | arXiv:2501.05515 |
| nac_deep_sets_large, 8 bit | 66.6 % | 337,000 | 2,458 | 135 | 3 | not known | arXiv:2501.05515 |
| SNAC-Pack, for accuracy, 8 bit | 63.84 % (float) | 57,728 | 0 | 140 | 12 | synthesised | arXiv:2512.15998 |
| SNAC-Pack, for resources, 8 bit | 62.30 % (float) | 34,472 | 0 | 50 | 1 | synthesised | arXiv:2512.15998 |
| JEDI-linear, permutation-invariant | 66.53 % | 136,497 | 0 | 79.3 | 1 | routed | arXiv:2508.15468 |
| JEDI-linear, not invariant | 65.69 % | 35,684 | 0 | 49.3 | 1 | routed | arXiv:2508.15468 |
"""
DIFFERENCES = """\
Why the two tables cannot be subtracted from each other:

- Data: published accuracies are on the public sets of OpenML and Zenodo (doi 10.5281/zenodo.3602260); ours are on what
  the first line says. On our own simulation, made without a detector, the same network scores differently.
- Training: ours is the same few epochs for all networks, theirs up to a thousand (arXiv:2402.01876).
- Stage: published numbers come from Vitis or Vivado for a VU13P, in part from stages that are not known to us; C
  synthesis over-states LUTs by more than two. Ours are *traced* (an estimate ahead of logic synthesis) or *synthesised*
  (yosys, no place and route).
- Architecture: ours unrolls every product into adders (II 1, no DSP); published designs share multipliers where II is
  above 1 or DSPs are used. Batch normalisation is folded and GELU is ReLU, see `evonas.space.published`.
- BOPs: m n ((1 - p) a w + a + w + log2 n) for each layer, times the positions it is applied at. Published BOPs follow
  other counts (those of SNAC-Pack's baseline are its number of weights), so none is shown beside ours.
"""


@dataclass(frozen=True)
class Row:
    """One network: test accuracy with its standard error, costs of each stage; None where there is none."""

    name: str
    topology: str
    bops: float
    ebops: float
    accuracy: float | None = None
    accuracy_std: float | None = None
    traced_lut: float | None = None
    lut: float | None = None
    cycles: float | None = None
    ii: float | None = None
    failure: str = ""


def row(
    name: str, network: QuantisedNetwork, records: Iterable[SynthesisRecord], tested: Iterable[Any], failure: Any
) -> Row:
    """What is known of a trained network."""
    costs, found = analytic_costs([network.spec]), {record.stage: record for record in records}
    accuracy = next((m for m in tested if m.metric == "accuracy"), None)
    traced, made = found.get(Stage.TRACED), found.get(Stage.SYNTHESISED)
    latest = made or traced
    return Row(
        name,
        network.spec.topology,
        float(costs.bops[0]),
        float(costs.ebops[0]),
        accuracy and accuracy.value,
        accuracy and accuracy.std,
        traced and traced.lut,
        made and made.lut,
        latest and latest.latency_cycles,
        latest and latest.initiation_interval,
        "" if failure is None else f"{failure.kind.value}: {failure.message}",
    )


def found_rows(study: evonas.Study) -> list[Row]:
    """The synthesised designs of a study; those of the verified front have an accuracy on the test split."""

    def one(design: CandidateState) -> Row:
        last = design.synthesis[-1]
        name = f"found, design {design.candidate}"
        return row(name, study.network(design.candidate), last.records, design.tested.values(), last.failure)

    return [one(design) for design in study.state.candidates.values() if design.synthesis]


def trained(name: str, task: Task, config: StudyConfig, learning_rate: float, out: Path) -> QuantisedNetwork:
    """A published network, trained with the study's budget, or as trained before."""
    path = out / f"{name}-{learning_rate:g}.bin"
    if not path.exists():
        clip = float(getattr(task, "clip", 4.0))
        settings = Training(config.training.epochs, config.training.batch_size, clip, config.training.max_rows)
        seed = derive(config.seed, "published", name)
        result = train_candidate(task, PUBLISHED[name]().to_dict(), learning_rate, seed, settings)
        if isinstance(result, Failure):
            raise SystemExit(f"{name}: {result.message}")
        path.write_bytes(result.network)
    return QuantisedNetwork.from_bytes(path.read_bytes())


def published_row(
    name: str, task: Task, config: StudyConfig, out: Path, until: Stage, learning_rate: float, timeout_s: float
) -> Row:
    """Train, trace and perhaps synthesise one published network."""
    network = trained(name, task, config, learning_rate, out)
    vectors = np.asarray(task.split("validation").x[: config.synthesis.vectors], np.float64)
    target = dataclasses.replace(config.target, tool="openrtl")
    backend = choose("openrtl", csim="never")
    result = backend.synthesise(network, vectors, target, out / name, until=until, timeout_s=timeout_s)
    return row(name, network, result.records, score(task, network, "test"), result.failure)


def table(rows: Sequence[Row]) -> str:
    """Rows as Markdown; what is not known is left empty."""
    lines = ["| network | accuracy | LUT traced | LUT synthesised | cycles | II | BOPs | EBOPs |", "|---" * 8 + "|"]
    for r in rows:
        accuracy = "" if r.accuracy is None else f"{100 * r.accuracy:.1f} ± {100 * (r.accuracy_std or 0):.1f} %"
        numbers = (r.traced_lut, r.lut, r.cycles, r.ii, r.bops, r.ebops)
        cells = ["" if value is None else f"{value:,.0f}" for value in numbers]
        remark = f" (failed: {r.failure})" if r.failure else ""
        lines.append(f"| {r.name}: {r.topology}{remark} | {accuracy} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def correlations(rows: Sequence[Row]) -> str:
    """Rank correlation of each cost with synthesised LUTs, over the designs that have both."""
    lines = ["| cost | Spearman with synthesised LUT | designs |", "|---|---|---|"]
    for field, name in COSTS.items():
        pairs = [(r.lut, getattr(r, field)) for r in rows if r.lut is not None and getattr(r, field) is not None]
        truth, cost = np.array(pairs, np.float64).reshape(-1, 2).T
        found = spearman(truth, cost)
        lines.append(f"| {name} | {'too few designs' if found is None else f'{found:.3f}'} | {len(pairs)} |")
    return "\n".join(lines) + "\n"


def report(task: Task, config: StudyConfig, published: Sequence[Row], found: Sequence[Row]) -> str:
    """The whole of results.md."""
    front = [r for r in found if r.accuracy is not None]
    test, training, target = len(task.split("test")), config.training, config.target
    rows = training.max_rows or len(task.split("train"))
    setting = (
        f"Data: {task.provenance}. Task {task.name}, test split of {test:,} jets. All networks:"
        f" {training.epochs} epochs on {rows:,} jets. Target {target.part} at {target.clock_period_ns:g} ns.\n"
    )
    parts = (
        "# Deep Sets found by the search, and published networks\n",
        setting,
        table([*published, *sorted(front, key=lambda r: -(r.accuracy or 0.0))]),
        "The designs found are the study's verified front: each was compared bit for bit with its network.\n",
        "## Which cost orders designs as synthesis does\n",
        correlations([*published, *found]),
        "Over all designs that were synthesised, those of the study that are not on its front included.\n",
        "## As published\n",
        AS_PUBLISHED,
        DIFFERENCES,
    )
    return "\n".join(parts)


def main() -> None:
    """Compare one study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="directory of a study on the constituents of jets")
    parser.add_argument("--out", type=Path, help="where results go; STUDY/published if not given")
    parser.add_argument("--networks", nargs="*", default=list(BASELINES), choices=list(PUBLISHED), metavar="NAME")
    parser.add_argument("--learning-rate", type=float, default=0.005, help="of the published networks")
    parser.add_argument("--synthesise", action="store_true", help="logic synthesis of each: minutes to an hour")
    parser.add_argument("--timeout-s", type=float, default=5400.0, help="for each network")
    options = parser.parse_args()
    study = evonas.load_study(options.study)
    config, out = study.config, options.out or options.study / "published"
    out.mkdir(parents=True, exist_ok=True)
    task = load_task(config.task.name, **config.task.options)
    until = Stage.SYNTHESISED if options.synthesise else Stage.TRACED
    kept, found = out / "results.json", found_rows(study)
    rows = {data["name"]: Row(**data) for data in json.loads(kept.read_text())} if kept.exists() else {}
    for name in options.networks:
        if name not in rows or (options.synthesise and rows[name].lut is None):
            rows[name] = published_row(name, task, config, out, until, options.learning_rate, options.timeout_s)
            kept.write_text(json.dumps([dataclasses.asdict(r) for r in rows.values()], indent=1) + "\n")
            print(rows[name], flush=True)
        (out / "results.md").write_text(report(task, config, list(rows.values()), found))
    print(out / "results.md")


if __name__ == "__main__":
    main()
