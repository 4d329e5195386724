"""Training towards classes, targets and one's own input."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from fakes.studies import make_task

from evonas.space.autoencoder import AutoencoderSpace
from evonas.study.jobs import Training, score, train_candidate
from evonas.tasks import ArrayTask, Split, load_task
from evonas.training.recipe import losses
from evonas.training.trainer import Member, Population, train
from surrogates import LayerSpec, ModelSpec


def network(*widths):
    """Eight-bit dense layers of these widths."""
    last = len(widths) - 2
    return ModelSpec(
        8,
        tuple(
            LayerSpec(a, b, 8, 8 if i < last else 0, "relu" if i < last else "linear")
            for i, (a, b) in enumerate(itertools.pairwise(widths))
        ),
    )


def regression():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1500, 4))
    y = np.stack([100 + 20 * x[:, 0] - 10 * x[:, 1], 0.1 * np.abs(x[:, 2])], axis=1)
    names = ("mass", "angle")
    return ArrayTask("r", x, y, names, tuple("abcd"), "made up", goal="regression")


def test_losses_by_member():
    outputs = torch.tensor([[[1.0, 2.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]]])
    targets = torch.tensor([[[0.0, 0.0], [0.0, 2.0]], [[1.0, 1.0], [1.0, 1.0]]])
    assert losses(outputs, targets).tolist() == [(1 + 4 + 0 + 4) / 4, 0.0]
    classes = torch.tensor([[1, 0], [0, 1]])
    logits = outputs.log_softmax(dim=2)
    expected = [-(logits[p, 0, classes[p, 0]] + logits[p, 1, classes[p, 1]]).item() / 2 for p in range(2)]
    assert losses(outputs, classes).tolist() == pytest.approx(expected)


def test_a_network_learns_targets():
    task = regression()
    result = train_candidate(task, network(4, 16, 2).to_dict(), 0.02, 1, Training(20, 64, task.clip))
    found = {m.metric: m for m in result.measurements}
    assert found["rmse_mass"].value < 0.25 * task.target_scale[0]
    assert found["rmse_angle"].value < 0.5 * task.target_scale[1]
    assert found["error"].value == found["rmse"].value
    assert found["error"].std is None


def test_members_do_not_see_each_other():
    data = regression().split("train")
    members = [Member(network(4, 8, 2), 0.01, seed) for seed in (1, 2)]
    together = train(members, data, clip=4.0, epochs=2, batch_size=64)
    alone = [train([m], data, clip=4.0, epochs=2, batch_size=64)[0] for m in members]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one.network.predict(data.x[:50]), other.network.predict(data.x[:50]))


def test_an_auto_encoder_learns_what_is_normal():
    rng = np.random.default_rng(0)
    label = (np.arange(2000) % 5 == 0).astype(int)
    normal = rng.normal(size=(2000, 2)) @ rng.normal(size=(2, 12)) + 0.05 * rng.normal(size=(2000, 12))
    x = np.where(label[:, None], rng.normal(size=(2000, 12)) * normal.std(axis=0), normal)
    task = ArrayTask("a", x, label, (), tuple(f"x{i}" for i in range(12)), "made up", goal="anomaly")
    space = AutoencoderSpace(
        n_inputs=12, weight_bits=(8,), activation_bits=(8,), input_bits=(8,), sparsity=(0.0,),
        encoder_depth=(0, 0), decoder_depth=(0, 0), widths=(8,), latent=(2,), activations=("leaky_relu",),
        learning_rate=(0.01,),
    )  # fmt: skip
    spec = space.decode(tuple(space.sample(1, np.random.default_rng(0))[0])).spec
    result = train_candidate(task, spec.to_dict(), 0.02, 1, Training(20, 64, task.clip))
    found = {m.metric: m.value for m in result.measurements}
    assert found["auroc"] > 0.75
    assert found["error"] == pytest.approx(1 - found["auroc"])


def test_a_network_finds_peaks_better_than_their_centre_of_mass():
    task = load_task("bragg", source="hard", n_peaks=4000)
    result = train_candidate(task, network(121, 16, 2).to_dict(), 0.01, 1, Training(15, 64, task.clip))
    error = next(m for m in result.measurements if m.metric == "error")
    assert error.value < task.baselines()["centre_of_mass"]["error"] * 0.9
    assert 0 < error.std < 0.05


def test_standard_errors_of_accuracy_and_of_a_mean(monkeypatch):
    task = make_task()
    result = train_candidate(task, network(5, 3).to_dict(), 0.02, 1, Training(1, 64, 4.0))
    found = {m.metric: m for m in result.measurements}
    rows, p = len(task.split("validation")), found["accuracy"].value
    assert found["accuracy"].std == pytest.approx(np.sqrt(p * (1 - p) / rows))
    assert found["error"].std == pytest.approx(found["accuracy"].std)
    assert found["auc_c0"].std is None


def test_at_most_so_many_rows_are_trained_on(monkeypatch):
    seen = []

    def spy(members, data, **options):
        seen.append(data)
        return Population(members, data, **options)

    monkeypatch.setattr("evonas.training.trainer.Population", spy)
    train_candidate(regression(), network(4, 2).to_dict(), 0.02, 1, Training(1, 64, 4.0, max_rows=100))
    assert isinstance(seen[0], Split)
    assert seen[0].x.shape == (100, 4)
    assert seen[0].y.shape == (100, 2)


def test_the_exact_network_is_scored_in_the_unit_of_the_targets():
    task = regression()
    (result,) = train([Member(network(4, 2), 0.01, 1)], task.split("train"), clip=4.0, epochs=1, batch_size=64)
    found = {m.metric: m.value for m in score(task, result.network, "test")}
    split = task.split("test")
    predicted = result.network.predict(split.x) * task.target_scale + task.target_mean
    truth = task.y[task.rows("test")]
    assert found["rmse_mass"] == pytest.approx(np.sqrt(((predicted - truth) ** 2).mean(axis=0))[0], rel=1e-5)
