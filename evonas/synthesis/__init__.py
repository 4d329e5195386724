"""From a quantised network to firmware and numbers: the open tool chain, and the vendors' where they are installed.

Importing this package loads none of the tools; a backend does when it runs.
"""

from __future__ import annotations

import shutil
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from evonas.errors import ConfigurationError

if TYPE_CHECKING:
    from evonas.synthesis.backend import SynthesisBackend

_CLASSES = {
    "openrtl": ("open_backend", "OpenBackend"),
    "vitis": ("vitis", "VitisBackend"),
    "quartus": ("quartus", "QuartusBackend"),
    "oneapi": ("oneapi", "OneApiBackend"),
    "catapult": ("catapult", "CatapultBackend"),
}
BACKENDS = tuple(_CLASSES)


def choose(name: str = "auto", **options: Any) -> SynthesisBackend:
    """The backend called `name`, made with `options`. "auto" is Vitis where it is on PATH, else the open tool chain.

    Raises `ConfigurationError` for an unknown name or option.
    """
    if name == "auto":
        name = "vitis" if shutil.which("vitis-run") or shutil.which("vitis_hls") else "openrtl"
    if name not in _CLASSES:
        known = ", ".join(BACKENDS[:-1])
        raise ConfigurationError("synthesis.backend", name, f"must be auto, {known} or {BACKENDS[-1]}")
    module, class_name = _CLASSES[name]
    backend = getattr(import_module(f"evonas.synthesis.{module}"), class_name)
    try:
        return cast("SynthesisBackend", backend(**options))
    except TypeError as error:
        raise ConfigurationError(f"synthesis.{name}", options, str(error)) from error


def backends() -> dict[str, SynthesisBackend]:
    """All backends with their default options, by name, whether their tools are installed or not."""
    return {name: choose(name) for name in BACKENDS}
