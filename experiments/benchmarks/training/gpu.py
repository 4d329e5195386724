"""On a GPU: one stack of hundreds beside the same networks one after the other on the same GPU."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evonas.tasks import Split
    from evonas.training.trainer import Member

ALONE = 4  # members that are trained alone, as each takes as long


def gpu(members: Sequence[Member], data: Split, epochs: int, batch_size: int) -> dict[str, Any]:
    """Candidates per second of both ways, peak memory, and FLOP/s beside those of a large matrix product."""
    import torch

    from surrogates import LayerSpec

    if not torch.cuda.is_available():
        return {"skipped": "there is no GPU that torch can use"}
    seconds(members[:2], data, 1, batch_size)  # loads kernels
    together_s = seconds(members, data, epochs, batch_size)
    peak = torch.cuda.max_memory_allocated()
    alone_s = sum(seconds([member], data, epochs, batch_size) for member in members[:ALONE]) / ALONE
    weights = sum(part.n_weights for m in members for part in m.spec.layers if isinstance(part, LayerSpec))
    rows = len(data) // batch_size * batch_size
    matrix = torch.randn(8192, 8192, device="cuda")
    start = _clock()
    for _ in range(10):
        matrix = matrix @ matrix
        matrix /= matrix.norm()
    gemm = 10 * 2 * 8192**3 / (_clock() - start)
    achieved = 6 * weights * rows * epochs / together_s
    return {
        "device": torch.cuda.get_device_name(),
        "members": len(members),
        "batch_size": batch_size,
        "stack_candidates_per_s": len(members) / together_s,
        "alone_candidates_per_s": 1 / alone_s,
        "times_alone": alone_s * len(members) / together_s,
        "peak_memory_gb": peak / 1e9,
        "flops_per_s": achieved,
        "gemm_flops_per_s": gemm,
        "share_of_gemm": achieved / gemm,
    }


def seconds(members: Sequence[Member], data: Split, epochs: int, batch_size: int) -> float:
    """Wall time of training them as one stack."""
    from evonas.training.trainer import Population

    start = _clock()
    population = Population(members, data, clip=4.0, epochs=epochs, batch_size=batch_size, device="cuda")
    population.train()
    return _clock() - start


def _clock() -> float:
    import torch

    torch.cuda.synchronize()
    return time.perf_counter()
