"""Search spaces: integer genomes, their repair and variation, and the networks they stand for."""

from evonas.space.base import GeneSpace, Phenotype, SearchSpace
from evonas.space.composed import ComposedSpace
from evonas.space.draft import Draft
from evonas.space.families import fitted
from evonas.space.genes import Condition, Gene
from evonas.space.mlp import MlpSpace
from evonas.space.operators import crossover, mutate

__all__ = [
    "ComposedSpace",
    "Condition",
    "Draft",
    "Gene",
    "GeneSpace",
    "MlpSpace",
    "Phenotype",
    "SearchSpace",
    "crossover",
    "fitted",
    "mutate",
]
