"""Networks in exact fixed point: what training hands to everything behind it.

The hardware, the ONNX export and the reference that both are compared with all derive from a `QuantisedNetwork`.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

import numpy as np

from evonas.models.fixed_point import FixedPoint, QuantisedDense
from evonas.models.operations import QuantisedOperation, common_type
from surrogates import LayerSpec, ModelSpec, OperationSpec
from surrogates.weights import LayerWeights

if TYPE_CHECKING:
    from numpy.typing import NDArray

Part = QuantisedDense | QuantisedOperation

_BLOCK = 1024  # rows whose words stay in a cache


@final
@dataclass(frozen=True, eq=False)
class QuantisedNetwork:
    """A trained network in exact fixed point. `spec` is what was really reached, `layers` are its parts in order.

    Inputs are quantised with `input_type` (outside the FPGA, ahead of the network).
    """

    spec: ModelSpec
    input_type: FixedPoint
    layers: tuple[Part, ...]

    def predict(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """Exact outputs (n, n_outputs) of real-valued inputs (n, n_inputs)."""
        blocks = [self._outputs(x[start : start + _BLOCK]) for start in range(0, max(len(x), 1), _BLOCK)]
        return np.concatenate(blocks)

    def _outputs(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        values = [self.input_type.quantise(x).reshape(len(x), *self.spec.input_shape)]
        for index, (part, sources) in enumerate(zip(self.layers, self.spec.sources, strict=True)):
            inputs = [values[source + 1] for source in sources]
            if isinstance(part, QuantisedOperation):
                values.append(part.forward(*inputs))
                continue
            words = self._words(index, inputs[0])
            flat = part.forward(words.reshape(-1, words.shape[2]))
            values.append(flat.reshape(len(x), -1, flat.shape[1]))
        return values[-1].reshape(len(x), -1)

    def _words(self, index: int, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """What a layer multiplies (n, positions, words): x (n, positions, channels), or what is under its window."""
        spec = self.spec.layers[index]
        if not isinstance(spec, LayerSpec) or spec.window is None:
            return x
        padded = np.concatenate([x, np.zeros_like(x[:, :1])], axis=1)  # -1 reads a zero
        reads = np.array(spec.window.reads())
        return padded[:, reads].reshape(len(x), len(reads), -1)

    @cached_property
    def result_types(self) -> tuple[FixedPoint, ...]:
        """Type of the input and, from index 1 on, of what leaves each part that there is."""
        types = [self.input_type]
        for part, sources in zip(self.layers, self.spec.sources, strict=False):
            inputs = [types[source + 1] for source in sources]
            if isinstance(part, QuantisedOperation):
                types.append(part.result_type(self.spec.shapes[sources[0] + 1], *inputs))
            else:
                types.append(part.result_type(*inputs))
        return tuple(types)

    @property
    def exact_types(self) -> tuple[FixedPoint, ...]:
        """For each part the type of its sums, before anything is cut off."""
        kinds = []
        for part, sources in zip(self.layers, self.spec.sources, strict=True):
            inputs = [self.result_types[source + 1] for source in sources]
            if isinstance(part, QuantisedOperation):
                kinds.append(part.exact_type(self.spec.shapes[sources[0] + 1], *inputs))
            else:
                kinds.append(part.accumulator_type(*inputs))
        return tuple(kinds)

    def entering(self, index: int) -> FixedPoint:
        """A type that holds whatever enters the part `index`."""
        return common_type([self.result_types[source + 1] for source in self.spec.sources[index]])

    def input_types(self) -> tuple[FixedPoint, ...]:
        """For each part a type that holds whatever enters it."""
        return tuple(map(self.entering, range(len(self.layers))))

    @property
    def weighted(self) -> tuple[QuantisedDense, ...]:
        """The layers with weights, in order."""
        return tuple(part for part in self.layers if isinstance(part, QuantisedDense))

    @property
    def fits_hls4ml(self) -> bool:
        """Whether hls4ml has all of it exactly: a multi-layer perceptron without activations by table."""
        return self.spec.is_chain and all(layer.table_type is None for layer in self.weighted)

    @property
    def nonzero_weights(self) -> tuple[int, ...]:
        """Weights different from zero, per layer with weights."""
        return tuple(int(np.count_nonzero(layer.weight_codes)) for layer in self.weighted)

    @cached_property
    def layer_weights(self) -> tuple[LayerWeights, ...]:
        """Counts of the weights of each layer with weights, as synthesis records keep them."""
        return tuple(LayerWeights.of(layer.weight_codes) for layer in self.weighted)

    @cached_property
    def digest(self) -> str:
        """Digest of types and codes."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def describe(self) -> dict[str, Any]:
        """Everything but the codes, as plain data."""
        layers = [_describe(part) for part in self.layers]
        return {"spec": self.spec.to_dict(), "input_type": str(self.input_type), "layers": layers}

    @classmethod
    def restore(cls, description: dict[str, Any], codes: list[NDArray[np.int64]]) -> QuantisedNetwork:
        """The network from what `describe` gave, and weight and bias codes of each layer with weights in turn."""
        spec, remaining = ModelSpec.from_dict(description["spec"]), iter(codes)
        parts: list[Part] = []
        for part, found in zip(spec.layers, description["layers"], strict=True):
            output = None if found["output_type"] is None else FixedPoint.parse(found["output_type"])
            if isinstance(part, OperationSpec):
                parts.append(QuantisedOperation(part, output))
                continue
            weight_type, bias_type = FixedPoint.parse(found["weight_type"]), FixedPoint.parse(found["bias_type"])
            weight, bias = next(remaining), next(remaining)
            table = FixedPoint.parse(found["table_type"]) if "table_type" in found else None
            parts.append(QuantisedDense(weight, weight_type, bias, bias_type, found["activation"], output, table))
        return cls(spec, FixedPoint.parse(description["input_type"]), tuple(parts))

    def to_bytes(self) -> bytes:
        """One byte string that depends on the network alone; `from_bytes` takes it back. No pickle."""
        body = io.BytesIO()
        for layer in self.weighted:
            np.save(body, layer.weight_codes.astype(np.int64), allow_pickle=False)
            np.save(body, layer.bias_codes.astype(np.int64), allow_pickle=False)
        return json.dumps(self.describe(), sort_keys=True).encode() + b"\n" + body.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> QuantisedNetwork:
        """Read what `to_bytes` wrote."""
        head, _, body = data.partition(b"\n")
        description, stream = json.loads(head), io.BytesIO(body)
        weighted = sum("weight_type" in layer for layer in description["layers"])
        return cls.restore(description, [np.load(stream, allow_pickle=False) for _ in range(2 * weighted)])


def _describe(part: Part) -> dict[str, Any]:
    output = None if part.output_type is None else str(part.output_type)
    if isinstance(part, QuantisedOperation):
        return {"output_type": output}
    found = {
        "weight_type": str(part.weight_type),
        "bias_type": str(part.bias_type),
        "activation": part.activation,
        "output_type": output,
    }
    return found if part.table_type is None else found | {"table_type": str(part.table_type)}
