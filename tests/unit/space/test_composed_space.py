"""What all families share, on a family of the user's own, and what is particular to each."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import pytest
from fakes.families import FAMILIES, TASKS, every_gene, space_of
from fakes.families import SHARED as SHARED_MULTIPLIERS

from evonas.errors import ConfigurationError
from evonas.space import ComposedSpace, Condition, Gene, Phenotype, choices
from evonas.space.autoencoder import AutoencoderSpace
from evonas.space.convolution import ConvolutionSpace
from evonas.space.families import COMPOSED, fitted, options, space_class
from surrogates import LayerSpec, OperationSpec


@final
@dataclass(frozen=True, kw_only=True)
class ParallelSpace(ComposedSpace):
    """A family of the user's own: two branches over the constituents, one of which may be missing."""

    constituents: int
    features: int
    n_outputs: int
    widths: tuple[int, ...] = (2, 4)
    family = "parallel"

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "widths", choices.integers("space.widths", self.widths, 1, 64))

    @property
    def input_shape(self):
        return self.constituents, self.features

    def layout(self):
        yield Gene("branches", ("one", "two"), ordered=False)
        yield from self.layer("left", width=self.widths)
        yield from self.layer("right", Condition("branches", ("two",)), width=self.widths)
        yield from self.layer("output", last=True)

    def draw(self, values, draft):
        words = draft.join("max", draft.dense("left", draft.input))
        if values["branches"] == "two":
            words = draft.join("concatenate", words, draft.join("sum", draft.dense("right", draft.input)))
        return draft.output("output", words, self.n_outputs)


@dataclass(frozen=True, kw_only=True)
class WithoutDrawing(ComposedSpace):
    family = "without drawing"


class Undecorated(ComposedSpace):
    family, input_shape = "undecorated", (1, 1)

    def layout(self):
        return ()

    def draw(self, values, draft):
        return draft.output("output", draft.input, 1)


@dataclass(frozen=True, kw_only=True)
class Misdrawn(ComposedSpace):
    """Draws a layer that it does not lay out."""

    n_inputs: int
    family = "misdrawn"

    @property
    def input_shape(self):
        return 1, self.n_inputs

    def layout(self):
        return ()

    def draw(self, values, draft):
        return draft.output("output", draft.input, 2)


@dataclass(frozen=True, kw_only=True)
class WithoutDefault(Misdrawn):
    blocks: int


OWN = f"{__name__}:ParallelSpace"
ONE = {
    "weight_bits": (4,), "activation_bits": (4,), "input_bits": (6,), "sparsity": (0.0,), "activations": ("relu",),
    "learning_rate": (0.01,),
}  # fmt: skip


def test_a_family_of_the_users_own_by_its_import_path():
    assert space_class(OWN) is ParallelSpace
    space = fitted(OWN, {"widths": [4, 2, 8]}, (6, 3), 5)
    assert space.widths == (2, 4, 8)
    genomes = np.unique(space.sample(100, np.random.default_rng(0)), axis=0)
    for genome in genomes:
        phenotype = space.decode(genome)
        assert space.encode(phenotype) == tuple(genome)
        assert phenotype.spec.shapes[-1] == (1, 5)
    topologies = {space.decode(genome).spec.topology.count("concatenate") for genome in genomes}
    assert topologies == {0, 1}


def test_the_size_counts_every_network_once():
    space = fitted(OWN, {**ONE, "widths": (2, 4)}, (6, 3), 5)
    assert space.size == 2 + 2 * 2
    assert len({space.decode(genome).digest for genome in space.enumerate()}) == space.size
    larger = fitted(OWN, {**ONE, "weight_bits": (2, 3)}, (6, 3), 5)
    assert larger.size == (2 * 2 + (2 * 2) ** 2) * 2


@pytest.mark.parametrize("family", FAMILIES)
def test_the_size_of_a_large_space_is_a_bound_from_above(family):
    space = space_of(family)
    assert 10**12 < space.size <= math.prod(len(gene.choices) for gene in space.genes)


@pytest.mark.parametrize(
    ("family", "mend"),
    [
        ("cnn", "must be one of mlp, attention"),
        ("mlp", "must be one of mlp, attention"),
        ("", "must be one of mlp"),
        ("nothing.here:Space", "cannot be imported: No module named"),
        (":Space", "cannot be imported"),
        (".relative:Space", "cannot be imported"),
        ("evonas.space:Nothing", "cannot be imported"),
        ("json:loads", "must be a subclass of evonas.space.ComposedSpace"),
        ("evonas.space:MlpSpace", "must be a subclass of evonas.space.ComposedSpace"),
        (f"{__name__}:WithoutDrawing", "must define draw, input_shape, layout"),
        (f"{__name__}:Undecorated", "must be decorated with @dataclass"),
    ],
)
def test_a_family_that_cannot_be_used_is_named(family, mend):
    with pytest.raises(ConfigurationError) as caught:
        space_class(family)
    assert (caught.value.field, caught.value.value) == ("space.family", family)
    assert mend in caught.value.mend


def test_a_module_with_a_mistake_is_named(tmp_path, monkeypatch):
    (tmp_path / "broken_space.py").write_text("class Space(:\n")
    (tmp_path / "unfrozen_space.py").write_text(
        "from dataclasses import dataclass\nfrom evonas.space import ComposedSpace\n"
        "@dataclass\nclass Space(ComposedSpace):\n    family = 'unfrozen'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for module, reason in (("broken_space", "invalid syntax"), ("unfrozen_space", "non-frozen dataclass")):
        with pytest.raises(ConfigurationError, match=reason):
            space_class(f"{module}:Space")


def test_a_field_without_default_is_named():
    with pytest.raises(ConfigurationError, match="its field 'blocks' needs a default"):
        options(f"{__name__}:WithoutDefault")


def test_a_drawing_that_is_not_laid_out_is_named_before_a_search_begins():
    with pytest.raises(ConfigurationError, match=r"output\.weight_bits.*not among the genes"):
        fitted(f"{__name__}:Misdrawn", {}, (1, 3), 2)


@pytest.mark.parametrize(
    ("family", "chosen", "shape", "image", "field", "mend"),
    [
        ("deep_sets", {"width": (4,)}, (6, 3), None, "space.width", "no such field; deep_sets has"),
        ("deep_sets", {"constituents": 4}, (6, 3), None, "space.constituents", "no such field"),
        ("deep_sets", {}, (1, 18), None, "space.family", "several constituents"),
        ("convolution", {}, (42, 1), None, "space.family", "needs a task of images: height, width"),
        ("interaction", {}, (80, 3), None, "space", "positions = 6320: must lie between 1 and 4096"),
        ("mixer", {}, (300, 3), None, "space", "n_in = 4800: must lie between 1 and 4096"),
        ("convolution", {}, (784, 1), (28, 28), "space", "n_in = 6272: must lie between 1 and 4096"),
    ],
)
def test_a_family_that_does_not_suit_the_task_is_named(family, chosen, shape, image, field, mend):
    with pytest.raises(ConfigurationError) as caught:
        fitted(family, chosen, shape, 5, image)
    assert caught.value.field == field
    assert mend in caught.value.mend


SHARED = [
    ({"weight_bits": (1, 2)}, "space.weight_bits", 1),
    ({"weight_bits": 4}, "space.weight_bits", 4),
    ({"activation_bits": ()}, "space.activation_bits", ()),
    ({"input_bits": (17,)}, "space.input_bits", 17),
    ({"sparsity": (0.5,)}, "space.sparsity", (0.5,)),
    ({"sparsity": (0.0, 1.0)}, "space.sparsity", 1.0),
    ({"activations": ("linear",)}, "space.activations", "linear"),
    ({"activations": "relu"}, "space.activations", "relu"),
    ({"learning_rate": (0.01, 0.01)}, "space.learning_rate", 0.01),
    ({"implementations": ("lut",)}, "space.implementations", "lut"),
    ({"implementations": (2, 4)}, "space.implementations", (2, 4)),
]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("change", "field", "value"), SHARED)
def test_a_wrong_choice_is_named(family, change, field, value):
    with pytest.raises(ConfigurationError) as caught:
        space_of(family, **change)
    assert (caught.value.field, caught.value.value) == (field, value)


@pytest.mark.parametrize(
    ("family", "change", "field", "value"),
    [
        ("deep_sets", {"widths": (0,)}, "space.widths", 0),
        ("deep_sets", {"bottleneck": (2.5,)}, "space.bottleneck", 2.5),
        ("deep_sets", {"phi_depth": 2}, "space.phi_depth", 2),
        ("deep_sets", {"phi_depth": (0, 2)}, "space.phi_depth", 0),
        ("deep_sets", {"rho_depth": (3, 2)}, "space.rho_depth", (3, 2)),
        ("deep_sets", {"aggregators": ("median",)}, "space.aggregators", "median"),
        ("interaction", {"edge_depth": (1, 2, 3)}, "space.edge_depth", (1, 2, 3)),
        ("interaction", {"node_depth": (0, 1)}, "space.node_depth", 0),
        ("interaction", {"aggregators": ()}, "space.aggregators", ()),
        ("interaction", {"widths": (4, 4)}, "space.widths", 4),
        ("linear_interaction", {"blocks": (0, 1)}, "space.blocks", 0),
        ("linear_interaction", {"embed_depth": (2, 1)}, "space.embed_depth", (2, 1)),
        ("linear_interaction", {"widths": "8"}, "space.widths", "8"),
        ("mixer", {"channels": (True,)}, "space.channels", True),
        ("mixer", {"blocks": (1, 33)}, "space.blocks", 33),
        ("mixer", {"head_depth": (-1, 1)}, "space.head_depth", -1),
        ("attention", {"heads": (0, 1)}, "space.heads", 0),
        ("attention", {"skips": ("maybe",)}, "space.skips", "maybe"),
        ("attention", {"blocks": (0, 1)}, "space.blocks", 0),
        ("autoencoder", {"latent": (2, 8)}, "space.latent", (2, 8)),
        ("autoencoder", {"encoder_depth": (-1, 1)}, "space.encoder_depth", -1),
        ("convolution", {"stem_kernel": 7}, "space.stem_kernel", 7),
        ("convolution", {"stem_kernel": "3"}, "space.stem_kernel", "3"),
        ("convolution", {"stem_kernel": 2.5}, "space.stem_kernel", 2.5),
        ("convolution", {"kernels": (3, 5)}, "space.kernels", (3, 5)),
        ("convolution", {"stem": (0,)}, "space.stem", 0),
        ("convolution", {"blocks": (0, 9)}, "space.blocks", 9),
        ("convolution", {"block_kinds": ("conv", "none")}, "space.block_kinds", "none"),
        ("convolution", {"attention_hidden": (0,)}, "space.attention_hidden", 0),
        ("deep_sets", {"constituents_used": (0, 4)}, "space.constituents_used", 0),
        ("deep_sets", {"constituents_used": (4, 7)}, "space.constituents_used", 7),
        ("mixer", {"constituents_used": 4}, "space.constituents_used", 4),
        ("interaction", {"features_used": (4,)}, "space.features_used", 4),
        ("interaction", {"constituents_used": (1, 2)}, "space", "interaction"),  # no pairs of one
        ("readout", {"decimation": (1, 3, 8)}, "space.decimation", (1, 3, 8)),
        ("readout", {"window_size": (2, 8)}, "space.window_size", 2),
        ("readout", {"window_size": (8, 20)}, "space.window_size", 20),
        ("readout", {"window_start": (0, 13)}, "space.window_start", 13),
        ("readout", {"window_start": 4}, "space.window_start", 4),
        ("readout", {"depth": (-1, 2)}, "space.depth", -1),
    ],
)
def test_a_wrong_choice_of_a_family_is_named(family, change, field, value):
    with pytest.raises(ConfigurationError) as caught:
        space_of(family, **change)
    assert (caught.value.field, caught.value.value) == (field, value)


@pytest.mark.parametrize("family", FAMILIES)
def test_lists_of_a_file_are_the_same_space(family):
    space = space_of(family)
    assert json.loads(json.dumps(space.to_dict())) == space.to_dict()
    chosen = {name: list(value) if isinstance(value, tuple) else value for name, value in options(family).items()}
    backwards = {name: value[::-1] if name.endswith("bits") else value for name, value in chosen.items()}
    assert space_of(family, **backwards).digest == space.digest


@pytest.mark.parametrize("family", FAMILIES)
def test_the_corners_of_a_space_are_drawn(family, monkeypatch):
    """The smallest and the largest networks are among those that are tried before a search."""
    drawn = []
    decode = COMPOSED[family].decode
    monkeypatch.setattr(COMPOSED[family], "decode", lambda s, g: drawn.append(decode(s, g)) or drawn[-1])
    space = space_of(family)
    found = [sum(layer.n_weights for layer in phenotype.spec.weighted) for phenotype in drawn]
    sampled = [sum(layer.n_weights for layer in decode(space, g).spec.weighted)
               for g in space.sample(100, np.random.default_rng(0))]  # fmt: skip
    assert max(found) >= max(sampled)
    assert min(found) <= min(sampled)


@pytest.mark.parametrize("family", FAMILIES)
def test_repair_leaves_a_network_that_is_alive(family):
    space = space_of(family, sparsity=(0.0, 0.5, 0.99))
    rng = np.random.default_rng(1)
    raw = rng.integers(-3, 20, (60, space.n_genes))
    genomes = space.repair(raw)
    for before, genome in zip(raw, genomes, strict=True):
        phenotype = space.decode(genome)
        assert space.decode(before) == phenotype
        for layer in phenotype.spec.weighted:
            assert layer.n_nonzero >= layer.n_out
            assert layer.sparsity in (0.0, 0.5, 0.99)
        assert [layer.activation == "linear" for layer in phenotype.spec.weighted][-1]


@pytest.mark.parametrize("family", FAMILIES)
def test_what_lies_outside_is_not_encoded(family):
    space = space_of(family)
    phenotype = space.decode(space.sample(1, np.random.default_rng(2))[0])
    outside = [
        Phenotype(phenotype.spec, 0.5),
        Phenotype(replace(phenotype.spec, input_bits=16), phenotype.learning_rate),
        Phenotype(one_output_more(phenotype.spec), phenotype.learning_rate),
    ]
    for other in outside:
        with pytest.raises(ConfigurationError, match=f"not a network of this {family} space"):
            space.encode(other)


def one_output_more(spec):
    last = spec.layers[-1]
    return replace(spec, layers=(*spec.layers[:-1], replace(last, n_out=last.n_out + 1, sparsity=0.0)))


def kinds(space, n=60):
    specs = [space.decode(genome).spec for genome in space.sample(n, np.random.default_rng(3))]
    return specs, {part.kind for spec in specs for part in spec.layers if isinstance(part, OperationSpec)}


def test_families_draw_what_they_are_named_for():
    specs, found = kinds(space_of("deep_sets"))
    assert found == {"mean", "max", "sum"}
    assert all(spec.layers[0].positions == 6 and spec.layers[-1].positions == 1 for spec in specs)
    specs, found = kinds(space_of("interaction"))
    assert {"pairs", "sum", "concatenate"} <= found
    assert all(spec.shapes[1] == (12, 6) for spec in specs)
    specs, found = kinds(space_of("linear_interaction"))
    assert {"mean", "broadcast", "concatenate"} <= found
    specs, found = kinds(space_of("mixer"))
    assert found == {"transpose", "add", "flatten"}
    specs, found = kinds(space_of("autoencoder"))
    assert found == set()
    assert all(spec.n_outputs == spec.n_inputs == 12 and spec.is_chain for spec in specs)
    assert all(min(layer.n_out for layer in spec.weighted) in (2, 3, 4, 6) for spec in specs)
    specs, found = kinds(space_of("attention"))
    assert {"transpose", "matmul", "softmax", "add", "concatenate", "mean", "max", "sum"} == found
    assert all(part.activation == "identity" for spec in specs for part in projections(spec))
    specs, found = kinds(space_of("convolution"))
    assert found == {"flatten"}
    assert all(spec.layers[0].kind == "conv" for spec in specs)


def projections(spec):
    """The layers whose words scores and values are products of."""
    products = [spec.sources[index] for index, part in enumerate(spec.layers) if part.label == "matmul"]
    ends = {spec.sources[end][0] if spec.layers[end].label == "transpose" else end for pair in products for end in pair}
    return [spec.layers[end] for end in ends if isinstance(spec.layers[end], LayerSpec)]


def test_a_block_of_an_image_is_two_convolutions_or_attention():
    space = space_of("convolution", block_kinds=("conv", "attention"), attention_hidden=(1, 2), channels=(2, 4))
    seen = set()
    for genome in space.sample(200, np.random.default_rng(3)):
        spec = space.decode(genome).spec
        values = {gene.name: gene.choices[index] for gene, index in zip(space.genes, genome, strict=True)}
        wanted = [values[f"block{number}.kind"] for number in range(values["blocks"])]
        assert sum(part.label == "softmax" for part in spec.layers) == wanted.count("attention")
        assert sum(isinstance(part, LayerSpec) and part.kind == "conv" for part in spec.layers) == (
            1 + 2 * wanted.count("conv")
        )
        seen.add(tuple(wanted))
    assert len(seen) == 1 + 2 + 4 + 8
    assert not {"block0.kind", "block0qkv.width"} & {gene.name for gene in space_of("convolution").genes}


def test_attention_over_a_large_image_is_refused_before_a_search_begins():
    task, channels = ((20 * 20, 1), 2, (20, 20)), {"stem": (4,), "channels": (2, 4)}
    fitted("convolution", channels, *task)
    with pytest.raises(ConfigurationError, match="more than 65,536 words"):  # 18 x 18 positions, squared
        fitted("convolution", channels | {"block_kinds": ("conv", "attention")}, *task)


@pytest.mark.parametrize("family", [family for family in FAMILIES if "constituents_used" in options(family)])
def test_a_network_reads_the_first_constituents_and_features(family):
    space = space_of(family, constituents_used=(2, 3, *range(4, TASKS[family][0][0] + 1)), features_used=(1, 3))
    found = set()
    for spec in kinds(space)[0]:
        selected = [part for part in spec.layers if isinstance(part, OperationSpec) and part.kind == "select"]
        assert {part.start for part in selected} <= {0}
        found.add(len(selected))
        of_channels = [part for part in selected if spec.layers[spec.layers.index(part) - 1].kind == "transpose"]
        assert {part.length for part in of_channels} <= {1}
    assert found == {0, 1, 2}
    assert "select" not in kinds(space_of(family))[1]


def test_one_choice_of_what_is_read_is_no_choice_but_is_read():
    assert "constituents_used" in {gene.name for gene in space_of("mixer", constituents_used=(4,)).genes}
    specs, _ = kinds(space_of("mixer", constituents_used=(4,)), 5)
    assert all(spec.layers[0] == OperationSpec("select", length=4) for spec in specs)


@pytest.mark.parametrize("family", FAMILIES)
def test_genes_that_nobody_asks_for_leave_no_trace(family):
    space = space_of(family)
    added = {"implementations", "constituents_used", "features_used"}
    assert not added & set(space.to_dict())
    assert not [gene.name for gene in space.genes if gene.name in added or gene.name.endswith(".implementation")]
    asked = space_of(family, **every_gene(family))
    assert set(every_gene(family)) <= set(asked.to_dict())
    assert asked.digest != space.digest


@pytest.mark.parametrize("family", FAMILIES)
def test_samples_with_shared_multipliers_have_every_pace(family):
    space = space_of(family, **SHARED_MULTIPLIERS)
    specs, _ = kinds(space, 200)
    slowest = [max(layer.reuse_factor for layer in spec.weighted) for spec in specs]
    unrolled = [all(layer.strategy == "distributed_arithmetic" for layer in spec.weighted) for spec in specs]
    assert 90 <= sum(unrolled) <= 160  # half of them, and those whose layers have no legal factor
    assert len(set(slowest)) >= 4
    assert {layer.reuse_factor for spec in specs for layer in spec.weighted} <= {1, 2, 3, 4, 6, 12}


def test_a_window_that_leaves_the_trace_becomes_the_largest_that_does_not():
    space = space_of("readout", window_start=(0, 6), window_size=(4, 8, 12), decimation=(1, 4), depth=(1, 1))
    layers = [part for spec in kinds(space)[0] for part in spec.layers]
    parts = {(part.start, part.length) for part in layers if part.label[:6] == "select"}
    assert parts == {(0, 4), (0, 8), (0, 12), (6, 4), (6, 8)}
    means = {part.groups for part in layers if getattr(part, "kind", "") == "mean"}
    assert means == {1, 2, 3}


@pytest.mark.parametrize("positions", [1, 2, 7, 40, 77, 770])
def test_windows_of_any_trace_unless_told_otherwise(positions):
    space = fitted("readout", {"decimation": (1,) if positions < 4 else (1, 2, 4)}, (positions, 2), 2)
    assert space.window_start[0] == 0
    assert 1 <= len(space.window_size) <= 16
    assert space.window_start[-1] + space.window_size[0] <= positions
    assert space.window_size[-1] > 0.85 * positions or positions < 8


def test_a_readout_without_hidden_layers_is_linear_and_has_one_genome():
    space = space_of("readout", **ONE, window_start=(0,), window_size=(16,), decimation=(1,), depth=(0, 0))
    assert space.size == 1
    space = space_of("readout", depth=(0, 0), norms=("none", "batch"))
    for genome in space.sample(20, np.random.default_rng(1)):
        assert {space.genes[column].name for column in np.flatnonzero(genome)}.isdisjoint({"activation", "norm"})
        assert space.encode(space.decode(genome)) == tuple(genome)


def test_a_kernel_that_does_not_fit_becomes_the_largest_that_does():
    space = ConvolutionSpace(height=5, width=6, n_outputs=2, kernels=(1, 2, 3), blocks=(1, 1), stem_kernel=4)
    genomes = space.sample(200, np.random.default_rng(4))
    for genome in genomes:
        image = (2, 3)
        for layer in space.decode(genome).spec.weighted[1:3]:
            assert layer.window.kernel <= min(image)
            assert (layer.window.height, layer.window.width) == image
            image = layer.window.image
    column = [gene.name for gene in space.genes].index("block0a.kernel")
    assert set(genomes[:, column]) == {0, 1}  # 3 has become 2


def test_a_stack_may_be_empty():
    space = AutoencoderSpace(n_inputs=6, **ONE, encoder_depth=(0, 1), decoder_depth=(0, 0), widths=(8,), latent=(2,))
    topologies = [space.decode(genome).spec.topology for genome in space.enumerate()]
    assert sorted(topologies) == ["6-2-6", "6-8-2-6"]


def test_conditions_of_stacks_follow_the_depth():
    space = space_of("deep_sets")
    genes = {gene.name: gene for gene in space.genes}
    assert genes["phi.depth"].choices == (0, 1, 2)  # before the bottleneck
    assert genes["phi0.width"].condition == Condition("phi.depth", (1, 2))
    assert genes["phi1.width"].condition == Condition("phi.depth", (2,))
    assert genes["rho0.width"].condition is None
    assert genes["rho2.width"].condition == Condition("rho.depth", (3,))
    assert list(itertools.islice(genes, 3)) == ["input_bits", "activation", "learning_rate"]
    assert all(isinstance(layer, LayerSpec) for layer in space.decode((0,) * space.n_genes).spec.weighted)
