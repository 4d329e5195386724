"""What the logic beside a layer with shared multipliers knows of its words: constants ahead of it, readers behind it.

Logic synthesis finds both, so without them a layer seems to take multipliers that no design has.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.synthesis import graph as g
from evonas.synthesis.estimates import INPUT
from evonas.synthesis.segments import Chain, Logic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def narrowed(chain: Chain, logics: Mapping[int, Any]) -> Chain:
    """The chain with the same outputs; its shared dense layers take only words that vary, and give what is read.

    `logics` is the logic of the links by their number, alkaid's. The weights of constant words move into the bias,
    those of words that nobody reads are zero.
    """
    nodes = {node.name: node for node in chain.graph.nodes}
    constants = _constants(chain, logics)
    live = {name: np.full(node.size, name in chain.graph.outputs) for name, node in nodes.items()}
    for number, link in reversed(list(enumerate(chain.links))):
        if isinstance(link, Logic):
            read = np.zeros(logics[number].shape[0], np.bool_)
            read[[op.data[0] for op in logics[number].ops if op.opcode == INPUT]] = True
            for name, words in _split(chain, link.inputs, read).items():
                live[name] |= words
            continue
        node = nodes[link.node]
        assert isinstance(node, g.Linear)
        source = live[node.inputs[0]]
        if node.gather.shape[:2] != (1, 1) or (node.gather == g.ABSENT).any():
            source[:] = True
            continue
        known = constants.get(node.inputs[0])
        nodes[node.name] = node = _dense(node, live[node.name], known)
        source[node.gather[0, 0, node.weight[0].any(axis=1)]] = True
    return Chain(g.Graph(tuple(nodes.values()), chain.graph.outputs), chain.links)


def _constants(chain: Chain, logics: Mapping[int, Any]) -> dict[str, NDArray[np.float64]]:
    """The values (size,) of the nodes that leave the logic links, NaN where they vary."""
    found: dict[str, NDArray[np.float64]] = {}
    for number, link in enumerate(chain.links):
        if isinstance(link, Logic):
            intervals = zip(logics[number].out_idxs, logics[number].out_qint, strict=True)
            values = [0.0 if index < 0 else low if low == high else np.nan for index, (low, high, _) in intervals]
            found = _split(chain, link.outputs, np.array(values)) | found  # a word that passes is known from before
    return found


def _split(chain: Chain, names: tuple[str, ...], words: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """What is said of the words of several nodes one after the other, by node."""
    ends = np.cumsum([chain.graph[name].size for name in names])
    return dict(zip(names, np.split(words, ends[:-1]), strict=True))


def _dense(node: g.Linear, live: NDArray[np.bool_], constants: NDArray[np.float64] | None) -> g.Linear:
    """The layer without dead outputs and without constant inputs; every sum that is read stays the same."""
    weight, bias = node.weight[0] * live, node.bias[0, 0] * live
    if constants is not None:
        values = constants[node.gather[0, 0]]
        fixed = ~np.isnan(values)
        products = node.accumulator.quantise(values[fixed, None] * weight[fixed])
        bias = node.accumulator.quantise(node.accumulator.quantise(bias) + products.sum(axis=0))
        weight = np.where(fixed[:, None], 0.0, weight)
    return replace(node, weight=weight[None], bias=bias[None, None])
