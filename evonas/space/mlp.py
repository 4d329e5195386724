"""Dense networks: depth, widths, bit widths, sparsity, activation, learning rate and how each layer is computed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

import numpy as np

from evonas.errors import ConfigurationError
from evonas.space import choices
from evonas.space.base import NORMS, GeneSpace, Norm, Phenotype
from evonas.space.genes import Choice, Condition, Gene
from evonas.space.implementations import (
    DISTRIBUTED,
    Implementation,
    check_implementations,
    implementation_of,
    nearest_legal_index,
    paced,
    strategy_and_reuse_factor,
)
from surrogates import LayerSpec, ModelSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


@final
@dataclass(frozen=True)
class MlpSpace(GeneSpace):
    """Multi-layer perceptrons with mixed precision.

    `depth` is the (lowest, highest) number of hidden layers; every other field lists choices, which are sorted.
    Weight bits, sparsity and implementation are chosen per layer, the output layer included; activation bits per
    hidden layer. The activation function is one gene for the whole network: per layer it would multiply the space by
    3 to the power of the depth, while the bits and widths of a layer already say how much non-linearity it can carry.

    An implementation is "distributed_arithmetic" (adders, unrolled, no DSP slice) or a reuse factor R: DSP slices,
    each of which serves R weights in turn, so that the layer takes an input every R clock cycles. A network takes one
    every R cycles of its slowest layer. Sparsity saves next to nothing in a layer with R > 1, where a zero takes its
    turn like any other weight, but both may be chosen. Where distributed arithmetic is the only implementation, layers
    have no gene for it. The normalisation (`evonas.space.base.Norm`) is one gene too, where there are several.

    Repair keeps layers alive: a layer has at least as many weights as outputs, else its sparsity is lowered to the
    nearest choice that leaves so many. A reuse factor that is not legal for the shape of its layer becomes the nearest
    choice that is, the smaller of two; without one, distributed arithmetic.
    """

    n_inputs: int
    n_outputs: int
    depth: tuple[int, int] = (1, 6)
    widths: tuple[int, ...] = (4, 8, 12, 16, 24, 32, 48, 64)
    weight_bits: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8)
    activation_bits: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8)
    input_bits: tuple[int, ...] = (4, 5, 6, 7, 8)
    sparsity: tuple[float, ...] = (0.0, 0.2, 0.35, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)
    activations: tuple[str, ...] = choices.USUAL_ACTIVATIONS
    learning_rate: tuple[float, ...] = (0.001, 0.0015, 0.002, 0.003, 0.005, 0.007, 0.01, 0.015, 0.02)
    implementations: tuple[Implementation, ...] = (DISTRIBUTED,)
    norms: tuple[Norm, ...] = ("none",)

    def __post_init__(self) -> None:
        integers, floats = choices.integers, choices.floats
        (n_inputs,) = integers("space.n_inputs", (self.n_inputs,), 1, 4096)
        (n_outputs,) = integers("space.n_outputs", (self.n_outputs,), 1, 4096)
        bounds = choices.listed("space.depth", self.depth, "are the lowest and the highest number of hidden layers")
        if len(bounds) != 2:
            raise ConfigurationError("space.depth", bounds, "must be (lowest, highest) number of hidden layers")
        low, high = (integers("space.depth", (value,), 1, 32)[0] for value in bounds)
        if low > high:
            raise ConfigurationError("space.depth", self.depth, "must name the lowest number first")
        small_rate = "must be learning rates above 0 and below 1, each once"
        fields = {
            "n_inputs": n_inputs,
            "n_outputs": n_outputs,
            "depth": (low, high),
            "widths": integers("space.widths", self.widths, 1, 4096),
            "weight_bits": integers("space.weight_bits", self.weight_bits, 2, 16),  # codes are symmetric: 1 bit is 0
            "activation_bits": integers("space.activation_bits", self.activation_bits, 1, 16),
            "input_bits": integers("space.input_bits", self.input_bits, 1, 16),
            "sparsity": floats("space.sparsity", self.sparsity, 0.0, 1.0, "must be fractions in [0, 1), each once"),
            "learning_rate": floats("space.learning_rate", self.learning_rate, 1e-12, 1.0, small_rate),
            "activations": choices.names("space.activations", self.activations, choices.ACTIVATIONS),
            "implementations": check_implementations("space.implementations", self.implementations),
            "norms": choices.names("space.norms", self.norms, NORMS),
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)
        if self._densest.min() < 0:
            mend = "leaves some layer with fewer weights than outputs; add a lower sparsity such as 0.0"
            raise ConfigurationError("space.sparsity", self.sparsity, mend)
        if self._nearest.min() < 0:
            mend = f"has none that is legal for every shape of a layer; add 1 or {DISTRIBUTED}"
            raise ConfigurationError("space.implementations", self.implementations, mend)

    def to_dict(self) -> dict[str, Any]:
        """The definition as plain data, fit for JSON."""
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        if self.norms == ("none",):  # a space that does without is the same as before
            del plain["norms"]
        if self.implementations == (DISTRIBUTED,):  # version 1 had no other: such a space is still the same
            del plain["implementations"]
            return {"family": "mlp", "version": 1, **plain}
        return {"family": "mlp", "version": 2, **plain}

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        """Four or five genes for the network, four or five per hidden layer, two or three for the output layer."""
        low, high = self.depth
        genes = [
            Gene("depth", tuple(range(low, high + 1))),
            Gene("input_bits", self.input_bits),
            Gene("activation", self.activations, ordered=False),
            Gene("learning_rate", self.learning_rate),
        ]
        if len(self.norms) > 1:
            genes.append(Gene("norm", self.norms, ordered=False))
        for layer in range(high):
            condition = Condition("depth", tuple(range(max(layer + 1, low), high + 1))) if layer >= low else None
            for name, values in self._layer_choices.items():
                genes.append(Gene(f"layer{layer}.{name}", values, True, condition, f"layer{layer}"))
        shared = (item for item in self._layer_choices.items() if item[0] not in ("width", "activation_bits"))
        genes += [Gene(f"output.{name}", values, block="output") for name, values in shared]
        return tuple(genes)

    @cached_property
    def _layer_choices(self) -> dict[str, tuple[Choice, ...]]:
        """Names and choices of the genes of a hidden layer, in order."""
        named: dict[str, tuple[Choice, ...]] = {
            "width": self.widths,
            "weight_bits": self.weight_bits,
            "activation_bits": self.activation_bits,
            "sparsity": self.sparsity,
        }
        return named if len(self.implementations) == 1 else named | {"implementation": self.implementations}

    @cached_property
    def _column(self) -> dict[str, int]:
        """Column of each gene by its name."""
        return {gene.name: column for column, gene in enumerate(self.genes)}

    def _columns(self, name: str, *, output: bool = False) -> list[int]:
        """Columns of the genes `name` of all hidden layers and, last, of the output layer."""
        blocks = [f"layer{layer}" for layer in range(self.depth[1])] + ["output"] * output
        return [self._column[f"{block}.{name}"] for block in blocks]

    @cached_property
    def size(self) -> int:
        """Number of different phenotypes, counted by following the widths from layer to layer."""
        legal = [[len(set(row.tolist())) for row in plane] for plane in self._nearest]
        allowed = [
            [(int(top) + 1) * n for top, n in zip(*rows, strict=True)]  # exact big integers, not int64
            for rows in zip(self._densest, legal, strict=True)
        ]
        n_widths, bits = len(self.widths), len(self.weight_bits) * len(self.activation_bits)
        paths = [bits * allowed[n_widths][w] for w in range(n_widths)]
        total = 0
        for depth in range(1, self.depth[1] + 1):
            if depth >= self.depth[0]:
                total += sum(paths[w] * allowed[w][n_widths] for w in range(n_widths)) * len(self.weight_bits)
            paths = [bits * sum(paths[v] * allowed[v][w] for v in range(n_widths)) for w in range(n_widths)]
        return total * len(self.input_bits) * len(self.activations) * len(self.learning_rate) * len(self.norms)

    def _shapes(self) -> Iterator[tuple[tuple[int, int], int, int]]:
        """Index (n_in, n_out), inputs and outputs of every layer shape, by width; the last row is the network's input,
        the last column its output.
        """
        for i, n_in in enumerate((*self.widths, self.n_inputs)):
            for o, n_out in enumerate((*self.widths, self.n_outputs)):
                yield (i, o), n_in, n_out

    @cached_property
    def _densest(self) -> NDArray[np.int64]:
        """Highest allowed index of a sparsity for each of `_shapes`, -1 where there is none."""
        result = np.full((len(self.widths) + 1, len(self.widths) + 1), -1, dtype=np.int64)
        for shape, n_in, n_out in self._shapes():
            for index, sparsity in enumerate(self.sparsity):
                if LayerSpec(n_in, n_out, 8, 8, sparsity=sparsity).n_nonzero >= n_out:
                    result[shape] = index
        return result

    @cached_property
    def _nearest(self) -> NDArray[np.int64]:
        """Index of the legal implementation that each one becomes, for each of `_shapes`; -1 where there is none."""
        offered = self.implementations
        result = np.full((len(self.widths) + 1, len(self.widths) + 1, len(offered)), -1, dtype=np.int64)
        for shape, n_in, n_out in self._shapes():
            result[shape] = nearest_legal_index(offered, n_in, n_out)
        return result

    def _constrain(self, genomes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Lower the sparsity of layers that would keep fewer weights than outputs; make reuse factors legal."""
        result = genomes.copy()
        present = result[:, 0] + self.depth[0]
        before = np.full(len(result), len(self.widths), dtype=np.int64)  # row of the input in `_densest`
        for layer, column in enumerate(self._columns("width")):
            self._settle(result, f"layer{layer}", present > layer, before, result[:, column])
            before = np.where(present > layer, result[:, column], before)
        everywhere = np.ones(len(result), dtype=np.bool_)
        self._settle(result, "output", everywhere, before, np.full_like(before, len(self.widths)))
        return result

    def _settle(
        self,
        genomes: NDArray[np.int64],
        block: str,
        present: NDArray[np.bool_],
        n_in: NDArray[np.int64],
        n_out: NDArray[np.int64],
    ) -> None:
        """Make what one layer has possible for its shape, where it is present; all arrays have a row per genome."""
        sparsity = genomes[:, self._column[f"{block}.sparsity"]]
        sparsity[:] = np.where(present, np.minimum(sparsity, self._densest[n_in, n_out]), 0)
        if "implementation" in self._layer_choices:
            chosen = genomes[:, self._column[f"{block}.implementation"]]
            chosen[:] = np.where(present, self._nearest[n_in, n_out, chosen], 0)

    def _spread(self, genomes: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Give half of a stratified sample one scale for all its layers, and each network a pace.

        Independent widths make nearly all deep networks equally large; with a common scale the sample also holds
        networks that are narrow, or wide, throughout. The other half keeps every combination possible. What the pace
        is says `evonas.space.implementations.paced`.
        """
        n, n_widths = len(genomes), len(self.widths)
        columns = self._columns("width")
        scale = (rng.permutation(n) + rng.random(n)) / max(n, 1)
        jitter = rng.normal(0.0, 0.12, size=(n, len(columns)))
        scaled = np.clip(((scale[:, None] + jitter) * n_widths).astype(np.int64), 0, n_widths - 1)
        result = genomes.copy()
        result[:, columns] = np.where(rng.random((n, 1)) < 0.5, scaled, genomes[:, columns])
        if "implementation" in self._layer_choices:
            columns = self._columns("implementation", output=True)
            result[:, columns] = paced(genomes[:, columns], self.implementations, rng)
        return result

    def decode(self, genome: NDArray[Any] | tuple[int, ...]) -> Phenotype:
        """The network of one genome (n_genes,); repaired first, so that any integers decode."""
        row = [int(index) for index in self.repair(np.asarray(genome)[None, :])[0]]
        values: dict[str, Any] = {g.name: g.choices[index] for g, index in zip(self.genes, row, strict=True)}
        layers, n_in = [], self.n_inputs
        for block in (*(f"layer{layer}" for layer in range(values["depth"])), "output"):
            hidden = block != "output"
            chosen = values.get(f"{block}.implementation", self.implementations[0])
            layers.append(
                LayerSpec(
                    n_in,
                    values[f"{block}.width"] if hidden else self.n_outputs,
                    values[f"{block}.weight_bits"],
                    values[f"{block}.activation_bits"] if hidden else 0,
                    values["activation"] if hidden else "linear",
                    values[f"{block}.sparsity"],
                    *strategy_and_reuse_factor(chosen),
                )
            )
            n_in = layers[-1].n_out
        spec, norm = ModelSpec(values["input_bits"], tuple(layers)), values.get("norm", self.norms[0])
        return Phenotype(spec, float(values["learning_rate"]), norm)

    def encode(self, phenotype: Phenotype) -> tuple[int, ...]:
        """The canonical genome of a phenotype of this space; `ConfigurationError` names what lies outside."""
        spec = phenotype.spec
        if (spec.n_inputs, spec.n_outputs) != (self.n_inputs, self.n_outputs):
            mend = f"must have {self.n_inputs} inputs and {self.n_outputs} outputs"
            raise ConfigurationError("spec", spec.topology, mend)
        values: dict[str, object] = {
            "depth": len(spec.layers) - 1,
            "input_bits": spec.input_bits,
            "activation": spec.weighted[0].activation,
            "learning_rate": phenotype.learning_rate,
            "norm": phenotype.norm,
        }
        for number, layer in enumerate(spec.weighted):
            block = f"layer{number}" if number < len(spec.layers) - 1 else "output"
            parts = {
                "width": layer.n_out,
                "weight_bits": layer.weight_bits,
                "activation_bits": layer.activation_bits,
                "sparsity": layer.sparsity,
                "implementation": implementation_of(layer),
            }
            values |= {f"{block}.{name}": value for name, value in parts.items()}
        genome = [0] * self.n_genes
        for name, value in values.items():
            if name in self._column:
                genome[self._column[name]] = self.index_of(name, value)
        if self.decode(tuple(genome)) != phenotype:
            mend = "mixes activations, has an implementation or norm that this space lacks, or has a dead layer"
            raise ConfigurationError("spec", spec.topology, mend)
        return tuple(genome)
