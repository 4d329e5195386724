"""An experiment as one command: studies, baselines with the same budget, and a page that holds them together.

    def make(options: argparse.Namespace) -> Experiment: ...        # what to do, by `options.preset` and the like

    if __name__ == "__main__":
        run_experiment(make, __doc__)

Everything is kept in --out: a folder for each study, its baselines inside, `comparison.html` and `results.md`. The same
command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from evonas.cli._typer import Exit
from evonas.cli.guard import CRASH_FILE, guarded, is_study
from evonas.errors import ConfigurationError, StudyMismatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from evonas.cli.views import View
    from evonas.config import StudyConfig
    from evonas.study.baselines import Baseline, BaselineResult, Published
    from evonas.tasks import Task
    from surrogates import Stage

PRESETS = ("small", "full")


@final
@dataclass(frozen=True)
class Arm:
    """One study of an experiment: `name` is its folder, `title` what the page calls it."""

    name: str
    title: str
    config: StudyConfig
    baselines: Sequence[Baseline] = ()


@final
@dataclass(frozen=True)
class Experiment:
    """Studies that share a page; see `evonas.report.comparison.Comparison` for the words."""

    title: str
    question: str
    arms: Sequence[Arm]
    published: Sequence[Published] = ()
    differences: Sequence[str] = ()


def run_experiment(
    make: Callable[[argparse.Namespace], Experiment],
    description: str | None,
    add_options: Callable[[argparse.ArgumentParser], None] | None = None,
    arguments: Sequence[str] | None = None,
) -> None:
    """Read the command line, run the experiment that `make` describes, and exit.

    `options` have `preset` ("small" or "full"), `overrides` (of every study's configuration) and what `add_options`
    adds.
    """
    options = _parser(description, add_options).parse_args(arguments)
    try:
        with guarded(options.out):
            experiment = make(options)
            perform(experiment, options.out, synthesise=_named(experiment, options), timeout_s=3600 * options.hours)
    except Exit as ended:
        raise SystemExit(ended.exit_code) from None


def _parser(
    description: str | None, add_options: Callable[[argparse.ArgumentParser], None] | None
) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="new directory, or one to go on with")
    parser.add_argument("--preset", choices=PRESETS, default="small", help="a quarter of an hour, or a night")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=C", dest="overrides", help="as `evonas run`")
    words = "put these baselines through logic synthesis, all of them if none is named; --preset full takes all"
    parser.add_argument("--synthesise-baselines", nargs="*", metavar="NAME", help=words)
    parser.add_argument("--hours", type=float, default=2.0, help="for the tools of each baseline; default: %(default)s")
    if add_options is not None:
        add_options(parser)
    return parser


def _named(experiment: Experiment, options: argparse.Namespace) -> frozenset[str]:
    """Names of the baselines to be synthesised."""
    known = frozenset(baseline.name for arm in experiment.arms for baseline in arm.baselines)
    chosen = options.synthesise_baselines
    if chosen is None:
        return known if options.preset == "full" else frozenset()
    for name in chosen:
        if name not in known:
            mend = f"is not a baseline of this experiment; it has {', '.join(sorted(known)) or 'none'}"
            raise ConfigurationError("--synthesise-baselines", name, mend)
    return frozenset(chosen) or known


def perform(experiment: Experiment, out: Path, *, synthesise: Collection[str], timeout_s: float) -> Path:
    """Run or go on with every study, trace the baselines, synthesise those named; returns the page's path."""
    from evonas.cli.signals import make_interruptible
    from evonas.cli.views import chosen_view
    from surrogates import Stage

    make_interruptible(out)
    for arm in experiment.arms:
        _study(arm, out / arm.name)
    page = _Page(experiment, out)
    page.write()
    with chosen_view(json_lines=False) as view:
        page.run_baselines(Stage.TRACED, timeout_s, view)
        if synthesise:
            page.run_baselines(Stage.SYNTHESISED, timeout_s, view, synthesise)
    (out / CRASH_FILE).unlink(missing_ok=True)
    print(f"page      {page.write()}")  # noqa: T201 - what the command is for
    return out


def _study(arm: Arm, directory: Path) -> None:
    """Run a study to its end; one that is finished is left as it is, if it is the same."""
    from evonas.cli.reading import read_state
    from evonas.cli.views import chosen_view
    from evonas.report import write_report
    from evonas.study.study import Study

    config = arm.config
    if is_study(directory) and (state := read_state(directory)).finished is not None:
        if state.config != config.model_dump(mode="json"):
            mend = "is finished and was made with other settings; use those, or choose another --out"
            raise StudyMismatchError(f"{directory} {mend}")
        return
    with chosen_view(json_lines=False) as view:
        observers = [view]
        begun = is_study(directory)
        study = Study.resume(directory, config=config, observers=observers) if begun else None
        with study or Study(config, directory, observers=observers) as running:
            view.begin(running.state)
            running.run()
            write_report(running.state, directory / "report.html")


@final
class _Page:
    """The page of an experiment, written anew whenever a baseline is done."""

    def __init__(self, experiment: Experiment, out: Path) -> None:
        from evonas.study.study import load_study

        self._experiment, self._out = experiment, out
        self._studies = {arm.name: load_study(out / arm.name) for arm in experiment.arms}
        self._tasks = {arm.name: _task(arm.config) for arm in experiment.arms}

    def run_baselines(self, stage: Stage, timeout_s: float, view: View, names: Collection[str] | None = None) -> None:
        """Make what is missing of the baselines of all studies, or of those named."""
        from evonas.study.baselines import Beside, run_baselines_of

        def done(result: BaselineResult) -> None:
            view.note(_line(result))
            self.write()

        def chosen(arm: Arm) -> list[Baseline]:
            return [baseline for baseline in arm.baselines if names is None or baseline.name in names]

        arms = self._experiment.arms
        studies = [Beside(self._studies[arm.name], chosen(arm), self._tasks[arm.name]) for arm in arms]
        run_baselines_of(studies, until=stage, timeout_s=timeout_s, observers=[view], on_result=done)

    def write(self) -> Path:
        """Write what is known by now."""
        from evonas.report.comparison import Comparison, Front, write_comparison
        from evonas.study.baselines import kept_results

        fronts = [
            Front(
                arm.title,
                self._studies[arm.name].state,
                kept_results(self._studies[arm.name], arm.baselines),
                _rules(self._tasks[arm.name]),
            )
            for arm in self._experiment.arms
        ]
        made = self._experiment
        comparison = Comparison(made.title, made.question, fronts, made.published, made.differences)
        return write_comparison(comparison, self._out)


def _task(config: StudyConfig) -> Task:
    from evonas.tasks import load_task

    return load_task(config.task.name, **config.task.options)


def _rules(task: Task) -> Mapping[str, Mapping[str, float]]:
    """Scores on the test split of what the task can do without a network."""
    baselines = getattr(task, "baselines", None)
    return {} if baselines is None else baselines("test")


def _line(result: BaselineResult) -> str:
    """A baseline in one line."""
    from evonas.report.compared import baseline_network, score_of
    from evonas.report.formatting import count, with_error

    network = baseline_network(result)
    tested = network.tested.get(score_of([network], "").metric)
    score = "" if tested is None else f" test {tested.metric} {with_error(tested)},"
    cost = ", ".join(f"{count(record.lut)} LUT {stage.label}" for stage, record in network.records.items())
    failed = "" if result.failure is None else f" {result.failure.kind.value}: {result.failure.message}"
    return f"baseline {network.name}:{score} {cost}{failed}"
