"""Quantised networks as one torch module for several members of one structure.

Words are (P, batch, positions, channels), so that training a stack is one tensor program. Members differ in weights,
widths, bit widths, sparsity and activation; a single network is P = 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np
import torch
from torch import Tensor, nn

from evonas.models.fixed_point import FixedPoint
from evonas.models.padding import flattened_channels, structure, widest
from evonas.models.padding import rows as rows_of
from evonas.models.quantised_network import QuantisedNetwork
from evonas.models.quantisers import clamped
from evonas.models.stacked_dense import StackedDense, column
from evonas.models.stacked_operation import StackedOperation
from evonas.models.stacked_softmax import StackedSoftmax
from surrogates import LayerSpec, OperationSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from evonas.models.quantised_network import Part
    from evonas.models.stacked_dense import Place
    from surrogates import ModelSpec


def input_type(bits: int, clip: float) -> FixedPoint:
    """Type of the network's inputs: signed, saturating, just wide enough for ±clip."""
    integer = 1 + int(np.ceil(np.log2(clip)))
    return FixedPoint(True, bits, integer, "RND_CONV", "SAT")


@final
class StackedNetwork(nn.Module):
    """P quantised networks of one topology. `generators` seed the initial weights, one per member.

    `normalised` says which members are trained with batch normalisation. Its statistics are those of each batch in the
    mode of training (`train()`), and those of the last calibration, which `export` has, in that of evaluation
    (`eval()`).
    """

    def __init__(
        self,
        specs: Sequence[ModelSpec],
        clip: float,
        generators: Sequence[torch.Generator],
        normalised: Sequence[bool] = (),
    ) -> None:
        super().__init__()
        if len({structure(spec) for spec in specs}) != 1:
            raise ValueError("members of a stack must share their structure")
        self.specs, self.room = tuple(specs), widest(specs)
        self.input_types = tuple(input_type(spec.input_bits, clip) for spec in specs)
        self.register_buffer("input_scale", column([2.0**t.fraction for t in self.input_types]))
        self.register_buffer("input_low", column([t.low / t.lsb for t in self.input_types]))
        self.register_buffer("input_high", column([t.high / t.lsb for t in self.input_types]))
        self.parts = nn.ModuleList()
        rows = list(zip(*(rows_of(spec, self.room) for spec in specs), strict=True))
        signed = [[True] * len(specs)]  # of the words that leave the input and each part, for each member
        for index, sources in enumerate(specs[0].sources):
            parts = [spec.layers[index] for spec in specs]
            layers = [part for part in parts if isinstance(part, LayerSpec)]
            operations = [part for part in parts if isinstance(part, OperationSpec)]
            if layers:
                room = self.room.layers[index]
                assert isinstance(room, LayerSpec)
                group = flattened_channels(self.room, index)
                self.parts.append(StackedDense(layers, generators, normalised, room, rows[index], group))
                signed.append([layer.signed for layer in layers])
            elif operations[0].kind == "softmax":
                signed.append([False] * len(specs))
                self.parts.append(StackedSoftmax(operations, self.room.shapes[sources[0] + 1][1]))
            else:
                signed.append([any(signs) for signs in zip(*(signed[s + 1] for s in sources), strict=True)])
                self.parts.append(StackedOperation(operations, signed[-1]))

    input_scale: Tensor
    input_low: Tensor
    input_high: Tensor

    def quantise_input(self, x: Tensor) -> Tensor:
        """Inputs (P or 1, batch, n_inputs) on each member's grid, rounded half to even and saturated."""
        codes = (x * self.input_scale).round_()
        return clamped(codes, self.input_low, self.input_high).div_(self.input_scale)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (P, batch, n_outputs) of quantised inputs (P, batch, n_inputs)."""

        def apply(part: nn.Module, inputs: Sequence[Tensor], _sources: Sequence[int]) -> Tensor:
            result: Tensor = part(*inputs)
            return result

        return self.walk(x, apply)

    def walk(self, x: Tensor, apply: Callable[[nn.Module, Sequence[Tensor], Sequence[int]], Tensor]) -> Tensor:
        """Take inputs (P, batch, n_inputs) through all parts, each by `apply` on its arranged words or operands."""
        members, batch, _ = x.shape
        values = [x.reshape(members, batch, *self.room.input_shape)]
        for part, sources in zip(self.parts, self.room.sources, strict=True):
            inputs = [values[source + 1] for source in sources]
            if isinstance(part, StackedDense):
                flat = apply(part, [part.contraction.arrange(inputs[0])], sources)
                values.append(flat.view(members, batch, -1, flat.shape[2]))
            else:
                values.append(apply(part, inputs, sources))
        return values[-1].reshape(members, batch, -1)

    def dense(self) -> list[StackedDense]:
        """The layers with weights, in order."""
        return [part for part in self.parts if isinstance(part, StackedDense)]

    def prune(self, progress: float) -> None:
        """Prune every layer to `progress` of its sparsity."""
        for layer in self.dense():
            layer.prune(progress)

    def calibrate(self, x: Tensor) -> None:
        """Choose all binary points from quantised inputs (P, batch, n_inputs), part by part."""
        scales = [self.input_scale]

        def apply(part: nn.Module, inputs: Sequence[Tensor], sources: Sequence[int]) -> Tensor:
            entering = [scales[source + 1] for source in sources]
            if isinstance(part, StackedDense):
                result = part.calibrate(inputs[0], entering[0])
            else:
                assert isinstance(part, StackedOperation | StackedSoftmax)
                result = part.calibrate(inputs, entering)
            scales.append(part.output_scale)
            return result

        self.walk(x, apply)

    def places(self, member: int) -> dict[str, Place]:
        """Where one member's numbers are in each tensor that training changes, by its name in `state_dict()`."""
        return {
            f"parts.{index}.{name}": place
            for index, part in enumerate(self.parts)
            for name, place in part.places(member).items()  # type: ignore[operator]
        }

    def export(self, member: int) -> QuantisedNetwork:
        """The exact fixed-point network of one member."""
        parts: list[Part] = []
        for part in self.parts:
            assert isinstance(part, StackedDense | StackedOperation | StackedSoftmax)
            parts.append(part.export(member))
        return QuantisedNetwork(self.specs[member], self.input_types[member], tuple(parts))
