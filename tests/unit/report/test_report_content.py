"""What the page says is what the events said, and nothing on it reaches for the network."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from evonas.report import write_report
from evonas.report.page import render
from evonas.study.state import StudyState
from surrogates import Stage

if TYPE_CHECKING:
    from pathlib import Path


class Reader(HTMLParser):
    """Collects attributes, visible text and the cells of every table."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str, str]] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self._table = ""
        self._hidden = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self._hidden = tag in ("script", "style")
        if tag == "table":
            self._table = dict(attrs).get("id") or ""
            self.tables[self._table] = []
        elif tag == "tr":
            self.tables[self._table].append([])
        elif tag in ("td", "th"):
            self.tables[self._table][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False
        if tag == "table":
            self._table = ""

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        self.words.append(data)
        if self._table and self.tables[self._table] and self.tables[self._table][-1]:
            self.tables[self._table][-1][-1] += data

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def page(study: StudyState) -> str:
    return render(study)


@pytest.fixture(scope="module")
def reader(page: str) -> Reader:
    return Reader(page)


def test_one_file_that_is_written_whole(study: StudyState, page: str, tmp_path: Path) -> None:
    path = write_report(study, tmp_path / "new" / "report.html")
    assert path.read_text(encoding="utf-8") == page
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    assert len(page) < 6e6


def test_an_old_report_survives_a_failure(study: StudyState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_report(study, tmp_path / "report.html", title="first")
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(OSError, match="disk full"):
        write_report(study, path, title="second")
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_the_same_study_gives_the_same_page(synthetic: Any, page: str) -> None:
    assert render(synthetic.complete_study()) == page


def test_nothing_is_loaded_from_the_network(reader: Reader) -> None:
    loads = [(t, n, v) for t, n, v in reader.attributes if n in ("src", "href", "srcset", "action", "data", "poster")]
    assert loads
    assert all(value.startswith(("#", "data:")) for _, _, value in loads)
    policy = [v for t, n, v in reader.attributes if (t, n) == ("meta", "content") and "default-src" in v]
    assert policy
    assert policy[0].startswith("default-src 'none'")
    assert "http" not in policy[0]


def test_importing_the_report_does_not_import_plotly() -> None:
    code = "import evonas.report, sys; sys.exit('plotly' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_provenance_stands_beside_every_accuracy_of_the_summary(reader: Reader) -> None:
    accuracies = re.findall(r"(?:validation|test) accuracy [\d.]+ ± [\d.]+\s%( \[own simulation\])?", reader.text)
    assert len(accuracies) >= 2
    assert all(accuracies)


def test_counts_of_the_summary(reader: Reader) -> None:
    assert "48 asked: 44 trained, 2 failed, 1 dropped before training, 1 repeated an earlier network" in reader.text
    assert "2 (after generations 0, 1); 1 of them re-scored the population" in reader.text
    assert "18 designs synthesised, 18 of them verified bit for bit" in reader.text
    assert "1 synthesis failure" in reader.text
    assert "16 inputs, 5 classes; 70,000 rows to train, 20,000 rows to select (validation)" in reader.text
    assert "3 min 34 s" in reader.text
    assert "xcvu13p-flga2577-2-e, 5 ns clock period" in reader.text


def test_limits_are_stated(reader: Reader) -> None:
    for words in ("without place and route", "O5/O6", "some per cent", "never as a clock frequency", "CARRY4"):
        assert words in reader.text


def test_design_table_shows_the_records(reader: Reader, study: StudyState) -> None:
    groups, headers, *rows = reader.tables["verified-front"]
    assert groups == ["network", "validation", "test", "predicted", "synthesised", "check", "tool run"]
    assert next(int(row[0]) for row in rows) == 23
    assert sorted(int(row[0]) for row in rows) == sorted(c.candidate for c in study.front(Stage.SYNTHESISED))
    for row in rows:
        candidate = study.candidates[int(row[0])]
        record = candidate.record(Stage.SYNTHESISED)
        assert record is not None
        shown = dict(zip(headers[8:], row[8:], strict=True))
        assert row[1] == candidate.spec.topology
        assert float(row[5]) == pytest.approx(100 * candidate.measured["accuracy"].value, abs=0.005)
        assert shown["LUT"] == f"{record.lut:,.0f}"
        assert shown["FF"] == f"{record.ff:,.0f}"
        assert shown["latency cycles"] == f"{record.latency_cycles:g}"
        assert shown["latency ns"] == f"{record.latency_ns:g}"
        assert shown["delay ns, relative"] == f"{record.delay_ns:.2f}"
        assert shown["verified vectors"] == str(record.verified_vectors)
        assert shown["peak MB"] == f"{record.peak_memory_bytes / 1e6:.0f}"


def test_test_accuracy_only_where_handed_over(reader: Reader) -> None:
    rows = reader.tables["verified-front"][2:] + reader.tables["other-designs"][2:]
    assert {row[0]: row[6] for row in rows if row[6] != "–"} == {"40": "73.11"}
    assert "candidate 40 in designs/40 (test accuracy 73.11 ± 0.31 % [own simulation])" in reader.text


def test_other_stages_have_tables_of_their_own(reader: Reader, study: StudyState) -> None:
    groups, headers, *rows = reader.tables["designs-traced"]
    assert "traced" in groups
    assert "synthesised" not in groups
    row = next(row for row in rows if row[0] == "15")  # traced, then out of time
    record = study.candidates[15].record(Stage.TRACED)
    assert record is not None
    assert row[8] == f"{record.lut:,.0f}"
    assert row[headers.index("carry")] == "–"
    assert "15" not in [row[0] for row in reader.tables["verified-front"] + reader.tables["other-designs"]]


def test_failures_are_listed_with_their_reason(reader: Reader) -> None:
    assert reader.tables["synthesis-failures"][1][:1] == ["15"]
    assert reader.tables["synthesis-failures"][1][4:7] == ["tool timeout", "yosys was stopped after 600 s", "traced"]
    rows = reader.tables["candidate-failures"][1:]
    assert [row[:3] for row in rows] == [["diverged", "1", "5"], ["worker died", "1", "30"]]


def test_recalibration_table(reader: Reader) -> None:
    rows = reader.tables["recalibrations"][2:]
    assert rows[0] == ["0", "forest-2", "LUT", "all new", "8", "17.1", "6.6", "62.5", "87.5", "0.91", "0.91"]
    assert rows[3] == ["0", "forest-2", "LUT", "at random", "2", "14.2", "–", "–", "–", "–", "–"]
    assert not any("diverse" in row for row in rows)
    assert "5-fold cross-validation" in reader.text
    assert "predicts with, by target: DSP: closed form; LUT, latency: gp; FF: trees." in reader.text


def test_configuration_versions_and_digests(reader: Reader) -> None:
    assert '"algorithm": "nsga2"' in reader.text
    assert ["pyosys", "0.70"] in reader.tables["versions"]
    assert ["task", "b2" * 32] in reader.tables["digests"]
    assert reader.tables["reference"][3] == ["LUT (cells)", "minimise", "50,000"]


def test_text_from_outside_is_escaped(synthetic: Any) -> None:
    nasty = '<b>x</b>"\'&</script><img src="https://example.org/x.png">'
    events = synthetic.complete_events(nasty)
    started = events[0]
    started.task["provenance"] = nasty
    started.versions[nasty] = nasty
    page = render(StudyState(events), title=nasty)
    reader = Reader(page)
    assert "img" not in reader.tags
    assert "<b>x</b>\"'&</script>" in "".join(reader.words)
    assert page.count("<script") == Reader(render(synthetic.complete_study())).tags.count("script")
    assert not any(name == "src" for _, name, _ in reader.attributes)
