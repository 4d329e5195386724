"""How hls4ml's recurrent layers are read: the time steps one after the other, each as nodes of its own.

The arithmetic is that of hls4ml's C++ for Vitis (`nnet_recurrent.h`, `lstm_static` and `gru_static`; without `static`
it computes the same): sums and gates in `accum_t`, the states in the type of the result. That C++ has no simple
recurrent layer; here it is the same without gates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np

from evonas.models.fixed_point import FixedPoint
from evonas.synthesis import graph as g
from evonas.synthesis._hls4ml.activations import symmetric
from evonas.synthesis._hls4ml.layers import implementation
from evonas.synthesis._hls4ml.reader import Layer, rule, unsupported
from evonas.synthesis.evaluate import EXACT_BITS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Words = tuple[g.Node, NDArray[np.int64]]  # some words of a node
    Pair = tuple[Words, Words]  # factors

FUNCTIONS = ("sigmoid", "tanh", "relu")  # all that hls4ml's recurrent layers have


@rule("LSTM")
def _lstm(layer: Layer) -> list[g.Node]:
    """Gates: input, forget, candidate, output."""
    made = Unrolled(layer, gates=4)
    hidden = cell = made.zeros()
    for step in range(made.steps):
        sums = made.added(made.kernel_words(step, 0, 1, 2, 3), made.words(made.recurrent(hidden), 0, 1, 2, 3))
        gates = made.activated("recurrent_activation", made.words(sums, 0, 1, 3), made.sums)
        candidate = made.activated("activation", made.words(sums, 2), made.sums)
        entering, forget, leaving = (made.words(gates, gate) for gate in range(3))
        cell = made.products([(made.words(candidate, 0), entering), (made.words(cell, 0), forget)], made.state)
        bounded = made.activated("activation", made.words(cell, 0), made.sums)
        hidden = made.products([(leaving, made.words(bounded, 0))], made.state)
        made.hidden.append(hidden)
    return made.finished()


@rule("GRU")
def _gru(layer: Layer) -> list[g.Node]:
    """Gates: update, reset, candidate; in torch's order reset comes first. The reset gate acts after the product."""
    if layer.get("apply_reset_gate", "after") != "after":
        unsupported(f"{layer.name}: a reset gate before the product, which hls4ml's C++ leaves out; reset_after=True")
    made = Unrolled(layer, gates=3)
    update, reset = (1, 0) if layer.get("pytorch", False) else (0, 1)
    hidden = made.zeros()
    for step in range(made.steps):
        recurrent = made.recurrent(hidden)
        sums = made.added(made.kernel_words(step, 0, 1), made.words(recurrent, 0, 1))
        gates = made.activated("recurrent_activation", made.words(sums, 0, 1), made.sums)
        seen = made.products([(made.words(gates, reset), made.words(recurrent, 2))], made.sums)
        sums = made.added(made.kernel_words(step, 2), made.words(seen, 0))
        candidate = made.activated("activation", made.words(sums, 0), made.sums)
        keep = made.words(gates, update)
        change = made.words(made.complement(keep), 0)
        hidden = made.products([(made.words(candidate, 0), change), (made.words(hidden, 0), keep)], made.state)
        made.hidden.append(hidden)
    return made.finished()


@rule("SimpleRNN")
def _simple(layer: Layer) -> list[g.Node]:
    made = Unrolled(layer, gates=1)
    hidden = made.zeros()
    for step in range(made.steps):
        sums = made.added(made.kernel_words(step, 0), made.words(made.recurrent(hidden), 0))
        hidden = made.activated("activation", made.words(sums, 0), made.state)
        made.hidden.append(hidden)
    return made.finished()


@final
class Unrolled:
    """The nodes of a recurrent layer under construction; most methods add one and return it."""

    def __init__(self, layer: Layer, gates: int) -> None:
        check(layer)
        self.layer, self.gates = layer, gates
        self.steps, self.features, self.units = (layer.integer(n) for n in ("n_timesteps", "n_in", "n_out"))
        self.sums, self.state = layer.type("accum_t"), layer.result
        self.nodes: list[g.Node] = []
        self.hidden: list[g.Node] = []  # the state after each step
        self.kernel = self._linear("kernel", layer.feeds[0], self._sequence(), "weight", "bias")

    def _sequence(self) -> NDArray[np.int64]:
        """Indices (steps, features) of the input's words; channels last, a sequence of torch lies transposed."""
        moved = channels_moved(self.layer)
        shape = (self.features, self.steps) if moved else (self.steps, self.features)
        if self.layer.input_shape() != shape:
            unsupported(f"{self.layer.name}: an input of shape {self.layer.input_shape()} instead of {shape}")
        words = np.arange(self.steps * self.features).reshape(shape)
        return words.T if moved else words

    def _linear(self, what: str, source: str, gather: NDArray[np.int64], weight: str, bias: str) -> g.Node:
        """Products of words (P, K) of `source`, plus the bias: a row of gates * units sums for each of P."""
        layer, shape = self.layer, (gather.shape[1], self.gates * self.units)
        kernel = layer.kernel(weight)
        if layer.raw.class_name == "SimpleRNN" and channels_moved(layer):
            kernel = kernel.T  # hls4ml takes its matrix for one of torch's, GRU's and LSTM's not
        vector = layer.values(bias) if bias in layer.raw.weights else np.zeros(shape[1])
        if kernel.shape != shape or vector.shape != shape[1:]:
            unsupported(f"{layer.name}: {weight} {kernel.shape} and {bias} {vector.shape} instead of {shape}")
        return self._add(
            g.Linear(
                name=self._name(what),
                inputs=(source,),
                size=len(gather) * shape[1],
                result=self.sums,
                gather=gather[None],
                weight=kernel[None],
                bias=vector.reshape(1, 1, -1),
                weight_type=layer.weight_type(weight),
                accumulator=self.sums,
            )
        )

    def _add(self, node: g.Node) -> g.Node:
        self.nodes.append(node)
        return node

    def _name(self, what: str) -> str:
        return f"{self.layer.name}_{len(self.nodes)}_{what}"

    def words(self, node: g.Node, *gates: int) -> Words:
        """The words of these gates."""
        return node, np.concatenate([np.arange(gate * self.units, (gate + 1) * self.units) for gate in gates])

    def kernel_words(self, step: int, *gates: int) -> Words:
        """What the input of one step adds to the sums of these gates."""
        return self.words(self.kernel, *(step * self.gates + gate for gate in gates))

    def recurrent(self, state: g.Node) -> g.Node:
        """What the state adds to the sums."""
        words = np.arange(self.units)[None]
        return self._linear("recurrent", state.name, words, "recurrent_weight", "recurrent_bias")

    def zeros(self) -> g.Node:
        """The state before the first step."""
        gather = np.full(self.units, g.ABSENT)
        return self._add(g.Rearrange(self._name("zeros"), self.layer.feeds, self.units, self.state, gather))

    def joined(self, *parts: Words) -> g.Node:
        """Words one after the other, each with the type that it has."""
        starts = np.cumsum([0, *(node.size for node, _ in parts)])
        gather = np.concatenate([words + start for (_, words), start in zip(parts, starts, strict=False)])
        kinds = tuple(node.results[word] for node, words in parts for word in words)
        return self._add(
            g.Rearrange(self._name("words"), tuple(node.name for node, _ in parts), len(gather), kinds, gather)
        )

    def added(self, first: Words, second: Words) -> g.Node:
        """Sums of words."""
        sources = self.joined(first).name, self.joined(second).name
        return self._add(g.Merge(self._name("sum"), sources, len(first[1]), self.sums, "add"))

    def products(self, pairs: Iterable[Pair], result: FixedPoint) -> g.Node:
        """The sum of the products of all pairs, cast once, to `result`."""
        first, second = (self.joined(*side) for side in zip(*pairs, strict=True))
        taps = np.arange(first.size).reshape(-1, self.units).T
        exact = self._exact(first, second, terms=taps.shape[1])
        names = first.name, second.name
        return self._add(g.Contract(self._name("products"), names, self.units, result, taps, taps, exact))

    def _exact(self, first: g.Node, second: g.Node, terms: int) -> FixedPoint:
        """A type that holds the sum of products without rounding."""
        fraction, integer = (
            sum(max(getattr(kind, part) for kind in node.results) for node in (first, second))
            for part in ("fraction", "integer")
        )
        width = fraction + integer + terms  # a bit for each sum, and for the sign where there was none
        if width > EXACT_BITS:
            unsupported(
                f"{self.layer.name}: a product of gates needs {width} bits; exact arithmetic ends at {EXACT_BITS}: "
                "use narrower types for accum, result and table"
            )
        return FixedPoint(True, width, integer + terms)

    def complement(self, gate: Words) -> g.Node:
        """1 - gate, exactly."""
        source = self.joined(gate)
        integer = 2 + max(kind.integer for kind in source.results)
        fraction = max(kind.fraction for kind in source.results)
        kind = FixedPoint(True, max(integer, 2) + max(fraction, 0), max(integer, 2))
        ones = np.ones(self.units)
        return self._add(g.Scale(self._name("complement"), (source.name,), self.units, kind, -ones, ones))

    def activated(self, attribute: str, words: Words, result: FixedPoint) -> g.Node:
        """The activation function that an attribute of the layer names, cast to `result`."""
        function, size = str(self.layer.get(attribute)).lower(), len(words[1])
        if function not in FUNCTIONS:
            unsupported(f"{self.layer.name}: {attribute} {function}; hls4ml's recurrent layers have {FUNCTIONS}")
        source = self.joined(words)
        common: dict[str, Any] = {"name": self._name(function), "inputs": (source.name,), "size": size}
        if function == "relu":
            return self._add(g.Rectify(**common, result=result, slope=np.zeros(size)))
        table = self.layer.type("table_t")
        holds = result.fraction >= table.fraction and result.low <= table.low and result.high >= table.high
        return self._add(symmetric(self.layer, function, common | {"result": table if holds else result}))

    def finished(self) -> list[g.Node]:
        """All nodes, the layer's own last: the last state or all of them."""
        states = self.hidden if self.layer.get("return_sequences") else self.hidden[-1:]
        gather = np.arange(len(states) * self.units)
        common = self.layer.common() | {"inputs": tuple(state.name for state in states)}
        return [*self.nodes, g.Rearrange(**common, gather=gather)]


def check(layer: Layer) -> None:
    """Refuse by name what hls4ml ignores or what is only unrolled here."""
    raw = layer.raw
    if implementation(layer)["implementation"] != "distributed_arithmetic":
        unsupported(f"{layer.name}: a recurrent layer is only unrolled; set ReuseFactor 1 and Strategy Latency")
    if layer.get("pass_initial_states") or len(raw.inputs) > 1:
        unsupported(f"{layer.name}: initial states from outside; a recurrent layer starts from zero here")
    if layer.get("return_state"):
        unsupported(f"{layer.name}: return_state")
    if layer.get("direction", "forward") != "forward":
        unsupported(f"{layer.name}: direction {layer.get('direction')}")
    keras_model = raw.model.config.config.get("KerasModel")
    own = [one for one in getattr(keras_model, "layers", ()) if one.name == layer.name]
    for option in ("go_backwards", "stateful"):  # which hls4ml's front end does not look at
        if any(getattr(one, option, False) for one in own):
            unsupported(f"{layer.name}: {option}, which hls4ml ignores")


def channels_moved(layer: Layer) -> bool:
    """Whether hls4ml has put the channels of torch's tensors last, which leaves a sequence transposed."""
    conversion = layer.raw.model.config.config["HLSConfig"].get("Model", {}).get("ChannelsLastConversion", "off")
    return bool(layer.get("pytorch", False)) and str(conversion).lower() != "off"
