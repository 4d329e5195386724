"""A task from a folder of images: one folder per class, named after it.

    [task]
    name = "images"
    path = "wafers"              # wafers/good/0001.png, wafers/scratch/0001.png, ...
    # goal = "anomaly", normal = "good": learns the images in wafers/good

All images must have one size. Files whose name begins with a dot are passed over.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from evonas.errors import ConfigurationError, DataError
from evonas.tasks.own_data import OwnData, more, own_task

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evonas.tasks.base import ArrayTask, Goal
    from evonas.tasks.preparation import Standardise

Colour = Literal["grey", "rgb"]
CHANNELS: dict[str, tuple[str, ...]] = {"grey": ("",), "rgb": ("_red", "_green", "_blue")}


def images(
    path: Path | str,
    colour: Colour = "grey",
    goal: Goal = "classification",
    normal: str | None = None,
    name: str | None = None,
    seed: int = 0,
    standardise: Standardise = "none",
    clip: float | None = None,
    metric: str | None = None,
    metric_as_error: bool = False,
) -> ArrayTask:
    """The task in the folder at `path`; needs Pillow.

    Parameters:
        path: the folder of the classes' folders.
        colour: `grey`, one value per pixel, or `rgb`, three; in both cases from 0 (dark) to 1.
        goal: `classification`, or `anomaly` with `normal`, the name of the folder of normal images.
        name: of the task; by default the folder's.
        seed: fixes the splits.
        standardise, clip, metric, metric_as_error: see `ArrayTask`; values are left as they are by default, and `clip`
            is then 1, else 4.

    Raises: `DataError` naming the file for an image that cannot be read or has another size than the first;
    `ConfigurationError` for an option, or where Pillow is missing.
    """
    if colour not in get_args(Colour):
        raise ConfigurationError("task.colour", colour, f"must be one of {', '.join(get_args(Colour))}")
    if goal == "regression":
        raise ConfigurationError("task.goal", goal, "folders are classes; a regression needs hdf5 or python")
    x, y = read_images(Path(path), colour)
    _, height, width, _ = x.shape
    pixels = [f"row{row}_column{column}" for row in range(height) for column in range(width)]
    return own_task(
        OwnData(x, y, str(path), tuple(p + c for p in pixels for c in CHANNELS[colour]), target="folder"),
        name=name,
        seed=seed,
        goal=goal,
        normal=normal,
        standardise=standardise,
        clip=clip or (1.0 if standardise == "none" else 4.0),
        unit="",
        metric=metric,
        metric_as_error=metric_as_error,
    )


def read_images(folder: Path, colour: Colour) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Images (n, height, width, channels) of values in [0, 1], and the names (n,) of the folders that they are in."""
    if not folder.is_dir():
        raise DataError("no such folder; check the path", folder)
    kinds = [kind for kind in sorted(folder.iterdir()) if kind.is_dir() and not kind.name.startswith(".")]
    if not kinds:
        raise DataError("holds no folder; make one folder of images per class", folder)
    files: list[Path] = []
    for kind in kinds:
        there = [file for file in sorted(kind.iterdir()) if file.is_file() and not file.name.startswith(".")]
        if not there:
            raise DataError("holds no image; add some, or remove the folder", kind)
        files += there
    found = [_read(file, colour) for file in files]
    other = [file for file, image in zip(files, found, strict=True) if image.shape != found[0].shape]
    if other:
        odd = found[files.index(other[0])].shape
        raise DataError(
            f"is {odd[1]} x {odd[0]} pixels{more(len(other) - 1)}, but {files[0]} is {found[0].shape[1]} x "
            f"{found[0].shape[0]}; bring all images to one size",
            other[0],
        )
    return np.stack(found), np.array([file.parent.name for file in files], dtype=object)


def _read(file: Path, colour: Colour) -> NDArray[np.float32]:
    """One image (height, width, channels); sixteen-bit grey values keep their depth."""
    try:
        from PIL import Image
    except ImportError as error:
        mend = "images need Pillow: pip install 'evonas[images]'"
        raise ConfigurationError("task.name", "images", mend) from error
    try:
        with Image.open(file) as image:
            deep = colour == "grey" and image.mode.startswith("I")
            values = np.asarray(image if deep else image.convert("L" if colour == "grey" else "RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"is not a readable image ({error}); mend or remove it", file) from error
    scaled = np.asarray(values / (65535 if deep else 255), np.float32)
    return scaled.reshape(*values.shape[:2], -1)
