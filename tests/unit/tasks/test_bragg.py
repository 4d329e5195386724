"""Bragg peaks: simulation, label rule, baselines, and the public files."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evonas.errors import ConfigurationError, DataError
from evonas.tasks import load_task
from evonas.tasks.bragg import PRESETS, centre_of_mass, distances_px, min_max, pseudo_voigt, simulate
from evonas.tasks.braggnn import crop, nearest_component
from evonas.tasks.preparation import SPLIT_NAMES

# Of 15 000 patches: mean and 75th percentile in px of the centre of mass, shift 0.
CENTRE_OF_MASS = {"medium": (0.119, 0.123), "hard": (0.221, 0.257)}
CONSTANT = {0: (0.383, 0.49), 1: (1.15, 1.47)}


def spots(seed=0, size=48, number=6):
    """Frames (2, size, size) of peaks without background or noise, and their centres (row, column)."""
    rng = np.random.default_rng(seed)
    frames, peaks = np.zeros((2, size, size)), []
    grid = np.arange(size)
    for index in range(2):
        for place in rng.permutation(9)[:number]:
            row, column = 16 * (place // 3) + rng.uniform(5, 10), 16 * (place % 3) + rng.uniform(5, 10)
            blob = 500 * np.exp2(-((grid[:, None] - row) ** 2) - (grid[None] - column) ** 2)
            frames[index] += np.where(blob > 0.5, blob, 0)  # the public frames are cut above the background
            peaks.append((index, row, column))
    return frames, np.array(peaks)


@pytest.fixture
def files(tmp_path):
    def write(frames=None, peaks=None, **more):
        made = spots()
        frames, peaks = made[0] if frames is None else frames, made[1] if peaks is None else peaks
        with h5py.File(tmp_path / "frames.h5", "w") as file:
            file["frames"] = frames.astype(np.float32)
        with h5py.File(tmp_path / "peaks.h5", "w") as file:
            names = ("peak_fidx", "peak_row", "peak_col")
            content = dict(zip(names, (peaks[:, 0].astype(np.uint32), peaks[:, 1], peaks[:, 2]), strict=True))
            for name, values in (content | more).items():
                if values is not None:
                    file[name] = values
        return {"source": str(tmp_path / "frames.h5"), "peaks": str(tmp_path / "peaks.h5")}

    return write


# --- simulation and label rule


@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize("preset", PRESETS)
def test_the_baselines_are_where_they_should_be(preset, shift):
    patches, labels = simulate(PRESETS[preset], 15_000, shift, np.random.default_rng(0))
    constant = distances_px(np.full_like(labels, 5.5 / 11), labels)
    assert constant.mean() == pytest.approx(CONSTANT[shift][0], rel=0.02)
    assert np.percentile(constant, 75) == pytest.approx(CONSTANT[shift][1], rel=0.02)
    mass = distances_px(centre_of_mass(patches), labels)
    if shift == 0:
        assert mass.mean() == pytest.approx(CENTRE_OF_MASS[preset][0], rel=0.08)
        assert np.percentile(mass, 75) == pytest.approx(CENTRE_OF_MASS[preset][1], rel=0.10)


def test_patches_are_scaled_and_labels_lie_in_the_middle():
    patches, labels = simulate(PRESETS["hard"], 500, 1, np.random.default_rng(0))
    assert (patches.min(axis=1) == 0).all()
    assert (patches.max(axis=1) == 1).all()
    whole = np.floor(labels * 11)
    assert set(np.unique(whole)) == {4, 5, 6}
    _, still = simulate(PRESETS["hard"], 500, 0, np.random.default_rng(0))
    assert set(np.unique(np.floor(still * 11))) == {5}


def test_x_runs_along_the_columns():
    image = pseudo_voigt(np.array([[7.0, 3.0]]), np.array([[1.0, 1.0]]), np.array([0.3]))[0]
    assert np.unravel_index(image.argmax(), image.shape) == (3, 7)
    assert image[3, 7] == 1.0
    assert image[3, 8] == image[4, 7] == pytest.approx(0.5)  # half the height at the half width
    np.testing.assert_allclose(centre_of_mass(image.reshape(1, -1))[0] * 11, [7, 3], atol=0.45)


def test_the_task(tmp_path):
    task = load_task("bragg", source="hard", n_peaks=1000, seed=3)
    assert (task.goal, task.shape, task.image, task.output_names) == ("regression", (121, 1), (11, 11), ("x", "y"))
    assert task.error_definition == "mean distance, px"
    assert "own simulation" in task.provenance
    assert "shift 1 px" in task.provenance
    assert task.digest == load_task("bragg", source="hard", n_peaks=1000, seed=3).digest
    others = [{"seed": 4}, {"shift": 0}, {"source": "medium"}]
    base = {"source": "hard", "n_peaks": 1000, "seed": 3}
    assert len({load_task("bragg", **base | other).digest for other in [{}, *others]}) == 4
    split = task.split("train")
    assert (split.x.min(), split.x.max()) == (0.0, 1.0)
    np.testing.assert_array_equal(split.x, task.x[task.rows("train")])  # nothing is standardised


def test_the_score_is_the_distance_in_px():
    task = load_task("bragg", n_peaks=1000)
    split = task.split("validation")
    away = split.y + np.array([3.0, 4.0]) / 11 / task.target_scale  # 5 px
    scores = task.score(away, split)
    assert set(scores) == {"error", "distance_px", "distance_p50_px", "distance_p75_px", "distance_p95_px"}
    assert all(value == pytest.approx(5, rel=1e-4) for value in scores.values())
    np.testing.assert_allclose(task.sample_errors(away, split), 5, rtol=1e-4)


@pytest.mark.parametrize("name", SPLIT_NAMES)
def test_baselines_are_of_the_split_that_is_asked_for(name):
    task = load_task("bragg", n_peaks=1000)
    found = task.baselines(name)
    labels = task.y[task.rows(name)]
    constant = np.hypot(*((labels - task.y[task.rows("train")].mean(axis=0)).T)) * 11
    assert found["constant"]["error"] == pytest.approx(constant.mean(), rel=1e-5)
    mass = distances_px(centre_of_mass(task.x[task.rows(name)]), labels)
    assert found["centre_of_mass"]["distance_p75_px"] == pytest.approx(np.percentile(mass, 75), rel=1e-5)
    assert found["centre_of_mass"]["error"] < found["constant"]["error"] / 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shift": 2}, "task.shift = 2: must be 0 or 1 px"),
        ({"n_peaks": 0}, "task.n_peaks = 0"),
        ({"source": "easy"}, "task.source = 'easy': must be medium, hard, or the path"),
        ({"peaks": "p.h5"}, "task.peaks = 'p.h5': goes with a file of frames"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(ConfigurationError, match=message):
        load_task("bragg", **options)


# --- the public files


@settings(max_examples=60)
@given(st.floats(0, 39.99), st.floats(0, 29.99), st.integers(-1, 1), st.integers(-1, 1))
def test_the_label_points_at_the_peak_also_at_the_edge(row, column, down, right):
    image = np.zeros((40, 30))
    image[int(row), int(column)] = 7.0
    patch, label = crop(image, np.array([row, column]), np.array([down, right]))
    assert patch.shape == (11, 11)
    x, y = label * 11
    assert patch[int(y + 1e-9), int(x + 1e-9)] == 7.0
    assert patch.sum() == 7.0


def test_the_patch_begins_at_the_whole_part_of_the_centre_plus_the_shift():
    image = np.arange(40 * 30, dtype=float).reshape(40, 30)
    patch, label = crop(image, np.array([20.7, 14.2]), np.array([1, -1]))
    np.testing.assert_array_equal(patch, image[16:27, 8:19])
    np.testing.assert_allclose(label * 11, [14.2 - 8, 20.7 - 16])


def test_an_edge_is_padded_half_on_each_side():
    patch, label = crop(np.ones((40, 30)), np.array([1.5, 14.0]), np.array([0, 0]))  # 4 rows are missing
    assert patch.sum(axis=1).tolist() == [0] * 2 + [11] * 7 + [0] * 2
    np.testing.assert_allclose(label * 11, [5.0, 3.5])


def test_other_components_are_removed_and_corners_touch():
    patch = np.zeros((11, 11))
    patch[5, 5] = patch[6, 6] = 3.0
    patch[0, 10] = patch[9, 0:3] = 8.0
    kept = nearest_component(patch, np.array([5.2, 5.4]))
    assert kept.sum() == 6.0
    assert nearest_component(patch, np.array([9.6, 0.3])).sum() == 8.0
    np.testing.assert_array_equal(nearest_component(kept, np.array([0.0, 0.0])), kept)


@pytest.mark.parametrize("shift", [0, 1])
def test_files_of_peaks(files, shift):
    task = load_task("bragg", **files(), shift=shift)
    assert len(task.x) == 12
    assert (task.x.max(axis=1) == 1).all()
    assert "frames.h5 and peaks.h5; fitted centres" in task.provenance
    assert distances_px(centre_of_mass(task.x), task.y).max() < 0.2  # alone in its patch, without noise
    assert set(np.floor(task.y.ravel() * 11 + 1e-9)) == ({5} if shift == 0 else {4, 5, 6})


def test_a_choice_of_peaks_depends_on_the_seed(files):
    paths = files()
    chosen = [load_task("bragg", **paths, n_peaks=10, shift=0, seed=s) for s in (0, 0, 2)]
    assert chosen[0].digest == chosen[1].digest != chosen[2].digest
    with pytest.raises(ConfigurationError, match=r"task.n_peaks = 13: .*holds 12"):
        load_task("bragg", **paths, n_peaks=13)


def test_overlapping_or_badly_fitted_peaks_and_uniform_patches_are_left_out(files):
    alone, deviation = np.ones(12, np.uint16), np.full(12, 0.2)
    alone[3], deviation[7] = 2, -1.0
    assert len(load_task("bragg", **files(npeaks=alone, deviations=deviation)).x) == 10
    frames, peaks = spots()
    peaks[0, 1:] = (0.0, 0.0)  # nothing is there
    frames[0, :7, :7] = 0
    assert len(load_task("bragg", **files(frames, peaks)).x) == 11
    with pytest.raises(DataError, match="holds no peak that is alone"):
        load_task("bragg", **files(npeaks=alone * 5))


def test_damage_is_named(files, tmp_path):
    _, peaks = spots()
    far = peaks.copy()
    far[5, 2] = 48.0
    frames = np.full((2, 48, 48), np.nan)
    cases = [
        (files, {"peaks": far}, r"peak_col = 48.0 of usable peak 5 must lie in \[0, 48\)"),
        (files, {"frames": frames}, r"frames\[0\] holds values near a peak that are not finite"),
        (files, {"frames": frames[0]}, r"frames has shape \(48, 48\)"),
        (files, {"peak_row": None}, "no data set peak_row; the file has peak_col, peak_fidx"),
        (files, {"peak_row": np.zeros(3)}, r"peak_row has type float64 and shape \(3,\)"),
    ]
    for write, change, message in cases:
        with pytest.raises(DataError, match=message):
            load_task("bragg", **write(**change))
    paths = files()
    with pytest.raises(DataError, match="no such file"):
        load_task("bragg", source=str(tmp_path / "absent.h5"), peaks=paths["peaks"])
    (tmp_path / "frames.h5").write_bytes(b"not HDF5")
    with pytest.raises(DataError, match=r"frames.h5: is not a readable HDF5 file"):
        load_task("bragg", **paths)


def test_a_uniform_patch_becomes_zero():
    assert (min_max(np.full((2, 121), 9)) == 0).all()
    np.testing.assert_allclose(centre_of_mass(np.zeros((1, 121))) * 11, 5)
