"""The door to hls4ml: only the modules of this package import it.

hls4ml itself imports `plugin` while it loads, so nothing is imported here before it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evonas.synthesis._hls4ml.csim import simulate, write
    from evonas.synthesis._hls4ml.network import PROJECT, VERSION, convert, torch_predict
    from evonas.synthesis._hls4ml.reader import read

__all__ = ["PROJECT", "VERSION", "convert", "read", "simulate", "torch_predict", "write"]
_HOMES = {"read": "reader", "simulate": "csim", "write": "csim"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(name)
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'network')}"), name)
