"""A layer-graph network: what each part of a network adds to its cost, learnt from its neighbours, summed up.

A cost adds up over parts. So the network does not predict a cost but corrects each part's closed form by a factor that
depends on the part and, by two rounds of messages, on what stands before and behind it:

    h = relu(x W + b);  twice: h += relu(h A + mean(h before) B + mean(h behind) C + d)
    lut = sum over parts of closed form * exp(correction(h));  ff the same;  cycles = exact + sum of stages * exp(...)

Families of any depth and shape are sums of the same parts. Spreads come from the mean of h over the parts, and from the
disagreement of several networks trained from different seeds (Lakshminarayanan et al., arXiv:1612.01474). Here it is
computed with numpy, in double precision so that a prediction does not depend on the networks beside it; it is trained
with torch (`surrogates._torch`).
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

import numpy as np

from surrogates.errors import PersistenceError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from surrogates.graph_table import GraphTable
    from surrogates.table import Floats

LEARNT = ("lut", "ff", "latency_cycles")
ROUNDS = 2
CAP = 3.0  # no correction exceeds exp(3)
SPREAD = (-6.0, 1.0)  # limits of the logarithm of a spread


@final
@dataclass(frozen=True)
class GraphPrediction:
    """Of n networks: `mean` of log(1 + LUT), log(1 + FF) and of the cycles as a real number, by the names in `LEARNT`.

    `spread` are scales of Laplace's (cells) and of the logistic distribution (cycles), not standard deviations.
    """

    mean: Mapping[str, Floats]
    spread: Mapping[str, Floats]


@final
@dataclass(frozen=True)
class LayerGraph:
    """Several trained networks; each member maps the names of `shapes` to arrays."""

    members: tuple[Mapping[str, NDArray[np.float32]], ...]

    def predict(self, table: GraphTable) -> GraphPrediction:
        """Mean over the members; the squared spread is their mean squared spread and the variance of their means."""
        averages = _Means.of(table)
        found = [_forward(member, table, averages) for member in self.members]
        means = np.stack([mean for mean, _ in found])  # (members, 3, n)
        squares = np.stack([np.exp(2 * spread) for _, spread in found])
        mean, spread = means.mean(axis=0), np.sqrt(squares.mean(axis=0) + means.var(axis=0))
        return GraphPrediction(dict(zip(LEARNT, mean, strict=True)), dict(zip(LEARNT, spread, strict=True)))

    @cached_property
    def digest(self) -> str:
        """First 16 hexadecimal digits of a SHA-256 over all that the members hold."""
        hashed = hashlib.sha256()
        for member in self.members:
            for name in sorted(member):
                hashed.update(name.encode() + str(member[name].shape).encode() + member[name].tobytes())
        return hashed.hexdigest()[:16]

    def save(self, path: Path) -> None:
        """Write the members to an npz file, whose bytes depend on them alone."""
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for place, member in enumerate(self.members):
                for name in sorted(member):
                    held = io.BytesIO()
                    np.lib.format.write_array(held, member[name], allow_pickle=False)
                    archive.writestr(zipfile.ZipInfo(f"{place}/{name}.npy"), held.getvalue(), zipfile.ZIP_DEFLATED)

    @classmethod
    def load(cls, path: Path, n_features: int) -> LayerGraph:
        """Read what `save` wrote, for tables of so many features; no pickle. Raises `PersistenceError` for others."""
        members: dict[int, dict[str, NDArray[np.float32]]] = {}
        try:
            with np.load(path, allow_pickle=False) as held:
                for key in held.files:
                    place, name = key.split("/")
                    members.setdefault(int(place), {})[name] = held[key].astype(np.float32, copy=False)
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise PersistenceError(f"{path}: is not a saved layer-graph network: {error}") from error
        for member in members.values():
            width = member["enter"].shape[-1] if "enter" in member else 0
            if {name: array.shape for name, array in member.items()} != shapes(n_features, width):
                raise PersistenceError(
                    f"{path}: was trained on another table of features than this version's {n_features}; train it "
                    "again on the records: experiments/synthesis_records/train.py"
                )
        return cls(tuple(members[place] for place in sorted(members)))


def shapes(n_features: int, width: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of what a member holds."""
    found: dict[str, tuple[int, ...]] = {"shift": (n_features,), "scale": (n_features,)}
    found |= {"enter": (n_features, width), "enter_bias": (width,)}
    for step in range(ROUNDS):
        found |= {f"{name}{step}": (width, width) for name in ("own", "before", "behind")}
        found[f"bias{step}"] = (width,)
    found |= {"leave": (width, len(LEARNT)), "leave_bias": (len(LEARNT),)}
    return found | {"spread": (width, len(LEARNT)), "spread_bias": (len(LEARNT),), "offset": (1,)}


@final
@dataclass(frozen=True)
class _Means:
    """Sparse matrices that average rows of parts: of those before and behind each part (P, P), and of each network."""

    before: Any
    behind: Any
    network: Any

    @classmethod
    def of(cls, table: GraphTable) -> _Means:
        from surrogates._scipy import averaging

        source, sink = table.edges.T
        parts = len(table.owner)
        return cls(
            averaging(source, sink, (parts, parts)),
            averaging(sink, source, (parts, parts)),
            averaging(np.arange(parts), table.owner, (table.n_specs, parts)),
        )


def _forward(member: Mapping[str, NDArray[np.float32]], table: GraphTable, means: _Means) -> tuple[Floats, Floats]:
    """Means (3, n) and logarithms of spreads (3, n)."""
    held = {name: array.astype(np.float64) for name, array in member.items()}
    h = (table.features - held["shift"]) / held["scale"] @ held["enter"] + held["enter_bias"]
    np.maximum(h, 0, out=h)
    for step in range(ROUNDS):
        sums = h @ held[f"own{step}"] + held[f"bias{step}"]
        sums += means.before @ (h @ held[f"before{step}"])
        sums += means.behind @ (h @ held[f"behind{step}"])
        h += np.maximum(sums, 0, out=sums)
    factors = np.exp(np.clip(h @ held["leave"] + held["leave_bias"], -CAP, CAP))
    stages = table.total(table.stages * factors[:, 2])
    mean = np.stack(
        [
            np.log1p(table.total(table.lut * factors[:, 0])),
            np.log1p(table.total(table.ff * factors[:, 1])),
            table.cycles + stages + held["offset"][0],
        ]
    )
    spread = means.network @ (h @ held["spread"]) + held["spread_bias"]
    return mean, np.clip(spread.T, *SPREAD)
