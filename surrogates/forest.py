"""A forest as arrays: grown by a library, evaluated and stored as plain numbers.

What a library keeps of its trees is its own affair and changes with its version; these arrays are read by ten lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from surrogates.table import Floats


@final
@dataclass(frozen=True)
class Tree:
    """Nodes (m,), the root first: a row goes left where its `feature` is at most `threshold`; a leaf leads to itself.

    `value` is what a leaf predicts.
    """

    feature: NDArray[np.intp]
    threshold: Floats
    left: NDArray[np.intp]
    right: NDArray[np.intp]
    value: Floats

    def predict(self, inputs: NDArray[np.float32]) -> Floats:
        """Values (n,) of the leaves that rows (n, p) end in."""
        rows = np.arange(len(inputs))
        node = np.zeros(len(inputs), np.intp)
        while True:
            goes_left = inputs[rows, self.feature[node]] <= self.threshold[node]
            below = np.where(goes_left, self.left[node], self.right[node])
            if np.array_equal(below, node):
                found: Floats = self.value[node]
                return found
            node = below


@final
@dataclass(frozen=True)
class Forest:
    """Trees; the spread between them is the uncertainty."""

    trees: tuple[Tree, ...]

    def predict(self, inputs: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation over the trees, two arrays (n,), of rows (n, p)."""
        single = inputs.astype(np.float32)  # as they are grown
        votes = np.stack([tree.predict(single) for tree in self.trees])
        return votes.mean(axis=0), votes.std(axis=0)

    def to_dict(self) -> dict[str, Any]:
        """Plain data; the nodes of all trees behind one another. Numbers of leaves that nothing reads are left out."""
        sizes = [len(tree.left) for tree in self.trees]
        whole = {name: np.concatenate([getattr(tree, name) for tree in self.trees]) for name in _FIELDS}
        leaf = whole["left"] == np.concatenate([np.arange(size) for size in sizes])
        for name in ("feature", "left", "right"):
            whole[name] = np.where(leaf, -1, whole[name])
        numbers = np.where(leaf, whole["value"], whole["threshold"])
        places = {name: whole[name].tolist() for name in ("feature", "left", "right")}
        return {"sizes": sizes, **places, "numbers": numbers.tolist()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """What `to_dict` wrote; raises `KeyError` or `ValueError` for anything else."""
        feature, left, right = (np.asarray(data[name], np.intp) for name in ("feature", "left", "right"))
        numbers, ends = np.asarray(data["numbers"], np.float64), np.cumsum(data["sizes"])
        if not len(feature) == len(left) == len(right) == len(numbers) == ends[-1]:
            raise ValueError("the arrays of a forest have different lengths")
        parts = (np.split(array, ends[:-1]) for array in (feature, left, right, numbers))
        return cls(tuple(_tree(*nodes) for nodes in zip(*parts, strict=True)))


_FIELDS = ("feature", "threshold", "left", "right", "value")


def _tree(feature: NDArray[np.intp], left: NDArray[np.intp], right: NDArray[np.intp], numbers: Floats) -> Tree:
    """From nodes in which leaves have -1 for what they lack, and `numbers` are thresholds or values."""
    leaf, own = left < 0, np.arange(len(left))
    return Tree(np.where(leaf, 0, feature), numbers, np.where(leaf, own, left), np.where(leaf, own, right), numbers)
