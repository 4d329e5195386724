"""The public Bragg-peak files, as https://github.com/lzhengchun/BraggNN describes them.

One HDF5 file holds `frames` (n, height, width); the other one entry per peak: `peak_fidx`, the frame it is in, and
`peak_row` and `peak_col`, its fitted centre in px from the top and the left edge. Where it also has `npeaks` and
`deviations`, only patches with one peak and a deviation in [0, 1) are used, as there.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.errors import ConfigurationError, DataError
from evonas.tasks.bragg import PATCH_PX, min_max

if TYPE_CHECKING:
    from numpy.typing import NDArray

POSITIONS = ("peak_fidx", "peak_row", "peak_col")
QUALITY = ("npeaks", "deviations")


def load(
    frames: str | Path, peaks: str | Path, shift: int, n_peaks: int | None, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Scaled patches (n, 121) and labels (n, 2), x and y in patch widths, of all peaks or `n_peaks` drawn at random.

    Frames are read one at a time. Patches that are uniform, and so hold no peak, are left out.
    Raises: `DataError` naming file, data set and row for whatever does not fit.
    """
    import h5py

    positions = _positions(peaks)
    if n_peaks is not None:
        if n_peaks > len(positions):
            raise ConfigurationError("task.n_peaks", n_peaks, f"{peaks} holds {len(positions)}; leave it out for all")
        positions = positions[np.sort(rng.choice(len(positions), n_peaks, replace=False))]
    shifts = rng.integers(-shift, shift + 1, (len(positions), 2))
    patches = np.zeros((len(positions), PATCH_PX * PATCH_PX))
    labels = np.zeros((len(positions), 2))
    try:
        with h5py.File(_file(frames), "r") as file:
            stack = _dataset(file, "frames", frames)
            _check_positions(positions, stack.shape, frames, peaks)
            for index in np.unique(positions[:, 0]).astype(int):
                image = np.asarray(stack[index], np.float64)
                for peak in np.flatnonzero(positions[:, 0] == index):
                    patch, label = crop(image, positions[peak, 1:], shifts[peak])
                    patches[peak], labels[peak] = nearest_component(patch, label * PATCH_PX).ravel(), label
    except OSError as error:
        raise DataError("is not a readable HDF5 file; it is damaged or cut short, fetch it again", frames) from error
    bad = np.argwhere(~np.isfinite(patches))
    if len(bad):
        frame = int(positions[bad[0][0], 0])
        raise DataError(f"frames[{frame}] holds values near a peak that are not finite; leave that frame out", frames)
    useful = np.ptp(patches, axis=1) > 0
    return min_max(patches[useful]), labels[useful]


def names(frames: str | Path, peaks: str | Path) -> str:
    """Both files, for the provenance."""
    return f"{Path(frames).name} and {Path(peaks).name}"


def crop(
    image: NDArray[np.float64], centre: NDArray[np.floating], shift: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The patch (11, 11) about a peak and its label (2,), x and y in patch widths.

    `centre` and `shift` are (row, column) in px. A patch that reaches beyond the frame is cut there and padded with
    zeros, half on each side as in the public loader, and the label moves with it.
    """
    middle = centre.astype(int) + shift
    low = np.maximum(middle - PATCH_PX // 2, 0)
    high = np.minimum(middle + PATCH_PX // 2 + 1, image.shape)
    inside = image[low[0] : high[0], low[1] : high[1]]
    before = (PATCH_PX - np.array(inside.shape)) // 2
    patch = np.zeros((PATCH_PX, PATCH_PX))
    patch[before[0] : before[0] + inside.shape[0], before[1] : before[1] + inside.shape[1]] = inside
    row, column = centre - low + before
    return patch, np.array([column, row]) / PATCH_PX


def nearest_component(patch: NDArray[np.float64], peak_px: NDArray[np.floating]) -> NDArray[np.float64]:
    """`patch` (11, 11) with all but one component zeroed: that with the pixel nearest to `peak_px`, x and y.

    Components are pixels above 0 that touch, corners included: the public frames have no background left.
    """
    from scipy.ndimage import label

    components, number = label(patch > 0, np.ones((3, 3)))
    if number < 2:
        return patch
    pixels = np.argwhere(components)
    nearest = pixels[np.argmin(((pixels - peak_px[::-1]) ** 2).sum(axis=1))]
    return np.where(components == components[tuple(nearest)], patch, 0.0)


def _positions(path: str | Path) -> NDArray[np.float64]:
    """Frame, row and column (n, 3) of the usable peaks in a file."""
    import h5py

    try:
        with h5py.File(_file(path), "r") as file:
            found = {name: _dataset(file, name, path)[()] for name in POSITIONS}
            found |= {name: _dataset(file, name, path)[()] for name in QUALITY if name in file}
    except OSError as error:
        raise DataError("is not a readable HDF5 file; it is damaged or cut short, fetch it again", path) from error
    for name, values in found.items():
        if values.shape != (len(found["peak_fidx"]),) or not np.issubdtype(values.dtype, np.number):
            wanted = f"numbers ({len(found['peak_fidx'])},), one per peak"
            raise DataError(f"{name} has type {values.dtype} and shape {values.shape}; it must be {wanted}", path)
    positions = np.stack([found[name] for name in POSITIONS], axis=1).astype(np.float64)
    usable = np.ones(len(positions), bool)
    if "npeaks" in found:
        usable &= found["npeaks"] == 1
    if "deviations" in found:
        usable &= (found["deviations"] >= 0) & (found["deviations"] < 1)
    if not usable.any():
        raise DataError("holds no peak that is alone in its patch with a deviation in [0, 1)", path)
    return positions[usable]


def _check_positions(
    positions: NDArray[np.float64], shape: tuple[int, ...], frames: str | Path, peaks: str | Path
) -> None:
    """Raise `DataError` for frames of another shape, or a peak outside them."""
    if len(shape) != 3:
        raise DataError(f"frames has shape {shape}; it must be (frames, height, width)", frames)
    for column, (name, size) in enumerate(zip(POSITIONS, shape, strict=True)):
        values = positions[:, column]
        bad = np.flatnonzero(~((values >= 0) & (values < size)))
        if len(bad):
            mend = f"must lie in [0, {size}), as {frames} has frames of shape {shape}"
            raise DataError(f"{name} = {values[bad[0]]} of usable peak {int(bad[0])} {mend}", peaks)


def _file(path: str | Path) -> Path:
    """The path of a file. Raises `DataError` if there is none."""
    if not Path(path).is_file():
        raise DataError("no such file; check the path", path)
    return Path(path)


def _dataset(file: Any, name: str, path: str | Path) -> Any:
    """A data set of an open file. Raises `DataError` that lists what there is."""
    if name not in file:
        raise DataError(f"no data set {name}; the file has {', '.join(file)}", path)
    return file[name]
