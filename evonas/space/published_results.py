"""What was published of the networks in `published.py`: numbers to stand beside ours, never to be subtracted from them.

Each row says what its score is of and at which stage its hardware's numbers were taken. Numbers are those of the papers
and of their authors' tool reports; most are for a VU13P.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ACCURACY, LUT, DSP, LATENCY, INTERVAL = "accuracy (%)", "LUT", "DSP", "latency (ns)", "II"


@final
@dataclass(frozen=True)
class Published:
    """What was published of one network.

    `figures` are numbers by name and unit, such as {"accuracy (%)": 64.0, "LUT": 386_000, "latency (ns)": 95}; `stage`
    says how the hardware's came to be ("synthesised", "routed", "not known"), `data` what the score is of, and `remark`
    whatever else keeps the numbers from being compared with ours.
    """

    name: str
    source: str
    figures: Mapping[str, float]
    stage: str
    data: str = ""
    remark: str = ""

    def __hash__(self) -> int:
        return hash((self.name, self.source, self.stage, *sorted(self.figures.items())))


_FIGURES = (ACCURACY, LUT, DSP, LATENCY, INTERVAL)
_PUBLIC = "public set, doi 10.5281/zenodo.3602260"
_EIGHT = "public set, 8 constituents, float weights"


def _row(name: str, source: str, figures: Sequence[float | None], stage: str, data: str, remark: str = "") -> Published:
    """A row from its figures in the order of `_FIGURES`."""
    known = {figure: value for figure, value in zip(_FIGURES, figures, strict=True) if value is not None}
    return Published(name, source, known, stage, data, remark)


def _ultrafast(constituents: int, *figures: float | None) -> Published:
    """Deep Sets of Odagiu et al."""
    name, source = f"Deep Sets, {constituents} constituents, 8 bit", "arXiv:2402.01876"
    remark = "constituents below 2 GeV left out, order shuffled in training, 5 folds"
    return _row(name, source, figures, "not known", _PUBLIC, remark)


def _jedi(constituents: int, invariant: bool, *figures: float | None) -> Published:
    """JEDI-linear of Que et al., widths learned weight by weight."""
    kind = "permutation-invariant" if invariant else "sorted inputs"
    name = f"JEDI-linear, {constituents} constituents, {kind}"
    return _row(name, "arXiv:2508.15468", figures, "routed", _PUBLIC, "widths learned weight by weight (HGQ)")


def _snac(name: str, *figures: float | None, remark: str = "8 bit, float accuracy") -> Published:
    return _row(name, "arXiv:2512.15998", figures, "synthesised", _EIGHT, remark)


_NAC = ("arXiv:2501.05515", "not known", _PUBLIC)
RESULTS: dict[str, tuple[Published, ...]] = {
    "ultrafast_deep_sets_8": (_ultrafast(8, 64.0, 386_000, 626, 95, 3),),
    "ultrafast_deep_sets_16": (_ultrafast(16, 69.4, 747_000, None, 115, 3),),
    "ultrafast_deep_sets_32": (_ultrafast(32, 75.9, 903_000, None, 130, 2),),
    "ultrafast_mlp_8": (
        _snac("dense network, 8 constituents", 63.77, 155_080, 262, 105, 1, remark="as SNAC-Pack's baseline, 8 bit"),
    ),
    "nac_deep_sets_medium": (_row("NAC Deep Sets, medium", _NAC[0], (65.1, 130_000, 548, 110, None), *_NAC[1:]),),
    "nac_deep_sets_large": (_row("NAC Deep Sets, large", _NAC[0], (66.6, 337_000, 2_458, 135, 3), *_NAC[1:]),),
    "jedi_linear_8": (
        _jedi(8, True, 66.53, 136_497, 0, 79.3, 1),
        _jedi(8, False, 65.69, 35_684, 0, 49.3, 1),
    ),
    "jedi_linear_16": (
        _jedi(16, True, 73.56, 136_440, 0, 75.2, 1),
        _jedi(16, False, 71.95, 43_809, 0, 53.6, 1),
    ),
    "jedi_linear_32": (
        _jedi(32, True, 79.03, 135_939, 0, 80.2, 1),
        _jedi(32, False, 78.00, 45_299, 0, 63.2, 1),
    ),
}
SNAC_PACK = (
    _snac("NAC, as run by SNAC-Pack", 63.81, 54_075, 0, 125, 12),
    _snac("SNAC-Pack, for accuracy", 63.84, 57_728, 0, 140, 12),
    _snac("SNAC-Pack, for resources", 62.30, 34_472, 0, 50, 1),
)
LL_GNN = (
    _row(
        "LL-GNN, 50 constituents of 16 features",
        "arXiv:2209.14065",
        (81.2, 860_000, 8_800, None, None),
        "not known",
        _PUBLIC,
        "ap_fixed<24,12> on a U250; needs 30 or 50 constituents of 16 features, which these data do not have",
    ),
)

# What keeps published numbers of jet taggers from being compared with ours, apart from each row's remark.
DIFFERENCES = (
    (
        "Data: published scores are on the public sets; ours are on what the sections above say. On our own "
        "simulation, made without a detector, the same network scores differently."
    ),
    ("Training: ours is the same few epochs for every network, theirs up to a thousand (arXiv:2402.01876)."),
    (
        "Stage: published numbers come from Vitis or Vivado, in part at a stage that is not known to us; C "
        "synthesis over-states LUTs by more than two. Ours are traced or synthesised (yosys), not placed and "
        "routed."
    ),
    (
        "Architecture: ours unrolls every product into adders (II 1, no DSP); published designs share multipliers "
        "where II is above 1 or DSPs are used. Batch normalisation is folded, SELU and ELU are ReLU, one width holds "
        "for all weights."
    ),
    (
        "BOPs: published ones follow other counts (those of SNAC-Pack's baseline are its number of weights), so "
        "none is shown beside ours."
    ),
)
