"""hls4ml's own C++ project: written, compiled and run."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

COMPILE = """#!/bin/sh
exec g++ -O0 -DNDEBUG -std=c++11 -fPIC -shared -fno-gnu-unique -Ifirmware/ap_types -I. \\
  -D WEIGHTS_DIR="\\"$PWD/firmware/weights\\"" unity.cpp -o {library}
"""


def write(model: Any) -> None:
    """Write the C++ project of a `ModelGraph` to its directory."""
    with contextlib.redirect_stdout(io.StringIO()):
        model.write()


def simulate(model: Any, *inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Outputs of hls4ml's C simulation of a written project, (n, all words of all outputs).

    `inputs`: one array (n, ...) per input tensor. The project's own build script compiles two files with -O3; for some
    hundred vectors one file without optimisation is ready in less than half the time, so that script is replaced for
    the moment of compiling.
    """
    directory, project = Path(model.config.get_output_dir()), model.config.get_project_name()
    script, unit = directory / "build_lib.sh", directory / "unity.cpp"
    original = script.read_bytes()
    library = f"firmware/{project}-{model.config.get_config_value('Stamp')}.so"
    unit.write_text(f'#include "firmware/{project}.cpp"\n#include "{project}_bridge.cpp"\n')
    script.write_text(COMPILE.format(library=library))
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            model._compile()
    finally:
        script.write_bytes(original)
        unit.unlink()
    (directory / library).unlink()  # loaded; not part of the project
    data = [np.ascontiguousarray(array, np.float64) for array in inputs]
    outputs = model.predict(data[0] if len(data) == 1 else data)
    parts = outputs if isinstance(outputs, list) else [outputs]
    return np.concatenate([np.asarray(part, np.float64).reshape(len(data[0]), -1) for part in parts], axis=1)
