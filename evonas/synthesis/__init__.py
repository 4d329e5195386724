"""From a quantised network to firmware and numbers: the open tool chain, and Vitis where it is installed.

Importing this package loads none of the tools; a backend does when it runs.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from evonas.errors import ConfigurationError

if TYPE_CHECKING:
    from evonas.synthesis.backend import SynthesisBackend

BACKENDS = ("openrtl", "vitis")


def choose(name: str = "auto", **options: Any) -> SynthesisBackend:
    """The backend called `name`, made with `options`. "auto" is Vitis where it is on PATH, else the open tool chain.

    Raises `ConfigurationError` for an unknown name or option.
    """
    if name == "auto":
        name = "vitis" if shutil.which("vitis-run") or shutil.which("vitis_hls") else "openrtl"
    if name not in BACKENDS:
        raise ConfigurationError("synthesis.backend", name, f"must be auto, {' or '.join(BACKENDS)}")
    try:
        if name == "vitis":
            from evonas.synthesis.vitis import VitisBackend

            return VitisBackend(**options)
        from evonas.synthesis.open_backend import OpenBackend

        return OpenBackend(**options)
    except TypeError as error:
        raise ConfigurationError(f"synthesis.{name}", options, str(error)) from error


def backends() -> dict[str, SynthesisBackend]:
    """All backends with their default options, by name, whether their tools are installed or not."""
    return {name: choose(name) for name in BACKENDS}
