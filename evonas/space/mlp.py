"""Dense networks: depth, widths, bit widths, sparsity, activation and learning rate."""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

import numpy as np

from evonas.errors import ConfigurationError
from evonas.space.base import GeneSpace, Phenotype
from evonas.space.genes import Condition, Gene
from surrogates import LayerSpec, ModelSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

HIDDEN_ACTIVATIONS = ("relu", "leaky_relu", "hard_tanh")
_COLUMNS = {"width": 0, "weight_bits": 1, "activation_bits": 2, "sparsity": 3}  # of one hidden layer
_GLOBALS = 4  # depth, input_bits, activation, learning_rate


def _integers(field: str, values: Sequence[Any], low: int, high: int) -> tuple[int, ...]:
    """Sorted integer choices between `low` and `high`."""
    mend = f"must be integers between {low} and {high}, each once"
    listed = _listed(field, values, mend)
    for value in listed:
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
            raise ConfigurationError(field, value, mend)
    return _unique(field, sorted(int(value) for value in listed))


def _floats(field: str, values: Sequence[Any], low: float, high: float, mend: str) -> tuple[float, ...]:
    """Sorted real choices in [low, high)."""
    listed = _listed(field, values, mend)
    for value in listed:
        number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or not low <= value < high:
            raise ConfigurationError(field, value, mend)
    return _unique(field, sorted(float(value) for value in listed))


def _listed(field: str, values: Any, mend: str) -> tuple[Any, ...]:
    """The values as a tuple; a single value or a text in place of a list is an error, not a list of its parts."""
    if isinstance(values, str | bytes | dict) or not hasattr(values, "__iter__"):
        raise ConfigurationError(field, values, f"must be a list; its entries {mend}")
    listed = tuple(values)
    if not listed:
        raise ConfigurationError(field, listed, f"needs at least one choice; choices {mend}")
    return listed


def _unique(field: str, values: list[Any]) -> tuple[Any, ...]:
    for first, second in itertools.pairwise(values):
        if first == second:
            raise ConfigurationError(field, first, "appears more than once; name each choice once")
    return tuple(values)


@final
@dataclass(frozen=True)
class MlpSpace(GeneSpace):
    """Multi-layer perceptrons with mixed precision.

    `depth` is the (lowest, highest) number of hidden layers; every other field lists choices, which are sorted.
    Weight bits and sparsity are chosen per layer, the output layer included; activation bits per hidden layer. The
    activation function is one gene for the whole network: per layer it would multiply the space by 3 to the power of
    the depth, while the bits and widths of a layer already say how much non-linearity it can carry.

    Repair keeps layers alive: a layer has at least as many weights as outputs, else its sparsity is lowered to the
    nearest choice that leaves so many.
    """

    n_inputs: int
    n_outputs: int
    depth: tuple[int, int] = (1, 6)
    widths: tuple[int, ...] = (4, 8, 12, 16, 24, 32, 48, 64)
    weight_bits: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8)
    activation_bits: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8)
    input_bits: tuple[int, ...] = (4, 5, 6, 7, 8)
    sparsity: tuple[float, ...] = (0.0, 0.2, 0.35, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)
    activations: tuple[str, ...] = HIDDEN_ACTIVATIONS
    learning_rate: tuple[float, ...] = (0.001, 0.0015, 0.002, 0.003, 0.005, 0.007, 0.01, 0.015, 0.02)

    def __post_init__(self) -> None:
        (n_inputs,) = _integers("space.n_inputs", (self.n_inputs,), 1, 4096)
        (n_outputs,) = _integers("space.n_outputs", (self.n_outputs,), 1, 4096)
        bounds = _listed("space.depth", self.depth, "are the lowest and the highest number of hidden layers")
        if len(bounds) != 2:
            raise ConfigurationError("space.depth", bounds, "must be (lowest, highest) number of hidden layers")
        low, high = (_integers("space.depth", (value,), 1, 32)[0] for value in bounds)
        if low > high:
            raise ConfigurationError("space.depth", self.depth, "must name the lowest number first")
        small_rate = "must be learning rates above 0 and below 1, each once"
        fields = {
            "n_inputs": n_inputs,
            "n_outputs": n_outputs,
            "depth": (low, high),
            "widths": _integers("space.widths", self.widths, 1, 4096),
            "weight_bits": _integers("space.weight_bits", self.weight_bits, 2, 16),  # codes are symmetric: 1 bit is 0
            "activation_bits": _integers("space.activation_bits", self.activation_bits, 1, 16),
            "input_bits": _integers("space.input_bits", self.input_bits, 1, 16),
            "sparsity": _floats("space.sparsity", self.sparsity, 0.0, 1.0, "must be fractions in [0, 1), each once"),
            "learning_rate": _floats("space.learning_rate", self.learning_rate, 1e-12, 1.0, small_rate),
            "activations": self._checked_activations(),
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)
        if self._densest.min() < 0:
            mend = "leaves some layer with fewer weights than outputs; add a lower sparsity such as 0.0"
            raise ConfigurationError("space.sparsity", self.sparsity, mend)

    def _checked_activations(self) -> tuple[str, ...]:
        mend = f"must be among {', '.join(HIDDEN_ACTIVATIONS)}, each once"
        listed = _listed("space.activations", self.activations, mend)
        for name in listed:
            if name not in HIDDEN_ACTIVATIONS:
                raise ConfigurationError("space.activations", name, mend)
        # In a fixed order, because the digest of the space must not depend on how a file lists a set.
        return _unique("space.activations", sorted(listed, key=HIDDEN_ACTIVATIONS.index))

    def to_dict(self) -> dict[str, Any]:
        """The definition as plain data, fit for JSON."""
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return {"family": "mlp", "version": 1, **plain}

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        """Four genes for the network, four per hidden layer, two for the output layer."""
        low, high = self.depth
        genes = [
            Gene("depth", tuple(range(low, high + 1))),
            Gene("input_bits", self.input_bits),
            Gene("activation", self.activations, ordered=False),
            Gene("learning_rate", self.learning_rate),
        ]
        choices = (self.widths, self.weight_bits, self.activation_bits, self.sparsity)
        for layer in range(high):
            condition = Condition("depth", tuple(range(max(layer + 1, low), high + 1))) if layer >= low else None
            for name, values in zip(_COLUMNS, choices, strict=True):
                genes.append(Gene(f"layer{layer}.{name}", values, True, condition, f"layer{layer}"))
        genes.append(Gene("output.weight_bits", self.weight_bits, block="output"))
        genes.append(Gene("output.sparsity", self.sparsity, block="output"))
        return tuple(genes)

    @cached_property
    def size(self) -> int:
        """Number of different phenotypes, counted by following the widths from layer to layer."""
        allowed = [[int(top) + 1 for top in row] for row in self._densest]  # exact big integers, not int64
        choices, bits = len(self.widths), len(self.weight_bits) * len(self.activation_bits)
        paths = [bits * allowed[choices][w] for w in range(choices)]
        total = 0
        for depth in range(1, self.depth[1] + 1):
            if depth >= self.depth[0]:
                total += sum(paths[w] * allowed[w][choices] for w in range(choices)) * len(self.weight_bits)
            paths = [bits * sum(paths[v] * allowed[v][w] for v in range(choices)) for w in range(choices)]
        return total * len(self.input_bits) * len(self.activations) * len(self.learning_rate)

    @cached_property
    def _densest(self) -> NDArray[np.int64]:
        """Highest allowed sparsity index [n_in, n_out] by width index; the last row is the input, column the output."""
        n_in, n_out = (*self.widths, self.n_inputs), (*self.widths, self.n_outputs)
        result = np.full((len(n_in), len(n_out)), -1, dtype=np.int64)
        for i, fan_in in enumerate(n_in):
            for o, fan_out in enumerate(n_out):
                for index, sparsity in enumerate(self.sparsity):
                    layer = LayerSpec(fan_in, fan_out, 8, 8, sparsity=sparsity)
                    if layer.n_nonzero >= fan_out:
                        result[i, o] = index
        return result

    def _column(self, layer: int, name: str) -> int:
        return _GLOBALS + len(_COLUMNS) * layer + _COLUMNS[name]

    def _constrain(self, genomes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Lower the sparsity of layers that would keep fewer weights than they have outputs."""
        result = genomes.copy()
        low, high = self.depth
        depth = result[:, 0] + low
        before = np.full(len(result), len(self.widths), dtype=np.int64)  # row of the input in `_densest`
        for layer in range(high):
            width, sparsity = result[:, self._column(layer, "width")], self._column(layer, "sparsity")
            present = depth > layer
            result[:, sparsity] = np.where(present, np.minimum(result[:, sparsity], self._densest[before, width]), 0)
            before = np.where(present, width, before)
        result[:, -1] = np.minimum(result[:, -1], self._densest[before, -1])
        return result

    def _spread(self, genomes: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Give half of a stratified sample one scale for all its layers.

        Independent widths make nearly all deep networks equally large; with a common scale the sample also holds
        networks that are narrow, or wide, throughout. The other half keeps every combination possible.
        """
        n, choices = len(genomes), len(self.widths)
        columns = [self._column(layer, "width") for layer in range(self.depth[1])]
        scale = (rng.permutation(n) + rng.random(n)) / max(n, 1)
        jitter = rng.normal(0.0, 0.12, size=(n, len(columns)))
        scaled = np.clip(((scale[:, None] + jitter) * choices).astype(np.int64), 0, choices - 1)
        result = genomes.copy()
        result[:, columns] = np.where(rng.random((n, 1)) < 0.5, scaled, genomes[:, columns])
        return result

    def decode(self, genome: NDArray[Any] | tuple[int, ...]) -> Phenotype:
        """The network of one genome (n_genes,); repaired first, so that any integers decode."""
        row = [int(index) for index in self.repair(np.asarray(genome)[None, :])[0]]
        values = [gene.choices[index] for gene, index in zip(self.genes, row, strict=True)]
        depth, input_bits, activation, learning_rate = values[:_GLOBALS]
        layers, n_in = [], self.n_inputs
        for layer in range(int(depth)):
            start = self._column(layer, "width")
            width, weight_bits, activation_bits, sparsity = values[start : start + len(_COLUMNS)]
            layers.append(
                LayerSpec(n_in, width, weight_bits, activation_bits, activation, sparsity)  # type: ignore[arg-type]
            )
            n_in = int(width)
        weight_bits, sparsity = values[-2:]
        layers.append(LayerSpec(n_in, self.n_outputs, weight_bits, 0, "linear", sparsity))  # type: ignore[arg-type]
        return Phenotype(ModelSpec(int(input_bits), tuple(layers)), float(learning_rate))

    def encode(self, phenotype: Phenotype) -> tuple[int, ...]:
        """The canonical genome of a phenotype of this space; `ConfigurationError` names what lies outside."""
        spec = phenotype.spec
        hidden, output = spec.layers[:-1], spec.layers[-1]
        if (spec.n_inputs, spec.n_outputs) != (self.n_inputs, self.n_outputs):
            mend = f"must have {self.n_inputs} inputs and {self.n_outputs} outputs"
            raise ConfigurationError("spec", spec.topology, mend)
        genome = [0] * self.n_genes
        genome[0] = self.index_of("depth", len(hidden))
        genome[1] = self.index_of("input_bits", spec.input_bits)
        genome[2] = self.index_of("activation", hidden[0].activation)
        genome[3] = self.index_of("learning_rate", phenotype.learning_rate)
        for number, layer in enumerate(hidden):
            parts = (layer.n_out, layer.weight_bits, layer.activation_bits, layer.sparsity)
            for name, value in zip(_COLUMNS, parts, strict=True):
                genome[self._column(number, name)] = self.index_of(f"layer{number}.{name}", value)
        genome[-2] = self.index_of("output.weight_bits", output.weight_bits)
        genome[-1] = self.index_of("output.sparsity", output.sparsity)
        if self.decode(tuple(genome)) != phenotype:
            mend = "mixes activations, a strategy or a reuse factor that this space does not have, or has a dead layer"
            raise ConfigurationError("spec", spec.topology, mend)
        return tuple(genome)
