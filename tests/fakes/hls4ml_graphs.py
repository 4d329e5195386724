"""Random hls4ml models made layer by layer, the same for every backend, without any front end.

A `Branch` is one kind of layer with its own inputs, its own output and random types: all roundings and overflows,
accumulators that wrap or saturate, few fraction bits. Many branches make one model, so that one run of the C++ compiler
serves many combinations of kind, shape and precision.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

import hls4ml
import numpy as np
from hls4ml.model.graph import ModelGraph

from evonas.models.fixed_point import OVERFLOWS, ROUNDINGS, FixedPoint
from evonas.synthesis import _hls4ml
from evonas.synthesis.evaluate import evaluate
from fakes.hls4ml_kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PART = "xcvu13p-flga2577-2-e"


def written(value: Any) -> Any:
    """A type in hls4ml's notation, whole numbers that cut towards zero as its integers; anything else as it is."""
    if not isinstance(value, FixedPoint):
        return value
    whole = value.fraction == 0 and value.rounding == "TRN_ZERO" and value.overflow == "WRAP"
    return f"{'' if value.signed else 'u'}int<{value.width}>" if whole else str(value)


@final
@dataclass
class Branch:
    """Layers under construction; the functions of `hls4ml_kinds` call it."""

    kind: str
    name: str
    rng: np.random.Generator
    whole_numbers: bool = False
    inputs: dict[str, tuple[tuple[int, ...], FixedPoint]] = field(default_factory=dict)
    layers: list[dict[str, Any]] = field(default_factory=list)
    config: dict[str, dict[str, Any]] = field(default_factory=dict)

    def pick(self, *options: Any) -> Any:
        """One of `options`."""
        return options[int(self.rng.integers(len(options)))]

    def whole(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def type(self, width: tuple[int, int] = (2, 10), integer: tuple[int, int] = (-1, 5), **fixed: Any) -> FixedPoint:
        """A random type; `fixed` sets fields."""
        values = {
            "signed": bool(self.rng.random() < 0.75),
            "width": self.whole(*width),
            "integer": self.whole(*integer),
            "rounding": self.pick(*ROUNDINGS),
            "overflow": self.pick(*OVERFLOWS),
        }
        if self.whole_numbers:
            values["integer"] = max(values["integer"], 1)
        elif values["width"] == values["integer"] and values["rounding"] == "TRN_ZERO":
            values["rounding"] = "TRN"  # else `written` would take it for an integer
        return FixedPoint(**values | fixed)

    def integer_or(self, kind: FixedPoint) -> FixedPoint:
        """In some branches an integer of hls4ml, which cuts towards zero, and otherwise `kind`."""
        if not self.whole_numbers or self.rng.random() < 0.5:
            return kind
        return FixedPoint(kind.signed, kind.width, kind.width, "TRN_ZERO")

    def accumulator(self) -> FixedPoint:
        """A type for sums: mostly signed, sometimes exact, often narrow."""
        if self.rng.random() < 0.25:
            return self.type((30, 34), (14, 15), signed=True)
        return self.type((4, 18), (1, 8), signed=bool(self.rng.random() < 0.9))

    def numbers(self, kind: FixedPoint, *shape: int) -> np.ndarray:
        """Numbers on and between the values of `kind`."""
        drawn = self.rng.uniform(kind.low, kind.high + kind.lsb, shape)
        return np.where(self.rng.random(shape) < 0.3, np.round(drawn / kind.lsb) * kind.lsb, drawn)

    def input(self, *shape: int, kind: FixedPoint | None = None) -> str:
        """A new input tensor."""
        kind = kind or self.integer_or(self.type())
        name = f"{self.name}in{len(self.inputs)}"
        self.inputs[name] = (shape, kind)
        self.layers.append({"class_name": "InputLayer", "name": name, "input_shape": list(shape)})
        self.config[name] = {"Precision": {"result": written(kind)}}
        return name

    def layer(
        self,
        class_name: str,
        inputs: Sequence[str],
        types: dict[str, Any],
        options: dict[str, Any] | None = None,
        **rest: Any,
    ) -> str:
        """A new layer. `types` go under `Precision`, `options` beside it; `rest` are the layer's attributes."""
        name = f"{self.name}layer{len(self.layers)}"
        self.layers.append({"class_name": class_name, "name": name, "inputs": list(inputs), **rest})
        beside = {key: written(value) for key, value in (options or {}).items()}
        self.config[name] = {"Precision": {key: written(kind) for key, kind in types.items()}, **beside}
        return name

    def vectors(self, count: int) -> list[np.ndarray]:
        """Inputs (count, *shape) over and beyond the range of each type, with the extremes first."""
        arrays = []
        for shape, kind in self.inputs.values():
            reach = 0.25 * (kind.high - kind.low + kind.lsb)
            data = self.rng.uniform(kind.low - reach, kind.high + reach, (count, *shape))
            exact = self.rng.random((count, *shape)) < 0.5
            data = np.where(exact, kind.quantise(data), data)
            extremes = [kind.low, kind.high, 0.0, kind.lsb, -kind.lsb, kind.high + kind.lsb]
            data[: len(extremes)] = np.reshape(extremes, (-1, *(1 for _ in shape)))
            mixed = slice(len(extremes), count // 8)
            data[mixed] = self.rng.choice([kind.low, kind.high], data[mixed].shape)
            whole = written(kind) != str(kind)  # the headers turn doubles between -0.5 and 0 into the whole number 1
            arrays.append(np.trunc(data) if whole else data)
        return arrays

    def __str__(self) -> str:
        inputs = ", ".join(f"{shape} {kind}" for shape, kind in self.inputs.values())
        own = "; ".join(f"{e['class_name']} {self.config[e['name']]}" for e in self.layers if "inputs" in e)
        return f"{self.kind} on {inputs}: {own}"


def branches(seed: int, kinds: Sequence[str]) -> list[Branch]:
    """A branch for each kind."""
    made = []
    for index, kind in enumerate(kinds):
        rng = np.random.default_rng([seed, index])
        branch = Branch(kind, f"b{index}", rng, whole_numbers=bool(rng.random() < 0.15))
        KINDS[kind](branch)
        made.append(branch)
    return made


def deal(index: int, size: int) -> list[str]:
    """The kinds of model number `index`: all kinds in turn, `size` to a model.

    hls4ml's headers for depthwise convolutions in one and in two dimensions exclude each other, so that the former go
    to models of even number and the latter to odd ones.
    """
    order = list(KINDS)
    kinds = [order[(index * size + place) % len(order)] for place in range(size)]
    own, other = ("1d", "2d") if index % 2 == 0 else ("2d", "1d")
    split = ("depthwise", "separable")
    return [kind.replace(other, own) if kind.startswith(split) else kind for kind in kinds]


def model(parts: Sequence[Branch], directory: Path, backend: str) -> ModelGraph:
    """hls4ml's model of all branches: their inputs one after the other, and one output tensor each."""
    config = hls4ml.utils.config.create_config(
        output_dir=str(directory), project_name="dut", backend=backend, part=PART, clock_period=5
    )
    general = {"Precision": "fixed<16,6>", "ReuseFactor": 1, "Strategy": "Latency", "BitExact": False}
    names = {name: options for part in parts for name, options in part.config.items()}
    config["HLSConfig"] = {"Model": general, "LayerName": names}
    layers = [dict(entry) for part in parts for entry in part.layers]
    inputs = [name for part in parts for name in part.inputs]
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ModelGraph.from_layer_list(config, layers, inputs, [part.layers[-1]["name"] for part in parts])


def repair(firmware: Path) -> None:
    """Let hls4ml's C++ be compiled with any types.

    The headers' assertions forbid rounding by more than a word's width, and the LSTM that keeps no state hands its
    products the types of the input and of the result, so that it needs both to be `accum_t`; GRU has it right.
    """
    source, header = firmware / "dut.cpp", firmware / "nnet_utils" / "nnet_recurrent.h"
    source.write_text("#define NDEBUG\n" + source.read_text())
    text, wrong = header.read_text(), "nnet::dense<data_T, res_T, typename CONFIG_T::mult_config"
    right = "nnet::dense<{}, typename CONFIG_T::accum_t, typename CONFIG_T::mult_config"
    for number, kind in (("1", "data_T"), ("2", "res_T")):
        text = text.replace(f"{wrong}{number}", right.format(kind) + number)
    header.write_text(text)


def mismatches(parts: Sequence[Branch], directory: Path, count: int) -> list[str]:
    """What differs between OpenRTL's exact arithmetic and the C simulation of Vitis: one line for each branch."""
    data = [array for part in parts for array in part.vectors(count)]
    graph = _hls4ml.read(model(parts, directory / "openrtl", "OpenRTL"))
    ours = evaluate(graph, *data)
    reference = model(parts, directory / "vitis", "Vitis")
    _hls4ml.write(reference)
    repair(directory / "vitis" / "firmware")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        simulated = _hls4ml.simulate(reference, *data)
    ends = np.cumsum([out.shape[1] for out in ours])[:-1]
    lines = []
    for part, own, theirs in zip(parts, ours, np.split(simulated, ends, axis=1), strict=True):
        wrong = own != theirs
        if wrong.any():
            row, word = np.argwhere(wrong)[0]
            where = f"vector {row}, word {word}: {own[row, word]} instead of {theirs[row, word]}"
            lines.append(f"{int(wrong.sum())} of {wrong.size} words, {where}; {part}")
    return lines
