"""The report's first section: what was done, what came out, and how far the numbers may be trusted."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from evonas.report import views
from evonas.report._html import Html, bullets, element, join
from evonas.report.formatting import (
    METRIC_NAMES,
    describe,
    describe_target,
    duration,
    metric_value,
    percent,
    quantity,
    shortest,
    with_error,
)
from surrogates import Stage

if TYPE_CHECKING:
    from evonas.report.views import Design
    from evonas.study.state import CandidateState, StudyState

_STAGE_WORDS = {
    Stage.TRACED: "counted from the adders of the trained weights, without synthesis",
    Stage.CSYNTH: "C synthesis, an estimate of the high-level tool",
    Stage.SYNTHESISED: "logic synthesis without place and route",
    Stage.ROUTED: "placed and routed",
}


_USES = {"train": "train", "validation": "select (validation)", "test": "score once (test)"}
_VALIDATION = (
    "Validation values also steered the search, so the best of them are optimistic; only designs that were handed over "
    "have a test value, computed once."
)
_PREDICTED = (
    "Predicted values come from a surrogate and stand apart from synthesised ones; no column of a table mixes the two."
)
_LOGIC_SYNTHESIS = (
    "Synthesised means logic synthesis without place and route: no wire delay, no congestion, no timing closure.",
    (
        "LUT is the raw count of look-up-table cells. Placement puts pairs of small ones into one site (O5/O6) and "
        "gives every carry bit its own, so the number of sites differs by some per cent. Carry counts are CARRY4 cells."
    ),
    (
        "Delay comes from generic cell delays without wires and without DSP or BRAM paths: use it to compare designs "
        "of this report with each other, never as a clock frequency."
    ),
    "Latency in ns is cycles times the target's clock period; that the clock is met is assumed, not shown.",
)


def summary(state: StudyState) -> Html:
    """Task, counts, best designs, target and limits."""
    parts = [
        element("dl", *_facts(state), class_="facts"),
        element("h3", "Best designs"),
        bullets(best_designs(state)),
        element("h3", "Limits of these numbers"),
        bullets(limits(state)),
    ]
    return join(*parts)


def _facts(state: StudyState) -> list[Html]:
    name, provenance = views.task(state)
    pairs = [
        ("Task", f"{name} [{provenance}]"),
        ("Data", _data(state)),
        ("State", _progress(state)),
        ("Objectives", _objectives(state)),
        ("Constraints", _constraints(state)),
        ("Candidates", _candidates(state)),
        ("Recalibrations", _recalibrations(state)),
        ("Synthesis", _synthesis(state)),
        ("Handed over", _handed_over(state)),
        ("Hardware target", _target(state)),
        ("Stage of hardware numbers", _stages(state)),
        ("Wall time", _wall_time(state)),
    ]
    return [element("div", element("dt", label), element("dd", text)) for label, text in pairs]


def _data(state: StudyState) -> str:
    described = {} if state.started is None else state.started.task
    outputs = {"classification": "classes", "regression": "targets"}.get(str(described.get("goal")), "outputs")
    words = (("n_inputs", "inputs"), ("n_outputs", outputs))
    sizes = ", ".join(f"{described[key]} {word}" for key, word in words if key in described)
    known = described.get("rows", {})
    rows = ", ".join(f"{known[name]:,} rows to {use}" for name, use in _USES.items() if name in known)
    return "; ".join(text for text in (sizes, rows) if text) or "not recorded"


def _progress(state: StudyState) -> str:
    told = sum(g.told is not None for g in state.generations)
    if state.started is None:
        return "not started: the log holds no event"
    if state.finished is not None:
        return f"finished after {quantity(told, 'generation')}: {state.finished.reason}"
    begun = quantity(len(state.generations), "generation")
    return f"not finished; {quantity(told, 'generation')} completed, {begun} begun"


def _objectives(state: StudyState) -> str:
    if state.started is None:
        return "not recorded"
    return ", ".join(f"{o.direction} {_named(o.metric)}" for o in state.objectives)


def _constraints(state: StudyState) -> str:
    if state.started is None or not state.constraints:
        return "none"
    bounds = [
        f"{_named(c.metric)} {sign} {shortest(bound)}"
        for c in state.constraints
        for sign, bound in (("≥", c.lower), ("≤", c.upper))
        if bound is not None
    ]
    return ", ".join(bounds)


def _named(metric: str) -> str:
    name, unit = METRIC_NAMES.get(metric, (metric, ""))
    return f"{name} ({unit})" if metric.startswith("latency") else name


def _candidates(state: StudyState) -> str:
    counts = views.counts(state)
    text = (
        f"{counts.asked:,} asked: {counts.trained:,} trained, {counts.failed:,} failed, "
        f"{counts.dropped:,} dropped before training"
    )
    if counts.stopped:
        text += f", {counts.stopped:,} stopped early, because others of their generation were ahead"
    if counts.copies:
        text += f", {counts.copies:,} repeated an earlier network and reused its result"
    return text + (f", {counts.pending:,} pending" if counts.pending else "")


def _recalibrations(state: StudyState) -> str:
    if not state.recalibrations:
        return "none so far"
    generations = ", ".join(str(r.generation) for r in state.recalibrations)
    rescored = sum(bool(r.predicted) for r in state.recalibrations)
    words = "after generation" if len(state.recalibrations) == 1 else "after generations"
    return f"{len(state.recalibrations)} ({words} {generations}); {rescored or 'none'} of them re-scored the population"


def _synthesis(state: StudyState) -> str:
    if not state.synthesised:
        return "nothing has been synthesised yet"
    stage = views.main_stage(state)
    designs = views.designs(state, stage)
    verified = [d for d in designs if d.verified]
    failures = views.synthesis_failures(state)
    return (
        f"{quantity(len(designs), 'design')} {stage.label}, {len(verified)} of them verified bit for bit, "
        f"{sum(d.on_front for d in designs)} on the verified front; {quantity(len(failures), 'synthesis failure')}"
    )


def _handed_over(state: StudyState) -> str:
    _, provenance = views.task(state)
    score = views.score_metric(state)
    texts = []
    for number, candidate in state.candidates.items():
        if candidate.handed_over is not None:
            tested = candidate.tested.get(score)
            words = views.score_words(state)
            value = f"test {words} {with_error(tested)} [{provenance}]" if tested else "no test value"
            texts.append(f"candidate {number} in {candidate.handed_over.directory} ({value})")
    return ", ".join(texts) or "none so far"


def _target(state: StudyState) -> str:
    known = bool(views.stages(state))
    texts = [describe_target(t) + (f", tool {t.tool}" if known else "") for t in views.targets(state)]
    return "; ".join(texts) or "not recorded"


def _stages(state: StudyState) -> str:
    found = [s for s in views.stages(state) if s in _STAGE_WORDS]
    if not found:
        return "predicted only (by the surrogate); nothing has been synthesised"
    texts = []
    for stage in found:
        versions = ", ".join(views.tool_versions(state, stage))
        texts.append(f"{stage.label}: {_STAGE_WORDS[stage]} ({versions})")
    return "; ".join(texts)


def _wall_time(state: StudyState) -> str:
    seconds, overhead = views.wall_time(state)
    synthesis = sum(e.wall_time_s for e in state.synthesised)
    training = sum(c.wall_time_s for c in views.trained(state))
    if not any(g.told for g in state.generations):
        return "no generation is complete yet"
    text = (
        f"{duration(seconds)} in the completed generations ({duration(overhead)} of it outside training); "
        f"training jobs {duration(training)} and synthesis jobs {duration(synthesis)} in sum"
    )
    return text + (f"; the run that finished took {duration(state.finished.wall_time_s)}" if state.finished else "")


def best_designs(state: StudyState) -> list[str]:
    """The most accurate, the smallest and the fastest verified design in a sentence each."""
    score = views.score_metric(state)
    every = views.designs(state, views.main_stage(state))
    verified = [d for d in every if d.verified and score in d.candidate.measured]
    if not verified:
        return _best_trained(state, score)
    sign = 1.0 if score == "error" else -1.0
    best = {
        "most accurate": min(verified, key=lambda d: (sign * d.candidate.measured[score].value, d.record.lut)),
        "smallest": min(verified, key=lambda d: (d.record.lut, sign * d.candidate.measured[score].value)),
        "lowest in latency": min(verified, key=lambda d: (d.record.latency_ns, d.record.lut)),
    }
    sentences = []
    for design in {d.number: d for d in best.values()}.values():
        words = " and ".join(word for word, d in best.items() if d.number == design.number)
        sentences.append(f"{words[0].upper()}{words[1:]} of the verified: {_sentence(state, design)}")
    errors = [
        abs(m.value - d.record.lut) / d.record.lut for d in verified if (m := d.predicted.get("lut")) and d.record.lut
    ]
    if errors:
        number = quantity(len(errors), "verified design")
        sentences.append(
            f"LUT as predicted before synthesis was off by {percent(median(errors), 1)} % in the median of {number}."
        )
    return sentences


def _best_trained(state: StudyState, score: str) -> list[str]:
    found = [c for c in views.trained(state) if score in c.measured and c.failure is None]
    if not found:
        return ["No candidate has been trained yet, so there is no design to name."]
    sign = 1.0 if score == "error" else -1.0
    best = min(found, key=lambda c: (sign * c.measured[score].value, c.candidate))
    lut = best.predicted.get("lut")
    cost = f", {metric_value('lut', lut.value)} (predicted)" if lut else ""
    return [
        "No design is verified yet.",
        f"Most accurate trained so far: {_named_network(best)}: {_score(state, best, score)}{cost}.",
    ]


def _sentence(state: StudyState, design: Design) -> str:
    record = design.record
    score = views.score_metric(state)
    _, provenance = views.task(state)
    test = design.candidate.tested.get(score)
    tested = f" (test {views.score_words(state)} {with_error(test)} [{provenance}])" if test else ""
    return (
        f"{_named_network(design.candidate)}: {_score(state, design.candidate, score)}{tested}, "
        f"{metric_value('lut', record.lut)}, {metric_value('ff', record.ff)}, {metric_value('dsp', record.dsp)}, "
        f"{metric_value('latency_cycles', record.latency_cycles)} = {metric_value('latency_ns', record.latency_ns)}, "
        f"II {record.initiation_interval} ({record.stage.label}); {record.verified_vectors:,} vectors verified."
    )


def _named_network(candidate: CandidateState) -> str:
    return f"candidate {candidate.candidate}, {describe(candidate.spec, candidate.norm)}"


def _score(state: StudyState, candidate: CandidateState, score: str) -> str:
    _, provenance = views.task(state)
    return f"validation {views.score_words(state)} {with_error(candidate.measured[score])} [{provenance}]"


def limits(state: StudyState) -> list[str]:
    """What a reader must know before comparing these numbers with others."""
    _, provenance = views.task(state)
    found = views.stages(state)
    score = views.score_metric(state)
    texts = [f"Every {score} is on this task's data: {provenance}. {_VALIDATION}", _PREDICTED]
    if Stage.SYNTHESISED in found or not found:
        texts += _LOGIC_SYNTHESIS
    if Stage.TRACED in found:
        texts.append(
            "Traced costs are counted from the adders of the trained weights; they are no synthesis result."
        )
    if Stage.CSYNTH in found:
        texts.append("C-synthesis counts are estimates of the high-level tool and often far above logic synthesis.")
    return texts
