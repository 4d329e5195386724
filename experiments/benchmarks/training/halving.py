"""Successive halving beside whole trainings: the best of many candidates, and the processor time of both."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.study.jobs import TrainedCandidate, Training, train_stack
from evonas.training.grouping import stacks
from surrogates import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from evonas.execution import Job
    from evonas.study.jobs import TrainingOrder
    from evonas.tasks import Task

    Run = Callable[[Task, Sequence[Job], int], tuple[list[tuple[str, Any]], float]]

RUNGS = (3, 9)  # epochs; one in three goes on
FACTOR, EPOCHS = 3, 27


def timed_stack(
    task: Task, orders: Sequence[TrainingOrder], training: Training
) -> tuple[tuple[TrainedCandidate, ...], float]:
    """The job of a worker: a stack, and the processor time that it took."""
    start = time.process_time()
    found = train_stack(task, orders, training)
    return tuple(result for result in found if isinstance(result, TrainedCandidate)), time.process_time() - start


def leg(
    run: Run, task: Task, orders: Sequence[TrainingOrder], training: Training, workers: int
) -> tuple[list[TrainedCandidate], float]:
    """All orders to where `training` ends, and the processor time of it."""
    from evonas.execution import Job

    specs = [ModelSpec.from_dict(order.spec) for order in orders]
    groups = {f"{n}": stack for n, stack in enumerate(stacks(specs, training.batch_size))}
    jobs = [Job(key, timed_stack, (tuple(orders[i] for i in stack), training)) for key, stack in groups.items()]
    results: dict[int, TrainedCandidate] = {}
    seconds = 0.0
    for key, (found, took) in run(task, jobs, workers)[0]:
        seconds += took
        results |= dict(zip(groups[key], found, strict=True))
    return [results[index] for index in range(len(orders))], seconds


def accuracy(result: TrainedCandidate) -> float:
    """On the validation split."""
    return next(m.value for m in result.measurements if m.metric == "accuracy")


def halving(run: Run, task: Task, orders: Sequence[TrainingOrder], workers: int, batch_size: int) -> dict[str, Any]:
    """Whole trainings of all, then halving of the same candidates by accuracy alone."""
    whole = Training(EPOCHS, batch_size, 4.0)
    every, whole_s = leg(run, task, orders, whole, workers)
    left, halved_s = list(orders), 0.0
    for rung in RUNGS:
        found, seconds = leg(run, task, left, replace(whole, until=rung), workers)
        halved_s += seconds
        best = np.argsort([-accuracy(result) for result in found], kind="stable")[: -(-len(left) // FACTOR)]
        left = [replace(left[index], states=found[index].states) for index in best]
    last, seconds = leg(run, task, left, whole, workers)
    p = max(map(accuracy, every))
    return {
        "candidates": len(orders),
        "epochs": EPOCHS,
        "rungs": RUNGS,
        "best_accuracy_whole": p,
        "best_accuracy_halving": max(map(accuracy, last)),
        "standard_error": float(np.sqrt(p * (1 - p) / len(task.split("validation")))),
        "whole_cpu_s": whole_s,
        "halving_cpu_s": halved_s + seconds,
        "times_less": whole_s / (halved_s + seconds),
    }
