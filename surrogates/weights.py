"""What the trained weights of a layer really hold: what a description cannot say before training.

Networks of one description that were trained from different seeds differ by some per cent in LUTs and often by a cycle.
Once the weights are known, these counts say most of what makes the difference.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@final
@dataclass(frozen=True)
class LayerWeights:
    """Counts of one layer's weights, (fan-in, outputs), as whole numbers; biases are not in them.

    `nonzero` of the weights are not zero and hold `digits` canonical signed digits in all; the output with most of them
    has `most_digits` (its adder tree is the deepest) and its input can grow by `growth_bits` at most, which is log2 of
    the largest sum of magnitudes of an output, rounded up. `live_inputs` are read by some weight, `live_outputs` have
    a weight.
    """

    nonzero: int
    digits: int
    most_digits: int
    growth_bits: int
    live_inputs: int
    live_outputs: int

    @classmethod
    def of(cls, codes: NDArray[Any]) -> LayerWeights:
        """Of whole numbers (fan-in, outputs)."""
        digits = signed_digit_counts(codes)
        largest = int(abs(codes.astype("int64")).sum(axis=0).max(initial=0))
        return cls(
            nonzero=int((codes != 0).sum()),
            digits=int(digits.sum()),
            most_digits=int(digits.sum(axis=0).max(initial=0)),
            growth_bits=largest.bit_length(),
            live_inputs=int(codes.any(axis=1).sum()),
            live_outputs=int(codes.any(axis=0).sum()),
        )

    def to_list(self) -> list[int]:
        """The counts in the order of the fields, fit for JSON."""
        return list(astuple(self))


def signed_digit_counts(codes: NDArray[Any]) -> NDArray[np.int64]:
    """Non-zero digits of the canonical signed form of whole numbers below 2^52 in magnitude, same shape.

    They are the ones of |n| xor 3 |n|. Source: Reitwieser, Binary Arithmetic, Advances in Computers 1 (1960).
    """
    import numpy as np  # records are read without it

    magnitude = np.abs(codes.astype(np.int64))
    found: NDArray[np.int64] = np.bitwise_count(magnitude ^ (3 * magnitude)).astype(np.int64)
    return found
