"""Wide types without the leading bits that no value reaches.

With "auto" precision hls4ml gives a sum all bits that some weights and inputs could need, layer upon layer; what
these weights and inputs reach is far less. Where an interval of the values proves it, the bits go and no value changes.
"""

from __future__ import annotations

from dataclasses import replace
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.errors import FailureKind, ToolError
from evonas.models.fixed_point import FixedPoint
from evonas.synthesis import graph as g

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Interval = tuple[NDArray[np.float64], NDArray[np.float64]]  # lowest and highest of each word

WIDE = 32  # types up to this width stay as they are
WIDEST = 53  # the width of a type that was cut because `FixedPoint` holds no more


def narrowed(nodes: Sequence[g.Node]) -> list[g.Node]:
    """The nodes with narrower types. Raises `ToolError` (UNSUPPORTED) where more than 53 bits may really be needed."""
    known: dict[str, Interval] = {}
    result = []
    for node in nodes:
        before = reach(node, [known[name] for name in node.inputs])
        if isinstance(node, g.Linear | g.Pool | g.Contract):
            slack = _terms(node) * node.accumulator.lsb  # each cast may round by less than the last bit
            before = before[0] - slack, before[1] + slack
            node = replace(node, accumulator=_narrow(node.accumulator, before, f"accum_t of {node.name}"))
            before = _after(before, (node.accumulator,))
        if isinstance(node.result, FixedPoint) and not isinstance(node, g.Input):
            node = replace(node, result=_narrow(node.result, before, f"result_t of {node.name}"))
        known[node.name] = _after(before, node.results)
        result.append(node)
    return result


def _terms(node: g.Linear | g.Pool | g.Contract) -> int:
    return 2 + int((node.left if isinstance(node, g.Contract) else node.gather).shape[-1])


def _narrow(kind: FixedPoint, interval: Interval, where: str) -> FixedPoint:
    low, high = float(interval[0].min(initial=0.0)) - kind.lsb, float(interval[1].max(initial=0.0)) + kind.lsb
    if kind.width <= WIDE:
        return kind
    fits = (low >= kind.low or (not kind.signed and low >= -kind.lsb)) and high <= kind.high
    if kind.width >= WIDEST and not fits:
        message = f"{where}: its values may need more than {WIDEST} bits; give the layers before it narrower types"
        raise ToolError(FailureKind.UNSUPPORTED, message)
    width = kind.width
    while fits and width > 1:
        smaller = replace(kind, width=width - 1, integer=width - 1 - kind.fraction)
        if (kind.signed and low < smaller.low) or high > smaller.high:
            break
        width -= 1
    return replace(kind, width=width, integer=width - kind.fraction)


def _after(interval: Interval, kinds: Sequence[FixedPoint]) -> Interval:
    """What is left after a cast to `kinds`, one for all words or one for each."""
    lsb, lows, highs = (np.array([getattr(kind, name) for kind in kinds]) for name in ("lsb", "low", "high"))
    low, high = np.floor(interval[0] / lsb) * lsb, np.ceil(interval[1] / lsb) * lsb
    inside = (low >= lows) & (high <= highs)
    return np.where(inside, low, lows), np.where(inside, high, highs)


def _ends(*candidates: NDArray[np.float64]) -> Interval:
    return np.minimum.reduce(candidates), np.maximum.reduce(candidates)


def _corners(x: Interval, y: Interval) -> Interval:
    return _ends(x[0] * y[0], x[0] * y[1], x[1] * y[0], x[1] * y[1])


def _partial_sums(terms: Interval, axis: int) -> Interval:
    """Between what all negative and what all positive terms add up to lies the sum of any of them."""
    return np.minimum(terms[0], 0).sum(axis=axis), np.maximum(terms[1], 0).sum(axis=axis)


def _gathered(x: Interval, gather: NDArray[np.int64], absent: float = 0.0) -> Interval:
    return np.append(x[0], absent)[gather], np.append(x[1], absent)[gather]


@singledispatch
def reach(node: g.Node, _: list[Interval]) -> Interval:
    """Lowest and highest of each word (or of all) before the cast of the result; of a sum, of any part of it."""
    kinds = node.results
    return np.array([kind.low for kind in kinds]), np.array([kind.high for kind in kinds])


@reach.register(g.Linear)
def _linear(node: g.Linear, x: list[Interval]) -> Interval:
    low, high = (side[..., None] for side in _gathered(x[0], node.gather))
    sums = _partial_sums(_ends(low * node.weight[:, None], high * node.weight[:, None]), axis=2)  # (G, P, F)
    bias = np.minimum(node.bias, 0), np.maximum(node.bias, 0)
    return tuple((side.transpose(1, 0, 2) + own).ravel() for side, own in zip(sums, bias, strict=True))  # type: ignore[return-value]


@reach.register(g.Scale)
def _scale(node: g.Scale, x: list[Interval]) -> Interval:
    return _ends(x[0][0] * node.scale + node.bias, x[0][1] * node.scale + node.bias)


@reach.register(g.Rectify)
def _rectify(node: g.Rectify, x: list[Interval]) -> Interval:
    outputs = [np.where(side > 0, side, side * node.slope) for side in x[0]]
    return _ends(*outputs, np.clip(0.0, *_ends(*outputs)))


@reach.register(g.Merge)
def _merge(node: g.Merge, x: list[Interval]) -> Interval:
    a, b = (tuple(np.resize(side, node.size) for side in operand) for operand in x)
    operations: dict[str, Any] = {
        "add": lambda: (a[0] + b[0], a[1] + b[1]),
        "subtract": lambda: (a[0] - b[1], a[1] - b[0]),
        "multiply": lambda: _corners(a, b),  # type: ignore[arg-type]
        "average": lambda: ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2),
        "maximum": lambda: (np.maximum(a[0], b[0]), np.maximum(a[1], b[1])),
        "minimum": lambda: (np.minimum(a[0], b[0]), np.minimum(a[1], b[1])),
    }
    return operations[node.kind]()  # type: ignore[no-any-return]


@reach.register(g.Rearrange)
def _rearrange(node: g.Rearrange, x: list[Interval]) -> Interval:
    return _gathered((np.concatenate([low for low, _ in x]), np.concatenate([high for _, high in x])), node.gather)


@reach.register(g.Pool)
def _pool(node: g.Pool, x: list[Interval]) -> Interval:
    if node.kind == "max":
        low, high = _gathered(x[0], node.gather, -np.inf)
        return low.max(axis=1), high.max(axis=1)
    return _partial_sums(_gathered(x[0], node.gather), axis=1)


@reach.register(g.Contract)
def _contract(node: g.Contract, x: list[Interval]) -> Interval:
    return _partial_sums(_corners(_gathered(x[0], node.left), _gathered(x[1], node.right)), axis=1)
