"""Bragg peaks: where in a patch of 11 x 11 pixels is the centre of a diffraction peak?

The task of BraggNN (Liu et al., IUCrJ 9 (2022), arXiv 2008.08198) with the label rule of its public loader: the patch
begins at int(centre) + shift - 5 in both directions, the label is (x, y) = (column, row) of the centre in the patch
divided by 11, and the patch is scaled to [0, 1] by its own minimum and maximum. Pixel i is centred at coordinate i.

With shift 0 the centre always lies in [5, 6) px, so that a constant is only .38 px off on average, with a shift of one
pixel either way 1.15 px: say which shift a number is for, beside `BraggTask.baselines` on the same split. A simulated
label is the true centre, that of the public files a fit: errors against the one and the other are different quantities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from evonas.errors import ConfigurationError
from evonas.seeding import stream
from evonas.tasks.base import ArrayTask

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from evonas.tasks.base import Split
    from evonas.tasks.preparation import SplitName

PATCH_PX = 11
TARGETS = ("x", "y")
PEAKS = 20_000  # simulated, unless told otherwise
PERCENTILES = (50, 75, 95)
_CHUNK = 8192  # peaks simulated at a time, to bound the memory


@final
@dataclass(frozen=True)
class Preset:
    """Ranges of the simulation. All are drawn uniformly, the height uniformly in its logarithm."""

    height_counts: tuple[float, float]  # of the peak above the background
    background_counts: tuple[float, float]  # per pixel
    half_width_px: tuple[float, float]  # half width at half maximum, along x and y on their own
    lorentz_fraction: tuple[float, float]
    neighbour_probability: float


# Centre of mass with shift 0, mean / 75th percentile of 30 000 peaks: medium .121 / .129 px, hard .222 / .272 px.
PRESETS = {
    "medium": Preset((20, 200), (0.0, 0.02), (0.8, 1.6), (0.0, 0.15), 0.05),
    "hard": Preset((12, 120), (0.1, 0.25), (0.8, 1.8), (0.0, 0.5), 0.08),
}
_NEIGHBOUR_DISTANCE_PX = (4.0, 7.0)
_NEIGHBOUR_HEIGHT = (0.1, 0.5)  # of the peak's own


@final
@dataclass(frozen=True)
class BraggTask(ArrayTask):
    """Peaks in patches: `x` (n, 121) row by row, `y` (n, 2) the labels x and y in patch widths of 11 px.

    Scores are distances in px from the label: `distance_px` (the mean, also `error`) and its percentiles.
    """

    @property
    def error_definition(self) -> str:
        """What `error` is, with its unit."""
        return super().error_definition if self.metric_as_error else "mean distance, px"

    def goal_scores(self, values: NDArray[Any], targets: NDArray[Any]) -> dict[str, float]:
        """`distance_px`, `distance_p50_px`, `distance_p75_px`, `distance_p95_px` and `error`, the mean distance."""
        distance = distances_px(values, targets)
        mean = float(distance.mean())
        found = np.percentile(distance, PERCENTILES)
        return {"error": mean, "distance_px": mean} | {
            f"distance_p{p}_px": float(v) for p, v in zip(PERCENTILES, found, strict=True)
        }

    def sample_errors(self, outputs: NDArray[np.floating], split: Split) -> NDArray[np.float64] | None:
        """Distances (n,) in px; None where a metric of the user's own is the error."""
        return None if self.metric_as_error else distances_px(*self.natural(outputs, split))

    def baselines(self, name: SplitName = "validation") -> dict[str, dict[str, float]]:
        """Scores on one split of `constant`, the mean training label, and of the patch's `centre_of_mass`."""
        split = self.split(name)
        targets = self.natural(split.y, split)[1]
        constant = np.broadcast_to(self.target_mean, targets.shape)
        mass = centre_of_mass(self.x[self.rows(name)])
        return {"constant": self.goal_scores(constant, targets), "centre_of_mass": self.goal_scores(mass, targets)}


def bragg(
    source: str | Path = "medium",
    peaks: str | Path | None = None,
    shift: int = 1,
    n_peaks: int | None = None,
    seed: int = 0,
    metric: str | None = None,
    metric_as_error: bool = False,
) -> BraggTask:
    """The Bragg-peak task.

    Inputs are not standardised: they lie in [0, 1] already, background and padding stay exactly 0, and `clip` is 1, so
    that the input word has one integer bit (the sign, always 0) and the brightest pixel saturates one step below 1.

    Parameters:
        source: `medium` or `hard`, simulated by `PRESETS`, or the path of an HDF5 file of frames as the public BraggNN
            data have it (see `evonas.tasks.braggnn`).
        peaks: the HDF5 file of the peaks in these frames.
        shift: largest shift of the patch in px, 0 or 1; it is drawn for each peak and direction.
        n_peaks: how many peaks: 20 000 simulated ones by default, all of a file.
        seed: fixes the simulation, the shifts, the choice of `n_peaks` and the splits.
        metric, metric_as_error: a metric of one's own on labels in patch widths, see `ArrayTask`.

    Raises: `ConfigurationError` for an unknown option, `DataError` for whatever is wrong with a file.
    """
    if shift not in (0, 1):
        raise ConfigurationError("task.shift", shift, "must be 0 or 1 px")
    if n_peaks is not None and n_peaks < 1:
        raise ConfigurationError("task.n_peaks", n_peaks, "must be at least 1; leave it out for the default")
    rng = stream(seed, "bragg")
    if str(source) in PRESETS:
        if peaks is not None:
            raise ConfigurationError("task.peaks", str(peaks), f"goes with a file of frames; the source is {source}")
        patches, labels = simulate(PRESETS[str(source)], n_peaks or PEAKS, shift, rng)
        what, origin = str(source), f"own simulation of Bragg peaks, {source}; true centres"
    elif peaks is None:
        mend = f"must be {', '.join(PRESETS)}, or the path of frames together with `peaks`, the file of peak positions"
        raise ConfigurationError("task.source", str(source), mend)
    else:
        from evonas.tasks import braggnn

        patches, labels = braggnn.load(source, peaks, shift, n_peaks, rng)
        what, origin = "files", f"BraggNN files {braggnn.names(source, peaks)}; fitted centres"
    return BraggTask(
        name=f"bragg_{what}_shift{shift}",
        x=patches,
        y=labels,
        output_names=TARGETS,
        feature_names=tuple(f"row{row}_column{column}" for row in range(PATCH_PX) for column in range(PATCH_PX)),
        provenance=f"{origin}, shift {shift} px",
        seed=seed,
        clip=1.0,
        source=None if str(source) in PRESETS else str(source),
        goal="regression",
        n_positions=PATCH_PX * PATCH_PX,
        standardise="none",
        image=(PATCH_PX, PATCH_PX),
        unit="patch widths",
        metric=metric,
        metric_as_error=metric_as_error,
    )


def simulate(
    preset: Preset, n_peaks: int, shift: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Scaled patches (n_peaks, 121) and labels (n_peaks, 2) of pseudo-Voigt peaks with Poisson noise."""
    parts = [_simulate(preset, min(_CHUNK, n_peaks - first), shift, rng) for first in range(0, n_peaks, _CHUNK)]
    return np.concatenate([p for p, _ in parts]), np.concatenate([label for _, label in parts])


def _simulate(
    preset: Preset, n: int, shift: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """One chunk of `simulate`: counts = Poisson(height (peak + neighbour) + background)."""
    centre = PATCH_PX // 2 - rng.integers(-shift, shift + 1, (n, 2)) + rng.random((n, 2))  # x, y
    half_width = rng.uniform(*preset.half_width_px, (n, 2))
    lorentz = rng.uniform(*preset.lorentz_fraction, n)
    angle, distance = rng.uniform(0, 2 * np.pi, n), rng.uniform(*_NEIGHBOUR_DISTANCE_PX, n)
    beside = centre + np.stack([np.cos(angle), np.sin(angle)], axis=1) * distance[:, None]
    relative = np.where(rng.random(n) < preset.neighbour_probability, rng.uniform(*_NEIGHBOUR_HEIGHT, n), 0.0)
    low, high = np.log(preset.height_counts)
    height = np.exp(rng.uniform(low, high, n))[:, None, None]
    background = rng.uniform(*preset.background_counts, n)[:, None, None]
    shape = pseudo_voigt(centre, half_width, lorentz)
    shape += relative[:, None, None] * pseudo_voigt(beside, half_width, lorentz)
    counts = rng.poisson(height * shape + background).reshape(n, -1)
    return min_max(counts), centre / PATCH_PX


def pseudo_voigt(
    centre: NDArray[np.floating], half_width: NDArray[np.floating], lorentz: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Patches (n, 11, 11), indexed by row and column, of peaks of height 1.

    With d the distance from `centre` (n, 2), given as x and y, in units of `half_width` (n, 2):
    lorentz / (1 + d²) + (1 - lorentz) 2^(-d²), the pseudo-Voigt profile.
    """
    pixel = np.arange(PATCH_PX)
    along = ((pixel - centre[:, :, None]) / half_width[:, :, None]) ** 2  # (n, 2, 11)
    square = along[:, 1, :, None] + along[:, 0, None, :]
    share = lorentz[:, None, None]
    return np.asarray(share / (1 + square) + (1 - share) * np.exp2(-square), np.float64)


def min_max(patches: NDArray[Any]) -> NDArray[np.float32]:
    """Patches (n, 121) scaled to [0, 1], each by its own minimum and maximum; a uniform patch becomes 0."""
    values = patches.astype(np.float64)
    low = values.min(axis=1, keepdims=True)
    span = values.max(axis=1, keepdims=True) - low
    return np.asarray((values - low) / np.where(span == 0, 1.0, span), np.float32)


def centre_of_mass(patches: NDArray[np.floating]) -> NDArray[np.float64]:
    """Labels (n, 2), x and y, of the centre of mass of patches (n, 121); the middle of an empty patch."""
    images = patches.reshape(-1, PATCH_PX, PATCH_PX).astype(np.float64)
    total = images.sum(axis=(1, 2))
    moments = np.stack([images.sum(axis=axis) @ np.arange(PATCH_PX) for axis in (1, 2)], axis=1)
    middle = PATCH_PX // 2
    found = np.where(total[:, None] > 0, moments / np.where(total > 0, total, 1.0)[:, None], middle)
    return np.asarray(found / PATCH_PX, np.float64)


def distances_px(predicted: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.float64]:
    """Euclidean distances (n,) in px between labels (n, 2) in patch widths."""
    return np.asarray(np.hypot(*(predicted - labels).T) * PATCH_PX, np.float64)
