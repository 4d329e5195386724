"""Spaces of any shape: repair, decoding and variation hold for every integer array."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from evonas.space import MlpSpace, Phenotype, crossover, mutate
from surrogates.reuse import legal_reuse_factors

# No deadlines: the machine may be busy with a synthesis.
DISTRIBUTED = "distributed_arithmetic"
OFTEN, RARE = settings(max_examples=80, deadline=None), settings(max_examples=40, deadline=None)
BITS = st.lists(st.integers(1, 16), min_size=1, max_size=4, unique=True).map(tuple)
REUSE_FACTORS = st.lists(st.sampled_from([2, 3, 4, 5, 8, 16, 64, 1000]), max_size=4, unique=True)
WEIGHT_BITS = st.lists(st.integers(2, 16), min_size=1, max_size=4, unique=True).map(tuple)


@st.composite
def spaces(draw):
    low = draw(st.integers(1, 4))
    return MlpSpace(
        n_inputs=draw(st.integers(1, 40)),
        n_outputs=draw(st.integers(1, 12)),
        depth=(low, low + draw(st.integers(0, 3))),
        widths=draw(st.lists(st.integers(1, 80), min_size=1, max_size=5, unique=True).map(tuple)),
        weight_bits=draw(WEIGHT_BITS),
        activation_bits=draw(BITS),
        input_bits=draw(BITS),
        sparsity=(0.0, *draw(st.lists(st.sampled_from([0.1, 0.5, 0.75, 0.9, 0.99]), max_size=3, unique=True))),
        activations=draw(st.lists(st.sampled_from(["relu", "leaky_relu", "hard_tanh"]), min_size=1, unique=True)),
        learning_rate=draw(st.lists(st.floats(1e-5, 0.5), min_size=1, max_size=3, unique=True).map(tuple)),
        # at least one of those that every shape can have
        implementations=(
            *draw(st.sampled_from([(DISTRIBUTED,), (1,), (DISTRIBUTED, 1)])),
            *draw(REUSE_FACTORS),
        ),
    )


@st.composite
def cases(draw):
    space = draw(spaces())
    near = st.integers(-2, max(len(gene.choices) for gene in space.genes) + 1)
    elements = st.one_of(near, st.integers(-(2**63), 2**63 - 1))
    return space, draw(npst.arrays(np.int64, (draw(st.integers(1, 5)), space.n_genes), elements=elements))


@given(cases())
@OFTEN
def test_repair_is_total_idempotent_and_canonical(case):
    space, raw = case
    genomes = space.repair(raw)
    assert np.array_equal(space.repair(genomes), genomes)
    for before, genome in zip(raw, genomes, strict=True):
        phenotype = space.decode(genome)
        assert space.decode(before) == phenotype
        assert space.encode(phenotype) == tuple(genome)
        assert Phenotype.from_dict(phenotype.to_dict()) == phenotype


@given(cases())
@OFTEN
def test_equal_digests_mean_equal_canonical_genomes(case):
    space, raw = case
    genomes = [tuple(genome) for genome in space.repair(raw)]
    digests = [space.decode(genome).digest for genome in genomes]
    for i, j in np.ndindex(len(genomes), len(genomes)):
        assert (genomes[i] == genomes[j]) == (digests[i] == digests[j])


@given(cases())
@OFTEN
def test_networks_are_alive_and_within_the_choices(case):
    space, raw = case
    for genome in space.repair(raw):
        spec = space.decode(genome).spec
        *hidden, output = spec.layers
        assert space.depth[0] <= len(hidden) <= space.depth[1]
        assert (spec.n_inputs, spec.n_outputs) == (space.n_inputs, space.n_outputs)
        assert (output.activation, output.activation_bits) == ("linear", 0)
        assert all(layer.n_out in space.widths and layer.activation_bits in space.activation_bits for layer in hidden)
        for layer in spec.layers:
            assert layer.n_nonzero >= layer.n_out
            assert layer.weight_bits in space.weight_bits
            assert layer.sparsity in space.sparsity
            implementation = DISTRIBUTED if layer.strategy == DISTRIBUTED else layer.reuse_factor
            assert implementation in space.implementations
            assert layer.reuse_factor in legal_reuse_factors(layer.n_in, layer.n_out)


@given(cases())
@OFTEN
def test_repair_lowers_sparsity_and_makes_reuse_factors_legal_and_nothing_else(case):
    space, raw = case
    clipped = np.clip(raw, 0, [len(gene.choices) - 1 for gene in space.genes])
    for wanted, genome in zip(clipped, space.repair(raw), strict=True):
        layers = space.decode(genome).spec.layers
        active = {"depth", "input_bits", "activation", "learning_rate"}
        active |= {"output.weight_bits", "output.sparsity", "output.implementation"}
        for index, gene in enumerate(space.genes):
            layer = len(layers) - 1 if gene.name.startswith("output") else None
            if gene.name.startswith("layer"):
                layer = int(gene.name.split(".")[0][5:])
                if layer >= len(layers) - 1:
                    assert genome[index] == 0
                    continue
            else:
                assert gene.name in active
            if not gene.name.endswith(("sparsity", "implementation")):
                assert genome[index] == wanted[index]
                continue
            shape = layers[layer]
            if gene.name.endswith("implementation"):
                assert gene.choices[genome[index]] == nearest(gene.choices, gene.choices[wanted[index]], shape)
                continue
            alive = [
                n for n, s in enumerate(space.sparsity) if shape.n_weights - round(s * shape.n_weights) >= shape.n_out
            ]
            assert genome[index] == max(n for n in alive if n <= wanted[index])


def nearest(choices, wanted, shape):
    """The legal choice that is closest to a reuse factor, the smaller of two; distributed arithmetic without any."""
    if wanted == DISTRIBUTED:
        return wanted
    legal = [c for c in choices if c != DISTRIBUTED and c in legal_reuse_factors(shape.n_in, shape.n_out)]
    return min(legal, key=lambda c: (abs(c - wanted), c)) if legal else DISTRIBUTED


@given(cases(), st.integers(0, 2**32))
@OFTEN
def test_operators_stay_in_the_space_and_are_repeatable(case, seed):
    space, raw = case
    first, second = space.repair(raw), space.repair(raw[::-1])
    results = []
    for _ in range(2):
        rng = np.random.default_rng(seed)
        a, b = crossover(space, first, second, rng)
        results.append((a, b, mutate(space, a, rng)))
    for once, again in zip(*results, strict=True):
        assert np.array_equal(once, again)
        assert np.array_equal(space.repair(once), once)


@given(spaces(), st.integers(0, 30), st.integers(0, 2**32))
@RARE
def test_samples_are_canonical_and_spread_over_depths(space, n, seed):
    genomes = space.sample(n, np.random.default_rng(seed))
    assert np.array_equal(space.repair(genomes), genomes)
    depths = space.depth[1] - space.depth[0] + 1
    assert np.ptp(np.bincount(genomes[:, 0], minlength=depths)) <= 2
    if DISTRIBUTED in space.implementations:
        unrolled = [all(layer.strategy == DISTRIBUTED for layer in space.decode(g).spec.layers) for g in genomes]
        assert sum(unrolled) >= n / 2


@given(spaces())
@RARE
def test_the_order_of_choices_does_not_matter(space):
    fields = space.to_dict()
    del fields["family"], fields["version"]
    fields.setdefault("implementations", [DISTRIBUTED])
    reverse = {
        name: value[::-1] if isinstance(value, list) and name != "depth" else value for name, value in fields.items()
    }
    assert MlpSpace(**reverse) == space
    assert MlpSpace(**reverse).digest == space.digest
