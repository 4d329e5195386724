"""Quantised multilayer perceptrons as one torch module for several members of equal topology.

Every tensor has a leading member dimension, so that training a stack is one tensor program: weights (P, n_in, n_out),
activations (P, batch, n). Members differ in weights, bit widths, sparsity and activation; a single network is P = 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np
import torch
from torch import Tensor, nn

from evonas.models.fixed_point import LEAKY_SLOPE, FixedPoint, QuantisedDense, QuantisedNetwork
from evonas.models.quantisers import best_scale, quantise_activation, quantise_weight

if TYPE_CHECKING:
    from collections.abc import Sequence

    from surrogates import LayerSpec, ModelSpec

_BIAS_LIMIT = 2.0**20
_ACTIVATION_TRIES = 5
_WEIGHT_TRIES = 3


def input_type(bits: int, clip: float) -> FixedPoint:
    """Type of the network's inputs: signed, saturating, just wide enough for ±clip."""
    integer = 1 + int(np.ceil(np.log2(clip)))
    return FixedPoint(True, bits, integer, "RND_CONV", "SAT")


@final
class StackedDense(nn.Module):
    """One dense layer of P members, with fake quantisation of weights, biases and outputs."""

    def __init__(self, specs: Sequence[LayerSpec], generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.specs = tuple(specs)
        n_in, n_out = specs[0].n_in, specs[0].n_out
        # He initialisation for what survives pruning (He et al., arXiv 1502.01852)
        weights = [torch.randn(n_in, n_out, generator=g) * (2.0 / n_in) ** 0.5 for g in generators]
        self.weight = nn.Parameter(torch.stack(weights))
        self.bias = nn.Parameter(torch.zeros(len(specs), 1, n_out))
        self.register_buffer("mask", torch.ones(len(specs), n_in, n_out, dtype=torch.bool))
        self.register_buffer("weight_limit", _column([2.0 ** (s.weight_bits - 1) - 1 for s in specs]))
        self.register_buffer("weight_scale", torch.ones(len(specs), 1, n_out))
        self.register_buffer("bias_scale", torch.ones(len(specs), 1, 1))
        signed = [s.activation != "relu" for s in specs]
        bits = [s.activation_bits for s in specs]
        low = [-(2.0 ** (b - 1)) if sign else 0.0 for b, sign in zip(bits, signed, strict=True)]
        high = [2.0 ** (b - 1) - 1 if sign else 2.0**b - 1 for b, sign in zip(bits, signed, strict=True)]
        self.register_buffer("low", _column(low))
        self.register_buffer("high", _column(high))
        self.register_buffer("output_scale", torch.ones(len(specs), 1, 1))
        # y = max(a, slope * a): 0 is ReLU, 1/8 is leaky, 1 leaves it to the saturating cast
        slopes = {"relu": 0.0, "leaky_relu": LEAKY_SLOPE, "hard_tanh": 1.0, "linear": 1.0}
        self.register_buffer("slope", _column([slopes[s.activation] for s in specs]))
        self.register_buffer("bounded", _column([float(s.activation == "hard_tanh") for s in specs]) > 0)
        self.last = specs[0].activation == "linear"

    mask: Tensor
    weight_limit: Tensor
    weight_scale: Tensor
    bias_scale: Tensor
    low: Tensor
    high: Tensor
    output_scale: Tensor
    slope: Tensor
    bounded: Tensor

    def accumulate(self, x: Tensor) -> Tensor:
        """Accumulators, before activation and output quantiser, (P, batch, n_out)."""
        weight = quantise_weight(self.weight, self.weight_scale, self.weight_limit) * self.mask
        limit = torch.as_tensor(_BIAS_LIMIT)
        bias = quantise_weight(self.bias, self.bias_scale, limit)
        return torch.baddbmm(bias, x, weight)

    def forward(self, x: Tensor) -> Tensor:
        """Quantised outputs (P, batch, n_out) of quantised inputs (P, batch, n_in)."""
        hidden = self.accumulate(x)
        return hidden if self.last else self.activate(hidden)

    def activate(self, accumulator: Tensor) -> Tensor:
        """Quantised activations (P, batch, n_out) of accumulators."""
        return quantise_activation(accumulator, self.slope, self.output_scale, self.low, self.high)

    @torch.no_grad()
    def prune(self, progress: float) -> None:
        """Zero the smallest weights of each member, up to `progress` of its sparsity."""
        for member, spec in enumerate(self.specs):
            count = spec.n_weights - spec.n_nonzero
            count = round(progress * count)
            magnitude = torch.where(self.mask[member], self.weight[member].abs(), torch.zeros(()))
            order = torch.argsort(magnitude.flatten(), stable=True)
            mask = torch.ones(spec.n_weights, dtype=torch.bool)
            mask[order[:count]] = False
            self.mask[member] = mask.view_as(self.mask[member])

    @torch.no_grad()
    def calibrate(self, x: Tensor, input_scale: Tensor) -> Tensor:
        """Choose the binary points of weights (per output), biases and outputs; return the outputs for `x`."""
        limit = self.weight_limit
        scale = best_scale(self.weight, -limit, limit, self.mask, (1,), _WEIGHT_TRIES)
        # an output without weights has no scale of its own; it must not refine the types of its whole layer
        empty = ~self.mask.any(dim=1, keepdim=True)
        coarsest = torch.where(empty, torch.inf, scale).amin(dim=2, keepdim=True)
        self.weight_scale = torch.where(empty, torch.where(coarsest.isinf(), 1.0, coarsest), scale)
        self.bias_scale = self.weight_scale.amax(dim=2, keepdim=True) * input_scale
        hidden = self.accumulate(x)
        if self.last:
            return hidden
        everything = torch.ones((), dtype=torch.bool)
        activated = torch.maximum(hidden, hidden * self.slope)
        scale = best_scale(activated, self.low, self.high, everything, (1, 2), _ACTIVATION_TRIES)
        # hard tanh saturates at -1 and 1; a scale with the least error would saturate nothing and make it linear
        self.output_scale = torch.where(self.bounded, self.high + 1, scale)
        return self.activate(hidden)

    @torch.no_grad()
    def export(self, member: int, input_fraction: int) -> QuantisedDense:
        """The exact fixed-point layer of one member."""
        spec = self.specs[member]
        scale = self.weight_scale[member]
        limit = self.weight_limit[member]
        # in single precision, as in training: in double precision 0.49999997 + 0.5 would round to another code
        rounded = torch.clamp(torch.floor(self.weight[member] * scale + 0.5), -limit, limit)
        codes = (rounded * self.mask[member]).double().numpy()
        fraction = np.log2(scale.numpy()).astype(np.int64)
        # one type holds all outputs' binary points; codes of coarser outputs are shifted left, free in hardware
        shifted = np.asarray(codes * 2.0 ** (fraction.max() - fraction), np.int64)
        widest = max(int(np.abs(shifted).max(initial=0)), 1)
        width = max(int(widest).bit_length() + 1, 2)
        weight_type = FixedPoint(True, width, width - int(fraction.max()))
        bias_fraction = int(fraction.max()) + input_fraction
        bias_codes = torch.floor(self.bias[member, 0] * 2.0**bias_fraction + 0.5)
        bias_codes = torch.clamp(bias_codes, -_BIAS_LIMIT, _BIAS_LIMIT)
        bias_width = int(bias_codes.abs().max()).bit_length() + 1
        bias_type = FixedPoint(True, max(bias_width, 2), max(bias_width, 2) - bias_fraction)
        output_type = None
        if not self.last:
            output_fraction = round(float(torch.log2(self.output_scale[member]).item()))
            bits = spec.activation_bits
            output_type = FixedPoint(spec.activation != "relu", bits, bits - output_fraction, "RND", "SAT")
        return QuantisedDense(
            shifted, weight_type, bias_codes.numpy().astype(np.int64), bias_type, spec.activation, output_type
        )


def _column(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1)


@final
class StackedMlp(nn.Module):
    """P quantised networks of one topology. `generators` seed the initial weights, one per member."""

    def __init__(self, specs: Sequence[ModelSpec], clip: float, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        if len({spec.topology for spec in specs}) != 1:
            raise ValueError("members of a stack must share their topology")
        self.specs = tuple(specs)
        self.input_types = tuple(input_type(spec.input_bits, clip) for spec in specs)
        self.register_buffer("input_scale", _column([2.0**t.fraction for t in self.input_types]))
        self.register_buffer("input_low", _column([t.low / t.lsb for t in self.input_types]))
        self.register_buffer("input_high", _column([t.high / t.lsb for t in self.input_types]))
        layers = [[spec.layers[i] for spec in specs] for i in range(len(specs[0].layers))]
        self.layers = nn.ModuleList(StackedDense(layer, generators) for layer in layers)

    input_scale: Tensor
    input_low: Tensor
    input_high: Tensor

    def quantise_input(self, x: Tensor) -> Tensor:
        """Inputs (P or 1, batch, n_in) on each member's grid, rounded half to even and saturated."""
        return torch.clamp(torch.round(x * self.input_scale), self.input_low, self.input_high) / self.input_scale

    def forward(self, x: Tensor) -> Tensor:
        """Logits (P, batch, n_outputs) of quantised inputs (P, batch, n_in)."""
        for layer in self.layers:
            x = layer(x)
        return x

    def dense(self) -> list[StackedDense]:
        """The layers in order."""
        return [layer for layer in self.layers if isinstance(layer, StackedDense)]

    def prune(self, progress: float) -> None:
        """Prune every layer to `progress` of its sparsity."""
        for layer in self.dense():
            layer.prune(progress)

    def calibrate(self, x: Tensor) -> None:
        """Choose all binary points from quantised inputs (P, batch, n_in), layer by layer."""
        scale = self.input_scale
        for layer in self.dense():
            x = layer.calibrate(x, scale)
            scale = layer.output_scale

    def export(self, member: int) -> QuantisedNetwork:
        """The exact fixed-point network of one member."""
        fraction = self.input_types[member].fraction
        layers = []
        for layer in self.dense():
            exported = layer.export(member, fraction)
            layers.append(exported)
            fraction = 0 if exported.output_type is None else exported.output_type.fraction
        return QuantisedNetwork(self.specs[member], self.input_types[member], tuple(layers))
