"""One small study, pinned.

Why it is pinned: a study in the field is resumed by replaying its log through the search (`Evolution.replay`), so a
release that draws other random numbers, orders survivors otherwise or decodes a genome otherwise can no longer go on
with any study begun before it. No other test notices that, because all of them compare two runs of the same code.

When this fails on purpose, such a change is a breaking one: raise the minor version (`check_versions` then refuses old
logs with a clear sentence) and write the file anew with
`PYTHONPATH=.:tests python tests/golden/test_golden_study.py`. When it fails for
a new version of pymoo or numpy, the bounds in pyproject.toml have to change.

What is not pinned: accuracies and costs, which belong to the stand-ins for training and synthesis.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from fakes.backend import InstantBackend
from fakes.studies import install, make_task, settings

from evonas.study.study import Study

PINNED = Path(__file__).with_name("small_study.json")


def digest_of(directory: Path, records: Path) -> dict[str, Any]:
    config = settings(records, "search.generations=4", "search.population_size=6", "surrogate.recalibrate_every=2")
    with Study(config, directory, task=make_task()) as study:
        study.run()
        state = study.state
        return {
            "generations": [
                ["".join(map(str, state.candidates[n].asked.genome)) for n in g.candidates] for g in state.generations
            ],
            "topologies": [c.spec.topology for c in state.candidates.values()],
            "front": [c.candidate for c in study.front()],
            "chosen": [[[p.candidate, p.reason] for p in c.picks] for c in state.chosen],
            "verified": [c.candidate for c in study.front("synthesised")],
        }


def test_the_study_is_the_one_it_always_was(instant, start_records, tmp_path):
    assert digest_of(tmp_path / "s", start_records) == json.loads(PINNED.read_text())


if __name__ == "__main__":
    import numpy as np
    from fakes.records import synthetic_records

    from surrogates import write_records

    install(setattr, InstantBackend())
    with tempfile.TemporaryDirectory() as name:
        write_records(synthetic_records(30, np.random.default_rng(7)), Path(name) / "records.jsonl")
        found = digest_of(Path(name) / "s", Path(name) / "records.jsonl")
    PINNED.write_text(json.dumps(found, indent=1) + "\n")
