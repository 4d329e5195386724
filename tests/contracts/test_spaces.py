"""The contract of every search space."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from evonas.errors import ConfigurationError
from evonas.space import MlpSpace, Phenotype, crossover, mutate
from evonas.space.attention import AttentionSpace
from evonas.space.autoencoder import AutoencoderSpace
from evonas.space.convolution import ConvolutionSpace
from evonas.space.deep_sets import DeepSetsSpace
from evonas.space.interaction import InteractionSpace
from evonas.space.linear_interaction import LinearInteractionSpace
from evonas.space.mixer import MixerSpace
from evonas.space.readout import ReadoutSpace

JETS = {"constituents": 4, "features": 3, "n_outputs": 5}
SMALL = {
    "weight_bits": (4,), "activation_bits": (4,), "input_bits": (6,), "sparsity": (0.0, 0.8), "activations": ("relu",),
    "learning_rate": (0.01,),
}  # fmt: skip
TINY_HEADS = {
    "embed_depth": (1, 1), "blocks": (1, 1), "heads": (1, 2), "head_width": (1, 2), "head_depth": (0, 0),
    "channels": (2,), "widths": (2,), "aggregators": ("mean",),
}  # fmt: skip
TINY_IMAGES = {"stem": (2,), "blocks": (0, 1), "channels": (2,), "kernels": (1, 3), "head_depth": (0, 0)}
TINY_SETS = {**SMALL, "phi_depth": (1, 1), "rho_depth": (1, 2), "widths": (2,), "bottleneck": (4,)}
SPACES = {
    "deep sets": DeepSetsSpace(**JETS),
    "tiny deep sets": DeepSetsSpace(**JETS, **SMALL, phi_depth=(1, 2), rho_depth=(1, 1), widths=(2,), bottleneck=(4,)),
    "interaction": InteractionSpace(**JETS),
    "linear interaction": LinearInteractionSpace(**JETS),
    "mixer": MixerSpace(**JETS),
    "tiny mixer": MixerSpace(**JETS, **SMALL, blocks=(1, 2), head_depth=(0, 0), channels=(2,)),
    "attention": AttentionSpace(**JETS),
    "tiny attention": AttentionSpace(**JETS, **SMALL, **TINY_HEADS),
    "autoencoder": AutoencoderSpace(n_inputs=12),
    "convolution": ConvolutionSpace(height=9, width=9, n_outputs=2, kernels=(1, 3, 5)),
    "convolution and attention": ConvolutionSpace(height=9, width=9, n_outputs=2, block_kinds=("conv", "attention")),
    "tiny attention of images": ConvolutionSpace(
        height=4,
        width=4,
        n_outputs=2,
        **{**SMALL, **TINY_IMAGES, "kernels": (1,)},
        block_kinds=("conv", "attention"),
        attention_hidden=(1, 2),
    ),
    "only attention of images": ConvolutionSpace(
        height=4, width=4, n_outputs=2, **SMALL, **TINY_IMAGES, block_kinds=("attention",), attention_hidden=(1, 2)
    ),
    "tiny convolution": ConvolutionSpace(height=4, width=4, n_outputs=2, **SMALL, **TINY_IMAGES),
    "readout": ReadoutSpace(positions=40, features=2, n_outputs=2),
    "tiny readout": ReadoutSpace(
        positions=8,
        features=2,
        n_outputs=2,
        **{**SMALL, "activations": ("relu", "hard_tanh"), "depth": (0, 1)},
        window_start=(0, 3),
        window_size=(4, 8),
        decimation=(1, 2),
        widths=(2,),
        norms=("none", "batch"),
    ),
    "deep sets on a part of the input": DeepSetsSpace(
        **JETS, **TINY_SETS, constituents_used=(2, 3, 4), features_used=(1, 3)
    ),
    "shared deep sets": DeepSetsSpace(**JETS, implementations=("distributed_arithmetic", 1, 2, 4, 8, 16)),
    "tiny shared deep sets": DeepSetsSpace(**JETS, **TINY_SETS, implementations=("distributed_arithmetic", 2, 3)),
    "normalised deep sets": DeepSetsSpace(**JETS, norms=("batch",)),
    "smooth deep sets": DeepSetsSpace(**JETS, norms=("none", "batch"), activations=("relu", "gelu", "identity")),
    "smooth": MlpSpace(16, 5, norms=("none", "batch"), activations=("relu", "gelu", "tanh", "sigmoid", "identity")),
    "normalised": MlpSpace(16, 5, norms=("batch",)),
    "default": MlpSpace(16, 5),
    "deep": MlpSpace(8, 1, depth=(2, 4), widths=(2, 64), sparsity=(0.0, 0.5, 0.99)),
    "fixed depth": MlpSpace(10, 3, depth=(2, 2), widths=(4, 8)),
    "tiny": MlpSpace(4, 2, (1, 2), (4, 32), (2, 3), (4,), (8,), (0.0, 0.5, 0.9), ("relu",), (0.01,)),
    "single": MlpSpace(3, 2, (1, 1), (4,), (2,), (4,), (8,), (0.0,), ("relu",), (0.01,)),
    "shared": MlpSpace(16, 5, implementations=("distributed_arithmetic", 1, 2, 4, 8, 16, 32, 64)),
    "always shared": MlpSpace(16, 5, (1, 3), widths=(4, 6, 12), implementations=(1, 3, 16)),
    "tiny shared": MlpSpace(
        4, 2, (1, 2), (4, 6), (2,), (4,), (8,), (0.0, 0.6), ("relu",), (0.01,), ("distributed_arithmetic", 2, 3, 24)
    ),
    "tiny smooth": MlpSpace(
        4, 2, (1, 2), (4,), (2,), (4,), (8,), (0.0,), ("relu", "gelu"), (0.01,), norms=("none", "batch")
    ),
}


@pytest.fixture(params=SPACES)
def space(request):
    return SPACES[request.param]


def rng(seed=0):
    return np.random.default_rng(seed)


def test_shapes_and_types(space):
    genomes = space.sample(7, rng())
    assert genomes.shape == (7, space.n_genes) == (7, len(space.genes))
    assert genomes.dtype == np.int64
    assert space.sample(0, rng()).shape == (0, space.n_genes)
    assert space.repair(np.empty((0, space.n_genes), dtype=np.int64)).shape == (0, space.n_genes)


def test_samples_are_canonical_and_repeatable(space):
    genomes = space.sample(50, rng(3))
    assert np.array_equal(space.repair(genomes), genomes)
    assert np.array_equal(space.sample(50, rng(3)), genomes)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64, np.uint64])
def test_repair_takes_extremes_of_every_integer_type(space, dtype):
    limits = np.iinfo(dtype)
    raw = np.array([[limits.min] * space.n_genes, [limits.max] * space.n_genes], dtype=dtype)
    kept = raw.copy()
    repaired = space.repair(raw)
    assert np.array_equal(raw, kept)
    assert np.array_equal(space.repair(repaired), repaired)
    assert (repaired >= 0).all()
    assert (repaired < [len(gene.choices) for gene in space.genes]).all()
    assert repaired[1, 0] == len(space.genes[0].choices) - 1  # clipped upwards, not wrapped around


@pytest.mark.parametrize("shape", [(3,), (1, 2), (1, 1, 1)])
def test_repair_names_a_wrong_shape(space, shape):
    with pytest.raises(ConfigurationError, match=rf"must be \(n, {space.n_genes}\)"):
        space.repair(np.zeros(shape, dtype=np.int64))


def test_repair_refuses_fractions(space):
    with pytest.raises(ConfigurationError, match="integer type"):
        space.repair(np.zeros((1, space.n_genes)))


def test_phenotypes_and_canonical_genomes_are_one_to_one(space):
    genomes = np.unique(space.sample(200, rng(1)), axis=0)
    phenotypes = [space.decode(genome) for genome in genomes]
    assert len({phenotype.digest for phenotype in phenotypes}) == len(genomes)
    assert [space.encode(phenotype) for phenotype in phenotypes] == [tuple(genome) for genome in genomes.tolist()]


@pytest.mark.parametrize("space", [s for s in SPACES.values() if s.size < 10_000])
def test_enumeration_and_size_agree(space):
    genomes = list(space.enumerate())
    assert len(genomes) == len(set(genomes)) == space.size
    assert len({space.decode(genome).digest for genome in genomes}) == space.size


@pytest.mark.parametrize("space", [SPACES["tiny"], SPACES["tiny shared"]])
def test_every_genome_of_a_small_space_has_a_chance(space):
    # depth 1 takes a third of the sample or more, so some thousand draws meet all of its networks
    seen = set(map(tuple, space.sample(20_000, rng(2)).tolist()))
    assert {genome for genome in space.enumerate() if genome[0] == 0} <= seen


def test_phenotypes_survive_plain_data_and_pickle(space):
    for genome in space.sample(5, rng()):
        phenotype = space.decode(genome)
        assert Phenotype.from_dict(phenotype.to_dict()) == phenotype
        assert pickle.loads(pickle.dumps(phenotype)).digest == phenotype.digest
    assert pickle.loads(pickle.dumps(space)).digest == space.digest


def test_operators_stay_in_the_space(space):
    random = rng(5)
    a, b = space.sample(64, random), space.sample(64, random)
    for _ in range(20):
        a, b = crossover(space, a, b, random)
        a = mutate(space, a, random)
        for genomes in (a, b):
            assert genomes.dtype == np.int64
            assert np.array_equal(space.repair(genomes), genomes)


def test_digests_tell_spaces_apart():
    assert len({space.digest for space in SPACES.values()}) == len(SPACES)
