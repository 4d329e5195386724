"""One layer with weights of several networks, with fake quantisation: a tensor program for all of them at once.

Every tensor has a leading member dimension: weights (P, n_in, n_out), words (P, batch, n). Members
differ in weights, bit widths, sparsity and activation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np
import torch
from torch import Tensor, nn

from evonas.models.contraction import Contraction
from evonas.models.fixed_point import LEAKY_SLOPE, FixedPoint, QuantisedDense
from evonas.models.folding import Folding
from evonas.models.fused_layer import Scales, fused_layer
from evonas.models.quantisers import best_scale, quantise_activation, quantise_weight, sampled, saturation
from evonas.models.stacked_table import StackedTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from surrogates import LayerSpec

Place = tuple[int | slice | Tensor, ...]
BIAS_LIMIT = 2.0**20
_ACTIVATION_TRIES = 5
_WEIGHT_TRIES = 3


@final
class StackedDense(nn.Module):
    """One layer of P members; a convolution is dense on the words under its window.

    `normalised` says which members have batch normalisation; a linear layer has none. Members of different widths are
    in the `room` of the widest, where `rows` are the words that each has weights for (`evonas.models.padding`); of a
    flattened image, `group` of these are the channels of one place.
    """

    def __init__(
        self,
        specs: Sequence[LayerSpec],
        generators: Sequence[torch.Generator],
        normalised: Sequence[bool] = (),
        room: LayerSpec | None = None,
        rows: Sequence[NDArray[np.intp]] = (),
        group: int | None = None,
    ) -> None:
        super().__init__()
        self.specs = tuple(specs)
        room = room or specs[0]
        n_in, n_out = room.fan_in, room.n_out
        self.rows = tuple(map(torch.from_numpy, rows)) or (torch.arange(n_in),) * len(specs)
        self.contraction = Contraction(room, group)
        weights, mask = torch.zeros(len(specs), n_in, n_out), torch.zeros(len(specs), n_in, n_out)
        for member, (spec, generator) in enumerate(zip(specs, generators, strict=True)):
            # He initialisation for what survives pruning (He et al., arXiv 1502.01852)
            drawn = torch.randn(spec.fan_in, spec.n_out, generator=generator) * (2.0 / spec.fan_in) ** 0.5
            weights[member, self.rows[member], : spec.n_out] = drawn
            mask[member, self.rows[member], : spec.n_out] = 1.0
        self.weight = nn.Parameter(weights)
        self.bias = nn.Parameter(torch.zeros(len(specs), 1, n_out))
        self.register_buffer("mask", mask)
        self.register_buffer("weight_limit", column([2.0 ** (s.weight_bits - 1) - 1 for s in specs]))
        self.register_buffer("weight_scale", torch.ones(len(specs), 1, n_out))
        self.register_buffer("bias_scale", torch.ones(len(specs), 1, n_out))
        signed = [s.signed for s in specs]
        bits = [s.activation_bits for s in specs]
        low = [-(2.0 ** (b - 1)) if sign else 0.0 for b, sign in zip(bits, signed, strict=True)]
        high = [2.0 ** (b - 1) - 1 if sign else 2.0**b - 1 for b, sign in zip(bits, signed, strict=True)]
        self.register_buffer("low", column(low))
        self.register_buffer("high", column(high))
        lowest, highest = saturation(self.low, self.high)
        self.register_buffer("lowest", lowest)
        self.register_buffer("highest", highest)
        self.register_buffer("output_scale", torch.ones(len(specs), 1, 1))
        # y = max(a, slope * a): 0 is ReLU, 1/8 is leaky, 1 leaves it to the saturating cast, as ReLU may too
        slopes = {"relu": 0.0, "leaky_relu": LEAKY_SLOPE}
        self.register_buffer("slope", column([slopes.get(s.activation, 1.0) for s in specs]))
        self.leaky = any(s.activation == "leaky_relu" for s in specs)
        self.register_buffer("bounded", column([float(s.activation == "hard_tanh") for s in specs]) > 0)
        self.last = specs[0].activation == "linear"
        self.table = StackedTable(specs) if any(s.table_bits for s in specs) else None
        self.fused = not (self.last or self.leaky or self.table is not None or self.contraction.window is not None)
        self.folding = Folding(normalised, n_out, self.contraction.group) if any(normalised) and not self.last else None

    mask: Tensor
    weight_limit: Tensor
    weight_scale: Tensor
    bias_scale: Tensor
    low: Tensor
    high: Tensor
    lowest: Tensor
    highest: Tensor
    output_scale: Tensor
    slope: Tensor
    bounded: Tensor

    def accumulate(self, x: Tensor) -> Tensor:
        """Accumulators, before activation and output quantiser, (P, batch, n_out)."""
        return self._accumulate(x, *self.folded(x if self.training else None))

    def _accumulate(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        weight = quantise_weight(weight, self.weight_scale, self.weight_limit) * self.mask
        limit = torch.as_tensor(BIAS_LIMIT)
        bias = quantise_weight(bias, self.bias_scale, limit)
        return self.contraction.multiply(x, weight, bias)

    def folded(self, x: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Weights and biases with normalisation folded in, by the statistics over inputs `x` if they are given."""
        if self.folding is None:
            return self.weight, self.bias
        found: tuple[Tensor, Tensor] = self.folding(self.weight, self.bias, None if x is None else self._sums(x))
        return found

    def _sums(self, x: Tensor) -> Tensor:
        """What normalisation sees (P, batch, n_out): unquantised weights, those that are pruned left out."""
        return self.contraction.multiply(x, self.weight * self.mask, self.bias, exact=False)

    def forward(self, x: Tensor) -> Tensor:
        """Quantised outputs (P, batch, n_out) of quantised inputs (P, batch, n_in)."""
        weight, bias = self.folded(x if self.training else None)
        if self.fused:
            output = self.output_scale, self.lowest, self.highest
            scales = Scales(self.weight_scale, self.weight_limit, self.bias_scale, BIAS_LIMIT, *output)
            return fused_layer(x, weight, bias, self.mask, scales)
        hidden = self._accumulate(x, weight, bias)
        return hidden if self.last else self.activate(hidden)

    def activate(self, accumulator: Tensor) -> Tensor:
        """Quantised activations (P, batch, n_out) of accumulators."""
        slope = self.slope if self.leaky else None
        usual = quantise_activation(accumulator, self.output_scale, self.lowest, self.highest, slope)
        return usual if self.table is None else torch.where(self.table.tabled, self.table(accumulator), usual)

    @torch.no_grad()
    def prune(self, progress: float) -> None:
        """Zero the smallest weights of each member, up to `progress` of its sparsity."""
        weights, _ = self.folded()
        for member, spec in enumerate(self.specs):
            count = round(progress * (spec.n_weights - spec.n_nonzero))
            weight, kept = self._own(weights, member), self._own(self.mask, member)
            magnitude = torch.where(kept > 0, weight.abs(), 0.0)
            order = torch.argsort(magnitude.flatten(), stable=True)
            mask = torch.ones(spec.n_weights, device=weight.device)
            mask[order[:count]] = 0.0
            self.mask[member, self.rows[member], : spec.n_out] = mask.view_as(kept)

    def _own(self, weights: Tensor, member: int) -> Tensor:
        """What is one member's of weights (P, n_in, n_out)."""
        return weights[member, self.rows[member], : self.specs[member].n_out]

    def places(self, member: int) -> dict[str, Place]:
        """Where one member's numbers are in each tensor that training changes, by the tensor's name."""
        outputs = slice(self.specs[member].n_out)
        matrix: Place = (member, self.rows[member], outputs)
        row: Place = (member, slice(None), outputs)
        found: dict[str, Place] = {"weight": matrix, "mask": matrix, "output_scale": (member,)}
        found |= dict.fromkeys(("bias", "weight_scale", "bias_scale"), row)
        if self.folding is not None and bool(self.folding.normalised[member]):
            found |= {f"folding.{name}": row for name in ("gamma", "beta", "mean", "variance")}
        if self.table is not None and self.specs[member].table_bits:
            words = slice(1 << self.specs[member].table_bits)
            found |= {"table.scale": (member,), "table.values": (member, words), "table.slopes": (member, words)}
        return found

    @torch.no_grad()
    def calibrate(self, x: Tensor, input_scale: Tensor) -> Tensor:
        """Choose the binary points of weights (per output), biases and outputs; return the outputs for `x`."""
        if self.folding is not None:
            self.folding.measure(self._sums(x))
        limit, weight = self.weight_limit, self.folded()[0]
        scale = best_scale(weight, -limit, limit, (1,), _WEIGHT_TRIES, self.mask > 0)
        # an output without weights has no scale of its own; it must not refine the types of its whole layer
        empty = self.mask.amax(dim=1, keepdim=True) == 0
        coarsest = torch.where(empty, torch.inf, scale).amin(dim=2, keepdim=True)
        self.weight_scale = torch.where(empty, torch.where(coarsest.isinf(), 1.0, coarsest), scale)
        finest = self.weight_scale.amax(dim=2, keepdim=True).expand_as(self.weight_scale)
        if self.folding is not None:  # outputs of very different scales: each bias on the grid of its own products
            finest = torch.where(self.folding.normalised, self.weight_scale, finest)
        self.bias_scale = finest * input_scale
        hidden = self.accumulate(x)
        if self.last:
            return hidden
        seen = sampled(hidden)
        activated = torch.maximum(seen, seen * self.slope)
        if self.table is not None:
            activated = torch.where(self.table.tabled, sampled(self.table.calibrate(hidden)), activated)
        scale = best_scale(activated, self.low, self.high, (1, 2), _ACTIVATION_TRIES)
        # hard tanh saturates at -1 and 1; a scale with the least error would saturate nothing and make it linear
        self.output_scale = torch.where(self.bounded, self.high + 1, scale)
        if self.table is not None:
            self.table.settle(self._output_type)
        return self.activate(hidden)

    @torch.no_grad()
    def export(self, member: int) -> QuantisedDense:
        """The exact fixed-point layer of one member."""
        spec = self.specs[member]
        weights, biases = self.folded()
        weight, bias = self._own(weights, member), biases[member, :, : spec.n_out]
        scale, bias_scale = self.weight_scale[member, :, : spec.n_out], self.bias_scale[member, :, : spec.n_out]
        limit = self.weight_limit[member]
        # in single precision, as in training: in double precision 0.49999997 + 0.5 would round to another code
        rounded = torch.clamp(torch.floor(weight * scale + 0.5), -limit, limit)
        codes = (rounded * self._own(self.mask, member)).double().numpy()
        fraction = np.log2(scale.numpy()).astype(np.int64)
        # one type holds all outputs' binary points; codes of coarser outputs are shifted left, free in hardware
        shifted = np.asarray(codes * 2.0 ** (fraction.max() - fraction), np.int64)
        widest = max(int(np.abs(shifted).max(initial=0)), 1)
        width = max(int(widest).bit_length() + 1, 2)
        weight_type = FixedPoint(True, width, width - int(fraction.max()))
        bias_fraction = round(float(torch.log2(bias_scale.max()).item()))
        bias_codes = torch.clamp(torch.floor(bias * bias_scale + 0.5), -BIAS_LIMIT, BIAS_LIMIT)
        bias_codes = (bias_codes.double() * 2.0**bias_fraction / bias_scale)[0]
        bias_width = int(bias_codes.abs().max()).bit_length() + 1
        bias_type = FixedPoint(True, max(bias_width, 2), max(bias_width, 2) - bias_fraction)
        output_type = None if self.last else self._output_type(member)
        table_type = None if self.table is None else self.table.type_of(member)
        codes = bias_codes.numpy().astype(np.int64)
        return QuantisedDense(shifted, weight_type, codes, bias_type, spec.activation, output_type, table_type)

    def _output_type(self, member: int) -> FixedPoint:
        bits, fraction = self.specs[member].activation_bits, torch.log2(self.output_scale[member])
        return FixedPoint(self.specs[member].signed, bits, bits - round(float(fraction)), "RND", "SAT")


def column(values: Sequence[float]) -> Tensor:
    """One number per member, as a tensor (P, 1, 1)."""
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1)
