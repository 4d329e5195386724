"""Networks of the trigger literature as fixed `ModelSpec`s, for comparing a search with what was published.

    from evonas.space.published import PUBLISHED

    spec = PUBLISHED["ultrafast_deep_sets_8"]()          # at its published bit width, or at 8 bits, not pruned
    pruned = ultrafast_deep_sets(8, bits=6, sparsity=0.5)

`bits` is the width of inputs, weights and activations alike; `sparsity` the pruned share of every layer that keeps a
weight per output, else that layer is not pruned. The last layer is linear and keeps its sums; softmax is left out.

What is replaced throughout: batch normalisation is an affine map and folds into the weights, so it has no layer;
SELU and ELU become ReLU; widths that differ from weight to weight (HGQ) become one. A mean divides by the least
power of two that is not below the number of words, the layer behind learns the rest. Sums and means keep all bits.
"""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from evonas.errors import ConfigurationError
from evonas.space.deep_sets import DeepSetsSpace
from evonas.space.draft import Draft
from evonas.space.interaction import InteractionSpace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from evonas.space.composed import ComposedSpace
    from evonas.space.genes import Choice
    from surrogates import ModelSpec
    from surrogates.layers import Activation

CLASSES = 5  # q, g, W, Z, t
FEATURES = 3  # of a constituent: pT, eta, phi
BITS = 8

Key = TypeVar("Key")
Value = TypeVar("Value")

MLP_LAYERS = {8: (120, 60, 32, 64, 64, 64, 32, 44), 16: (88, 88, 44, 44, 44), 32: (84, 88, 32, 32, 44, 32, 44)}
INTERACTION_LAYERS = {8: ((12, 6), (170,)), 16: ((12, 6), (170,)), 32: ((3,), (512,))}  # effects, classifier
NAC_LAYERS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {  # phi, hidden layers of rho
    "base": ((32, 32, 32), (16,)),
    "large": ((32, 32), (32, 64)),
    "medium": ((32, 16), (64, 8, 32)),
    "small": ((8, 8), (16, 16)),
    "tiny": ((16,), (8, 8, 4)),
}
NAC_ACTIVATIONS: dict[str, dict[str, Activation]] = {  # of layers without ReLU
    "medium": {"rho1": "leaky_relu"},
    "small": {"phi0": "leaky_relu", "rho0": "leaky_relu"},
    "tiny": {"rho1": "gelu"},
}


def mlp(inputs: int, hidden: Sequence[int], bits: int = BITS, sparsity: float = 0.0) -> ModelSpec:
    """A dense network from `inputs` words to the five classes of jets."""
    draft = Draft((1, inputs), _values({"hidden": hidden}, bits, sparsity), (0.0, sparsity))
    return draft.spec(draft.output("output", draft.layers("hidden", draft.input), CLASSES), bits)


def hls4ml_mlp(bits: int = BITS, sparsity: float = 0.0) -> ModelSpec:
    """16-64-32-32-5 on 16 high-level features of a jet: the benchmark of hls4ml (Duarte et al., arXiv:1804.06913).

    Published at 16 bits and less; quantised versions followed in arXiv:2006.10159 (QKeras) and arXiv:2405.00645 (HGQ).
    """
    return mlp(16, (64, 32, 32), bits, sparsity)


def ultrafast_mlp(constituents: int = 8, bits: int = BITS, sparsity: float = 0.0) -> ModelSpec:
    """The dense network on 8, 16 or 32 constituents of Odagiu et al., arXiv:2402.01876; 8 bits.

    Sizes are those of the authors' configurations (github.com/fastmachinelearning/l1-jet-id). SNAC-Pack
    (arXiv:2512.15998) gives its baseline 25,916 BOPs, which is exactly the number of weights of the one for 8.
    """
    return mlp(constituents * FEATURES, _of(MLP_LAYERS, "constituents", constituents), bits, sparsity)


def deep_sets(
    constituents: int,
    phi: Sequence[int],
    rho: Sequence[int],
    bits: int = BITS,
    sparsity: float = 0.0,
    activations: Mapping[str, Activation] = MappingProxyType({}),
) -> ModelSpec:
    """Deep Sets with the mean over `constituents`; the last of `phi` is what is averaged, `rho` are hidden layers.

    `activations` are those of layers without ReLU: phi0, phi1, ..., bottleneck (the last of phi), rho0, ...
    """
    space = DeepSetsSpace(constituents=constituents, features=FEATURES, n_outputs=CLASSES)
    stacks = {"phi": phi[:-1], "bottleneck": phi[-1:], "rho": rho}
    values = _values(stacks, bits, sparsity) | {"aggregator": "mean"}
    return _drawn(space, values | {f"{block}.activation": name for block, name in activations.items()}, bits, sparsity)


def ultrafast_deep_sets(constituents: int = 8, bits: int = BITS, sparsity: float = 0.0) -> ModelSpec:
    """phi 32-32-32, mean, rho 32 on 8, 16 or 32 constituents: Odagiu et al., arXiv:2402.01876; 8 bits."""
    return deep_sets(constituents, (32, 32, 32), (32,), bits, sparsity)


def nac_deep_sets(size: str = "medium", bits: int = BITS, sparsity: float = 0.0) -> ModelSpec:
    """The Deep Sets `base`, `large`, `medium`, `small` and `tiny` on 8 constituents of NAC, arXiv:2501.05515.

    Sizes are those of the authors' examples (github.com/fastmachinelearning/nac-opt), of which `base` has a hidden
    layer of 16 in rho where arXiv:2402.01876 has 32. The activation that the public code puts behind the logits is left
    out.
    """
    phi, rho = _of(NAC_LAYERS, "size", size)
    return deep_sets(8, phi, rho, bits, sparsity, NAC_ACTIVATIONS.get(size, {}))


def interaction_network(
    constituents: int,
    features: int,
    effects: Sequence[int],
    objects: Sequence[int],
    classifier: Sequence[int],
    aggregator: str,
    bits: int = BITS,
    sparsity: float = 0.0,
) -> ModelSpec:
    """An interaction network: `effects` on all ordered pairs, summed at the receiver; `objects`; `classifier`."""
    space = InteractionSpace(constituents=constituents, features=features, n_outputs=CLASSES)
    values = _values({"edge": effects, "node": objects, "head": classifier}, bits, sparsity)
    return _drawn(space, values | {"aggregator": aggregator, "message_bits": 0}, bits, sparsity)


def ultrafast_interaction(constituents: int = 8, bits: int = BITS, sparsity: float = 0.0) -> ModelSpec:
    """The interaction network on 8, 16 or 32 constituents of Odagiu et al., arXiv:2402.01876; 8 bits.

    Effects 12-6 (3 for 32 constituents), objects 36-18-6, mean, classifier 170 (512), by the authors' configurations
    (github.com/fastmachinelearning/l1-jet-id).
    """
    effects, classifier = _of(INTERACTION_LAYERS, "constituents", constituents)
    return interaction_network(constituents, FEATURES, effects, (36, 18, 6), classifier, "mean", bits, sparsity)


def ll_gnn(hidden: Sequence[int] = (50, 25), bits: int = 16, sparsity: float = 0.0) -> ModelSpec:
    """JEDI-net on 30 constituents of 16 features, with the hidden layers of f_R that LL-GNN explores.

    Que et al., arXiv:2209.14065, start from f_R 50-25 and find 8 (most accurate) and none at all (fastest). All other
    sizes are those of JEDI-net's sum over constituents (arXiv:1908.05318, github.com/jmduarte/JEDInet-code): 4 effects,
    f_O 50-25-4, f_C 50-25; whether LL-GNN changes them is not known here. Published at ap_fixed<24,12>: 16 bits are the
    widest here. Its main design has 50 constituents: their pairs are more words than a `ModelSpec` takes.
    """
    return interaction_network(30, 16, (*hidden, 4), (50, 25, 4), (50, 25), "sum", bits, sparsity)


def jedi_linear(constituents: int = 8, features: int = FEATURES, bits: int = BITS, sparsity: float = 0.0) -> ModelSpec:
    """JEDI-linear, permutation-invariant, on 8 to 128 constituents (powers of two): Que et al., arXiv:2508.15468.

    Each constituent goes to 64 words, and on to 64 of its own, to which 64 of the mean over all are added; then 64, the
    sum over all, 64, 32, 16 and the classes: the authors' public model (github.com/calad0i/JEDI-linear). The published
    designs have widths learned weight by weight, down to none: at one width throughout this is far larger.
    """
    sizes = {"embed": (64,), "own": (64,), "mean": (64,), "joint": (64,), "head": (64, 32, 16)}
    draft = Draft((constituents, features), _values(sizes, bits, sparsity), (0.0, sparsity))
    words = draft.layers("embed", draft.input)
    own = draft.layers("own", words)
    mean = draft.layers("mean", draft.join("mean", words))
    words = draft.layers("joint", draft.join("add", own, draft.join("broadcast", mean, groups=constituents)))
    words = draft.layers("head", draft.join("sum", words))
    return draft.spec(draft.output("output", words, CLASSES), bits)


def _of(sizes: Mapping[Key, Value], field: str, key: Key) -> Value:
    """The sizes published for `key`, or `ConfigurationError`."""
    if key not in sizes:
        raise ConfigurationError(field, key, f"is not published; choose from {', '.join(map(str, sizes))}")
    return sizes[key]


def _values(stacks: Mapping[str, Sequence[int]], bits: int, sparsity: float) -> dict[str, Choice]:
    """Values of the genes of stacks of dense layers, by name, and of the output layer."""
    values: dict[str, Choice] = {"output.weight_bits": bits, "output.sparsity": sparsity}
    for stack, widths in stacks.items():
        values[f"{stack}.depth"] = len(widths)
        for number, width in enumerate(widths):
            block = stack if stack == "bottleneck" else f"{stack}{number}"
            values |= {f"{block}.width": width, f"{block}.sparsity": sparsity}
            values |= {f"{block}.weight_bits": bits, f"{block}.activation_bits": bits}
    return values


def _drawn(space: ComposedSpace, values: Mapping[str, Choice], bits: int, sparsity: float) -> ModelSpec:
    """What a family draws from these values."""
    draft = Draft(space.input_shape, values, (0.0, sparsity))
    return draft.spec(space.draw(values, draft), bits)


PUBLISHED: dict[str, Callable[[], ModelSpec]] = {
    "hls4ml_mlp": hls4ml_mlp,
    **{f"ultrafast_mlp_{n}": partial(ultrafast_mlp, n) for n in MLP_LAYERS},
    **{f"ultrafast_deep_sets_{n}": partial(ultrafast_deep_sets, n) for n in (8, 16, 32)},
    **{f"ultrafast_interaction_{n}": partial(ultrafast_interaction, n) for n in INTERACTION_LAYERS},
    **{f"nac_deep_sets_{size}": partial(nac_deep_sets, size) for size in NAC_LAYERS},
    **{f"ll_gnn_{name}": partial(ll_gnn, sizes) for name, sizes in (("50_25", (50, 25)), ("8", (8,)), ("none", ()))},
    **{f"jedi_linear_{n}": partial(jedi_linear, n) for n in (8, 16, 32, 64)},
}
