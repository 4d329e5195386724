"""Firmware for a network file that evonas did not train: converted in a killable process, checked, synthesised."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from evonas.synthesis import build
from evonas.synthesis.parts import family
from evonas.synthesis.worker import POOL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from surrogates import HardwareTarget


@final
@dataclass(frozen=True)
class Conversion:
    """How hls4ml is to convert a file: the default type, and the reuse factor and strategy of every layer."""

    precision: str = "fixed<16,6>"
    reuse_factor: int = 1
    strategy: str = "latency"


def build_file(
    model: Path,
    target: HardwareTarget,
    directory: Path,
    conversion: Conversion,
    *,
    timeout_s: float,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """hls4ml's report, with ours, of the firmware made from `model` in `directory`.

    Raises `ToolError` for what the front end cannot read, a layer without hardware, a mismatch or a tool's failure,
    and `ConfigurationError` for an unknown part.
    """
    family(target.part)
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + timeout_s
    progress("conversion and tracing")
    arguments = {"directory": str(directory), "target": target.to_dict(), "model": str(model.resolve())}
    arguments |= {name: getattr(conversion, name) for name in ("precision", "reuse_factor", "strategy")}
    POOL.call("make_file", arguments, log=directory / "tools.log", timeout_s=timeout_s)
    left = deadline - time.monotonic()
    return build.finish(directory, target.part, target.clock_period_ns, progress=progress, timeout_s=left)
