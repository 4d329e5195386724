"""Spaces of every family of networks, small enough for hardware, and untrained networks of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.space import fitted
from evonas.space.families import COMPOSED, options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from evonas.models.stacked_network import StackedNetwork
    from evonas.space import ComposedSpace
    from surrogates import ModelSpec

CLIP = 4.0
FAMILIES = tuple(COMPOSED)
# of the inputs: positions and features, number of outputs, height and width of an image
TASKS: dict[str, tuple[tuple[int, int], int, tuple[int, int] | None]] = {
    "attention": ((6, 3), 5, None),
    "autoencoder": ((1, 12), 12, None),
    "convolution": ((42, 2), 3, (6, 7)),
    "deep_sets": ((6, 3), 5, None),
    "interaction": ((4, 3), 5, None),
    "linear_interaction": ((6, 3), 5, None),
    "mixer": ((6, 3), 5, None),
    "readout": ((16, 2), 2, None),
}
NARROW: dict[str, dict[str, Any]] = {
    "attention": {"channels": (3, 4), "head_width": (2,), "widths": (2, 4), "head_depth": (0, 1), "blocks": (1, 1)},
    "autoencoder": {"widths": (4, 6), "latent": (2, 3)},
    "convolution": {"stem": (1, 2), "channels": (1, 2), "widths": (2, 4), "blocks": (0, 1), "head_depth": (1, 2)},
    "deep_sets": {"widths": (2, 4), "bottleneck": (2, 3), "phi_depth": (1, 2), "rho_depth": (1, 2)},
    "interaction": {"widths": (2, 3)},
    "linear_interaction": {"widths": (2, 3)},
    "mixer": {"channels": (2, 3), "widths": (2, 4)},
    "readout": {"widths": (2, 4)},
}
SMOOTH = {"norms": ("none", "batch"), "activations": ("identity", "gelu", "tanh", "sigmoid")}
SHARED = {"implementations": ("distributed_arithmetic", 1, 2, 3, 4, 6, 12)}
USED = {"constituents_used": (3, 4), "features_used": (1, 2, 3)}  # of constituents, in families that have them
FEW_BITS = {"weight_bits": (2, 3, 4), "activation_bits": (2, 3, 4), "input_bits": (3, 4)}


def space_of(family: str, **choices: Any) -> ComposedSpace:
    """The space of a family with its default choices, or others, for small inputs."""
    return fitted(family, choices, *TASKS[family])


def narrow_space(family: str, **choices: Any) -> ComposedSpace:
    """A space of a family whose networks take alkaid well under a second."""
    return space_of(family, **NARROW[family], **FEW_BITS, **choices)


def every_gene(family: str) -> dict[str, Any]:
    """Choices for the genes that a family only has where they are asked for."""
    return SHARED | {name: values for name, values in USED.items() if name in options(family)}


def inputs(spec: ModelSpec, rows: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Inputs (rows, n_inputs), some of them beyond the clip."""
    return (1.5 * rng.normal(size=(rows, spec.n_inputs))).astype(np.float32)


def untrained(specs: Sequence[ModelSpec], seeds: Sequence[int], normalised: Sequence[bool] = ()) -> StackedNetwork:
    """A stack with random weights and biases, pruned and calibrated; each member depends on its own seed alone."""
    import torch  # the spaces above are tested where there is no torch

    from evonas.models.stacked_network import StackedNetwork
    from evonas.training.recipe import single_threaded

    stack = StackedNetwork(specs, CLIP, [torch.Generator().manual_seed(seed) for seed in seeds], normalised).eval()
    sample = torch.from_numpy(np.stack([inputs(specs[0], 256, np.random.default_rng(seed)) for seed in seeds]))
    with torch.no_grad(), single_threaded():
        for member, seed in enumerate(seeds):
            rng = np.random.default_rng(seed)
            for layer in stack.dense():
                layer.bias[member] = torch.from_numpy(rng.normal(0, 0.3, layer.bias[member].shape))
                if layer.folding is not None and normalised[member]:
                    layer.folding.gamma[member] = torch.from_numpy(rng.uniform(0.5, 2, layer.bias[member].shape))
                    layer.folding.beta[member] = torch.from_numpy(rng.normal(0, 0.5, layer.bias[member].shape))
        stack.prune(1.0)
        stack.calibrate(stack.quantise_input(sample))
    return stack


def outputs(stack: StackedNetwork, x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Outputs (P, n, n_outputs) of the fake-quantised forward pass in torch for real-valued inputs (n, n_inputs)."""
    import torch

    from evonas.training.recipe import single_threaded

    with torch.no_grad(), single_threaded():
        return stack(stack.quantise_input(torch.from_numpy(x)[None])).double().numpy()
