"""Drawing networks: genes are read by name, mistakes are named, and a drawing reads its genes back."""

from __future__ import annotations

import pytest

from evonas.errors import ConfigurationError
from evonas.space import Draft
from surrogates import LayerSpec, OperationSpec, SpecError, Window

BITS = {"weight_bits": 4, "activation_bits": 5}


def block(name, **more):
    return {f"{name}.{gene}": value for gene, value in (BITS | more).items()}


VALUES = {
    "activation": "leaky_relu",
    "phi.depth": 2,
    **block("phi0", width=8, sparsity=0.5),
    **block("phi1", width=4),
    "output.weight_bits": 6,
    "output.sparsity": 0.9,
}


def deep_set(values=VALUES, sparsities=(0.0, 0.5, 0.9), kind="mean"):
    draft = Draft((6, 3), values, sparsities)
    words = draft.join(kind, draft.layers("phi", draft.input), bits=4 if kind != "max" else 0)
    return draft, draft.output("output", words, 2)


def test_a_drawing_is_the_network_of_its_genes():
    draft, words = deep_set()
    spec = draft.spec(words, 7)
    assert spec.input_bits == 7
    assert spec.topology == "6x3-8-4-mean-2"
    assert spec.layers == (
        LayerSpec(3, 8, 4, 5, "leaky_relu", 0.5, positions=6),
        LayerSpec(8, 4, 4, 5, "leaky_relu", positions=6),
        OperationSpec("mean", activation_bits=4),
        LayerSpec(4, 2, 6, 0, "linear", 0.5),  # 0.9 would leave one weight for two outputs
    )
    assert draft.shape(draft.input) == (6, 3)
    assert [draft.shape(part) for part in range(4)] == [(6, 8), (6, 4), (1, 4), (1, 2)]


def test_sparsity_is_lowered_to_what_leaves_a_weight_for_each_output():
    draft, words = deep_set()
    assert draft.spec(words, 8).layers[-1].sparsity == 0.5
    assert draft.settled == {"output.sparsity": 0.5}
    draft, words = deep_set({**VALUES, "output.sparsity": 0.5})
    assert draft.settled == {}


def test_a_gene_of_a_block_goes_before_that_of_the_network():
    draft, words = deep_set({**VALUES, "phi1.activation": "hard_tanh"})
    assert [layer.activation for layer in draft.spec(words, 8).weighted] == ["leaky_relu", "hard_tanh", "linear"]


def test_implementations_are_genes_too():
    draft, words = deep_set({**VALUES, "phi1.implementation": 4})
    layers = draft.spec(words, 8).weighted
    assert [(layer.strategy, layer.reuse_factor) for layer in layers[:2]] == [
        ("distributed_arithmetic", 1),
        ("reuse", 4),
    ]
    assert draft.read(draft.spec(words, 8))["phi1.implementation"] == 4


def test_an_illegal_reuse_factor_becomes_the_nearest_that_is_offered():
    values = {**VALUES, "phi0.implementation": 4, "phi1.implementation": 4, "output.implementation": 3}
    draft = Draft((6, 3), values, (0.0, 0.5, 0.9), ("distributed_arithmetic", 1, 3, 4))
    words = draft.output("output", draft.join("mean", draft.layers("phi", draft.input)), 2)
    layers = draft.spec(words, 8).weighted
    assert [layer.reuse_factor for layer in layers] == [3, 4, 4]  # of 3 x 8, 8 x 4 and 4 x 2 weights
    assert draft.settled == {"phi0.implementation": 3, "output.implementation": 4, "output.sparsity": 0.5}


def test_a_layer_without_a_gene_has_the_first_implementation():
    draft = Draft((1, 4), {"output.weight_bits": 4}, implementations=(1, 2))
    spec = draft.spec(draft.output("output", draft.input, 2), 8)
    assert (spec.layers[0].strategy, spec.layers[0].reuse_factor) == ("reuse", 1)


def test_parts_of_the_words():
    draft = Draft((6, 3), {"output.weight_bits": 4})
    assert draft.select(draft.input, 0, 6) == draft.first_channels(draft.input, 3) == draft.input
    words = draft.first_channels(draft.select(draft.input, 2, 4), 2)
    assert draft.shape(words) == (4, 2)
    spec = draft.spec(draft.output("output", draft.join("flatten", words), 1), 8)
    assert spec.topology == "6x3-select2+4-transpose-select0+2-transpose-flatten-1"
    assert draft.read(spec) is not None
    other = Draft((6, 3), {"output.weight_bits": 4})
    other.output("output", other.join("flatten", other.first_channels(other.select(other.input, 1, 4), 2)), 1)
    assert other.read(spec) is None  # other positions


def test_a_convolution_changes_the_image():
    draft = Draft((20, 2), block("stem", channels=3) | {"output.weight_bits": 4})
    words, image = draft.conv("stem", draft.input, (4, 5), 3, padding=1)
    assert image == (4, 5)
    words, image = draft.conv("stem", words, image, 2)
    assert image == (3, 4)
    spec = draft.spec(draft.output("output", draft.join("flatten", words), 1), 8)
    assert spec.layers[1] == LayerSpec(3, 3, 4, 5, kind="conv", positions=20, window=Window(4, 5, 2))
    assert draft.read(spec)["stem.kernel"] == 2


def test_a_drawing_reads_its_genes_from_a_network():
    draft, words = deep_set()
    found = draft.read(draft.spec(words, 8))
    for gene, value in VALUES.items():
        if "." in gene and not gene.endswith("depth"):
            assert found[gene] == (0.5 if gene == "output.sparsity" else value)
    other, words = deep_set({**VALUES, "phi.depth": 1, "output.sparsity": 0.0})
    assert draft.read(other.spec(words, 8)) is None


@pytest.mark.parametrize("gene", ["phi1.width", "phi0.weight_bits", "phi1.activation_bits", "output.weight_bits"])
def test_a_gene_that_is_not_laid_out_is_named(gene):
    values = {name: value for name, value in VALUES.items() if name != gene}
    with pytest.raises(ConfigurationError, match="not among the genes of the layout") as caught:
        deep_set(values)
    assert caught.value.value == gene


def test_the_channels_of_a_convolution_that_are_not_laid_out_are_named():
    draft = Draft((20, 2), block("stem"))
    with pytest.raises(ConfigurationError, match=r"stem\.channels"):
        draft.conv("stem", draft.input, (4, 5), 3)


def test_the_output_is_drawn_last():
    draft, words = deep_set()
    with pytest.raises(ConfigurationError, match="drawn last"):
        draft.spec(words - 1, 8)


def test_what_does_not_fit_is_named():
    draft = Draft((6, 3), block("stem", channels=2))
    with pytest.raises(SpecError, match="must divide the 6 positions"):
        draft.join("sum", draft.input, groups=4)
    with pytest.raises(SpecError, match="must be those of the window's image"):
        draft.conv("stem", draft.input, (4, 5), 3)
