"""What a search space is, and what it gives: a phenotype."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol, final, get_args

import numpy as np

from evonas.errors import ConfigurationError
from evonas.space.genes import GeneTable, table
from surrogates import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from evonas.space.genes import Gene

# "batch" normalises the sums of every hidden layer in training and is folded into the layer's weights and biases: the
# hardware has no trace of it. There is no layer normalisation: its mean and deviation are those of each input, so they
# are not constants that could be folded, and a square root and a division at run time would be needed in their place.
Norm = Literal["none", "batch"]
NORMS: tuple[Norm, ...] = get_args(Norm)


@final
@dataclass(frozen=True)
class Phenotype:
    """Everything that is trained, predicted and synthesised: the network, its learning rate and its normalisation.

    Equal phenotypes have equal digests; the digest is the key of caches and of the search for duplicates.
    """

    spec: ModelSpec
    learning_rate: float
    norm: Norm = "none"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ConfigurationError("learning_rate", self.learning_rate, "must be positive and finite")
        if self.norm not in NORMS:
            raise ConfigurationError("norm", self.norm, f"must be one of {', '.join(NORMS)}")

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON form."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON; without a normalisation it says nothing of one."""
        data = {"spec": self.spec.to_dict(), "learning_rate": self.learning_rate}
        return data if self.norm == "none" else data | {"norm": self.norm}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Phenotype:
        """Read what `to_dict` wrote."""
        if set(data) - {"norm"} != {"spec", "learning_rate"}:
            mend = "must hold spec and learning_rate, can hold norm, and nothing else"
            raise ConfigurationError("phenotype", sorted(data), mend)
        return cls(ModelSpec.from_dict(data["spec"]), float(data["learning_rate"]), data.get("norm", "none"))


class SearchSpace(Protocol):
    """A finite set of networks, encoded as rows of integers.

    Genomes that `sample` and `repair` return are canonical: two of them are equal exactly when their phenotypes are.
    """

    @property
    def genes(self) -> tuple[Gene, ...]:
        """The genes in the order of a genome's columns."""

    @property
    def n_genes(self) -> int:
        """Length of a genome."""

    @property
    def digest(self) -> str:
        """SHA-256 over the definition: equal spaces, and only they, have equal digests."""

    @property
    def size(self) -> int:
        """Number of canonical genomes, that is of different phenotypes; can exceed 64 bits."""

    def sample(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Canonical genomes (n, n_genes), spread over the space; every genome has a chance."""

    def repair(self, genomes: NDArray[Any]) -> NDArray[np.int64]:
        """Canonical genomes (n, n_genes) for any integers of that shape; a second repair changes nothing."""

    def decode(self, genome: NDArray[Any] | tuple[int, ...]) -> Phenotype:
        """The network of one genome (n_genes,)."""

    def encode(self, phenotype: Phenotype) -> tuple[int, ...]:
        """The canonical genome of a phenotype; `ConfigurationError` if it lies outside the space."""

    def enumerate(self) -> Iterator[tuple[int, ...]]:
        """Every canonical genome once, lazily and in a fixed order."""


class GeneSpace(ABC):
    """What the families of networks share: clipping, inactive genes, sampling and enumeration over genes."""

    @property
    @abstractmethod
    def genes(self) -> tuple[Gene, ...]:
        """The genes in the order of a genome's columns."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """The definition as plain data, fit for JSON."""

    @abstractmethod
    def _constrain(self, genomes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rules of the family on genomes (n, n_genes) whose inactive genes are 0; idempotent."""

    def _spread(self, genomes: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Change a stratified sample (n, n_genes) so that it covers the family better; here it is kept."""
        del rng
        return genomes

    @property
    def table(self) -> GeneTable:
        """The genes as arrays."""
        return table(self.genes)

    @property
    def n_genes(self) -> int:
        """Length of a genome."""
        return len(self.genes)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the definition."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def repair(self, genomes: NDArray[Any]) -> NDArray[np.int64]:
        """Canonical genomes (n, n_genes) for any integers of that shape."""
        clipped = self.table.clip(genomes)
        return self._constrain(np.where(self.table.active(clipped), clipped, 0))

    def sample(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Canonical genomes (n, n_genes), stratified over every gene; can hold duplicates in a small space."""
        return self.repair(self._spread(self.table.stratified(n, rng), rng))

    def enumerate(self) -> Iterator[tuple[int, ...]]:
        """Every canonical genome once: counts over all genes and keeps what repair would not change."""
        counted = itertools.product(*(range(len(gene.choices)) for gene in self.genes))
        while chunk := list(itertools.islice(counted, 1024)):
            genomes = np.array(chunk, dtype=np.int64)
            canonical = (self.repair(genomes) == genomes).all(axis=1)
            yield from itertools.compress(chunk, canonical)

    def index_of(self, gene: str, value: object) -> int:
        """Index of a value among a gene's choices; `ConfigurationError` names the choices if it is not there."""
        choices = next(g.choices for g in self.genes if g.name == gene)
        if value not in choices:
            raise ConfigurationError(gene, value, f"is outside the space, which has {choices}")
        return choices.index(value)
