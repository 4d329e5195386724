"""What there is to train on, and whether an error says that its memory ran out."""

from __future__ import annotations

import torch

# of torch's allocator on processors, which has no exception of its own
_WORDS = ("can't allocate memory", "not enough memory")


def has_gpu() -> bool:
    """Whether torch can use a GPU here."""
    return torch.cuda.is_available()


def out_of_memory(error: Exception) -> bool:
    """Whether torch or Python could not get the memory that they wanted, on the processor or on a GPU."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)
