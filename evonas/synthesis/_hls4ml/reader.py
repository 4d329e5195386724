"""hls4ml's `ModelGraph` -> `Graph`: every layer by the arithmetic of its generated C++.

What is not known, or would be computed otherwise than its name says, is refused by name; nothing is ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, final

import numpy as np
from hls4ml.model.types import FixedPrecisionType, IntegerPrecisionType

from evonas.errors import ConfigurationError, FailureKind, ToolError
from evonas.models.fixed_point import FixedPoint
from evonas.synthesis import graph as g
from evonas.synthesis._hls4ml.ranges import WIDEST, narrowed

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

RULES: dict[str, Callable[[Layer], list[g.Node]]] = {}


def rule(*class_names: str) -> Callable[[Callable[[Layer], list[g.Node]]], Callable[[Layer], list[g.Node]]]:
    """Register the reader of layers whose hls4ml class has one of these names."""

    def register(function: Callable[[Layer], list[g.Node]]) -> Callable[[Layer], list[g.Node]]:
        RULES.update(dict.fromkeys(class_names, function))
        return function

    return register


def unsupported(message: str) -> NoReturn:
    """Raise `ToolError` (UNSUPPORTED)."""
    raise ToolError(FailureKind.UNSUPPORTED, message)


def fixed(precision: Any, where: str = "") -> FixedPoint:
    """hls4ml's precision object as ours; refuses floats, exponents, XNOR bits and saturation bits."""
    place = f"{where}: " if where else ""
    if isinstance(precision, IntegerPrecisionType):
        width = int(precision.width)  # ap_int cuts towards zero where ap_fixed floors
        return FixedPoint(bool(precision.signed), width, width, "TRN_ZERO")
    if not isinstance(precision, FixedPrecisionType):
        unsupported(f"{place}hls4ml chose the type {precision} ({type(precision).__name__}), which is not fixed point")
    if precision.saturation_bits:
        unsupported(f"{place}the type {precision} has saturation bits")
    modes = precision.rounding_mode or "TRN", precision.saturation_mode or "WRAP"
    width = min(precision.width, WIDEST)  # what that cuts off is proven to be unused, or refused, at the end
    integer = width - (precision.width - precision.integer)
    rounding, overflow = (str(mode).split(".")[-1].removeprefix("AP_") for mode in modes)
    try:
        return FixedPoint.parse(f"{'' if precision.signed else 'u'}fixed<{width},{integer},{rounding},{overflow}>")
    except ConfigurationError as error:
        raise ToolError(FailureKind.UNSUPPORTED, f"{place}hls4ml chose the type {precision}: {error}") from error


@final
@dataclass(frozen=True)
class Layer:
    """One layer of a `ModelGraph`, with the names of the nodes that feed it."""

    raw: Any
    feeds: tuple[str, ...]
    unrounded: bool = False  # give weights as they were trained

    @property
    def name(self) -> str:
        """The layer's name, which its last node keeps."""
        return str(self.raw.name)

    def get(self, attribute: str, default: Any = None) -> Any:
        """An attribute."""
        return self.raw.get_attr(attribute, default)

    def integer(self, attribute: str, default: int = 0) -> int:
        """An attribute that is a whole number."""
        return int(self.raw.get_attr(attribute, default))

    def type(self, attribute: str) -> FixedPoint:
        """A type attribute, such as `accum_t`."""
        precision = self.raw.get_attr(attribute).precision
        if "table" in attribute and self.is_integer(attribute):
            unsupported(
                f"{attribute} of {self.name}: {precision}, for which the C++ headers turn -0.1 into 1; use fixed"
            )
        return fixed(precision, f"{attribute} of {self.name}")

    def is_integer(self, attribute: str) -> bool:
        """Whether a type attribute is hls4ml's integer rather than fixed point."""
        return isinstance(self.raw.get_attr(attribute).precision, IntegerPrecisionType)

    @property
    def result(self) -> FixedPoint:
        """The type of what leaves the layer."""
        return fixed(self.raw.get_output_variable().type.precision, f"result of {self.name}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what leaves the layer, without the batch."""
        return tuple(int(n) for n in self.raw.get_output_variable().shape)

    @property
    def size(self) -> int:
        """Number of words that leave the layer."""
        return int(np.prod(self.shape))

    def input_shape(self, index: int = 0) -> tuple[int, ...]:
        """Shape of an input."""
        return tuple(int(n) for n in self.raw.get_input_variable(self.raw.inputs[index]).shape)

    def input_type(self, index: int = 0) -> FixedPoint:
        """The type of an input's words."""
        return fixed(self.raw.get_input_variable(self.raw.inputs[index]).type.precision, f"input of {self.name}")

    def values(self, weight: str) -> NDArray[np.float64]:
        """A weight variable as the generated C++ reads it: the text of its own format, cast to its type."""
        variable = self.raw.weights[weight]
        if self.unrounded:
            return np.asarray(variable.data, np.float64)
        read = np.array([float(text) for text in variable], np.float64).reshape(variable.data.shape)
        return self.weight_type(weight).quantise(read)

    def kernel(self, weight: str = "weight") -> NDArray[np.float64]:
        """Weights as the chosen product sees them: hls4ml's two-bit integer product takes -2 for +1."""
        values = self.values(weight)
        raw = self.raw.weights[weight].type.precision
        product = self.raw.model.config.backend.product_type(self.raw.get_input_variable().type.precision, raw)
        if product == "weight_ternary":
            return np.where(values == 0, 0.0, np.where(values == -1, -1.0, 1.0))
        if product != "mult":
            unsupported(f"{self.name}: hls4ml's product {product} has no path to Verilog")
        return values

    def cast(self, attribute: str, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Values cast to a type attribute."""
        exact = values.astype(np.float64)
        return exact if self.unrounded else self.type(attribute).quantise(exact)

    def weight_type(self, weight: str) -> FixedPoint:
        """The type of a weight variable."""
        return fixed(self.raw.weights[weight].type.precision, f"{weight} of {self.name}")

    def common(self, name: str | None = None) -> dict[str, Any]:
        """What every node of this layer's result needs."""
        return {"name": name or self.name, "inputs": self.feeds, "size": self.size, "result": self.result}

    def check_integers(self) -> None:
        """Refuse a cast to ap_int from a type without integer bits: the C++ headers turn -0.1 into -1, not 0."""
        own = {name: kind.precision for name, kind in self.raw.types.items()}
        sources = [self.raw.get_input_variable(name).type.precision for name in self.raw.inputs] if self.feeds else []
        whole = [name for name in ("accum_t", "result_t") if name in own and self.is_integer(name)]
        small = [
            kind for kind in (*own.values(), *sources) if isinstance(kind, FixedPrecisionType) and kind.integer < 1
        ]
        if whole and any(kind.signed for kind in small):
            unsupported(
                f"{self.name}: {whole[0]} is {own[whole[0]]}, which hls4ml's C++ rounds wrongly from {small[0]}"
            )

    def channels_last(self) -> None:
        """Refuse data that lie channels first: hls4ml's C++ for it is another."""
        if self.get("data_format", "channels_last") != "channels_last":
            unsupported(f"{self.name}: data_format channels_first; convert with channels_last_conversion='full'")


def read(model: Any, *, unrounded: bool = False) -> g.Graph:
    """The graph of a converted model. Raises `ToolError` (UNSUPPORTED) naming the layer that has no path.

    `unrounded` leaves the weights as they were trained, for a comparison with the network that was converted.
    """
    from evonas.synthesis._hls4ml import layers, recurrent  # noqa: F401 - fill RULES

    if model.config.get_config_value("IOType") != "io_parallel":
        unsupported(f"IOType {model.config.get_config_value('IOType')}: only io_parallel has a path to Verilog")
    producers: dict[str, str] = {}
    nodes: list[g.Node] = []
    for raw in model.get_layers():
        if raw.class_name not in RULES:
            unsupported(f"no path from hls4ml's {raw.class_name} layer {raw.name} to hardware")
        layer = Layer(raw, tuple(producers[name] for name in raw.inputs if name in producers), unrounded)
        layer.check_integers()
        nodes += RULES[raw.class_name](layer)
        producers.update(dict.fromkeys(raw.outputs, nodes[-1].name))
    return g.Graph(tuple(narrowed(nodes)), tuple(producers[name] for name in model.outputs))
