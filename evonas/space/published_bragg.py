"""Networks of the literature that find Bragg peaks in patches of 11 x 11 pixels, as fixed `ModelSpec`s.

    from evonas.space.published_bragg import BRAGG

    spec = BRAGG["braggnn"]()                       # at 8 bits, not pruned

Sizes are those of public code: BraggNN (github.com/lzhengchun/BraggNN) and the networks that Neural Architecture
Codesign ships or names (NAC, github.com/fastmachinelearning/nac-opt; Weitz et al., arXiv:2501.05515). Kernels are not
padded. The last layer has two outputs, the position of the peak, and is linear.

What is replaced throughout, beside what `evonas.space.published` says: leaky ReLU has a slope of 1/8 (there .01);
behind attention the activation stands on both summands, the attended words and the words themselves, instead of on
their sum; layer normalisation, which depends on each input, is left out.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from evonas.space.draft import Draft
from evonas.space.published_results import Published

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from evonas.space.genes import Choice
    from surrogates import ModelSpec
    from surrogates.layers import Activation

PATCH_PX = 11
BITS = 8


class Conv(NamedTuple):
    """A convolution."""

    channels: int
    kernel: int = 3
    activation: Activation = "relu"


class Attention(NamedTuple):
    """A non-local block with a softmax, through `hidden` channels (Wang et al., arXiv:1711.07971)."""

    hidden: int
    activation: Activation = "relu"


class Dense(NamedTuple):
    """A dense layer of the head."""

    width: int
    activation: Activation = "relu"


def bragg_network(
    parts: Sequence[Conv | Attention], head: Sequence[Dense], bits: int = BITS, sparsity: float = 0.0
) -> ModelSpec:
    """Convolutions and attention over the patch, then dense layers on all of its words, then x and y.

    `bits` is the width of inputs, weights and activations alike; `sparsity` the pruned share of every layer that keeps
    a weight per output.
    """
    values: dict[str, Choice] = {}

    def genes(block: str, activation: Activation) -> str:
        widths = dict.fromkeys(("weight_bits", "activation_bits"), bits)
        named = {**widths, "sparsity": sparsity, "activation": activation}
        values.update({f"{block}.{name}": value for name, value in named.items()})
        return block

    draft = Draft((PATCH_PX * PATCH_PX, 1), values, (0.0, sparsity))
    words, image = draft.input, (PATCH_PX, PATCH_PX)
    for number, part in enumerate(parts):
        block = f"part{number}"
        if isinstance(part, Conv):
            values[f"{block}.channels"] = part.channels
            words, image = draft.conv(genes(block, part.activation), words, image, part.kernel)
        else:
            values[f"{block}qkv.width"] = part.hidden
            genes(f"{block}qkv", "identity")
            genes(f"{block}back", part.activation)
            words = draft.non_local(block, words)
    words = draft.join("flatten", words)
    for number, layer in enumerate(head):
        words = draft.dense(genes(f"head{number}", layer.activation), words, layer.width)
    return draft.spec(draft.output(genes("output", "linear"), words, 2), bits)


def braggnn(head: Sequence[int] = (64, 32, 16, 8), bits: int = BITS, sparsity: float = 0.0) -> ModelSpec:
    """BraggNN, Liu et al., IUCrJ 9 (2022), arXiv:2008.08198: 64 channels, attention through 32, 32, 8, dense layers.

    The public class has a head of 64-32-16-8, the weights published beside it one of 16-8-4-2 or 32-16-8-4. Its code
    computes keys and values with the layer of the queries; here each has the layer that is there for it.
    """
    convs = (
        Conv(64, 3, "leaky_relu"),
        Attention(32, "leaky_relu"),
        Conv(32, 3, "leaky_relu"),
        Conv(8, 3, "leaky_relu"),
    )
    return bragg_network(convs, [Dense(width, "leaky_relu") for width in head], bits, sparsity)


def openhls(bits: int = BITS, sparsity: float = 0.0) -> ModelSpec:
    """The small BraggNN that OpenHLS put on an FPGA (Levental et al., arXiv:2302.06751), as NAC starts from it.

    The public code has a ReLU behind the outputs too, which is left out.
    """
    return bragg_network((Conv(16), Attention(8), Conv(8), Conv(2)), (Dense(16), Dense(8), Dense(4)), bits, sparsity)


def nac_large(bits: int = BITS, sparsity: float = 0.0) -> ModelSpec:
    """The network that NAC compresses: stem of 32, three blocks of two convolutions, head 8-4-4."""
    parts = (
        Conv(32, 3, "identity"),
        *(Conv(4, 1, "relu"), Conv(32, 1, "leaky_relu")),
        *(Conv(4, 1, "gelu"), Conv(32, 3, "gelu")),
        *(Conv(8, 3, "gelu"), Conv(64, 3, "identity")),
    )
    return bragg_network(parts, (Dense(8, "relu"), Dense(4, "gelu"), Dense(4, "gelu")), bits, sparsity)


def nac_small(bits: int = BITS, sparsity: float = 0.0) -> ModelSpec:
    """NAC's example of a small network: stem of 16, one block of two convolutions, head 64-8-4."""
    parts = (Conv(16, 3, "identity"), Conv(4, 1, "gelu"), Conv(2, 3, "gelu"))
    return bragg_network(parts, (Dense(64, "relu"), Dense(8, "gelu"), Dense(4, "gelu")), bits, sparsity)


def nac_example(number: int = 1, bits: int = BITS, sparsity: float = 0.0) -> ModelSpec:
    """Example 1, 2 or 3 from which NAC's search starts; a ReLU that stands behind their outputs is left out.

    In the second the image has shrunk to one pixel, where the public code turns the last kernel into 1 too.
    """
    parts: tuple[Conv, ...]
    if number == 1:
        parts = (Conv(64, 3, "identity"), Conv(32, 1, "relu"), Conv(64, 3, "leaky_relu"))
        parts += (Conv(4, 3, "leaky_relu"), Conv(4, 3, "leaky_relu"))
        head = (Dense(8, "identity"), Dense(16, "identity"), Dense(64, "leaky_relu"))
    elif number == 2:
        parts = (Conv(8, 3, "identity"), Conv(64), Conv(32), Conv(8, 3, "leaky_relu"), Conv(8, 3, "leaky_relu"))
        parts += (Conv(8, 1, "gelu"), Conv(8, 1, "relu"))
        head = (Dense(8, "relu"), Dense(64, "gelu"), Dense(32, "relu"))
    else:
        parts = (Conv(32, 3, "identity"), Conv(8, 1, "identity"), Conv(8, 1, "identity"), Conv(4, 1), Conv(32, 1))
        head = (Dense(8, "gelu"), Dense(16, "relu"), Dense(32, "gelu"))
    return bragg_network(parts, head, bits, sparsity)


BRAGG: dict[str, Callable[[], ModelSpec]] = {
    "braggnn": braggnn,
    "openhls": openhls,
    "nac_large": nac_large,
    "nac_small": nac_small,
    **{f"nac_example_{number}": partial(nac_example, number) for number in (1, 2, 3)},
}

DISTANCE = "mean distance (px)"
_NAC = "arXiv:2501.05515"
_DATA = "public BraggNN files, against fits"
RESULTS: tuple[Published, ...] = (
    Published("BraggNN, float, rebuilt by NAC", _NAC, {DISTANCE: 0.2040}, "none", _DATA, "validation = training data"),
    Published("NAC, best of the search, float", _NAC, {DISTANCE: 0.1960}, "none", _DATA, "validation = training data"),
    Published("NAC, 8 bit, dense", _NAC, {DISTANCE: 0.2062}, "none", _DATA, "test"),
    Published("NAC, 8 bit, 34 % pruned", _NAC, {DISTANCE: 0.2030}, "none", _DATA, "test"),
    Published("NAC, 8 bit, 58 % pruned", _NAC, {DISTANCE: 0.2076}, "none", _DATA, "test"),
    Published(
        "NAC, small", _NAC, {"latency (ns)": 4920}, "not known", _DATA, "3 % worse than BraggNN, below 10 % of the part"
    ),
)
DIFFERENCES = (
    (
        "Data: published distances are of the public files, whose labels are fits of a pseudo-Voigt; ours are of our "
        "own simulation against the true centres. The shift of the patch changes them by itself: see the constant."
    ),
    "Validation: the public code of NAC validates on its training set.",
    (
        "BOPs: the public code of NAC counts every product of a convolution height x width times too often (outputs "
        "times all words of the input image), so that its ratios of BOPs are not ratios of work."
    ),
    "Networks: see `evonas.space.published_bragg` for what is replaced in the rebuilt ones.",
)
