"""The sixteen jet-tagging features, and the kinematics and energy correlation functions that they are made of."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEATURES = (
    "zlogz", "C1_b0", "C1_b1", "C1_b2", "C2_b1", "C2_b2", "D2_b1", "D2_b2",
    "D2_a1_b1", "D2_a1_b2", "M2_b1", "M2_b2", "N2_b1", "N2_b2", "mass_mMDT", "multiplicity",
)  # fmt: skip


def polar(momenta: Any) -> NDArray[np.float64]:
    """Transverse momentum, rapidity and azimuth, (n, 3), of momenta (n, 4) as px, py, pz, E."""
    px, py, pz, energy = np.asarray(momenta, np.float64).T
    pt2 = px**2 + py**2
    mass2 = np.maximum(energy**2 - pz**2 - pt2, 0.0)
    rapidity = np.sign(pz) * np.log((energy + np.abs(pz)) / np.sqrt(pt2 + mass2))  # stable at small angles
    return np.stack([np.sqrt(pt2), rapidity, np.arctan2(py, px)], axis=1)


def pseudorapidity(momenta: NDArray[np.float64]) -> Any:
    """Pseudorapidity of momenta (..., 4) as px, py, pz, E."""
    return np.arcsinh(momenta[..., 2] / np.hypot(momenta[..., 0], momenta[..., 1]))


def wrap(angle: Any) -> Any:
    """Bring azimuthal differences into [-pi, pi)."""
    return (angle + math.pi) % (2 * math.pi) - math.pi


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def correlators(z: NDArray[np.float64], y: NDArray[np.float64], phi: NDArray[np.float64]) -> NDArray[np.float64]:
    """Energy correlation functions with momentum fractions `z` and angles sqrt(dy^2 + dphi^2), all of shape (n,).

    Returns (9,): e2(0), e2(1), e2(2), then e3, 1e3 and 2e3, each at beta = 1 and 2. `ve3` is the sum over triples
    of z z z times the product of the v smallest pairwise angles to the power beta, and e3 is 3e3
    (Larkoski, Salam, Thaler 1305.0007; Moult, Necib, Thaler 1609.07483).
    """
    n = len(z)
    angle2 = np.zeros((n, n))
    result = np.zeros(9)
    for i in range(n):
        for j in range(i):
            delta = abs(phi[i] - phi[j])
            if delta > math.pi:
                delta = 2 * math.pi - delta
            square = (y[i] - y[j]) ** 2 + delta**2
            angle2[i, j] = square
            pair = z[i] * z[j]
            result[0] += pair
            result[1] += pair * math.sqrt(square)
            result[2] += pair * square
    for i in range(n):
        for j in range(i):
            first = angle2[i, j]
            for k in range(j):
                second, third = angle2[i, k], angle2[j, k]
                smallest = min(first, second, third)
                largest = max(first, second, third)
                product = first * second * third
                two = first + second + third - smallest - largest  # the middle one
                two *= smallest
                weight = z[i] * z[j] * z[k]
                result[3] += weight * math.sqrt(product)
                result[4] += weight * product
                result[5] += weight * math.sqrt(smallest)
                result[6] += weight * smallest
                result[7] += weight * math.sqrt(two)
                result[8] += weight * two
    return result


def ratio(numerator: float, denominator: float) -> float:
    """The quotient, and 0 where the denominator vanishes (a groomed jet of one particle)."""
    return numerator / denominator if denominator > 0 else 0.0


def features(full: NDArray[np.float64], groomed: NDArray[np.float64], mass: float) -> list[float]:
    """The sixteen features of one jet, in the order of `FEATURES`.

    `full` (n, 3) and `groomed` (m, 3) hold pT in GeV, rapidity and azimuth of the particles of the whole and of
    the groomed jet; `mass` in GeV is that of the groomed jet.
    """
    fraction = full[:, 0] / full[:, 0].sum()
    z = groomed[:, 0] / groomed[:, 0].sum()
    e = [float(v) for v in correlators(z, groomed[:, 1].copy(), groomed[:, 2].copy())]
    e2_0, e2_1, e2_2, e3_1, e3_2, v1_1, v1_2, v2_1, v2_2 = e
    d2_1 = ratio(e3_1, e2_1**3)
    return [
        float((fraction * np.log(fraction)).sum()),
        e2_0, e2_1, e2_2,
        ratio(e3_1, e2_1**2), ratio(e3_2, e2_2**2),
        d2_1, ratio(e3_2, e2_2**3),
        d2_1, ratio(e3_1, e2_2**1.5),
        ratio(v1_1, e2_1), ratio(v1_2, e2_2),
        ratio(v2_1, e2_1**2), ratio(v2_2, e2_2**2),
        mass, float(len(full)),
    ]  # fmt: skip
