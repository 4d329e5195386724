"""What a comparison says follows from the numbers, and its page stands by itself."""

from __future__ import annotations

import dataclasses
import re

import pytest

from evonas.errors import Failure, FailureKind
from evonas.objectives import Measurement
from evonas.report import compared
from evonas.report.compared import Network, Score
from evonas.report.comparison import Comparison, Front, sentences, write_comparison
from evonas.space.published_results import Published
from evonas.study.baselines import Baseline, BaselineResult, Recipe
from surrogates import HardwareTarget, LayerSpec, ModelSpec, Stage, SynthesisRecord

SPEC = ModelSpec(8, (LayerSpec(16, 8, 6, 6), LayerSpec(8, 5, 6, 0, "linear")))
ACCURACY = Score("accuracy")


def record(lut, stage=Stage.SYNTHESISED, ii=1):
    return SynthesisRecord(SPEC, HardwareTarget(), stage, "tool 1", lut, lut / 2, 0, 0, 9, ii, verified_vectors=64)


def scores(value, std=0.004, metric="accuracy"):
    return {metric: Measurement(metric, value, "test", std)}


def network(name, value, *records, found=True, metric="accuracy", **more):
    tested = {} if value is None else scores(value, metric=metric)
    return Network(name, SPEC, found, {}, tested, {r.stage: r for r in records}, 0.01, **more)


def both(lut):
    return record(0.9 * lut, Stage.TRACED), record(lut)


FRONT = [network("design 1", 0.60, *both(5_000)), network("design 2", 0.64, *both(20_000)),
         network("design 3", 0.66, *both(50_000))]  # fmt: skip


def said(front, baseline, score=ACCURACY):
    return compared.sentence(compared.verdict(front, baseline, score), score)


def test_the_smallest_design_that_is_as_good():
    text = said(FRONT, network("X", 0.639, *both(80_000), found=False))
    assert text == (
        "design 2 is at least as good as X (64.00 ± 0.40\u00a0% against 63.90 ± 0.40\u00a0%, test split), "
        "with 4.0x fewer LUT synthesised (20,000 against 80,000), II 1."
    )
    assert said(FRONT, network("X", 0.64, *both(80_000), found=False)).startswith("design 2 is")
    assert said(FRONT, network("X", 0.6401, *both(80_000), found=False)).startswith("design 3 is")


def test_a_larger_design_is_said_to_be_larger():
    assert "with 2.0x more LUT synthesised (20,000 against 10,000)" in said(FRONT, network("X", 0.63, *both(10_000)))


def test_not_reached_is_said_with_its_distance():
    text = said(FRONT, network("X", 0.68, *both(100_000), found=False))
    assert text.startswith("No design reaches X: the best, design 3, is 2.00 points short, 3.5 standard errors (66.00")
    assert "2.0x fewer LUT synthesised" in text


def test_stages_are_never_mixed():
    text = said(FRONT, network("X", 0.63, record(90_000, Stage.TRACED), found=False))
    assert "with 5.0x fewer LUT traced (18,000 against 90,000)" in text
    untraced = [network("design 1", 0.7, record(10))]
    assert "LUTs not compared" in said(untraced, network("X", 0.63, record(90_000, Stage.TRACED)))


def test_errors_are_compared_the_other_way_round():
    score = Score("error", "mean distance, px")
    front = [
        network("design 1", 0.25, *both(5_000), metric="error"),
        network("design 2", 0.2, *both(9_000), metric="error"),
    ]
    text = said(front, network("X", 0.21, *both(90_000), metric="error"), score)
    assert text.startswith(
        "design 2 is at least as good as X (0.2000 ± 0.0040 against 0.2100 ± 0.0040 mean distance, px"
    )
    assert "No design reaches" in said(front, network("X", 0.19, *both(90_000), metric="error"), score)


def test_what_cannot_be_compared_says_why():
    failed = network("X", None, failure="diverged: loss became NaN")
    assert said(FRONT, failed) == "X: not compared, it has no score on the test split (diverged: loss became NaN)."
    assert "no design has a score" in said([], network("X", 0.6, *both(10)))


def test_rank_correlation_over_all_and_over_the_found():
    large = [network(f"large {n}", 0.6, record(1e6 * n, Stage.TRACED), record(1e6 / n), found=False) for n in (1, 2, 3)]
    traced = {c.cost: c for c in compared.correlations([*FRONT, *large])}["LUT traced"]
    assert (traced.found, traced.n_found, traced.n_every) == (1.0, 3, 6)
    assert traced.every < 1.0
    assert {c.cost: c.every for c in compared.correlations(FRONT)}["BOPs"] is None  # all equal


@pytest.fixture
def comparison(study):
    result = BaselineResult(
        Baseline("paper_net", SPEC, source="arXiv:0000.00001", published=(published("paper net | small"),)),
        Recipe(0.02, "batch"),
        {Recipe(0.02, "batch"): 0.4},
        tuple(scores(0.74).values()),
        tuple(scores(0.72).values()),
        both(9_000),
    )
    failure = Failure(FailureKind.TOOL_TIMEOUT, "yosys <was> stopped")
    late = dataclasses.replace(result, baseline=Baseline("late", SPEC), records=both(1e5)[:1], failure=failure)
    rules = {"always_the_same": {"accuracy": 0.2}}
    return Comparison(
        "A <title>", "Why?", [Front("sorted", study, [result, late], rules)], [published("elsewhere")], ["Data."]
    )


def published(name):
    return Published(name, "arXiv:0000.00001", {"accuracy (%)": 64.0, "LUT": 386_000}, "routed")


def test_page_and_markdown_say_the_same(comparison, tmp_path):
    page = write_comparison(comparison, tmp_path).read_text(encoding="utf-8")
    text = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert len(sentences(comparison)) == 2
    assert "design 40 is at least as good as paper_net" in sentences(comparison)[0]
    for sentence in sentences(comparison):
        assert sentence in text
        assert sentence in page
    for words in ("386,000", "always the same", "9,000", "tool_timeout: yosys"):
        assert words in text
        assert words in page
    assert "late failed: tool_timeout: yosys <was> stopped" in text
    assert "late failed: tool_timeout: yosys &lt;was&gt; stopped" in page
    assert "<title>A <title>" not in page
    assert "paper net \\| small" in text
    written = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"(src|href)=\"(?!#|data:)", written)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows
    for line in rows:
        assert len(re.split(r"(?<!\\)\|", line)) > 3


def test_no_baseline_and_nothing_synthesised(synthetic, tmp_path):
    from evonas.study.state import StudyState

    state = StudyState(synthetic.complete_events()[:1])
    page = write_comparison(Comparison("T", "Q", [Front("only", state)]), tmp_path).read_text(encoding="utf-8")
    assert "No design was synthesised yet" in page
