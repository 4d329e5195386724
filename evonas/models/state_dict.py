"""Dense layers of a torch state dict: a file of tensors alone, without the code of the network."""

from __future__ import annotations

from itertools import pairwise
from pickle import UnpicklingError
from typing import TYPE_CHECKING, NamedTuple

import torch

from evonas.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path


class DenseWeights(NamedTuple):
    """A matrix of weights: words in, words out, and the share that is zero."""

    n_in: int
    n_out: int
    sparsity: float


def dense_layers(path: Path) -> list[DenseWeights]:
    """The matrices (n_out, n_in) of a file that `torch.save(module.state_dict(), path)` wrote, in its order.

    Nothing in the file is executed. Raises `DataError` for another file, for weights of other layers, and for matrices
    that do not follow one another.
    """
    mend = "save it with torch.save(network.state_dict(), path)"
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, UnpicklingError, EOFError, ValueError) as error:
        raise DataError(f"is no file of tensors: {mend} ({str(error).splitlines()[0]})", path) from error
    tensors = found.get("state_dict", found) if isinstance(found, dict) else None
    if not isinstance(tensors, dict) or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise DataError(f"holds no state dict: {mend}", path)
    weights = {name: value for name, value in tensors.items() if name.split(".")[-1] == "weight"}
    for name, value in weights.items():
        if value.ndim > 2:
            shape = "x".join(map(str, value.shape))
            raise DataError(f"{name} has the shape {shape}: only dense layers are read from a state dict", path)
    matrices = {name: value for name, value in weights.items() if value.ndim == 2}  # of one dimension: normalisation
    if not matrices:
        raise DataError(f"holds no weights of dense layers: {mend}", path)
    for (before, first), (name, second) in pairwise(matrices.items()):
        if first.shape[0] != second.shape[1]:
            raise DataError(f"{name} reads {second.shape[1]} words, but {before} gives {first.shape[0]}", path)
    return [DenseWeights(value.shape[1], value.shape[0], float((value == 0).float().mean()))
            for value in matrices.values()]  # fmt: skip
