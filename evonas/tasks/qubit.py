"""Qubit readout: was the superconducting qubit in its ground state g or its excited state e?

A trace is the signal of the readout resonator behind the analogue-to-digital converter: `samples` pairs of the
quadratures I and Q. The public set is that of Di Guglielmo et al., arXiv:2501.14663 (QICK on an RFSoC, 770 samples): a
folder with `*X_train*.npy`, (n, 1540), I and Q in turn, and `*y_train*.npy`, (n,) of 0 for g and 1 for e. The files of
test traces are not read.

The simulation solves the field α of the resonator in dispersive readout (Blais et al., Rev. Mod. Phys. 93, 025005
(2021), arXiv:2005.12667; measured in Walter et al., arXiv:1701.06933) with a constant drive ε from time 0:

    dα/dt = ε - (κ/2 + iδ) α,    δ = -χ in state g and +χ in state e,

so that α rings up to ε / (κ/2 + iδ) with the time constant 2/κ, that is 1/κ for the power. An excited qubit decays
after an exponentially distributed time of mean T1, and from then on the field goes to the steady state of g. The trace
is α in units of the distance between the two steady states, plus white Gaussian noise in both quadratures.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from evonas.errors import ConfigurationError, DataError
from evonas.seeding import stream
from evonas.tasks.base import ArrayTask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from evonas.tasks.preparation import SplitName

STATES = ("g", "e")
SAMPLES = 770  # per trace of the public set
TRACES = 20_000  # unless told otherwise
_CHUNK = 2048  # traces at a time, to bound the memory


@final
@dataclass(frozen=True)
class Readout:
    """The simulated device. With χ = κ/2 the two steady states are a right angle apart, the best for a given drive."""

    kappa_mhz: float = 1.0  # linewidth κ/2π of the resonator
    chi_mhz: float = 0.5  # dispersive shift χ/2π, half the distance of its two frequencies
    t1_us: float = 30.0  # life time of the excited state
    noise: float = 5.0  # standard deviation per sample and quadrature, in distances of the steady states
    sample_ns: float = 1000 / 307.2  # of the decimated data of a QICK board

    def __post_init__(self) -> None:
        for name in ("kappa_mhz", "chi_mhz", "t1_us", "sample_ns"):
            if not 0 < getattr(self, name) < np.inf:
                raise ConfigurationError(f"task.{name}", getattr(self, name), "must be a positive number")
        if not 0 <= self.noise < np.inf:
            raise ConfigurationError("task.noise", self.noise, "must not be negative")

    def fields(
        self, excited: NDArray[np.bool_], decay_ns: NDArray[np.floating], samples: int
    ) -> NDArray[np.complex128]:
        """The field α (n, samples) without noise: of g, or where `excited` of e until it decays at `decay_ns` (n,)."""
        kappa, chi = 2e-3 * np.pi * self.kappa_mhz, 2e-3 * np.pi * self.chi_mhz  # per ns
        rates = kappa / 2 + 1j * np.array([-chi, chi])
        unit = abs(1 / rates[1] - 1 / rates[0])
        ground, above = 1 / rates / unit
        time = (np.arange(samples) + 1) * self.sample_ns
        of_g, of_e = (end * -np.expm1(-rate * time) for end, rate in zip((ground, above), rates, strict=True))
        since = np.maximum(time - decay_ns[:, None], 0.0)
        at_decay = above * -np.expm1(-rates[1] * decay_ns[:, None])
        decayed = ground + (at_decay - ground) * np.exp(-rates[0] * since)
        trace = np.where(since > 0, decayed, of_e)
        return np.asarray(np.where(excited[:, None], trace, of_g), np.complex128)

    def simulate(self, excited: NDArray[np.bool_], samples: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Traces (n, samples, 2) of I and Q, one for each entry of `excited` (n,)."""
        decay_ns = rng.exponential(1e3 * self.t1_us, len(excited))
        field = self.fields(excited, decay_ns, samples)
        traces = np.stack([field.real, field.imag], axis=-1)
        return np.asarray(traces + self.noise * rng.standard_normal(traces.shape), np.float32)


@final
@dataclass(frozen=True)
class QubitTask(ArrayTask):
    """Traces `x` (n, 2 * words): I and Q in turn of each position in the window; classes g and e."""

    def goal_scores(self, values: NDArray[Any], targets: NDArray[Any]) -> dict[str, float]:
        """Those of a classification and `fidelity`, with the two misassignments `p_e_given_g` and `p_g_given_e`."""
        return super().goal_scores(values, targets) | assignment(np.argmax(values, axis=1), targets)

    def baselines(self, name: SplitName = "validation") -> dict[str, dict[str, float]]:
        """`accuracy` and `fidelity` of the matched filter on one split.

        Its weights are the difference of the mean traces of e and g in the training split, the best linear ones for
        white noise (Gambetta et al., arXiv:cond-mat/0701078); its threshold has the best fidelity in training.
        """
        train, rows = self.rows("train"), self.rows(name)
        states = self.y[train]
        weights = self.x[train][states == 1].mean(axis=0) - self.x[train][states == 0].mean(axis=0)
        threshold = best_threshold(self.x[train] @ weights, states)
        found = (self.x[rows] @ weights > threshold).astype(np.int64)
        scores = {"accuracy": float(np.mean(found == self.y[rows])), **assignment(found, self.y[rows])}
        return {"matched_filter": scores}


def qubit(
    source: str | Path = "simulated",
    window_start: int = 100,
    window_size: int | None = 400,
    decimation: int = 10,
    n_traces: int = TRACES,
    samples: int | None = None,
    kappa_mhz: float | None = None,
    chi_mhz: float | None = None,
    t1_us: float | None = None,
    noise: float | None = None,
    seed: int = 0,
    metric: str | None = None,
    metric_as_error: bool = False,
) -> QubitTask:
    """The readout task: `window_size / decimation` positions of I and Q each.

    Parameters:
        source: `simulated`, or the folder of the public files.
        window_start, window_size: which samples the network reads; size None: all to the end. The default is that of
            the published networks, 400 samples from the 100th. A search over windows (`evonas.space.readout`) counts
            in the positions that are handed over: give it whole traces, start 0 and all 770 samples.
        decimation: so many samples in a row are averaged; it must divide the window. 1 leaves them as they are.
        n_traces: how many traces; drawn at random from the files.
        samples: per simulated trace, 770 by default.
        kappa_mhz, chi_mhz, t1_us, noise: of the simulated device, see `Readout`.
        seed: fixes the simulation, the choice of traces and the splits.
        metric, metric_as_error: a metric of one's own, see `ArrayTask`.

    Raises: `ConfigurationError` for an option, `DataError` for whatever is wrong with a file.
    """
    chosen = {"kappa_mhz": kappa_mhz, "chi_mhz": chi_mhz, "t1_us": t1_us, "noise": noise}
    device = {key: value for key, value in chosen.items() if value is not None}
    if n_traces < 1:
        raise ConfigurationError("task.n_traces", n_traces, "must be at least 1")
    rng = stream(seed, "qubit")
    if str(source) == "simulated":
        window = Window(window_start, window_size, decimation, SAMPLES if samples is None else samples)
        x, y = _simulated(Readout(**device), window, n_traces, rng)
        origin = "own simulation of dispersive readout"
    else:
        if device or samples is not None:
            option, value = next(iter((device | ({"samples": samples} if samples is not None else {})).items()))
            raise ConfigurationError(f"task.{option}", value, 'is for source = "simulated"')
        x, y, window = _read(Path(source), window_start, window_size, decimation, n_traces, rng)
        origin = f"qubit readout files in {Path(source).name}"
    first = [window.start + position * decimation for position in range(window.words)]
    return QubitTask(
        name="qubit",
        x=x,
        y=y,
        output_names=STATES,
        feature_names=tuple(f"{quadrature}{sample}" for sample in first for quadrature in "IQ"),
        provenance=f"{origin}, samples {window.start} to {window.end - 1}, decimation {decimation}",
        seed=seed,
        source=None if str(source) == "simulated" else str(source),
        n_positions=window.words,
        standardise="features",
        metric=metric,
        metric_as_error=metric_as_error,
    )


@final
@dataclass(frozen=True)
class Window:
    """Samples `start` to `start + size - 1` of `samples`, averaged in groups of `decimation`."""

    start: int
    size: int | None
    decimation: int
    samples: int

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ConfigurationError("task.samples", self.samples, "must be at least 1")
        if not 0 <= self.start < self.samples:
            raise ConfigurationError("task.window_start", self.start, f"must lie in 0..{self.samples - 1}")
        left = self.samples - self.start
        if self.size is not None and not 1 <= self.size <= left:
            mend = f"must lie in 1..{left}: a trace has {self.samples} samples, and the window starts at {self.start}"
            raise ConfigurationError("task.window_size", self.size, mend)
        if self.decimation < 1 or (self.end - self.start) % self.decimation:
            raise ConfigurationError("task.decimation", self.decimation, f"must divide {self.end - self.start} samples")

    @property
    def end(self) -> int:
        """The first sample behind the window."""
        return self.samples if self.size is None else self.start + self.size

    @property
    def words(self) -> int:
        """Positions that are left."""
        return (self.end - self.start) // self.decimation

    def cut(self, traces: NDArray[Any]) -> NDArray[np.float32]:
        """Words (n, 2 * words) of traces (n, samples, 2)."""
        inside = traces[:, self.start : self.end].reshape(len(traces), self.words, self.decimation, 2)
        return np.asarray(inside.mean(axis=2, dtype=np.float64), np.float32).reshape(len(traces), -1)


def _simulated(
    device: Readout, window: Window, n_traces: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Words and states, as many of e as of g."""
    states = np.arange(n_traces) % 2
    parts = [
        window.cut(device.simulate(states[rows] == 1, window.samples, rng)) for rows in _chunks(np.arange(n_traces))
    ]
    return np.concatenate(parts), states


def _read(
    folder: Path, start: int, size: int | None, decimation: int, n_traces: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int64], Window]:
    """Words and states of `n_traces` of the training traces in a folder."""
    if not folder.is_dir():
        raise ConfigurationError("task.source", str(folder), "must be simulated, or a folder with *X_train*.npy")
    traces, states = _npy(folder, "*X_train*.npy"), _npy(folder, "*y_train*.npy")
    if traces.ndim != 2 or traces.shape[1] % 2 or states.shape != (len(traces),):
        shapes = f"the arrays have shapes {traces.shape} and {states.shape}"
        raise DataError(f"{shapes}; they must be (n, 2 * samples), I and Q in turn, and (n,)", folder)
    if n_traces > len(traces):
        raise ConfigurationError("task.n_traces", n_traces, f"{folder} holds {len(traces)}")
    window = Window(start, size, decimation, traces.shape[1] // 2)
    rows = np.sort(rng.choice(len(traces), n_traces, replace=False))
    y = np.asarray(states[rows])
    if len(bad := np.flatnonzero((y != 0) & (y != 1))):
        raise DataError(f"y_train[{rows[bad[0]]}] is {y[bad[0]]}; it must be 0 (g) or 1 (e)", folder)
    parts = [window.cut(np.asarray(traces[part]).reshape(len(part), -1, 2)) for part in _chunks(rows)]
    return np.concatenate(parts), y.astype(np.int64), window


def _npy(folder: Path, pattern: str) -> NDArray[Any]:
    """The only array file in a folder that fits a pattern, mapped into memory."""
    files = sorted(folder.glob(pattern))
    if len(files) != 1:
        raise DataError(f"holds {len(files)} files {pattern}; there must be one", folder)
    try:
        array: NDArray[Any] = np.load(files[0], mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"is not a readable .npy file ({error}); fetch it again", files[0]) from error
    if array.dtype.kind not in "fiub":
        raise DataError(f"holds {array.dtype}, not numbers", files[0])
    return array


def _chunks(rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for first in range(0, len(rows), _CHUNK):
        yield rows[first : first + _CHUNK]


def assignment(found: NDArray[Any], states: NDArray[Any]) -> dict[str, float]:
    """`fidelity` = 1 - (P(e|g) + P(g|e)) / 2 of the states found (n,), and the two probabilities of an error."""
    e_given_g = float(np.mean(found[states == 0] == 1)) if np.any(states == 0) else 0.0
    g_given_e = float(np.mean(found[states == 1] == 0)) if np.any(states == 1) else 0.0
    return {"fidelity": 1 - (e_given_g + g_given_e) / 2, "p_e_given_g": e_given_g, "p_g_given_e": g_given_e}


def best_threshold(values: NDArray[Any], states: NDArray[Any]) -> float:
    """The threshold with the best fidelity when values (n,) above it are called e."""
    order = np.argsort(values, kind="stable")
    ranked, excited = values[order].astype(np.float64), states[order] == 1
    below_g, below_e = np.cumsum(~excited) / np.sum(~excited), np.cumsum(excited) / np.sum(excited)
    best = int(np.argmax(below_g - below_e))
    return float((ranked[best] + ranked[min(best + 1, len(ranked) - 1)]) / 2)
