"""Immutable descriptions of a network and of the hardware it is meant for."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal, final

from surrogates.errors import SpecError
from surrogates.layers import LayerSpec, OperationSpec, Part, Shape, within

INPUT = -1  # in an edge: the network's input


@final
@dataclass(frozen=True)
class ModelSpec:
    """A network as the search describes it: its input, its parts in order, and the edges between them.

    `edges` are (from, to) pairs of indices of parts, with -1 for the input, by `to`; the edges into a part come in the
    order of its operands. The default is a chain. `input_shape` is (positions, channels), by default one position for
    the first layer. `input_bits` is the width of each input word. Equal networks have equal digests.
    """

    input_bits: int
    layers: tuple[Part, ...]
    edges: tuple[tuple[int, int], ...] = ()
    input_shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        within("input_bits", self.input_bits, 1, 16)
        if not self.layers:
            raise SpecError("layers", self.layers, "needs at least one layer")
        if not self.edges:
            object.__setattr__(self, "edges", self._chain)
        if not self.input_shape:
            first = self.layers[0]
            if not isinstance(first, LayerSpec):
                raise SpecError("input_shape", self.input_shape, "is needed where a network begins with an operation")
            object.__setattr__(self, "input_shape", first.input_shape)
        if len(self.input_shape) != 2 or min(self.input_shape) < 1:
            raise SpecError("input_shape", self.input_shape, "must be (positions, channels)")
        self._check_edges()
        self._check_parts()

    def _check_parts(self) -> None:
        last = self.layers[-1]
        if not isinstance(last, LayerSpec):
            raise SpecError("layers", last.kind, "must end with a layer")
        for index, shape in enumerate(self.shapes[1:]):
            part, found = self.layers[index], [self.shapes[source + 1] for source in self.sources[index]]
            if isinstance(part, LayerSpec) and part.input_shape != found[0]:
                raise self._misfit(index, part, found[0])
            if isinstance(part, LayerSpec) and part.activation == "linear" and part is not last:
                raise SpecError(f"layers[{index}].activation", "linear", "is only for the last layer")
            if shape[0] * shape[1] > 2**16:
                raise SpecError(f"layers[{index}]", shape, "has more than 65,536 words")

    def _misfit(self, index: int, part: LayerSpec, found: Shape) -> SpecError:
        if part.n_in != found[1]:
            return SpecError(f"layers[{index}].n_in", part.n_in, f"must equal the {found[1]} outputs before it")
        return SpecError(f"layers[{index}].positions", part.positions, f"must equal the {found[0]} positions before it")

    @property
    def _chain(self) -> tuple[tuple[int, int], ...]:
        return tuple((index - 1, index) for index in range(len(self.layers)))

    def _check_edges(self) -> None:
        if list(self.edges) != sorted(self.edges, key=lambda edge: edge[1]):
            raise SpecError("edges", self.edges, "must be in the order of the parts that they lead to")
        for index, part in enumerate(self.layers):
            sources, wanted = self.sources[index], 1 if isinstance(part, LayerSpec) else part.n_inputs
            if len(sources) != wanted:
                raise SpecError("edges", sources, f"layers[{index}] needs {wanted} of them")
            if not all(INPUT <= source < index for source in sources):
                raise SpecError("edges", sources, f"layers[{index}] can only read what comes before it")
        if unread := set(range(INPUT, len(self.layers) - 1)) - {source for source, _ in self.edges}:
            raise SpecError("edges", sorted(unread), "leave these parts unread (-1 is the input)")
        if len(self.edges) != sum(map(len, self.sources)):
            raise SpecError("edges", self.edges, "lead to parts that do not exist")

    @cached_property
    def sources(self) -> tuple[tuple[int, ...], ...]:
        """For each part the parts that it reads, -1 for the input."""
        return tuple(tuple(a for a, b in self.edges if b == index) for index in range(len(self.layers)))

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """Positions and channels of the input and, from index 1 on, of what leaves each part."""
        shapes: list[Shape] = [(self.input_shape[0], self.input_shape[1])]
        for part, sources in zip(self.layers, self.sources, strict=True):
            inputs = [shapes[source + 1] for source in sources]
            shapes.append(part.shape if isinstance(part, LayerSpec) else part.shape(*inputs))
        return tuple(shapes)

    @property
    def weighted(self) -> tuple[LayerSpec, ...]:
        """The layers with weights, in order."""
        return tuple(part for part in self.layers if isinstance(part, LayerSpec))

    @property
    def is_chain(self) -> bool:
        """Whether it is a plain chain of dense layers on one position: a multi-layer perceptron."""
        plain = all(isinstance(p, LayerSpec) and p.kind == "dense" and p.positions == 1 for p in self.layers)
        return plain and self.edges == self._chain

    @property
    def n_inputs(self) -> int:
        """Number of input words."""
        return self.input_shape[0] * self.input_shape[1]

    @property
    def n_outputs(self) -> int:
        """Number of output words."""
        positions, channels = self.shapes[-1]
        return positions * channels

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON form; the key of caches and of the search for duplicates."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    @cached_property
    def topology(self) -> str:
        """Readable shape such as `16-32-16-5`, or `8x3-32-mean-16-5`; a part not behind its neighbour says where."""
        positions, channels = self.input_shape
        names = [str(channels) if positions == 1 else f"{positions}x{channels}"]
        for index, (part, sources) in enumerate(zip(self.layers, self.sources, strict=True)):
            behind = "" if sources == (index - 1,) else f"({','.join(map(str, sources))})"
            names.append(part.label + behind)
        return "-".join(names)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON; `from_dict` takes it back."""
        data: dict[str, Any] = {
            "input_bits": self.input_bits,
            "layers": [part.to_dict() for part in self.layers],
            "edges": [list(edge) for edge in self.edges],
        }
        first = self.layers[0]
        known = isinstance(first, LayerSpec) and first.positions == 1
        return data if known else data | {"input_shape": list(self.input_shape)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ModelSpec:
        """Read what `to_dict` wrote. Raises `SpecError` naming an unknown or missing field."""
        try:
            if unknown := set(data) - {"input_bits", "layers", "edges", "input_shape"}:
                raise SpecError("spec", sorted(unknown), "holds unknown fields")
            layers = tuple(LayerSpec.from_dict(p) if "n_in" in p else OperationSpec(**p) for p in data["layers"])
            edges = tuple((int(a), int(b)) for a, b in data.get("edges", ()))
            shape = tuple(int(n) for n in data.get("input_shape", ()))
            return cls(int(data["input_bits"]), layers, edges, shape)
        except KeyError as error:
            raise SpecError("spec", str(error), "is missing this field") from error
        except TypeError as error:
            raise SpecError("spec", str(error), "has a field of the wrong name or type") from error


@final
@dataclass(frozen=True)
class HardwareTarget:
    """What a network is synthesised for. `part` is a vendor part name; the clock period is in nanoseconds."""

    part: str = "xcvu13p-flga2577-2-e"
    clock_period_ns: float = 5.0
    io_type: Literal["io_parallel"] = "io_parallel"
    tool: Literal["openrtl", "vitis", "quartus", "oneapi", "catapult"] = "openrtl"

    def __post_init__(self) -> None:
        within("clock_period_ns", self.clock_period_ns, 0.5, 1000.0)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        return asdict(self)
