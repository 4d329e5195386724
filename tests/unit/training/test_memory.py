"""What happens when memory runs out: fewer together, and a failure only of what cannot be trained alone."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from fakes.studies import make_task

from evonas.errors import Failure, FailureKind
from evonas.study.jobs import Training, TrainingOrder, train_stack
from evonas.training import trainer
from evonas.training.device import out_of_memory
from surrogates import LayerSpec, ModelSpec

SETTINGS = Training(2, 32, 4.0)


def order(seed, width=8):
    layers = (LayerSpec(5, width, 6, 6), LayerSpec(width, 3, 6, 0, "linear"))
    return TrainingOrder(ModelSpec(6, layers).to_dict(), 0.02, (seed,))


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory")])
def test_a_stack_that_does_not_fit_is_halved(error, monkeypatch):
    orders, whole, sizes = [order(seed) for seed in range(5)], trainer.Population.train, []

    def limited(population, *arguments):
        sizes.append(len(population.members))
        if sizes[-1] > 2:
            raise error
        whole(population, *arguments)

    wanted = train_stack(make_task(), orders, SETTINGS)
    monkeypatch.setattr(trainer.Population, "train", limited)
    found = train_stack(make_task(), orders, SETTINGS)
    assert sizes == [5, 2, 3, 1, 2]
    assert [f.network for f in found] == [w.network for w in wanted]


def test_what_does_not_fit_alone_is_a_failure_and_leaves_the_others_alone(monkeypatch):
    whole = trainer.Population.train

    def limited(population, *arguments):
        if any(m.spec.layers[0].n_out > 100 for m in population.members):
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you asked for 8 bytes")
        whole(population, *arguments)

    monkeypatch.setattr(trainer.Population, "train", limited)
    first, second, third = train_stack(make_task(), [order(1), order(2, 128), order(3)], SETTINGS)
    assert isinstance(second, Failure)
    assert second.kind is FailureKind.OUT_OF_MEMORY
    assert "can't allocate memory" in second.message
    assert not isinstance(first, Failure)
    assert not isinstance(third, Failure)


def test_other_errors_are_not_taken_for_it(monkeypatch):
    def broken(*_):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(trainer.Population, "train", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        train_stack(make_task(), [order(1), order(2)], SETTINGS)
    assert not out_of_memory(ValueError("not enough memory"))


CHILD = """
import resource, sys
sys.path[:0] = {path!r}
import torch
from evonas.training.device import out_of_memory
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
try:
    torch.zeros(2 << 30)
except Exception as error:
    print(type(error).__name__, out_of_memory(error))
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_AS"), reason="no limit of the address space here")
def test_torch_without_memory_is_recognised():
    root = str(Path(__file__).parents[3])
    run = subprocess.run(
        [sys.executable, "-c", CHILD.format(path=[root])], capture_output=True, text=True, check=True
    )
    assert run.stdout.split()[-1] == "True"
