"""Names that every jet source shares: the five classes, the sixteen features and the constituent variables.

The public sets call the same features `c1_b0_mmdt` (OpenML) or `j_c1_b0_mmdt` (Zenodo), where `_mmdt` says that the
feature is that of the groomed jet. Sources are always matched by name: their column orders differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np

from evonas.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

Inputs = Literal["hlf", "constituents"]
Order = Literal["pt", "shuffled"]

CLASSES = ("g", "q", "t", "w", "z")
FEATURES = (
    "zlogz", "C1_b0", "C1_b1", "C1_b2", "C2_b1", "C2_b2", "D2_b1", "D2_b2",
    "D2_a1_b1", "D2_a1_b2", "M2_b1", "M2_b2", "N2_b1", "N2_b2", "mass_mMDT", "multiplicity",
)  # fmt: skip
CONSTITUENT_VARIABLES = ("pt_rel", "eta_rel", "phi_rel")

_WHOLE_JET = ("zlogz", "multiplicity")


@final
@dataclass(frozen=True)
class RawJets:
    """Jets as a source delivers them: `x` (n, features), `y` (n,) indices into `CLASSES`.

    `pt_gev` (n, constituents) is the transverse momentum of every constituent in `x`, where the source tells it.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    provenance: str
    source: str
    pt_gev: NDArray[np.float32] | None = None


def public_name(feature: str) -> str:
    """The name of one of `FEATURES` in the public sets, without Zenodo's `j_`: `C1_b0` -> `c1_b0_mmdt`."""
    name = feature.lower()
    return name if name in _WHOLE_JET or name.endswith("_mmdt") else f"{name}_mmdt"


def columns_of(wanted: Sequence[str], present: Sequence[str], source: str, what: str) -> list[int]:
    """Position in `present` of every name in `wanted`, without regard to case.

    Raises: `DataError` that lists the missing names, or a name that is there twice.
    """
    lowered = [name.lower() for name in present]
    missing = [name for name in wanted if name.lower() not in lowered]
    if missing:
        raise DataError(
            f"no {what} named {', '.join(missing)}; the file has {', '.join(present[:20])}"
            f"{', ...' if len(present) > 20 else ''}. Is this the data set you meant?",
            source,
        )
    twice = [name for name in wanted if lowered.count(name.lower()) > 1]
    if twice:
        raise DataError(f"{what} {twice[0]} appears more than once", source)
    return [lowered.index(name.lower()) for name in wanted]


def constituent_names(n_constituents: int) -> tuple[str, ...]:
    """Feature names of the `n_constituents` hardest particles: `pt_rel_0`, `eta_rel_0`, `phi_rel_0`, `pt_rel_1`, ..."""
    return tuple(f"{variable}_{i}" for i in range(n_constituents) for variable in CONSTITUENT_VARIABLES)


def gate(x: NDArray[np.float32], pt_gev: NDArray[np.float32], minimum_gev: float) -> NDArray[np.float32]:
    """Constituents `x` (n, 3 m) without those below `minimum_gev`: the rest moves up in its order, zeros follow.

    `pt_gev` is (n, m). The gate of "Ultrafast jet classification at the HL-LHC" (arXiv 2402.01876), there at 2 GeV.
    """
    particles = x.reshape(len(x), -1, len(CONSTITUENT_VARIABLES))
    kept = pt_gev >= minimum_gev
    first = np.argsort(~kept, axis=1, kind="stable")[:, :, None]
    gated = np.take_along_axis(np.where(kept[:, :, None], particles, np.float32(0)), first, axis=1)
    return gated.reshape(x.shape)


def shuffle(x: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Constituents `x` (n, 3 m) in an order drawn anew for every jet, empty places included."""
    particles = x.reshape(len(x), -1, len(CONSTITUENT_VARIABLES))
    places = np.tile(np.arange(particles.shape[1]), (len(x), 1))
    order = rng.permuted(places, axis=1)[:, :, None]
    return np.take_along_axis(particles, order, axis=1).reshape(x.shape)


def check_finite(values: NDArray[Any], what: str, path: Path | str) -> None:
    """Raise `DataError` with the index of the first NaN or infinity in `values`, an array called `what`."""
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        where = tuple(int(i) for i in bad[0])
        raise DataError(
            f"{what}[{', '.join(map(str, where))}] is {values[where]} ({len(bad)} values are not finite); "
            "remove or impute those rows",
            path,
        )
