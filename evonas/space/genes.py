"""Typed integer genes: a genome is a row of indices into the choices of its genes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, final

import numpy as np

from evonas.errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Choice = int | float | str


@final
@dataclass(frozen=True)
class Condition:
    """A gene matters only while the gene `gene` has one of `values` (and matters itself)."""

    gene: str
    values: tuple[Choice, ...]


@final
@dataclass(frozen=True)
class Gene:
    """One decision: a name and the choices it is made from.

    `ordered` says that neighbouring choices are alike, so that mutation may take small steps. Genes of the same
    `block` belong together (the decisions about one layer) and can be inherited together.
    """

    name: str
    choices: tuple[Choice, ...]
    ordered: bool = True
    condition: Condition | None = None
    block: str | None = None

    def __post_init__(self) -> None:
        if not self.choices:
            raise ConfigurationError(self.name, self.choices, "needs at least one choice")
        if len(set(self.choices)) != len(self.choices):
            raise ConfigurationError(self.name, self.choices, "holds a choice more than once")


@final
class GeneTable:
    """Arrays over a tuple of genes, so that whole populations are handled without loops over genomes.

    `cardinality` (n_genes,) holds the number of choices, `ordered` (n_genes,) the flags, and `block` (n_genes,) an
    integer per block; a gene without a block is a block of its own.
    """

    def __init__(self, genes: tuple[Gene, ...]) -> None:
        names = [gene.name for gene in genes]
        if len(set(names)) != len(names):
            raise ConfigurationError("genes", names, "must have different names")
        self.n_genes = len(genes)
        self.cardinality: NDArray[np.int64] = np.array([len(gene.choices) for gene in genes], dtype=np.int64)
        self.ordered: NDArray[np.bool_] = np.array([gene.ordered for gene in genes], dtype=np.bool_)
        labels = [gene.block or f"\0{gene.name}" for gene in genes]
        numbers = {label: number for number, label in enumerate(dict.fromkeys(labels))}
        self.block: NDArray[np.int64] = np.array([numbers[label] for label in labels], dtype=np.int64)
        self._conditions = [self._compile(genes, names, index) for index in range(len(genes))]

    @staticmethod
    def _compile(genes: tuple[Gene, ...], names: list[str], index: int) -> tuple[int, NDArray[np.bool_]] | None:
        """Parent's index and, for each of its choices, whether gene `index` is active."""
        condition = genes[index].condition
        if condition is None:
            return None
        if condition.gene not in names[:index]:
            raise ConfigurationError(f"{names[index]}.condition", condition.gene, "must name a gene before it")
        parent = names.index(condition.gene)
        return parent, np.array([choice in condition.values for choice in genes[parent].choices], dtype=np.bool_)

    def clip(self, genomes: NDArray[Any]) -> NDArray[np.int64]:
        """Nearest existing choice for every entry, as int64 of shape (n, n_genes); takes any integers."""
        array = np.asarray(genomes)
        if array.ndim != 2 or array.shape[1] != self.n_genes:
            raise ConfigurationError("genomes.shape", array.shape, f"must be (n, {self.n_genes})")
        if not np.issubdtype(array.dtype, np.integer):
            raise ConfigurationError("genomes.dtype", str(array.dtype), "must be an integer type")
        # Clipped in its own type, because a uint64 need not fit into an int64 before that.
        largest = min(int(np.iinfo(array.dtype).max), int(np.iinfo(np.int64).max))
        top = np.minimum(self.cardinality - 1, largest).astype(array.dtype)
        clipped: NDArray[Any] = np.clip(array, np.zeros(self.n_genes, dtype=array.dtype), top)
        return clipped.astype(np.int64)

    def active(self, genomes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which genes matter, (n, n_genes), for genomes (n, n_genes) of valid indices."""
        mask = np.ones(genomes.shape, dtype=np.bool_)
        for index, compiled in enumerate(self._conditions):
            if compiled is not None:
                parent, allowed = compiled
                mask[:, index] = mask[:, parent] & allowed[genomes[:, parent]]
        return mask

    def uniform(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Independent uniform choices, (n, n_genes)."""
        return rng.integers(0, self.cardinality, size=(n, self.n_genes), dtype=np.int64)

    def stratified(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Latin hypercube over the choices, (n, n_genes): each gene meets all its choices about equally often.

        McKay, Beckman and Conover, Technometrics 21 (1979) 239.
        """
        strata = rng.permuted(np.tile(np.arange(n, dtype=np.int64), (self.n_genes, 1)), axis=1).T
        position = (strata + rng.random((n, self.n_genes))) / max(n, 1)
        return np.minimum((position * self.cardinality).astype(np.int64), self.cardinality - 1)


@lru_cache(maxsize=32)
def table(genes: tuple[Gene, ...]) -> GeneTable:
    """The arrays for these genes, built once per space."""
    return GeneTable(genes)
