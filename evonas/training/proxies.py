"""Zero-cost proxies: what one small batch says of a network before it is trained.

After Abdelfattah et al. (arXiv 2101.08134), on the quantised network as its training begins, but pruned by magnitude to
the sparsity that it will have, because that is what tells candidates of one topology apart. None of them is an error;
they are features from which one is learnt (`surrogates.error_surrogate`).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor, nn

from evonas.models.quantisers import quantise_weight
from evonas.models.stacked_dense import StackedDense
from evonas.models.stacked_network import StackedNetwork
from evonas.models.stacked_operation import StackedOperation
from evonas.training.recipe import losses, single_threaded
from surrogates import LayerSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evonas.models.stacked_dense import Place
    from evonas.tasks.base import Split
    from evonas.training.trainer import Member
    from surrogates import ModelSpec

BATCH = 128  # rows, of which the overlap of activations is a matrix
_LEAST = 1e-9  # the logarithm of a sum that is zero, of a network without a path from input to output


@final
@dataclass(frozen=True)
class Proxies:
    """Scores of one network at initialisation; natural logarithms, so that equal steps mean about the same.

    `grad_norm`: Euclidean norms of the gradients of the loss by the weights of each layer, summed.
    `snip`: |gradient x weight|, summed (Lee et al., arXiv 1810.02340).
    `synflow`: |weight| times its gradient of the summed outputs for inputs of ones, weights of absolute values and no
    activations (Tanaka et al., arXiv 2006.05467); no data, but weights as they are quantised.
    `naswot`: log det(K + 1), where K counts for each pair of inputs the hidden units that are active or inactive for
    both (Mellor et al., arXiv 2006.04647); the unit matrix keeps it finite where units tell two inputs not apart.
    `parameters`: weights that are not pruned, and biases.
    """

    grad_norm: float
    snip: float
    synflow: float
    naswot: float
    parameters: float

    def to_dict(self) -> dict[str, float]:
        """By name."""
        return asdict(self)


@single_threaded()
def proxies(members: Sequence[Member], data: Split, *, clip: float) -> list[Proxies]:
    """Proxies of members of one structure, as a stack, on the first `BATCH` rows of `data`; in their order.

    A member's weights are those that its training would begin with, and nobody beside it changes its numbers. Raises
    `ValueError` for members of different structures.
    """
    generators = [torch.Generator().manual_seed(member.seed) for member in members]
    specs = [member.spec for member in members]
    stack = StackedNetwork(specs, clip, generators, [member.norm == "batch" for member in members])
    x, wanted = (torch.from_numpy(part[:BATCH]) for part in (data.x, data.y))
    quantised = stack.quantise_input(x[None]).expand(len(members), -1, -1)
    stack.prune(1.0)
    stack.calibrate(quantised)
    stack.train()
    codes = _activations(stack)
    losses(stack(quantised), wanted.expand(len(members), *wanted.shape)).sum().backward()  # type: ignore[no-untyped-call]
    flows = _flows(stack)
    found = []
    for member, spec in enumerate(specs):
        layers = list(_own_weights(stack, member))
        norms = [float(gradient.norm()) for _, gradient in layers]
        salience = [float((weight * gradient).abs().sum()) for weight, gradient in layers]
        units = [_of(code, member, part) for code, part in zip(codes, _hidden(stack), strict=True)]
        found.append(
            Proxies(
                _log(sum(norms)), _log(sum(salience)), _log(flows[member]), _overlap(units, len(x)),
                _log(_parameters(spec)),
            )
        )  # fmt: skip
    return found


def _log(value: float) -> float:
    return math.log(max(value, _LEAST)) if math.isfinite(value) else math.log(_LEAST)


def _parameters(spec: ModelSpec) -> int:
    layers = [part for part in spec.layers if isinstance(part, LayerSpec)]
    return sum(layer.n_nonzero + layer.n_out for layer in layers)


def _hidden(stack: StackedNetwork) -> list[StackedDense]:
    return [part for part in stack.dense() if not part.last]


def _activations(stack: StackedNetwork) -> list[Tensor]:
    """Where each hidden layer puts its outputs (P, rows, n_out) in the forward pass that is to follow."""
    seen: list[Tensor] = []

    def keep(_part: nn.Module, _inputs: object, output: Tensor) -> None:
        seen.append(output.detach())

    for part in _hidden(stack):
        part.register_forward_hook(keep)
    return seen


def _place(stack: StackedNetwork, member: int) -> dict[int, Place]:
    """Where one member's weights are in the tensor of each layer with weights, by the layer's index in the stack."""
    places = stack.places(member)
    return {index: places[f"parts.{index}.weight"] for index, _ in _dense(stack)}


def _dense(stack: StackedNetwork) -> list[tuple[int, StackedDense]]:
    return [(index, part) for index, part in enumerate(stack.parts) if isinstance(part, StackedDense)]


def _own_weights(stack: StackedNetwork, member: int) -> list[tuple[Tensor, Tensor]]:
    """Weights and gradients of one member by layer, without those that belong to wider members; double precision."""
    place = _place(stack, member)
    found = []
    for index, part in _dense(stack):
        gradient = torch.zeros_like(part.weight) if part.weight.grad is None else part.weight.grad
        own = (part.weight.detach()[place[index]], gradient[place[index]])
        found.append((own[0].double(), own[1].double()))
    return found


def _of(code: Tensor, member: int, part: StackedDense) -> Tensor:
    """Which units of a layer are active for which rows, (rows, units of the member)."""
    return code[member, :, : part.specs[member].n_out] > 0


def _overlap(units: Sequence[Tensor], rows: int) -> float:
    """log det(K + 1) of hidden layers' active units, (rows x positions, n) each."""
    kernel = torch.eye(rows, dtype=torch.float64)
    for active in units:
        code = active.reshape(rows, -1).double()
        kernel += code @ code.T + (1 - code) @ (1 - code).T
    return float(torch.linalg.slogdet(kernel).logabsdet)


def _flows(stack: StackedNetwork) -> list[float]:
    """SynFlow of each member."""
    weights: dict[nn.Module, Tensor] = {}
    for _, part in _dense(stack):
        quantised = quantise_weight(part.folded()[0].detach(), part.weight_scale, part.weight_limit)
        weights[part] = (quantised.abs() * part.mask).double().requires_grad_()

    def apply(part: nn.Module, inputs: Sequence[Tensor], _sources: Sequence[int]) -> Tensor:
        if isinstance(part, StackedDense):
            bias = torch.zeros(len(stack.specs), 1, part.weight.shape[2], dtype=torch.float64)
            return part.contraction.multiply(inputs[0], weights[part], bias)
        return part.join(inputs) if isinstance(part, StackedOperation) else inputs[0]  # a softmax passes all of it

    n_inputs = stack.room.input_shape[0] * stack.room.input_shape[1]
    ones = torch.ones(len(stack.specs), 1, n_inputs, dtype=torch.float64)
    stack.walk(ones, apply).sum().backward()  # type: ignore[no-untyped-call]
    flows = []
    for member in range(len(stack.specs)):
        place = _place(stack, member)
        own = [(weights[part], place[index]) for index, part in _dense(stack)]
        flows.append(sum(float((w.detach() * w.grad)[where].sum()) for w, where in own if w.grad is not None))
    return flows
