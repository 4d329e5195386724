"""Families of networks that are written as a drawing: genes by name, and what is drawn from their values."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from evonas.errors import ConfigurationError
from evonas.space import choices
from evonas.space.base import NORMS, GeneSpace, Norm, Phenotype
from evonas.space.draft import Draft, Skeleton, skeleton
from evonas.space.genes import Choice, Condition, Gene
from evonas.space.implementations import DISTRIBUTED, Implementation, check_implementations, paced
from surrogates.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from surrogates import ModelSpec

COMMON = ("input_bits", "activation", "learning_rate", "norm")  # genes that every family has or can have
CORNERS = 1024  # networks that are drawn at most to see whether a space fits its task
LARGEST_WIDTH = 4096
ADDED: dict[str, list[Choice]] = {
    "implementations": [DISTRIBUTED],
    "norms": ["none"],
    "constituents_used": [],
    "features_used": [],
    "block_kinds": ["conv"],
    "attention_hidden": [1, 2, 4, 8, 16, 32],
}
COUNTED = 20_000  # spaces with at most so many rows of genes are counted exactly


@dataclass(frozen=True, kw_only=True)
class ComposedSpace(GeneSpace):
    """Base of families: subclasses say which genes there are (`layout`) and draw the network (`draw`).

    The choices that all families share are fields: bit widths and sparsity per layer, one activation, one learning rate
    and one normalisation (`evonas.space.base.Norm`) per network. Subclasses are frozen dataclasses with a `family` name
    and fields of their own; those that `sizes` names are checked to be widths or numbers of channels, those in `depths`
    to be (lowest, highest) within the limits that stand there.

    `implementations` are "distributed_arithmetic" (adders, no DSP slice) and reuse factors R: DSP slices that take R
    weights in turn; each layer has a gene for it where there are several. A layer that is applied at many positions
    has one set of multipliers, to which the positions come one after the other, so that it takes an input every
    positions * R clock cycles; sets of multipliers that work side by side are not offered. All other operations, and
    the activations behind a layer, are unrolled.
    """

    sizes: ClassVar[tuple[str, ...]] = ()
    depths: ClassVar[Mapping[str, tuple[int, int]]] = {}

    weight_bits: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8)
    activation_bits: tuple[int, ...] = (3, 4, 5, 6, 7, 8)
    input_bits: tuple[int, ...] = (4, 5, 6, 7, 8)
    sparsity: tuple[float, ...] = (0.0, 0.2, 0.35, 0.5, 0.6, 0.7, 0.8)
    activations: tuple[str, ...] = choices.USUAL_ACTIVATIONS
    learning_rate: tuple[float, ...] = (0.003, 0.005, 0.008, 0.012, 0.02, 0.03)
    implementations: tuple[Implementation, ...] = (DISTRIBUTED,)
    norms: tuple[Norm, ...] = ("none",)

    def __post_init__(self) -> None:
        rates = "must be learning rates above 0 and below 1, each once"
        fields: dict[str, tuple[Choice, ...]] = {
            "weight_bits": choices.integers("space.weight_bits", self.weight_bits, 2, 16),
            "activation_bits": choices.integers("space.activation_bits", self.activation_bits, 1, 16),
            "input_bits": choices.integers("space.input_bits", self.input_bits, 1, 16),
            "sparsity": choices.floats("space.sparsity", self.sparsity, 0.0, 1.0, "must be fractions in [0, 1)"),
            "learning_rate": choices.floats("space.learning_rate", self.learning_rate, 1e-12, 1.0, rates),
            "activations": choices.names("space.activations", self.activations, choices.ACTIVATIONS),
            "implementations": check_implementations("space.implementations", self.implementations),
            "norms": choices.names("space.norms", self.norms, NORMS),
        }
        for name in self.sizes:
            fields[name] = choices.integers(f"space.{name}", getattr(self, name), 1, LARGEST_WIDTH)
        for name, limits in self.depths.items():
            fields[name] = choices.bounds(f"space.{name}", getattr(self, name), *limits)
        for name, value in fields.items():
            object.__setattr__(self, name, value)
        if self.sparsity[0] != 0.0:
            raise ConfigurationError("space.sparsity", self.sparsity, "must offer 0.0, for layers too small to prune")
        if self.implementations[0] not in (DISTRIBUTED, 1):
            mend = f"must offer 1 or {DISTRIBUTED}, for layers of which no other reuse factor is legal"
            raise ConfigurationError("space.implementations", self.implementations, mend)

    @property
    @abstractmethod
    def family(self) -> str:
        """The name of the family in a configuration."""

    @abstractmethod
    def layout(self) -> Iterable[Gene]:
        """The genes of the family, beside input bits, activation and learning rate."""

    @abstractmethod
    def draw(self, values: Mapping[str, Choice], draft: Draft) -> int:
        """Draw the network from its genes' values; the words that leave it."""

    @property
    @abstractmethod
    def input_shape(self) -> tuple[int, int]:
        """Positions and channels of the network's input."""

    def stack(self, name: str, depth: tuple[int, int], widths: tuple[int, ...]) -> tuple[Gene, ...]:
        """Genes of a stack of dense layers: its depth, and of each layer width, bits and sparsity."""
        low, high = depth
        genes = [Gene(f"{name}.depth", tuple(range(low, high + 1)))]
        for number in range(high):
            deeper = tuple(range(max(number + 1, low), high + 1))
            condition = Condition(f"{name}.depth", deeper) if number >= low else None
            genes += self.layer(f"{name}{number}", condition, width=widths)
        return tuple(genes)

    def layer(
        self, block: str, condition: Condition | None = None, *, last: bool = False, **more: tuple[Choice, ...]
    ) -> tuple[Gene, ...]:
        """Genes of one layer: `more` by name, then weight bits, activation bits (not of the last one), sparsity."""
        named = dict(more) | {"weight_bits": self.weight_bits}
        if not last:
            named["activation_bits"] = self.activation_bits
        named["sparsity"] = self.sparsity
        if len(self.implementations) > 1:
            named["implementation"] = self.implementations
        ordered = {name: not isinstance(values[-1], str) for name, values in named.items()}
        return tuple(Gene(f"{block}.{n}", v, ordered[n], condition, block) for n, v in named.items())

    def input_genes(self) -> Iterable[Gene]:
        """Genes of what the network reads of its input; here it reads all."""
        return ()

    def read_input(self, values: Mapping[str, Choice], draft: Draft) -> None:
        """Make `draft.input` the words that these values read."""

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        """Three or four genes for the network, then those of its input and of the family."""
        common = [
            Gene("input_bits", self.input_bits),
            Gene("activation", self.activations, ordered=False),
            Gene("learning_rate", self.learning_rate),
        ]
        if len(self.norms) > 1:
            common.append(Gene("norm", self.norms, ordered=False))
        return (*common, *self.input_genes(), *self.layout())

    def to_dict(self) -> dict[str, Any]:
        """The definition as plain data, fit for JSON."""
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        for name, default in ADDED.items():  # a space that does without is the same as before
            if plain.get(name) == default:
                del plain[name]
        return {"family": self.family, "version": 1, **plain}

    @cached_property
    def size(self) -> int:
        """Number of phenotypes: exact for small spaces, else a bound from above that no search can exhaust."""

        def ways(name: str, value: Choice) -> int:
            """Combinations of the genes that depend on gene `name` when it has this value."""
            total = 1
            for gene in self.genes:
                if gene.condition and gene.condition.gene == name and value in gene.condition.values:
                    total *= sum(ways(gene.name, choice) for choice in gene.choices)
            return total

        bound = 1
        for gene in self.genes:
            if gene.condition is None:
                bound *= sum(ways(gene.name, choice) for choice in gene.choices)
        return sum(1 for _ in self.enumerate()) if bound <= COUNTED else bound

    def _drawn(self, row: NDArray[np.int64]) -> tuple[ModelSpec, dict[str, Choice], dict[str, Choice]]:
        values = {gene.name: gene.choices[index] for gene, index in zip(self.genes, row.tolist(), strict=True)}
        try:
            draft = self._draft(values)
            spec = draft.spec(self.draw(values, draft), int(values["input_bits"]))
            if all(layer.activation == "linear" for layer in spec.weighted):  # without hidden layers nothing has them
                idle: dict[str, Choice] = {"activation": self.activations[0], "norm": self.norms[0]}
                draft.settled |= {name: choice for name, choice in idle.items() if name in values}
        except SpecError as error:
            mend = f"draws an impossible network, {error}; offer other choices"
            raise ConfigurationError("space", self.family, mend) from error
        return spec, values, draft.settled

    def _draft(self, values: Mapping[str, Choice], *, complete: bool = False) -> Draft:
        """The drawing of a network, begun or `complete`."""
        draft = Draft(self.input_shape, values, self.sparsity, self.implementations)
        self.read_input(values, draft)
        if complete:
            self.draw(values, draft)
        return draft

    def check_corners(self) -> None:
        """Draw networks with the first and the last choices of all genes of a kind, such as all widths.

        What makes a network too large grows or falls with each kind. Raises `ConfigurationError` for such a space.
        """
        kinds = [gene.name.rpartition(".")[2] for gene in self.genes]
        shaping = [k for k in dict.fromkeys(kinds) if k not in COMMON and k != "sparsity" and not k.endswith("bits")]
        ends = np.array([len(gene.choices) - 1 for gene in self.genes])
        for corner in itertools.islice(itertools.product((1, 0), repeat=len(shaping)), CORNERS):
            high = dict(zip(shaping, corner, strict=True))
            self.decode(ends * [high.get(kind, 0) for kind in kinds])

    def _constrain(self, genomes: NDArray[np.int64]) -> NDArray[np.int64]:
        """What drawing a network settles: a layer keeps as many weights as outputs, a kernel fits its image."""
        result = genomes.copy()
        columns = {gene.name: (column, gene.choices) for column, gene in enumerate(self.genes)}
        for row in result:
            for name, value in self._drawn(row)[2].items():
                column, offered = columns[name]
                row[column] = offered.index(value)
        return result

    def _spread(self, genomes: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Give each network of a sample a pace, see `evonas.space.implementations.paced`."""
        columns = [column for column, gene in enumerate(self.genes) if gene.name.endswith(".implementation")]
        if columns:
            genomes[:, columns] = paced(genomes[:, columns], self.implementations, rng)
        return genomes

    def decode(self, genome: NDArray[Any] | tuple[int, ...]) -> Phenotype:
        """The network of one genome (n_genes,); repaired first, so that any integers decode."""
        spec, values, _ = self._drawn(self.repair(np.asarray(genome)[None, :])[0])
        norm: Norm = values.get("norm", self.norms[0])  # type: ignore[assignment]
        return Phenotype(spec, float(values["learning_rate"]), norm)

    def encode(self, phenotype: Phenotype) -> tuple[int, ...]:
        """The canonical genome of a phenotype of this space; `ConfigurationError` names what lies outside.

        Genes of the whole network are found by what they draw, those of a layer are read from it.
        """
        spec = phenotype.spec
        values: dict[str, Choice] = {gene.name: gene.choices[0] for gene in self.genes}
        activation = spec.weighted[0].activation
        values |= {"input_bits": spec.input_bits}
        values["activation"] = self.activations[0] if activation == "linear" else activation
        values |= {"learning_rate": phenotype.learning_rate, "norm": phenotype.norm}
        for free in self._drawings.get(skeleton(spec.layers), ()):
            values |= free
            found = self._draft(values, complete=True).read(spec)
            assert found is not None
            genome = [self._index(gene, (values | found)[gene.name]) for gene in self.genes]
            if None not in genome:
                row = tuple(self.repair(np.array([genome]))[0].tolist())
                if self.decode(row) == phenotype:
                    return row
        raise ConfigurationError("spec", spec.topology, f"is not a network of this {self.family} space")

    @cached_property
    def _drawings(self) -> dict[Skeleton, list[dict[str, Choice]]]:
        """Values of the genes of the whole network, in all combinations, by what they draw."""
        free = [gene for gene in self.genes if gene.block is None and gene.name not in COMMON]
        first = {gene.name: gene.choices[0] for gene in self.genes}
        found: dict[Skeleton, list[dict[str, Choice]]] = {}
        for combination in itertools.product(*(gene.choices for gene in free)):
            values = {gene.name: choice for gene, choice in zip(free, combination, strict=True)}
            found.setdefault(self._draft(first | values, complete=True).skeleton, []).append(values)
        return found

    @staticmethod
    def _index(gene: Gene, value: Choice) -> int | None:
        return gene.choices.index(value) if value in gene.choices else None
