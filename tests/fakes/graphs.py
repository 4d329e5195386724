"""Random graphs of dense layers, rectifiers and skip connections, with any mixture of shared multipliers."""

from __future__ import annotations

import numpy as np

from evonas.models.fixed_point import FixedPoint
from evonas.synthesis import graph as g
from surrogates.reuse import legal_reuse_factors


def dense(name, source, weight, bias, weight_type, accumulator, result, reuse=0):
    """A dense layer; `reuse` 0 unrolls it, anything else shares its multipliers."""
    kind = "distributed_arithmetic" if not reuse else "block_ram" if reuse >= 64 else "dsp"
    return g.Linear(
        name,
        (source,),
        weight.shape[1],
        result,
        gather=np.arange(len(weight))[None, None],
        weight=weight[None],
        bias=bias[None, None],
        weight_type=weight_type,
        accumulator=accumulator,
        implementation=kind,
        reuse_factor=max(reuse, 1),
    )


def random_graph(seed, depth=4, size=4, shared=0.5):
    """A chain of `depth` dense layers with rectifiers, and sums with earlier words of the same size."""
    rng = np.random.default_rng(seed)
    word = FixedPoint(True, 5, 2, "RND", "SAT")
    weight_type, accumulator = FixedPoint(True, 4, 1), FixedPoint(True, 14, 6)
    nodes: list[g.Node] = [g.Input("x", (), size, word)]
    for index in range(depth):
        reuse = 0
        if rng.random() < shared:
            reuse = int(rng.choice(legal_reuse_factors(size, size)))
        weight = weight_type.quantise(rng.uniform(-1, 1, (size, size)))
        bias = accumulator.quantise(rng.uniform(-1, 1, size))
        result = accumulator if rng.random() < 0.3 else word
        nodes.append(dense(f"dense{index}", nodes[-1].name, weight, bias, weight_type, accumulator, result, reuse))
        nodes.append(g.Rectify(f"relu{index}", (nodes[-1].name,), size, word, slope=np.zeros(size)))
        if index and rng.random() < 0.6:
            earlier = nodes[int(rng.integers(0, len(nodes) - 1))].name
            nodes.append(g.Merge(f"sum{index}", (nodes[-1].name, earlier), size, word, kind="add"))
    return g.Graph(tuple(nodes), (nodes[-1].name,))
