"""Which candidates are trained together as one tensor program.

A step of training takes some time for its operations and some for their arithmetic, and small networks leave the first
to dominate: eight of them in a stack take little longer than one. Chains of dense layers lie side by side and join any
stack of their structure. Other members of different widths have room for the widest, so a candidate joins where the
arithmetic on empty room costs less than operations of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from evonas.models.padding import needs_no_room, structure, widest
from surrogates import LayerSpec, ModelSpec

if TYPE_CHECKING:
    from collections.abc import Sequence


@final
@dataclass(frozen=True)
class Room:
    """What a device has for a stack.

    `largest` members; `words` in a batch, inputs of all parts together; `operations`, the products that take as long as
    the operations of a step; whether chains of dense layers train `side_by_side`, without room. A generation is spread
    over about `spread` stacks, so that workers have something each.
    """

    largest: int
    spread: int
    words: int
    operations: int
    side_by_side: bool


ROOMS = {
    # beyond 8 members a stack gains little and leaves the cache; the words are some hundred MB with what is derived;
    # the operations of a step were measured: .6 ms at 20 GFLOP/s
    "cpu": Room(8, 4, 1 << 24, 2_000_000, side_by_side=True),
    # one stack, whose words are some 10 GB; what does not fit is halved. Not measured: .6 ms at some TFLOP/s
    "cuda": Room(1024, 1, 1 << 30, 1_000_000_000, side_by_side=False),
}
_ELEMENTWISE = 8  # products that take as long as activating and quantising one word


def stacks(
    specs: Sequence[ModelSpec], batch_size: int, repeats: int = 1, place: Room = ROOMS["cpu"]
) -> list[tuple[int, ...]]:
    """Indices of `specs`, each in one stack, those that take longest first; each is `repeats` members of it.

    Depends on the specs alone, so that a study that was interrupted trains the same stacks when it goes on.
    """
    largest = max(min(place.largest // repeats, -(-len(specs) // place.spread)), 1)
    groups: dict[tuple[object, ...], list[int]] = {}
    for index in sorted(range(len(specs)), key=lambda i: (-work(specs[i]), i)):
        # what is trained side by side has another order of sums, so nobody's company decides over it
        groups.setdefault((needs_no_room(specs[index]), *structure(specs[index])), []).append(index)
    found = []
    for group in groups.values():
        stack = group[:1]
        for index in group[1:]:
            if len(stack) < largest and _joins([specs[i] for i in stack], specs[index], batch_size * repeats, place):
                stack.append(index)
            else:
                found.append(tuple(stack))
                stack = [index]
        found.append(tuple(stack))
    return sorted(found, key=lambda stack: -len(stack) * work(widest([specs[i] for i in stack])))


def _joins(stack: Sequence[ModelSpec], spec: ModelSpec, batch_size: int, place: Room) -> bool:
    room = widest([*stack, spec])
    if (len(stack) + 1) * batch_size * sum(n * c for n, c in room.shapes) > place.words:
        return False
    if place.side_by_side and needs_no_room(spec):
        return True
    before, after = work(widest(stack)), work(room)
    wasted = (len(stack) + 1) * after - len(stack) * before - work(spec)
    return wasted * batch_size <= place.operations


def work(spec: ModelSpec) -> int:
    """Products for each sample of a step, forward and backward, elementwise work as that many products."""
    total = 0
    for index, part in enumerate(spec.layers):
        positions, channels = spec.shapes[index + 1]
        total += positions * channels * _ELEMENTWISE
        if isinstance(part, LayerSpec):
            total += 3 * positions * part.n_weights
    return total
