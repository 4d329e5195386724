"""A member of a stack trains to the network that it becomes alone, whoever is beside it and in whatever order."""

from __future__ import annotations

import numpy as np
import pytest
from fakes.families import CLIP, FAMILIES, SMOOTH, TASKS, inputs, space_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evonas.models.padding import rows, structure, widest
from evonas.space import MlpSpace
from evonas.tasks import Split
from evonas.training.trainer import Member, Trained, train

SAME = 0.999  # of predictions, at least


def space(family):
    if family == "mlp":
        return MlpSpace(7, 3, depth=(2, 2), widths=(4, 12, 30), norms=("none", "batch"))
    return space_of(family, norms=("none", "batch"))


def of_one_structure(family, seed, wanted=4):
    """Different genomes of the structure that is most frequent among many."""
    found, rng = {}, np.random.default_rng(seed)
    genes = space(family)
    for genome in genes.sample(40, rng):
        phenotype = genes.decode(genome)
        found.setdefault(structure(phenotype.spec), {})[phenotype.digest] = phenotype
    return list(max(found.values(), key=len).values())[:wanted]


def data(spec, regression):
    rng = np.random.default_rng(1)
    x = inputs(spec, 300, rng)
    signal = x @ rng.normal(size=(x.shape[1], spec.n_outputs))
    return Split(x, signal.astype(np.float32) if regression else signal.argmax(axis=1))


def trained(members, split):
    return train(members, split, clip=CLIP, epochs=3, batch_size=50)


@pytest.mark.parametrize("family", ["mlp", *FAMILIES])
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**16))
def test_a_member_is_trained_as_if_it_were_alone(family, seed):
    phenotypes = of_one_structure(family, seed)
    split = data(phenotypes[0].spec, family == "autoencoder")
    members = [Member(p.spec, p.learning_rate, n, p.norm) for n, p in enumerate(phenotypes)]
    together, backwards = trained(members, split), trained(members[::-1], split)[::-1]
    x = inputs(phenotypes[0].spec, 1000, np.random.default_rng(2))
    for member, *stacked in zip(members, together, backwards, strict=True):
        (alone,) = trained([member], split)
        assert isinstance(alone, Trained)
        for other in stacked:
            assert isinstance(other, Trained)
            assert other.network.spec == member.spec
            same = (other.network.predict(x) == alone.network.predict(x)).all(axis=1)
            assert same.mean() >= SAME
            assert other.train_loss == pytest.approx(alone.train_loss, rel=1e-4)


@pytest.mark.parametrize("family", ["mlp", *FAMILIES])
def test_members_of_one_structure_differ_in_width(family):
    phenotypes = of_one_structure(family, 3, wanted=20)
    specs = [phenotype.spec for phenotype in phenotypes]
    room = widest(specs)
    assert len({spec.topology for spec in specs}) > 1
    for index, shape in enumerate(room.shapes):
        assert shape[1] >= max(spec.shapes[index][1] for spec in specs)
        assert {spec.shapes[index][0] for spec in specs} == {shape[0]}
    for spec in specs:
        for part, wide, found in zip(spec.layers, room.layers, rows(spec, room), strict=True):
            if hasattr(part, "fan_in"):
                assert len(found) == part.fan_in
                assert found.max() < wide.fan_in


def test_smooth_activations_and_shared_multipliers_stack_too():
    genes = space_of("deep_sets", **SMOOTH)
    phenotypes = [genes.decode(genome) for genome in genes.sample(30, np.random.default_rng(5))]
    chosen = structure(phenotypes[0].spec)
    phenotypes = [p for p in phenotypes if structure(p.spec) == chosen][:4]
    split = data(phenotypes[0].spec, regression=False)
    members = [Member(p.spec, p.learning_rate, n, p.norm) for n, p in enumerate(phenotypes)]
    assert len(members) > 1
    for member, stacked in zip(members, trained(members, split), strict=True):
        (alone,) = trained([member], split)
        x = inputs(member.spec, 1000, np.random.default_rng(2))
        assert (stacked.network.predict(x) == alone.network.predict(x)).all(axis=1).mean() >= SAME


def test_every_family_is_here():
    assert set(FAMILIES) == set(TASKS)
