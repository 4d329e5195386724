"""What the arithmetic compiler says of the very weights of a network, without logic synthesis: seconds, not minutes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

from evonas.errors import ToolError
from surrogates import Stage, SynthesisRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from evonas.errors import Failure
    from evonas.models.quantised_network import QuantisedNetwork
    from surrogates import HardwareTarget

    Progress = Callable[[str], None] | None

Record = TypeVar("Record")


def trace_design(
    network: QuantisedNetwork,
    vectors: NDArray[np.floating],
    target: HardwareTarget,
    *,
    timeout_s: float = 3600.0,
    progress: Progress = None,
) -> SynthesisRecord:
    """The TRACED record of a network of ours, checked on `vectors` (n, n_inputs), at least 64; nothing is kept.

    Raises `ToolError` for what the compiler cannot do.
    """
    from evonas.synthesis import choose

    with TemporaryDirectory() as directory:
        backend = choose("openrtl", csim="never")
        result = backend.synthesise(
            network, vectors, target, Path(directory), until=Stage.TRACED, timeout_s=timeout_s, progress=progress
        )
    return _succeeded(result.record(Stage.TRACED), result.failure)


def trace_file(
    path: Path, target: HardwareTarget, *, timeout_s: float = 3600.0, progress: Progress = None
) -> tuple[SynthesisRecord, tuple[str, ...]]:
    """Likewise of an .onnx, .keras or .h5 file that evonas did not make, as hls4ml reads it, and what is not counted.

    Raises as `describe_file`, and `ToolError` for what the compiler cannot do.
    """
    from evonas.synthesis import choose
    from evonas.synthesis.description import describe_file
    from evonas.synthesis.file_build import Conversion, synthesise_file

    found = describe_file(path, target, Conversion())
    with TemporaryDirectory() as directory:
        backend, place = choose("openrtl"), Path(directory)
        options = {"until": Stage.TRACED, "timeout_s": timeout_s, "progress": progress}
        result = synthesise_file(path, backend, target, place, Conversion(), **options)  # type: ignore[arg-type]
    record = _succeeded(next(iter(result.records), None), result.failure)
    fields = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    return SynthesisRecord(spec=found.spec, **fields), found.notes


def _succeeded(record: Record | None, failure: Failure | None) -> Record:
    if record is None:
        assert failure is not None
        raise ToolError(failure.kind, failure.message)
    return record
