"""Networks side by side: those that studies found, and baselines. Pure functions; nothing here knows of HTML or plotly.

A network is compared by its score on the test split and by its LUTs of one stage: the highest that both sides have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from evonas.report import views
from evonas.report.formatting import METRIC_NAMES, count, decimal, error_text, percent, shortest, with_error
from surrogates import Stage, analytic_costs
from surrogates.metrics import spearman

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from evonas.errors import Failure
    from evonas.objectives import Measurement
    from evonas.study.baselines import BaselineResult
    from evonas.study.state import CandidateState, StudyState
    from surrogates import ModelSpec, SynthesisRecord

COSTS = {"bops": "BOPs", "ebops": "EBOPs", "traced_lut": "LUT traced"}
_STAGES = (Stage.SYNTHESISED, Stage.TRACED)


@final
@dataclass(frozen=True)
class Network:
    """One network with all that is known of it; scores by metric, records by stage. `found` is False of a baseline."""

    name: str
    spec: ModelSpec
    found: bool
    validation: Mapping[str, Measurement]
    tested: Mapping[str, Measurement]
    records: Mapping[Stage, SynthesisRecord]
    learning_rate: float | None
    norm: str = "none"
    source: str = ""
    failure: str = ""

    @property
    def bops(self) -> float:
        """Bit operations, see `surrogates.analytic_costs`."""
        return float(analytic_costs([self.spec]).bops[0])

    @property
    def ebops(self) -> float:
        """Effective bit operations, see `surrogates.analytic_costs`."""
        return float(analytic_costs([self.spec]).ebops[0])

    @property
    def traced_lut(self) -> float | None:
        """LUTs counted from the adders of the trained weights."""
        return self.lut(Stage.TRACED)

    @property
    def latest(self) -> SynthesisRecord | None:
        """The record of the highest stage."""
        return self.records[max(self.records)] if self.records else None

    def lut(self, stage: Stage) -> float | None:
        """LUTs of one stage."""
        return self.records[stage].lut if stage in self.records else None


def found_networks(state: StudyState) -> list[Network]:
    """All synthesised candidates of a study by rising number."""
    return [_found(c) for _, c in sorted(state.candidates.items()) if c.synthesis and c.asked.copy_of is None]


def front_networks(state: StudyState) -> list[Network]:
    """The verified front of a study by rising LUT."""
    found = [_found(c) for c in views.front(state, Stage.SYNTHESISED)]
    return sorted(found, key=lambda n: n.lut(Stage.SYNTHESISED) or 0.0)


def _found(candidate: CandidateState) -> Network:
    records = {r.stage: r for event in candidate.synthesis for r in event.records}
    failure = candidate.synthesis_failure
    return Network(
        f"design {candidate.candidate}",
        candidate.spec,
        True,
        candidate.measured,
        {name: m for name, m in candidate.tested.items() if m.stage is None},
        records,
        candidate.asked.phenotype.get("learning_rate"),
        candidate.norm,
        failure=_words(failure),
    )


def baseline_network(result: BaselineResult) -> Network:
    """A baseline as far as it came."""
    return Network(
        result.baseline.name,
        result.baseline.spec,
        False,
        {m.metric: m for m in result.validation},
        {m.metric: m for m in result.tested},
        {r.stage: r for r in result.records},
        result.recipe and result.recipe.learning_rate,
        result.recipe.norm if result.recipe else "none",
        result.baseline.source,
        _words(result.failure),
    )


def _words(failure: Failure | None) -> str:
    return "" if failure is None else f"{failure.kind.value}: {failure.message}"


@final
@dataclass(frozen=True)
class Score:
    """The task metric that networks are compared by: accuracy, or the error with its definition."""

    metric: str
    definition: str = ""

    @property
    def name(self) -> str:
        """As headings name it."""
        return METRIC_NAMES[self.metric][0]

    @property
    def unit(self) -> str:
        """As headings write it."""
        return METRIC_NAMES[self.metric][1] or self.definition

    @property
    def label(self) -> str:
        """As an axis names it."""
        return f"{self.name} ({self.unit})" if self.unit else self.name

    def text(self, value: float | None) -> str:
        """A value without its unit."""
        return percent(value) if self.metric == "accuracy" else error_text(value)

    def shown(self, value: float) -> float:
        """A value in the unit of an axis."""
        return 100 * value if self.metric == "accuracy" else value

    def better(self, a: Measurement, b: Measurement) -> float:
        """By how much `a` is better than `b`; negative where it is worse."""
        return a.value - b.value if self.metric == "accuracy" else b.value - a.value

    def loss(self, network: Network) -> float:
        """To be minimised; infinite without a score on the test split."""
        tested = network.tested.get(self.metric)
        return float("inf") if tested is None else tested.value * (-1.0 if self.metric == "accuracy" else 1.0)


def score_of(networks: Iterable[Network], definition: str) -> Score:
    """Accuracy where it was measured, else the error."""
    tested = [n.tested for n in networks if n.tested]
    by_error = bool(tested) and not any("accuracy" in scores for scores in tested)
    return Score("error", definition) if by_error else Score("accuracy")


@final
@dataclass(frozen=True)
class Verdict:
    """A front against one baseline.

    `design` is the smallest of the front whose test score is at least the baseline's, else the one with the best score;
    None where there is nothing to compare. `stage` is that of the LUTs.
    """

    baseline: Network
    design: Network | None
    reached: bool
    stage: Stage | None

    @property
    def factor(self) -> float | None:
        """LUTs of the baseline over LUTs of the design."""
        if self.design is None or self.stage is None:
            return None
        ours, theirs = self.design.lut(self.stage), self.baseline.lut(self.stage)
        return theirs / ours if ours and theirs is not None else None


def verdict(front: Sequence[Network], baseline: Network, score: Score) -> Verdict:
    """The design of `front` to hold against `baseline`."""
    scored = [n for n in front if score.metric in n.tested]
    mark = baseline.tested.get(score.metric)
    if mark is None or not scored:
        return Verdict(baseline, None, False, None)
    stage = next((s for s in _STAGES if s in baseline.records and all(s in n.records for n in scored)), None)
    reaching = [n for n in scored if score.better(n.tested[score.metric], mark) >= 0]
    if reaching:
        smallest = min(reaching, key=lambda n: (n.lut(stage or Stage.SYNTHESISED) or 0.0, score.loss(n)))
        return Verdict(baseline, smallest, True, stage)
    return Verdict(baseline, min(scored, key=score.loss), False, stage)


def sentence(found: Verdict, score: Score) -> str:
    """A verdict in words, with the numbers it rests on."""
    design, baseline = found.design, found.baseline
    mark = baseline.tested.get(score.metric)
    if mark is None:
        why = baseline.failure or "not trained yet"
        return f"{baseline.name}: not compared, it has no score on the test split ({why})."
    if design is None:
        return f"{baseline.name} ({with_error(mark)}): not compared, no design has a score on the test split."
    ours = design.tested[score.metric]
    values = f"{with_error(ours)} against {with_error(mark)}{_definition(score)}, test split"
    cost = f", {_cost(found)}{_interval(design)}"
    if found.reached:
        return f"{design.name} is at least as good as {baseline.name} ({values}){cost}."
    return (
        f"No design reaches {baseline.name}: the best, {design.name}, is {_short(ours, mark, score)} ({values}){cost}."
    )


def _definition(score: Score) -> str:
    return f" {score.definition}" if score.metric == "error" and score.definition else ""


def _short(ours: Measurement, mark: Measurement, score: Score) -> str:
    """By how much a score falls short, also in standard errors of the difference where these are known."""
    distance = -score.better(ours, mark)
    words = f"{decimal(100 * distance)} points short" if score.metric == "accuracy" else f"{error_text(distance)} worse"
    if not ours.std or not mark.std:
        return words
    return f"{words}, {decimal(distance / float(np.hypot(ours.std, mark.std)), 1)} standard errors"


def _cost(found: Verdict) -> str:
    if found.design is None or found.stage is None or not found.factor:
        return "LUTs not compared"
    ours, theirs = found.design.lut(found.stage), found.baseline.lut(found.stage)
    fewer = found.factor >= 1
    times = decimal(found.factor if fewer else 1 / found.factor, 1)
    return (
        f"with {times}x {'fewer' if fewer else 'more'} LUT {found.stage.label} ({count(ours)} against {count(theirs)})"
    )


def _interval(design: Network) -> str:
    return "" if design.latest is None else f", II {shortest(design.latest.initiation_interval)}"


@final
@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation of one cost with synthesised LUT; None of fewer than three networks."""

    cost: str
    every: float | None
    n_every: int
    found: float | None
    n_found: int


def correlations(networks: Sequence[Network]) -> list[Correlation]:
    """For each of `COSTS`, over all networks that were synthesised, and over those that a search found."""
    rows = []
    for cost, name in COSTS.items():
        pairs = cost_pairs(networks, cost)
        own = [(x, y) for network, x, y in pairs if network.found]
        every = [(x, y) for _, x, y in pairs]
        rows.append(Correlation(name, _spearman(every), len(every), _spearman(own), len(own)))
    return rows


def cost_pairs(networks: Sequence[Network], cost: str) -> list[tuple[Network, float, float]]:
    """Networks with one of `COSTS` and their synthesised LUT."""
    found = ((n, getattr(n, cost), n.lut(Stage.SYNTHESISED)) for n in networks)
    return [(n, float(x), float(y)) for n, x, y in found if x is not None and y is not None]


def _spearman(pairs: Sequence[tuple[float, float]]) -> float | None:
    x, y = np.array(pairs, np.float64).reshape(-1, 2).T
    return spearman(y, x)
