"""A study as a data frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from surrogates import Stage

if TYPE_CHECKING:
    from evonas.study.state import CandidateState, StudyState

_RECORD = ("lut", "ff", "dsp", "bram_18k", "carry", "latency_cycles", "latency_ns", "initiation_interval", "delay_ns")


def to_frame(state: StudyState) -> pd.DataFrame:
    """One row per candidate, indexed by its number; hardware columns are prefixed by their stage."""
    rows = [_row(candidate) for candidate in state.candidates.values()]
    return pd.DataFrame(rows).set_index("candidate") if rows else pd.DataFrame()


def _row(state: CandidateState) -> dict[str, Any]:
    row: dict[str, Any] = {
        "candidate": state.candidate,
        "generation": state.generation,
        "topology": state.spec.topology,
        "dropped": state.asked.dropped,
        "failure": None if state.failure is None else state.failure.kind.value,
        "stopped_epochs": None if state.stopped is None else state.stopped.epochs,
        "learning_rate": state.asked.phenotype["learning_rate"],
        "norm": state.norm,
    }
    row |= {f"validation_{metric}": m.value for metric, m in state.measured.items()}
    row |= {f"test_{metric}": m.value for metric, m in state.tested.items()}
    row |= {f"predicted_{metric}": m.value for metric, m in state.predicted.items()}
    for stage in (Stage.TRACED, Stage.CSYNTH, Stage.SYNTHESISED, Stage.ROUTED):
        record = state.record(stage)
        if record is not None:
            row |= {f"{stage.label}_{name}": getattr(record, name) for name in _RECORD}
    return row
