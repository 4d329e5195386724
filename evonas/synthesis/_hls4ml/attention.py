"""HGQ2's attention layers for hls4ml 1.3, which has handlers for them but looks for them in other modules.

hls4ml finds the handler of a Keras layer by the path of its class, and has `hgq.layers.multi_head_attention` and
`hgq.layers.linformer_attention` where HGQ2 has `hgq.layers.attn`. How attention is split into products and a softmax
is left to hls4ml. The arguments of the call are read here: hls4ml takes the index of the call from the layer before,
needs the value to be given, and would leave out a causal mask without a word.
"""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any, final

from hls4ml.converters.keras_v3._base import registry
from hls4ml.converters.keras_v3.hgq2._base import QEinsumDenseHandler
from hls4ml.converters.keras_v3.hgq2.multi_head_attention import QMultiHeadAttentionHandler

from evonas.synthesis import _keras
from evonas.synthesis._hls4ml.reader import unsupported

if TYPE_CHECKING:
    from collections.abc import Sequence

MASKS = ("query_mask", "value_mask", "key_mask", "attention_mask", "use_causal_mask")


def register() -> None:
    """Make the handlers known to hls4ml, except those that it has by itself."""
    registry.setdefault("hgq.layers.attn.mha.QMultiHeadAttention", Attention())
    registry.setdefault("hgq.layers.attn.linformer.QLinformerAttention", LinformerAttention())


def operands(layer: Any, index: int) -> tuple[Any, Any, Any]:
    """The tensors query, key and value of call number `index`.

    Raises `ToolError` (UNSUPPORTED) for masks and for a call that returns the scores.
    """
    call = layer._inbound_nodes[index].arguments
    given = signature(layer.call).bind(*call.args, **call.kwargs).arguments
    for option in (*MASKS, "return_attention_scores"):
        if given.get(option) is not None and given[option] is not False:
            unsupported(f"{layer.name}: {option} of an attention layer has no path through hls4ml")
    query = given["query"]
    value = given.get("value")
    value = query if value is None else value
    key = given.get("key")
    return query, value if key is None else key, value


class Attention(QMultiHeadAttentionHandler):  # type: ignore[misc]
    """Multi-head attention as projections, products and a softmax."""

    def handle(self, layer: Any, in_tensors: Sequence[Any], out_tensors: Sequence[Any]) -> tuple[dict[str, Any], ...]:
        """hls4ml's layers of one call."""
        del in_tensors  # without the names of the arguments
        index = out_tensors[0]._keras_history.node_index
        query, key, value = operands(layer, index)
        return tuple(self._handle(layer, query, out_tensors[0], index, key, value))


@final
class LinformerAttention(Attention):
    """Attention to a projection of keys and values along the sequence."""

    def handle(self, layer: Any, in_tensors: Sequence[Any], out_tensors: Sequence[Any]) -> tuple[dict[str, Any], ...]:
        """hls4ml's layers of one call."""
        del in_tensors
        index, dense = out_tensors[0]._keras_history.node_index, QEinsumDenseHandler()
        query, key, value = operands(layer, index)
        shorter = [
            _keras.tensor(shape, f"{layer.name}_{index}_{what}")
            for what, shape in (("key", layer._key_shape_proj), ("value", layer._value_shape_proj))
        ]
        projections = (
            *dense(layer._lin_k_proj, [key], [shorter[0]]),
            *dense(layer._lin_v_proj, [value], [shorter[1]]),
        )
        return *projections, *self._handle(layer, query, out_tensors[0], index, *shorter)
