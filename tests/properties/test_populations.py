"""A member that stops, and goes on elsewhere, becomes bit for bit what it would have become without the stop."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from fakes.families import CLIP, FAMILIES
from properties.test_stacks import data, of_one_structure

from evonas.errors import Failure, FailureKind
from evonas.tasks import Split
from evonas.training.trainer import Member, Population, train
from surrogates import LayerSpec, ModelSpec

EPOCHS, BATCH = 4, 50


def population(members, split, states=()):
    return Population(members, split, clip=CLIP, epochs=EPOCHS, batch_size=BATCH, states=states)


def bytes_of(results):
    return [result.network.to_bytes() for result in results]


@pytest.mark.parametrize("family", ["mlp", *FAMILIES])
@pytest.mark.parametrize("stop", [1, 3])  # before and after the last calibration
def test_a_member_goes_on_in_another_stack(family, stop):
    phenotypes = of_one_structure(family, 11, wanted=3)
    split = data(phenotypes[0].spec, family == "autoencoder")
    members = [Member(p.spec, p.learning_rate, n, p.norm) for n, p in enumerate(phenotypes)]
    whole = train(members, split, clip=CLIP, epochs=EPOCHS, batch_size=BATCH)
    first = population(members, split)
    first.train(stop)
    states = first.states()
    assert all(result.epochs == stop for result in first.results())  # looking changes nothing
    for order in ([0], [len(members) - 1, 0]):
        second = population([members[n] for n in order], split, [states[n] for n in order])
        second.train()
        assert bytes_of(second.results()) == bytes_of(whole[n] for n in order)
        assert [r.train_loss for r in second.results()] == [whole[n].train_loss for n in order]
    first.keep([0])
    assert len(first.stack.specs) == 1
    first.train()
    assert bytes_of(first.results()) == bytes_of(whole[:1])


def dense(*widths, sparsity=0.5):
    *hidden, last = pairwise(widths)
    parts = [LayerSpec(n_in, n_out, 6, 6, "relu", sparsity) for n_in, n_out in hidden]
    return ModelSpec(6, (*parts, LayerSpec(*last, 6, 0, "linear")))


def classes(rows=600):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 6)).astype(np.float32)
    return Split(x, (x @ rng.normal(size=(6, 3))).argmax(axis=1))


def test_the_stack_shrinks_to_those_that_stay():
    narrow, wide = dense(6, 8, 3), dense(6, 64, 3)
    both = population([Member(narrow, 0.02, 0), Member(wide, 0.02, 1)], classes())
    both.train(1)
    assert both.stack.room.layers[0].n_out == 64
    both.keep([0])
    assert both.stack.room.layers[0].n_out == 8
    assert [*both.states()] == [0]


def test_a_diverged_member_leaves_and_the_others_stay():
    members = [Member(dense(6, 8, 3), rate, n) for n, rate in enumerate((0.02, 0.01, 0.02))]
    found = population(members, classes())
    found.stack.parts[0].weight.data[1] = np.nan
    found.train(2)
    assert len(found.stack.specs) == 2
    assert [*found.states()] == [0, 2]
    found.train()
    first, second, third = found.results()
    assert isinstance(second, Failure)
    assert second.kind is FailureKind.DIVERGED
    assert bytes_of([first, third]) == bytes_of(
        train([members[0], members[2]], classes(), clip=CLIP, epochs=EPOCHS, batch_size=BATCH)
    )


def test_all_can_leave():
    found = population([Member(dense(6, 8, 3), 0.02, 0)], classes())
    found.stack.parts[0].weight.data[:] = np.nan
    found.train()
    (result,) = found.results()
    assert isinstance(result, Failure)
    assert not found.states()


def test_patience_ends_a_training_that_no_longer_learns():
    data = classes(200)
    noise = Split(data.x, np.random.default_rng(1).integers(0, 3, len(data)))  # what is learned of it helps nobody
    members = [Member(dense(6, 64, 3, sparsity=0.0), 0.05, 0), Member(dense(6, 4, 3), 1e-7, 1)]
    found = Population(members, noise, clip=CLIP, epochs=40, batch_size=50)
    found.train(validation=classes(300), patience=2)
    epochs = [result.epochs for result in found.results()]
    assert min(epochs) < 40
    assert min(epochs) >= 30  # masks and binary points were settled by then
    patient = Population(members, noise, clip=CLIP, epochs=40, batch_size=50)
    patient.train(validation=classes(300), patience=40)
    assert [result.epochs for result in patient.results()] == [40, 40]
    assert bytes_of(patient.results()) == bytes_of(train(members, noise, clip=CLIP, epochs=40, batch_size=50))


def test_states_of_different_epochs_do_not_mix():
    members = [Member(dense(6, 8, 3), 0.02, n) for n in range(2)]
    early, late = (population(members, classes()) for _ in range(2))
    early.train(1)
    late.train(2)
    with pytest.raises(ValueError, match="same epoch"):
        population(members, classes(), [early.states()[0], late.states()[1]])
