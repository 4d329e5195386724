"""Nodes taken apart into units that are computed on their own: one position, one row, one word.

What a node does at many places it does with the same constants, so that most of its units are alike.
"""

from __future__ import annotations

from dataclasses import fields, replace
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.errors import FailureKind, ToolError
from evonas.models.fixed_point import FixedPoint
from evonas.synthesis import graph as g
from evonas.synthesis.liveness import ONE_TO_ONE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Words = NDArray[np.int64]


def constants(node: g.Node) -> tuple[Any, ...]:
    """All that settles what the node computes from its operands, to compare it with others."""
    values = (getattr(node, one.name) for one in fields(node) if one.name not in ("name", "inputs"))
    plain = (value.tobytes() if isinstance(value, np.ndarray) else value for value in values)
    return type(node).__name__, *plain


def sliced(node: g.Node, outputs: Words, **changed: Any) -> Any:
    """The node for these of its words alone: what it has for each word, and what `changed` says."""
    if isinstance(node, g.Scale):
        changed |= {"scale": node.scale[outputs], "bias": node.bias[outputs]}
    if isinstance(node, g.Rectify):
        changed |= {"slope": node.slope[outputs]}
    result = node.result if isinstance(node.result, FixedPoint) else tuple(node.results[word] for word in outputs)
    return replace(node, size=len(outputs), result=result, **changed)


def _read(indices: Words) -> tuple[Words, Words]:
    """The words that are read, in the order in which they are met, and the indices renumbered to them."""
    unique, first, places = np.unique(indices, return_index=True, return_inverse=True)
    order = np.argsort(first)
    order = order[unique[order] != g.ABSENT]
    numbers = np.full(len(unique), g.ABSENT)
    numbers[order] = np.arange(len(order))
    return unique[order], numbers[places].reshape(indices.shape)


@singledispatch
def places(node: g.Node) -> Iterator[Words]:
    """Which words are computed together: by default each on its own."""
    yield from np.arange(node.size)[:, None]


@places.register(g.Linear)
def _of_linear(node: g.Linear) -> Iterator[Words]:
    yield from np.arange(node.size).reshape(-1, node.weight.shape[2])


@places.register(g.Softmax)
def _of_softmax(node: g.Softmax) -> Iterator[Words]:
    yield from node.rows


@singledispatch
def alone(node: g.Node, outputs: Words, _: Sequence[int]) -> tuple[g.Node, list[Words]]:
    """The node for one unit alone, and which words of each operand it then reads, by the operands' sizes."""
    if not isinstance(node, ONE_TO_ONE):
        raise ToolError(FailureKind.UNSUPPORTED, f"{node.name}: {type(node).__name__} cannot be traced part by part")
    return sliced(node, outputs), [outputs]


@alone.register(g.Linear)
def _linear(node: g.Linear, outputs: Words, _: Sequence[int]) -> tuple[g.Node, list[Words]]:
    position, group = divmod(int(outputs[0]) // len(outputs), len(node.weight))
    words, gather = _read(node.gather[group, position])
    bias = node.bias[position if len(node.bias) > 1 else 0, group]
    changed = {"gather": gather[None, None], "weight": node.weight[group : group + 1], "bias": bias[None, None]}
    return sliced(node, outputs, **changed), [words]


@alone.register(g.Pool)
def _pool(node: g.Pool, outputs: Words, _: Sequence[int]) -> tuple[g.Node, list[Words]]:
    words, gather = _read(node.gather[outputs])
    return sliced(node, outputs, gather=gather, lengths=node.lengths[outputs]), [words]


@alone.register(g.Merge)
def _merge(node: g.Merge, outputs: Words, sizes: Sequence[int]) -> tuple[g.Node, list[Words]]:
    return sliced(node, outputs), [outputs % size for size in sizes]


@alone.register(g.Rearrange)
def _rearrange(node: g.Rearrange, outputs: Words, sizes: Sequence[int]) -> tuple[g.Node, list[Words]]:
    words, gather = _read(node.gather[outputs])
    ends = np.cumsum(sizes)
    reads = [words[(words >= end - size) & (words < end)] - (end - size) for size, end in zip(sizes, ends, strict=True)]
    return sliced(node, outputs, gather=gather), reads  # one word, of one operand


@alone.register(g.Contract)
def _contract(node: g.Contract, outputs: Words, _: Sequence[int]) -> tuple[g.Node, list[Words]]:
    (first, left), (second, right) = _read(node.left[outputs]), _read(node.right[outputs])
    return sliced(node, outputs, left=left, right=right), [first, second]


@alone.register(g.Softmax)
def _softmax(node: g.Softmax, outputs: Words, _: Sequence[int]) -> tuple[g.Node, list[Words]]:
    return sliced(node, outputs, rows=np.arange(len(outputs))[None]), [outputs]
