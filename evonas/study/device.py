"""Where candidates are trained, checked before a study begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evonas.errors import ConfigurationError

if TYPE_CHECKING:
    from evonas.config import StudyConfig


def check_device(config: StudyConfig) -> None:
    """Raise `ConfigurationError` if the configured device is not here."""
    if config.execution.device == "cpu":
        return
    from evonas.training.device import has_gpu  # loads torch

    if not has_gpu():
        mend = "there is no GPU that torch can use; install torch for CUDA on a machine that has one, or set cpu"
        raise ConfigurationError("execution.device", config.execution.device, mend)
