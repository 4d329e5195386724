"""The one door to threadpoolctl: nothing else in the package imports it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

__all__ = ["one_thread"]


def one_thread() -> AbstractContextManager[object]:
    """Linear algebra on one thread meanwhile.

    A matrix of a few hundred rows gains nothing from more, and where other work has the cores, threads that wait for
    each other take many times as long.
    """
    limits: AbstractContextManager[object] = threadpool_limits(1, user_api="blas")
    return limits
