"""What is loaded when, and through which door."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = (
    "torch pymoo deap hls4ml dask plotly sklearn pandas alkaid onnx onnxruntime pyosys scipy moocore h5py rich typer"
)
# Where each library may be imported; a door is named after what is behind it.
DOORS = {
    # hls4ml reads torch modules; surrogates are trained with torch and predict without
    "torch": ("evonas/models/", "evonas/training/", "evonas/synthesis/_hls4ml/", "surrogates/_torch.py"),
    "pymoo": ("evonas/search/_pymoo.py",),
    "deap": ("evonas/search/_deap.py",),
    "moocore": ("evonas/search/_moocore.py",),
    "hls4ml": ("evonas/synthesis/_hls4ml/",),
    "alkaid": ("evonas/synthesis/_alkaid/",),
    "pyosys": ("evonas/synthesis/_pyosys.py",),
    "keras": ("evonas/synthesis/_keras.py",),
    "hgq": ("evonas/synthesis/_keras.py",),
    "qonnx": ("evonas/synthesis/_qonnx.py",),
    "onnx": ("evonas/synthesis/_onnx/",),
    "onnxruntime": ("evonas/synthesis/_onnx/",),
    "google": ("evonas/synthesis/_onnx/",),  # onnx's messages are protobuf's
    "pandas": ("evonas/study/_pandas.py", "evonas/tasks/_pandas.py"),
    "PIL": ("evonas/tasks/images.py",),
    "plotly": ("evonas/report/_plotly.py",),
    "requests": ("evonas/tasks/download.py",),
    "rich": ("evonas/cli/_rich.py", "evonas/tasks/download.py"),
    "typer": ("evonas/cli/_typer.py",),
    "pydantic": ("evonas/config.py",),
    "sklearn": ("surrogates/_sklearn.py",),
    "threadpoolctl": ("surrogates/_threadpoolctl.py",),
    "numpy": ("",),
}
ELSEWHERE = {"scipy", "h5py", "pooch", "platformdirs", "psutil"}  # several users, or data alone
SOURCES = [p for package in ("evonas", "surrogates") for p in sorted((ROOT / package).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    """Top-level names of what a file imports while it runs, also inside functions."""
    found = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(str(node.module).split(".")[0])
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text()))
    return found


@pytest.mark.parametrize(
    "statement", ["import evonas, surrogates", "import evonas.study.events", "import evonas.errors"]
)
def test_importing_the_packages_loads_nothing_heavy(statement):
    code = f"import sys; {statement}; print(*sorted(set({HEAVY.split()!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == []


def test_the_driver_of_a_study_does_not_load_torch():
    code = "import sys, evonas.study.study; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["False"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_each_library_has_its_door(path):
    place = str(path.relative_to(ROOT))
    foreign = imported(path) - set(sys.stdlib_module_names) - {"evonas", "surrogates"}
    assert foreign <= DOORS.keys() | ELSEWHERE, f"{place} imports {foreign - DOORS.keys() - ELSEWHERE}"
    for library in foreign & DOORS.keys():
        assert place.startswith(DOORS[library]), f"{place} imports {library}; its door is {DOORS[library]}"


def test_every_door_exists():
    for doors in DOORS.values():
        for door in doors:
            assert (ROOT / door).exists(), door


def test_surrogates_is_a_leaf():
    for path in SOURCES:
        if path.is_relative_to(ROOT / "surrogates"):
            assert not imported(path) & {"evonas", "hls4ml", "pymoo", "deap", "alkaid", "pyosys", "plotly"}


def test_the_layers_hold():
    command = Path(sys.executable).with_name("lint-imports")
    if not command.exists() and shutil.which("lint-imports") is None:
        pytest.skip("lint-imports is not installed")
    program = str(command) if command.exists() else "lint-imports"
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
