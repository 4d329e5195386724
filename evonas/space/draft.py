"""Draw a network part by part: what a family of networks is written with.

Each call adds a part and gives the words that leave it::

    draft = Draft((8, 3), values)                      # 8 constituents of 3 features
    words = draft.layers("phi", draft.input)           # genes phi.depth, phi0.width, ...
    words = draft.join("mean", words)
    words = draft.output("output", words, 5)
    spec = draft.spec(words, input_bits=8)
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, final

from evonas.errors import ConfigurationError
from evonas.space.implementations import (
    DISTRIBUTED,
    Implementation,
    implementation_of,
    nearest_legal_index,
    strategy_and_reuse_factor,
)
from surrogates import LayerSpec, ModelSpec, OperationSpec, Window

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evonas.space.genes import Choice
    from surrogates.layers import Activation, Kind, Part, Shape

SAME = ("weight_bits", "activation_bits", "sparsity", "activation")
READ = {"width": "n_out", "channels": "n_out", **dict(zip(SAME, SAME, strict=True))}  # genes and fields of a layer
Skeleton = tuple[str | None, ...]
Words = int  # which part's words: its index, -1 for the input


@final
class Draft:
    """A network in the making from the `values` of its genes.

    A layer keeps at least as many weights as it has outputs: where the wanted sparsity leaves fewer, it is lowered to
    the nearest that is among `sparsities`. A reuse factor that is not legal for the shape of its layer becomes the
    nearest of `implementations` that is; a layer without a gene for it has the first of them. `settled` has what became
    of genes that the drawing does not take as they are, by name. `input` are the words that the network reads.
    """

    def __init__(
        self,
        input_shape: Shape,
        values: Mapping[str, Choice],
        sparsities: tuple[float, ...] = (0.0,),
        implementations: tuple[Implementation, ...] = (DISTRIBUTED,),
    ) -> None:
        self.input: Words = -1
        self._values, self._sparsities, self._implementations = values, sparsities, implementations
        self._parts: list[Part] = []
        self._edges: list[tuple[int, int]] = []
        self._shapes: list[Shape] = [input_shape]
        self._blocks: dict[int, str] = {}  # of each layer
        self.settled: dict[str, Choice] = {}

    def shape(self, words: Words) -> Shape:
        """Positions and channels of these words."""
        return self._shapes[words + 1]

    def layers(self, stack: str, words: Words) -> Words:
        """The dense layers of a stack, as many as its gene `depth` says, each with the genes of its own block."""
        for number in range(int(self._values.get(f"{stack}.depth", 1))):
            words = self.dense(f"{stack}{number}", words)
        return words

    def dense(self, block: str, words: Words, width: int | None = None, activation: Activation | None = None) -> Words:
        """A dense layer at every position; `width` and `activation` in place of the genes of that name."""
        positions, channels = self.shape(words)
        n_out = int(self._value(f"{block}.width")) if width is None else width
        return self._weighted(block, words, channels, n_out, positions, None, activation)

    def attention(self, block: str, words: Words, heads: int = 1) -> Words:
        """What each position gathers from all by self-attention, softmax(q k^T) v: (positions, heads * width).

        Vaswani et al., arXiv:1706.03762. Queries, keys and values of all heads are layers without an activation that
        share the genes of `block`; `width` is that of one head. Scores keep every bit; weights and what they gather
        have the `activation_bits` of the block. The usual scale of the scores is for the queries' weights to learn.
        """
        bits, gathered = int(self._value(f"{block}.activation_bits")), []
        for _ in range(heads):
            query, key, value = (self.dense(block, words, activation="identity") for _ in range(3))
            scores = self.join("matmul", query, self.join("transpose", key))
            gathered.append(self.join("matmul", self.join("softmax", scores, bits=bits), value, bits=bits))
        return reduce(lambda one, other: self.join("concatenate", one, other), gathered)

    def non_local(self, block: str, words: Words, heads: int = 1, *, skip: bool = True) -> Words:
        """What each position gathers from all, back in as many channels and, with `skip`, added to the words.

        Non-local block of Wang et al., arXiv:1711.07971: the layers `block`qkv and `block`back; the sum has the bits of
        the second.
        """
        channels = self.shape(words)[1]
        back = self.dense(f"{block}back", self.attention(f"{block}qkv", words, heads), channels)
        bits = int(self._value(f"{block}back.activation_bits"))
        return self.join("add", back, words, bits=bits) if skip else back

    def conv(
        self, block: str, words: Words, image: tuple[int, int], kernel: int, padding: int = 0
    ) -> tuple[Words, tuple[int, int]]:
        """A convolution over words that are an image, row by row, with the block's gene `channels`; the image after."""
        window = Window(*image, kernel, 1, padding)
        positions, channels = self.shape(words)
        n_out = int(self._value(f"{block}.channels"))
        return self._weighted(block, words, channels, n_out, positions, window), window.image

    def output(self, block: str, words: Words, n_out: int) -> Words:
        """The last layer, which is linear."""
        positions, channels = self.shape(words)
        return self._weighted(block, words, channels, n_out, positions, None, last=True)

    def _weighted(
        self,
        block: str,
        words: Words,
        n_in: int,
        n_out: int,
        positions: int,
        window: Window | None,
        activation: Activation | None = None,
        *,
        last: bool = False,
    ) -> Words:
        values, value = self._values, self._value
        drawn = activation or values.get(f"{block}.activation", values.get("activation", "relu"))
        fan_in = n_in * (1 if window is None else window.taps)
        implementation = self._implementation(f"{block}.implementation", fan_in, n_out)
        layer = LayerSpec(
            n_in,
            n_out,
            int(value(f"{block}.weight_bits")),
            0 if last else int(value(f"{block}.activation_bits")),
            "linear" if last else drawn,  # type: ignore[arg-type]
            self._sparsity(f"{block}.sparsity", fan_in * n_out, n_out),
            *strategy_and_reuse_factor(implementation),
            "dense" if window is None else "conv",
            positions,
            window,
        )
        self._blocks[len(self._parts)] = block
        return self._add(layer, layer.shape, words)

    def _value(self, gene: str) -> Choice:
        if gene not in self._values:
            raise ConfigurationError("gene", gene, "is drawn, but is not among the genes of the layout")
        return self._values[gene]

    def _sparsity(self, gene: str, weights: int, n_out: int) -> float:
        wanted = float(self._values.get(gene, 0.0))
        fitting = [s for s in self._sparsities if s <= wanted and weights - round(s * weights) >= n_out]
        found = max(fitting, default=0.0)
        if found != wanted:
            self.settled[gene] = found
        return found

    def _implementation(self, gene: str, fan_in: int, n_out: int) -> Implementation:
        offered = self._implementations
        wanted: Implementation = self._values.get(gene, offered[0])  # type: ignore[assignment]
        if wanted not in offered:
            return wanted
        found = offered[nearest_legal_index(offered, fan_in, n_out)[offered.index(wanted)]]
        if found != wanted:
            self.settled[gene] = found
        return found

    def select(self, words: Words, start: int, length: int) -> Words:
        """The positions `start` to `start + length - 1`; no part is added where they are all."""
        if (start, length) == (0, self.shape(words)[0]):
            return words
        operation = OperationSpec("select", start=start, length=length)
        return self._add(operation, operation.shape(self.shape(words)), words)

    def first_channels(self, words: Words, channels: int) -> Words:
        """The first channels of each position; no part is added where they are all."""
        if channels == self.shape(words)[1]:
            return words
        return self.join("transpose", self.select(self.join("transpose", words), 0, channels))

    def join(self, kind: Kind, *words: Words, groups: int = 1, bits: int = 0) -> Words:
        """An operation without weights; see `surrogates.OperationSpec`."""
        operation = OperationSpec(kind, groups, bits)
        return self._add(operation, operation.shape(*map(self.shape, words)), *words)

    def _add(self, part: Part, shape: Shape, *words: Words) -> Words:
        self._edges += [(source, len(self._parts)) for source in words]
        self._parts.append(part)
        self._shapes.append(shape)
        return len(self._parts) - 1

    def spec(self, words: Words, input_bits: int) -> ModelSpec:
        """The network whose outputs are `words`, which must be the last."""
        if words != len(self._parts) - 1:
            raise ConfigurationError("words", words, f"the output must be drawn last, and is {len(self._parts) - 1}")
        return ModelSpec(input_bits, tuple(self._parts), tuple(self._edges), self._shapes[0])

    @property
    def skeleton(self) -> Skeleton:
        """What the drawing is without the genes of its layers."""
        return skeleton(self._parts)

    def read(self, spec: ModelSpec) -> dict[str, Choice] | None:
        """Values of the layers' genes that make this drawing `spec`; None if its parts are others."""
        if skeleton(spec.layers) != self.skeleton:
            return None
        values: dict[str, Choice] = {}
        for index, block in self._blocks.items():
            layer = spec.layers[index]
            assert isinstance(layer, LayerSpec)
            values |= {f"{block}.{name}": getattr(layer, field) for name, field in READ.items()}
            values[f"{block}.implementation"] = implementation_of(layer)
            if layer.window is not None:
                values[f"{block}.kernel"] = layer.window.kernel
        return values


def skeleton(parts: Sequence[Part]) -> Skeleton:
    """What operations the parts are, None in place of each layer: the bits of both may follow from layers' genes."""
    return tuple(part.label if isinstance(part, OperationSpec) else None for part in parts)
