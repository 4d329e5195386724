"""Networks for the readout of a superconducting qubit as fixed `ModelSpec`s, for comparing a search with.

    from evonas.space.published_readout import linear_readout, qick_readout

    spec = qick_readout()               # 400 of 770 samples, as published
    small = qick_readout(decimation=10)  # the same stretch of time where a task averages 10 samples to a position

A position is a pair of words, the quadratures I and Q; there are two outputs, one for each state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evonas.errors import ConfigurationError
from evonas.space.draft import Draft
from evonas.space.published_results import LATENCY, Published

if TYPE_CHECKING:
    from surrogates import ModelSpec

SAMPLES, WINDOW_START, WINDOW_SIZE, HIDDEN = 770, 100, 400, 4
INPUT_BITS, WEIGHT_BITS, ACTIVATION_BITS = 14, 6, 16
QUADRATURES, STATES = 2, 2


def qick_readout(decimation: int = 1, samples: int = SAMPLES) -> ModelSpec:
    """800-4-1 on the samples 100 to 499 of a trace: Di Guglielmo et al., arXiv:2501.14663.

    The size is that of the first author's projects (github.com/GiuseppeDiGuglielmo/ml-quantum-readout: window of 400
    from sample 100, 4 hidden units): inputs of 14 bits, weights of 6, ReLU, batch normalisation, which folds into the
    weights, and one output with a sigmoid, which is two here. Words between the layers have 18 bits there, 16 here.

    `decimation` samples are averaged to one position ahead of the network; it must divide 100 and `samples`.
    """
    if decimation < 1 or WINDOW_START % decimation or samples % decimation:
        mend = f"must divide {WINDOW_START} and the {samples} samples of a trace"
        raise ConfigurationError("decimation", decimation, mend)
    values = {"hidden0.width": HIDDEN, "hidden0.weight_bits": WEIGHT_BITS, "hidden0.activation_bits": ACTIVATION_BITS}
    draft = Draft((samples // decimation, QUADRATURES), values | {"output.weight_bits": WEIGHT_BITS})
    words = draft.select(draft.input, WINDOW_START // decimation, WINDOW_SIZE // decimation)
    words = draft.layers("hidden", draft.join("flatten", words))
    return draft.spec(draft.output("output", words, STATES), INPUT_BITS)


def linear_readout(positions: int, bits: int = 8) -> ModelSpec:
    """One linear layer on a whole trace: what a matched filter is, with weights that are learnt and quantised."""
    draft = Draft((positions, QUADRATURES), {"output.weight_bits": bits})
    return draft.spec(draft.output("output", draft.join("flatten", draft.input), STATES), bits)


QICK = Published(
    "800-4-1 on QICK",
    "arXiv:2501.14663",
    {"fidelity (%)": 96.0, LATENCY: 32.0},
    "not known",
    "measured traces of one transmon",
    "LUT below 16 % of the device's, a ZCU216",
)
# What keeps published numbers of qubit readout from being compared with ours.
DIFFERENCES = (
    (
        "Data: the published fidelity is of measured traces, with transitions in both directions and whatever else a "
        "device does; ours is of what the sections above say. The simulation knows noise and decay alone, and how much "
        "of them is our choice: its fidelity says nothing of a device."
    ),
    "Stage: published numbers come from Vivado for a ZCU216; ours are traced or synthesised (yosys), for a VU13P.",
    (
        "Input: where samples are averaged to positions, that happens ahead of the network and is not counted. The "
        "published network reads every sample."
    ),
)
