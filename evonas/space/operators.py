"""Vectorised variation of genomes (n, n_genes); what comes out is repaired by the caller's space.

A layer that appears by variation (a deeper child) never starts at the canonical value of inactive genes, which
would be the narrowest and coarsest layer: it is inherited from the parent that has it, or drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evonas.space.genes import table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evonas.space.base import SearchSpace

UNIFORM_SHARE = 0.15  # share of mutations of ordered genes that jump anywhere, so that no choice is out of reach


def crossover(
    space: SearchSpace, first: NDArray[np.int64], second: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two complementary children for each pair of canonical parents, all of shape (n, n_genes).

    Half of the pairs exchange single genes (uniform crossover, Syswerda 1989), the other half whole blocks, so that
    the decisions about one layer, which only make sense together, can be inherited together.
    """
    genes = table(space.genes)
    n = len(first)
    by_gene = rng.random((n, genes.n_genes)) < 0.5
    n_blocks = int(genes.block.max()) + 1
    by_block = (rng.random((n, n_blocks)) < 0.5)[:, genes.block]
    swap = np.where(rng.random((n, 1)) < 0.5, by_gene, by_block)
    fresh = genes.uniform(n, rng)
    active_first, active_second = genes.active(first), genes.active(second)
    children = []
    for taken in (swap, ~swap):
        child = np.where(taken, second, first)
        meant = np.where(taken, active_second, active_first)
        other = np.where(taken, first, second)
        other_meant = np.where(taken, active_first, active_second)
        children.append(np.where(meant, child, np.where(other_meant, other, fresh)))
    return space.repair(children[0]), space.repair(children[1])


def mutate(space: SearchSpace, genomes: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Change about one active gene of each genome (n, n_genes), and at least one where any has a choice.

    Ordered genes mostly take one or two steps, reflected at the ends; categorical ones are drawn among the others.
    A repair rule may still undo the only change: callers that need new genomes look for duplicates anyway.
    """
    genes = table(space.genes)
    n = len(genomes)
    active = genes.active(genomes)
    movable = active & (genes.cardinality > 1)
    rate = 1.0 / np.maximum(movable.sum(axis=1, keepdims=True), 1)
    chosen = movable & (rng.random(genomes.shape) < rate)
    forced = np.argmax(np.where(movable, rng.random(genomes.shape), -1.0), axis=1)
    idle = ~chosen.any(axis=1) & movable.any(axis=1)
    chosen[np.flatnonzero(idle), forced[idle]] = True
    proposals = np.where(
        genes.ordered & (rng.random(genomes.shape) >= UNIFORM_SHARE),
        _stepped(genomes, genes.cardinality, rng),
        _another(genomes, genes.cardinality, rng),
    )
    mutants = np.where(chosen, proposals, genomes)
    appeared = genes.active(mutants) & ~active
    return space.repair(np.where(appeared, genes.uniform(n, rng), mutants))


def _another(genomes: NDArray[np.int64], cardinality: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """A uniformly drawn choice other than the present one (the present one where there is no other)."""
    shift = 1 + rng.integers(0, np.maximum(cardinality - 1, 1), size=genomes.shape)
    return (genomes + shift) % cardinality


def _stepped(genomes: NDArray[np.int64], cardinality: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """One step (three times of four) or two up or down; at an end the step goes inwards."""
    size = np.minimum(np.where(rng.random(genomes.shape) < 0.75, 1, 2), cardinality - 1)
    step = np.where(rng.random(genomes.shape) < 0.5, size, -size)
    moved = genomes + step
    inside = (moved >= 0) & (moved < cardinality)
    reflected = np.clip(genomes - step, 0, cardinality - 1)
    return np.where(inside, moved, reflected)
