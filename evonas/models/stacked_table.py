"""Activations by table of several networks: the forward value is the table's, the gradient the smooth function's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from torch import Tensor, nn

from evonas.models.activations import DOMAINS, FUNCTIONS, SLOPES, arguments, table
from evonas.models.fixed_point import FixedPoint
from evonas.models.quantisers import best_scale, sampled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from surrogates import LayerSpec

_TRIES = 5


@final
class _LookUp(torch.autograd.Function):
    """Cast (RND, SAT) and look up; no gradient where the cast saturates."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, low: Tensor, high: Tensor, values: Tensor, slopes: Tensor
    ) -> Tensor:
        code = torch.floor(x * scale + 0.5)
        held = torch.clamp(code, low, high)
        places = torch.nan_to_num(held - low).long().flatten(1)
        ctx.save_for_backward(slopes.gather(1, places).view_as(x) * (code == held))
        return values.gather(1, places).view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, None, None, None, None, None]:
        (slope,) = ctx.saved_tensors
        return grads[0] * slope, None, None, None, None, None


@final
class StackedTable(nn.Module):
    """The tables of P members; `tabled` says which have one, the others' mean nothing."""

    def __init__(self, specs: Sequence[LayerSpec]) -> None:
        super().__init__()
        self.specs = tuple(specs)
        self.bits = [max(spec.table_bits, 1) for spec in specs]
        half = torch.tensor([2.0 ** (bits - 1) for bits in self.bits]).view(-1, 1, 1)
        domains = torch.tensor([DOMAINS.get(spec.activation, (0.0, 0.0)) for spec in specs])
        self.register_buffer("tabled", torch.tensor([spec.table_bits > 0 for spec in specs]).view(-1, 1, 1))
        self.register_buffer("low", -half)
        self.register_buffer("high", half - 1)
        self.register_buffer("domain_low", domains[:, :1, None])
        self.register_buffer("domain_high", domains[:, 1:, None] * (half - 1) / half)  # a value that there is
        self.register_buffer("scale", torch.ones_like(half))
        self.register_buffer("values", torch.zeros(len(specs), 1 << max(self.bits)))
        self.register_buffer("slopes", torch.zeros_like(self.values))

    tabled: Tensor
    low: Tensor
    high: Tensor
    domain_low: Tensor
    domain_high: Tensor
    scale: Tensor
    values: Tensor
    slopes: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """What the tables hold for accumulators x (P, batch, n)."""
        found: Tensor = _LookUp.apply(x, self.scale, self.low, self.high, self.values, self.slopes)  # type: ignore[no-untyped-call]
        return found

    def type_of(self, member: int) -> FixedPoint | None:
        """The type of the table's input; None without one."""
        if not self.specs[member].table_bits:
            return None
        bits, fraction = self.bits[member], round(math.log2(float(self.scale[member])))
        return FixedPoint(True, bits, bits - fraction, "RND", "SAT")

    @torch.no_grad()
    def calibrate(self, x: Tensor) -> Tensor:
        """Choose the binary point of the tables' inputs x (P, rows, n); the activations of x, not yet cast."""
        kept = torch.clamp(x, self.domain_low, self.domain_high)
        self.scale = best_scale(sampled(kept), self.low, self.high, (1, 2), _TRIES)
        self._fill(lambda _, name, kind: (FUNCTIONS[name](arguments(kind)), np.zeros(1)))
        found: Tensor = self(x)
        return found

    def settle(self, outputs: Callable[[int], FixedPoint]) -> None:
        """Fill the tables with values cast to the type that `outputs` gives for each member."""

        def entries(member: int, name: str, kind: FixedPoint) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            x, output = arguments(kind), outputs(member)
            exact, cast = FUNCTIONS[name](x), table(name, kind, output)
            saturated = np.abs(exact - cast) > output.lsb / 2
            return cast, np.where(saturated, 0.0, SLOPES[name](x))

        self._fill(entries)

    def _fill(self, entries: Callable[[int, str, FixedPoint], tuple[NDArray[np.float64], NDArray[np.float64]]]) -> None:
        """Values and slopes of each member that has a table; a member that has diverged keeps what it had."""
        for member, spec in enumerate(self.specs):
            if not torch.isfinite(self.scale[member]).all():
                continue
            kind = self.type_of(member)
            if kind is not None:
                values, slopes = entries(member, spec.activation, kind)
                self.values[member, : 1 << kind.width] = torch.from_numpy(values)
                self.slopes[member, : 1 << kind.width] = torch.from_numpy(slopes)
