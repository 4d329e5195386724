"""Training that was stopped, to go on with: plain data, which a process without torch can hold and hand on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@final
@dataclass(frozen=True)
class MemberState:
    """Where the training of one member is: enough to go on in any stack as if it had never left the first.

    `tensors` are its own parts of weights, masks, scales and moments of Adam, by name; `stream` is the state of the
    random numbers that order its batches.
    """

    epoch: int
    train_loss: float
    wall_time_s: float
    tensors: dict[str, NDArray[Any]]
    stream: NDArray[np.uint8]
