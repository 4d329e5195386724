from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from evonas.errors import ConfigurationError
from evonas.space import MlpSpace, Phenotype
from surrogates import LayerSpec, ModelSpec

SPACE = MlpSpace(16, 5)
DISTRIBUTED = "distributed_arithmetic"
SHARED = MlpSpace(16, 5, implementations=(DISTRIBUTED, 1, 2, 4, 8, 16, 32, 64))


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ({"n_inputs": 0}, "space.n_inputs", 0),
        ({"n_inputs": 2.5}, "space.n_inputs", 2.5),
        ({"n_outputs": True}, "space.n_outputs", True),
        ({"depth": 3}, "space.depth", 3),
        ({"depth": None}, "space.depth", None),
        ({"depth": (1, 2, 3)}, "space.depth", (1, 2, 3)),
        ({"depth": (0, 2)}, "space.depth", 0),
        ({"depth": (3, 2)}, "space.depth", (3, 2)),
        ({"depth": (1.0, 2)}, "space.depth", 1.0),
        ({"widths": ()}, "space.widths", ()),
        ({"widths": 8}, "space.widths", 8),
        ({"widths": "48"}, "space.widths", "48"),
        ({"widths": (8, 8)}, "space.widths", 8),
        ({"widths": (8, 0)}, "space.widths", 0),
        ({"widths": (8, 16.5)}, "space.widths", 16.5),
        ({"weight_bits": (0, 4)}, "space.weight_bits", 0),
        ({"weight_bits": (1, 4)}, "space.weight_bits", 1),
        ({"weight_bits": (4, 17)}, "space.weight_bits", 17),
        ({"activation_bits": (True,)}, "space.activation_bits", True),
        ({"input_bits": [4, None]}, "space.input_bits", None),
        ({"sparsity": (0.5, 1.0)}, "space.sparsity", 1.0),
        ({"sparsity": (-0.1,)}, "space.sparsity", -0.1),
        ({"sparsity": (0, 0.0)}, "space.sparsity", 0.0),
        ({"sparsity": (0.99,)}, "space.sparsity", (0.99,)),
        ({"sparsity": (0.0, "0.5")}, "space.sparsity", "0.5"),
        ({"learning_rate": (0.0,)}, "space.learning_rate", 0.0),
        ({"learning_rate": ()}, "space.learning_rate", ()),
        ({"learning_rate": 0.01}, "space.learning_rate", 0.01),
        ({"activations": ("relu", "linear")}, "space.activations", "linear"),
        ({"activations": "relu"}, "space.activations", "relu"),
        ({"activations": ()}, "space.activations", ()),
        ({"norms": ("none", "layer")}, "space.norms", "layer"),
        ({"norms": ()}, "space.norms", ()),
        ({"activations": ("relu", "relu")}, "space.activations", "relu"),
        ({"implementations": ()}, "space.implementations", ()),
        ({"implementations": DISTRIBUTED}, "space.implementations", DISTRIBUTED),
        ({"implementations": ("dsp", 1)}, "space.implementations", "dsp"),
        ({"implementations": (DISTRIBUTED, 0)}, "space.implementations", 0),
        ({"implementations": (1, True)}, "space.implementations", True),
        ({"implementations": (1, 2.0)}, "space.implementations", 2.0),
        ({"implementations": (1, 4, 4)}, "space.implementations", 4),
        ({"implementations": (DISTRIBUTED, DISTRIBUTED)}, "space.implementations", DISTRIBUTED),
        ({"implementations": (2, 4), "widths": (5,)}, "space.implementations", (2, 4)),
    ],
)
def test_wrong_choices_are_named(change, field, value):
    with pytest.raises(ConfigurationError) as caught:
        MlpSpace(**({"n_inputs": 16, "n_outputs": 5} | change))
    assert (caught.value.field, caught.value.value) == (field, value)
    assert caught.value.mend


def test_default_space_is_pinned():
    # Studies log genomes and the digest: a change of either makes old studies unreadable and needs a new version.
    assert SPACE.digest == "7440ca815d13f31720604c471ba3d2f2ca861249005e93f0f7a93ad7d7a04103"
    assert SPACE.n_genes == 4 + 6 * 4 + 2
    assert f"{SPACE.size:.4e}" == "1.6405e+25"
    assert SHARED.digest == "1069e7d22df3d416357abf6cb5b15d0c89a32e07fb05e34c5f39a00a762a1007"
    assert f"{SHARED.size:.4e}" == "1.0505e+31"


def test_a_genome_by_hand():
    genome = [0] * SPACE.n_genes
    genome[0:4] = [1, 4, 2, 6]  # two hidden layers, 8 input bits, hard_tanh, 0.01
    genome[4:8] = [7, 4, 5, 9]  # 64 wide, 6-bit weights, 7-bit activations, 95 % sparse: 51 weights for 64 outputs
    genome[8:12] = [1, 0, 6, 3]  # 8 wide, 2-bit weights, 8-bit activations, half sparse
    genome[12:16] = [5, 5, 5, 5]  # a third layer that is not there
    genome[-2:] = [2, 1]
    phenotype = SPACE.decode(tuple(genome))
    assert phenotype == Phenotype(
        ModelSpec(
            8,
            (
                LayerSpec(16, 64, 6, 7, "hard_tanh", 0.9),  # the nearest sparsity that keeps 64 weights
                LayerSpec(64, 8, 2, 8, "hard_tanh", 0.5),
                LayerSpec(8, 5, 4, 0, "linear", 0.2),
            ),
        ),
        0.01,
    )
    genome[7], genome[12:16] = 8, [0, 0, 0, 0]
    assert SPACE.encode(phenotype) == tuple(genome)


def test_spaces_without_a_choice_of_implementation_are_what_they_were():
    assert SPACE.to_dict()["version"] == 1
    assert "implementations" not in SPACE.to_dict()
    assert MlpSpace(16, 5, implementations=[DISTRIBUTED]).digest == SPACE.digest
    always = MlpSpace(16, 5, implementations=(1,))
    assert (always.n_genes, always.size) == (SPACE.n_genes, SPACE.size)
    assert always.digest != SPACE.digest
    assert {layer.strategy for layer in always.decode([0] * always.n_genes).spec.layers} == {"reuse"}


def test_a_genome_with_implementations_by_hand():
    column = {gene.name: place for place, gene in enumerate(SHARED.genes)}
    assert SHARED.n_genes == SPACE.n_genes + 7
    genome = [0] * SHARED.n_genes
    genome[0] = 1  # two hidden layers
    genome[column["layer0.width"]], genome[column["layer0.implementation"]] = 4, 7  # 16 x 16 weights, reuse factor 64
    genome[column["layer1.width"]], genome[column["layer1.implementation"]] = 2, 1  # reuse factor 1
    genome[column["output.implementation"]] = 6  # 32 is not legal for 12 x 5 weights: 12, 60 and the divisors of 12 are
    layers = SHARED.decode(tuple(genome)).spec.layers
    assert [(layer.strategy, layer.reuse_factor) for layer in layers] == [("reuse", 64), ("reuse", 1), ("reuse", 4)]
    genome[column["output.implementation"]] = 3
    assert SHARED.encode(SHARED.decode(tuple(genome))) == tuple(genome)


def test_of_two_legal_reuse_factors_that_are_equally_near_the_smaller_is_taken():
    space = MlpSpace(16, 5, depth=(1, 1), widths=(8,), implementations=(2, 3, 4))
    genome = [0] * space.n_genes
    for place, gene in enumerate(space.genes):
        if gene.name.endswith("implementation"):
            genome[place] = 1  # 3 divides neither 16 nor 8
    assert [layer.reuse_factor for layer in space.decode(genome).spec.layers] == [2, 2]


def test_without_a_legal_reuse_factor_a_layer_is_distributed_arithmetic():
    space = MlpSpace(16, 5, widths=(5, 8), implementations=(DISTRIBUTED, 16, 8))
    genomes = space.repair(np.full((1, space.n_genes), 99))
    genomes[:, [place for place, gene in enumerate(space.genes) if gene.name.endswith("width")]] = 0
    layers = space.decode(genomes[0]).spec.layers
    assert [layer.reuse_factor for layer in layers] == [16] + [1] * 6
    assert [layer.strategy for layer in layers] == ["reuse"] + [DISTRIBUTED] * 6


def test_a_sample_is_half_distributed_and_the_other_half_of_every_pace():
    for seed in range(3):
        specs = [SHARED.decode(genome).spec for genome in SHARED.sample(141, np.random.default_rng(seed))]
        shared = [[layer.reuse_factor for layer in s.layers if layer.strategy == "reuse"] for s in specs]
        assert sum(not factors for factors in shared) >= 71
        intervals = [max(factors) for factors in shared if factors]
        assert {1, 2, 4, 8, 16} <= set(intervals)
        assert np.median(intervals) <= 8  # independent choices: nearly all of them 32 or 64
        mixed = [len(factors) / len(s.layers) for factors, s in zip(shared, specs, strict=True) if factors]
        assert 0.3 < np.mean(mixed) < 0.7


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (ModelSpec(8, (LayerSpec(16, 8, 4, 4), LayerSpec(8, 4, 4, 0, "linear"))), "spec"),
        (ModelSpec(8, (LayerSpec(16, 5, 4, 0, "linear"),)), "depth"),
        (ModelSpec(12, (LayerSpec(16, 8, 4, 4), LayerSpec(8, 5, 4, 0, "linear"))), "input_bits"),
        (ModelSpec(8, (LayerSpec(16, 9, 4, 4), LayerSpec(9, 5, 4, 0, "linear"))), "layer0.width"),
        (ModelSpec(8, (LayerSpec(16, 8, 4, 4), LayerSpec(8, 5, 12, 0, "linear"))), "output.weight_bits"),
        (ModelSpec(8, (LayerSpec(16, 64, 4, 4, sparsity=0.95), LayerSpec(64, 5, 4, 0, "linear"))), "spec"),
        (ModelSpec(8, (LayerSpec(16, 8, 4, 4, strategy="reuse"), LayerSpec(8, 5, 4, 0, "linear"))), "spec"),
    ],
)
def test_what_lies_outside_cannot_be_encoded(spec, field):
    with pytest.raises(ConfigurationError) as caught:
        SPACE.encode(Phenotype(spec, 0.01))
    assert caught.value.field == field


def test_reuse_factors_outside_the_space_cannot_be_encoded():
    hidden = LayerSpec(16, 12, 4, 4, strategy="reuse", reuse_factor=48)
    with pytest.raises(ConfigurationError) as caught:
        SHARED.encode(Phenotype(ModelSpec(8, (hidden, LayerSpec(12, 5, 4, 0, "linear"))), 0.01))
    assert (caught.value.field, caught.value.value) == ("layer0.implementation", 48)


def test_mixed_activations_cannot_be_encoded():
    hidden = (LayerSpec(16, 8, 4, 4, "relu"), LayerSpec(8, 8, 4, 4, "hard_tanh"))
    with pytest.raises(ConfigurationError, match="mixes activations"):
        SPACE.encode(Phenotype(ModelSpec(8, (*hidden, LayerSpec(8, 5, 4, 0, "linear"))), 0.01))


def test_an_initial_population_holds_small_and_big_networks():
    for seed in range(5):
        phenotypes = [SPACE.decode(genome) for genome in SPACE.sample(48, np.random.default_rng(seed))]
        weights = sorted(sum(layer.n_weights for layer in phenotype.spec.layers) for phenotype in phenotypes)
        assert weights[4] < 700
        assert weights[-5] > 5000
        for layers in range(2, 8):
            assert sum(len(phenotype.spec.layers) == layers for phenotype in phenotypes) == 8


def test_choices_may_come_as_lists_and_numpy_integers_in_any_order():
    space = MlpSpace(np.int64(16), 5, depth=[1, 6], widths=[64, 4, 8, 12, 16, 24, 32, np.int32(48)])
    assert space == SPACE
    assert space.digest == SPACE.digest
    assert hash(space) == hash(SPACE)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_learning_rate_of_a_phenotype(rate):
    with pytest.raises(ConfigurationError):
        Phenotype(SPACE.decode([0] * SPACE.n_genes).spec, rate)


def test_a_normalisation_is_a_gene_where_it_is_asked_for_and_else_leaves_no_trace():
    choices = {"norms": ("batch", "none"), "learning_rate": (0.01,)}
    space = MlpSpace(16, 5, **choices)
    assert [gene.choices for gene in space.genes if gene.name == "norm"] == [("none", "batch")]
    assert space.size == 2 * MlpSpace(16, 5, learning_rate=(0.01,)).size
    assert "norm" not in [gene.name for gene in (*SPACE.genes, *MlpSpace(16, 5, norms=("batch",)).genes)]
    found = {space.decode(genome).norm for genome in space.sample(50, np.random.default_rng(0))}
    assert found == {"none", "batch"}
    plain = SPACE.decode([0] * SPACE.n_genes)
    normalised = MlpSpace(16, 5, norms=("batch",)).decode([0] * SPACE.n_genes)
    assert (plain.norm, normalised.norm) == ("none", "batch")
    assert plain.spec == normalised.spec
    assert set(plain.to_dict()) == {"spec", "learning_rate"}
    assert Phenotype.from_dict(normalised.to_dict()) == normalised
    assert plain.digest != normalised.digest
    with pytest.raises(ConfigurationError, match="lacks"):
        SPACE.encode(normalised)
    with pytest.raises(ConfigurationError, match="must be one of none, batch"):
        Phenotype(plain.spec, 0.01, "layer")


def test_the_digest_of_a_space_without_new_choices_is_the_one_it_always_was():
    assert SPACE.digest == "7440ca815d13f31720604c471ba3d2f2ca861249005e93f0f7a93ad7d7a04103"


def test_plain_data_with_other_fields_is_refused():
    data = SPACE.decode([0] * SPACE.n_genes).to_dict()
    with pytest.raises(ConfigurationError):
        Phenotype.from_dict(data | {"momentum": 0.9})


def test_importing_spaces_and_search_loads_no_search_library():
    libraries = {"pymoo", "deap", "moocore", "torch"}
    code = f"import sys, evonas.space, evonas.search; sys.exit(bool({libraries} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
