"""The contract of every search algorithm: strict, deterministic, replayable, at ease with failures."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from evonas.errors import ConfigurationError, Failure, FailureKind, ProtocolError
from evonas.search import ALGORITHMS, Evaluated, algorithm
from evonas.space import MlpSpace

SPACE = MlpSpace(16, 5)
TINY = MlpSpace(
    3, 2, (1, 1), (4, 8), (2, 3), (4,), (8,), (0.0, 0.5), ("relu", "hard_tanh"), (0.01,)
)  # 2 widths * 2 bits * 2 sparsities * 2 output bits * 2 output sparsities * 2 activations
DIVERGED = Failure(FailureKind.DIVERGED, "loss is not a number")


@pytest.fixture(params=ALGORITHMS)
def name(request):
    return request.param


def losses_of(genome, m):
    """Cheap, conflicting, and with many ties."""
    genome = np.asarray(genome)
    weights = np.random.default_rng(7).integers(-3, 4, size=(m, len(genome)))
    return tuple(float(value) for value in weights @ genome)


def measure(genomes, m=2, violations=()):
    return [Evaluated(tuple(g), losses_of(g, m), violations) for g in genomes]


def run(search, generations, outcome=measure):
    """Ask and tell; returns what was asked."""
    asked = []
    for _ in range(generations):
        genomes = search.ask()
        asked.append(genomes)
        search.tell(outcome(genomes))
    return asked


def same(first, second):
    return len(first) == len(second) and all(
        a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(first, second, strict=True)
    )


def patchy(genomes):
    """A third fails, a third is dropped as infeasible, the rest is measured, some of it infeasible."""
    result = []
    for position, genome in enumerate(map(tuple, genomes)):
        kind = (position + sum(genome)) % 4
        if kind == 0:
            result.append(Evaluated(genome, None, (), DIVERGED))
        elif kind == 1:
            result.append(Evaluated(genome, None, (0.5,)))
        else:
            result.append(Evaluated(genome, losses_of(genome, 3), (0.25 * (kind - 2),)))
    return result


def test_asks_a_canonical_population_of_the_size_wanted(name):
    genomes = algorithm(name, SPACE, 2, population_size=12, seed=1).ask()
    assert genomes.shape == (12, SPACE.n_genes)
    assert genomes.dtype == np.int64
    assert np.array_equal(SPACE.repair(genomes), genomes)


def test_more_can_be_asked_for_and_some_be_selected(name):
    search, twin = (algorithm(name, SPACE, 2, population_size=6, seed=2) for _ in range(2))
    run(search, 2)
    run(twin, 2)
    pool = search.ask(15)
    assert len({tuple(g) for g in pool.tolist()}) == 15
    assert np.array_equal(SPACE.repair(pool), pool)
    chosen = [tuple(g) for g in pool[[1, 4, 5, 9, 12, 14]].tolist()]
    search.select(chosen)
    search.tell(measure(chosen))
    assert {e.genome for e in search.population()} & set(chosen)
    assert np.array_equal(twin.ask(15), pool)  # a replay
    twin.select(chosen)
    twin.tell(measure(chosen))
    assert twin.population() == search.population()
    assert same(run(search, 2), run(twin, 2))


def test_what_was_not_selected_can_be_asked_again(name):
    search = algorithm(name, TINY, 2, population_size=4, seed=2)
    asked = []
    while len(genomes := search.ask(9)):
        chosen = [tuple(g) for g in genomes[:4].tolist()]
        search.select(chosen)
        asked += chosen
        search.tell(measure(chosen))
    assert sorted(asked) == sorted(TINY.enumerate())


def test_an_ask_can_be_withdrawn(name):
    search = algorithm(name, SPACE, 2, population_size=6, seed=2)
    run(search, 1)
    pool = search.ask(9)
    search.select([])
    assert np.array_equal(search.ask(9), pool)


def test_selecting_is_strict(name):
    search = algorithm(name, SPACE, 2, population_size=6, seed=2)
    with pytest.raises(ProtocolError, match="select"):
        search.select([(0,) * SPACE.n_genes])
    with pytest.raises(ProtocolError, match="select"):
        search.select([])
    with pytest.raises(ConfigurationError, match="n = 0"):
        search.ask(0)
    pool = [tuple(g) for g in search.ask(8).tolist()]
    other = next(g for g in SPACE.enumerate() if g not in pool)
    for wrong in (pool[2::-1], [*pool[:2], other], [pool[0], pool[0]]):
        with pytest.raises(ProtocolError, match="some of the 8 asked candidates in their order"):
            search.select(wrong)
    search.tell(measure(pool))  # nothing has changed


def test_first_population_covers_all_depths(name):
    genomes = algorithm(name, SPACE, 2, population_size=12, seed=3).ask()
    assert set(genomes[:, 0]) == set(range(6))


def test_ask_twice_is_an_error_and_says_what_is_due(name):
    search = algorithm(name, SPACE, 2, population_size=4)
    genomes = search.ask()
    with pytest.raises(ProtocolError, match="ask called twice: tell what became of the 4"):
        search.ask()
    search.tell(measure(genomes))


def test_tell_before_ask_and_twice_are_errors(name):
    search = algorithm(name, SPACE, 2, population_size=4)
    with pytest.raises(ProtocolError, match="before ask"):
        search.tell([])
    told = measure(search.ask())
    search.tell(told)
    with pytest.raises(ProtocolError, match="before ask"):
        search.tell(told)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda told: told[:-1], "expected the 4 asked candidates in their order, got 3"),
        (lambda told: told[::-1], "candidate 0 of 4: expected genome"),
        (lambda told: [told[0], told[0], *told[2:]], "candidate 1 of 4: expected genome"),
        (lambda told: [*told[:3], Evaluated(told[3].genome, (1.0,), (0.0,))], "candidate 3 of 4: expected 2 losses"),
        (lambda told: [Evaluated(told[0].genome, (1.0, float("nan")), (0.0,)), *told[1:]], "must be finite"),
        (lambda told: [Evaluated(told[0].genome, (1.0, float("inf")), (0.0,)), *told[1:]], "must be finite"),
        (lambda told: [Evaluated(told[0].genome, (1.0, 1.0)), *told[1:]], "expected 1 violations"),
    ],
)
def test_tell_refuses_what_was_not_asked_and_changes_nothing(name, spoil, message):
    search, control = (algorithm(name, SPACE, 2, 1, population_size=4, seed=5) for _ in range(2))
    told = measure(search.ask(), violations=(0.0,))
    with pytest.raises(ProtocolError, match=message):
        search.tell(spoil(told))
    assert (search.generation, search.population()) == (0, ())
    search.tell(told)
    control.tell(measure(control.ask(), violations=(0.0,)))
    assert np.array_equal(search.ask(), control.ask())


def test_same_seed_same_search_and_another_seed_another(name):
    first, second, other = (run(algorithm(name, SPACE, 2, population_size=10, seed=s), 4) for s in (11, 11, 12))
    assert same(first, second)
    assert not same(first, other)


def test_global_random_state_plays_no_role(name):
    import random

    asked = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        asked.append(run(algorithm(name, SPACE, 3, 1, population_size=9, seed=4), 5, patchy))
        state = random.getstate()
        assert random.Random(seed).getstate() == state
    assert same(*asked)


@pytest.mark.parametrize("cut", [0, 1, 3, 6])
def test_a_replay_of_tells_continues_bit_for_bit(name, cut):
    make = lambda: algorithm(name, SPACE, 3, 1, population_size=10, seed=8)  # noqa: E731
    log = []

    def recorded(genomes):
        log.append(patchy(genomes))
        return log[-1]

    whole = make()
    asked = run(whole, 7, recorded)
    resumed = make()
    for genomes, told in zip(asked[:cut], log[:cut], strict=True):
        assert np.array_equal(resumed.ask(), genomes)
        resumed.tell(told)
    assert same(run(resumed, 7 - cut, patchy), asked[cut:])
    assert resumed.population() == whole.population()
    assert resumed.generation == 7


def test_nothing_is_asked_twice(name):
    asked = np.concatenate(run(algorithm(name, SPACE, 2, population_size=16, seed=2), 12))
    assert len(np.unique(asked, axis=0)) == len(asked) == 12 * 16


def test_failed_and_dropped_candidates_never_survive(name):
    search = algorithm(name, SPACE, 3, 1, population_size=10, seed=6)
    bad = set()

    def outcome(genomes):
        told = patchy(genomes)
        bad.update(one.genome for one in told if one.losses is None)
        return told

    run(search, 6, outcome)
    assert bad
    assert 0 < len(search.population()) <= 10
    assert not bad & {one.genome for one in search.population()}


def test_a_generation_without_survivors_goes_on(name):
    fail = lambda genomes: [Evaluated(tuple(g), None, (), DIVERGED) for g in genomes]  # noqa: E731
    search = algorithm(name, SPACE, 2, population_size=6, seed=1)
    asked = run(search, 2, fail)  # nothing has ever been measured
    assert search.population() == ()
    asked += run(search, 1)
    before = search.population()
    asked += run(search, 1, fail)
    assert search.population() == before
    asked += run(search, 2)
    assert [len(genomes) for genomes in asked] == [6] * 6
    assert search.generation == 6
    assert len(np.unique(np.concatenate(asked), axis=0)) == 36


def test_a_single_survivor_can_breed(name):
    search = algorithm(name, SPACE, 2, population_size=7, seed=1)
    run(search, 1, lambda genomes: [*measure(genomes[:1]), *(Evaluated(g, None, (), DIVERGED) for g in genomes[1:])])
    assert len(search.population()) == 1
    assert [len(genomes) for genomes in run(search, 2)] == [7, 7]


def test_feasible_before_infeasible_before_more_infeasible(name):
    search = algorithm(name, SPACE, 2, 2, population_size=6, seed=1)
    everything = []

    def outcome(genomes):
        told = []
        for position, genome in enumerate(map(tuple, genomes)):
            violations = ((0.0, 0.0), (0.5, 0.0), (0.25, 0.5))[position % 3]
            merit = -1000.0 if any(violations) else 1000.0  # whoever is infeasible looks better
            told.append(Evaluated(genome, (merit, merit + position), violations))
        everything.extend(told)
        return told

    run(search, 1, outcome)
    assert sorted(one.violation for one in search.population()) == [0.0, 0.0, 0.5, 0.5, 0.75, 0.75]
    run(search, 1, outcome)
    assert sorted(one.violation for one in search.population()) == [0.0] * 4 + [0.5] * 2
    run(search, 1, outcome)
    assert all(one.feasible for one in search.population())
    assert set(search.population()) <= set(everything)


@pytest.mark.parametrize("name", ["nsga2", "deap-nsga2"])  # random search promises the best fronts, not their ends
def test_elitism_keeps_the_best_of_each_loss(name):
    search = algorithm(name, SPACE, 2, population_size=8, seed=3)
    everything = []

    def outcome(genomes):
        everything.extend(measure(genomes))
        return measure(genomes)

    run(search, 8, outcome)
    for loss in range(2):
        assert min(one.losses[loss] for one in search.population()) == min(one.losses[loss] for one in everything)


def test_a_tiny_space_is_exhausted_exactly(name):
    search = algorithm(name, TINY, 2, population_size=7, seed=9)
    assert TINY.size == 64
    asked = []
    while len(genomes := search.ask()):
        asked.append(genomes)
        search.tell(measure(genomes))
    assert [len(genomes) for genomes in asked] == [7] * 9 + [1]
    assert set(map(tuple, np.concatenate(asked).tolist())) == set(TINY.enumerate())
    assert genomes.shape == (0, TINY.n_genes)
    assert len(search.ask()) == 0
    with pytest.raises(ProtocolError):
        search.tell([])
    assert len(search.population()) == 7
    search.rescore(search.population())


def test_a_sampler_that_meets_nothing_new_is_replaced_by_walking_through_the_space(name):
    class Stuck:
        """The tiny space, whose sampling always gives its first genome."""

        def sample(self, n, rng):
            return np.zeros((n, TINY.n_genes), dtype=np.int64)

        def __getattr__(self, attribute):
            return getattr(TINY, attribute)

    search = algorithm(name, Stuck(), 2, population_size=5)
    assert set(map(tuple, search.ask().tolist())) == set(itertools.islice(TINY.enumerate(), 5))


def test_a_space_of_one_network(name):
    one = MlpSpace(3, 2, (1, 1), (4,), (2,), (4,), (8,), (0.0,), ("relu",), (0.01,))
    search = algorithm(name, one, 2, population_size=4)
    assert [len(g) for g in run(search, 1)] == [1]
    assert len(search.ask()) == 0


@pytest.mark.parametrize("m", [1, 2, 4, 5])
@pytest.mark.parametrize("size", [2, 3, 9])
def test_any_number_of_losses_and_any_population_size(name, m, size):
    search = algorithm(name, SPACE, m, population_size=size, seed=m)
    asked = run(search, 4, lambda genomes: measure(genomes, m))
    assert [len(genomes) for genomes in asked] == [size] * 4
    assert len(search.population()) == size
    assert len({one.genome for one in search.population()}) == size


@pytest.mark.parametrize("constant", [(0,), (3,), (0, 1, 2, 3)])
@pytest.mark.filterwarnings("error")
def test_constant_losses_break_nothing(name, constant):
    def outcome(genomes):
        told = []
        for genome in map(tuple, genomes):
            losses = list(losses_of(genome, 4))
            for index in constant:
                losses[index] = 0.0
            told.append(Evaluated(genome, tuple(losses)))
        return told

    search = algorithm(name, SPACE, 4, population_size=10, seed=2)
    assert [len(g) for g in run(search, 5, outcome)] == [10] * 5
    assert len(search.population()) == 10


def test_initial_genomes_are_asked_first(name):
    wanted = SPACE.sample(3, np.random.default_rng(0))
    raw = np.concatenate([wanted, wanted[:1]])  # repeated, and asked once
    search = algorithm(name, SPACE, 2, population_size=5, seed=1, initial=raw)
    genomes = search.ask()
    assert np.array_equal(genomes[:3], wanted)
    assert len(genomes) == 5


def test_rescore_replaces_losses_only_between_tell_and_ask(name):
    search, control = (algorithm(name, SPACE, 2, population_size=6, seed=1) for _ in range(2))
    with pytest.raises(ProtocolError, match="between a tell and the next ask"):
        search.rescore([])
    for one in (search, control):
        run(one, 3)
    new = [Evaluated(e.genome, (-e.losses[0], float(i))) for i, e in enumerate(search.population())]
    search.rescore(new)
    assert sorted(e.losses for e in search.population()) == sorted(e.losses for e in new)
    control.rescore(new)
    assert control.population() == search.population()
    asked = search.ask()
    assert np.array_equal(control.ask(), asked)
    with pytest.raises(ProtocolError, match="between a tell and the next ask"):
        search.rescore(new)


def test_rescore_is_strict_and_lets_go_of_what_has_no_losses(name):
    search = algorithm(name, SPACE, 2, 1, population_size=6, seed=1)
    run(search, 2, lambda genomes: measure(genomes, violations=(0.0,)))
    before = search.population()
    for wrong in (before[:-1], before[::-1], [Evaluated(e.genome, (float("nan"), 0.0), (0.0,)) for e in before]):
        with pytest.raises(ProtocolError):
            search.rescore(wrong)
    assert search.population() == before
    search.rescore([*before[:2], *(Evaluated(e.genome, None, (1.0,)) for e in before[2:])])
    assert {e.genome for e in search.population()} == {e.genome for e in before[:2]}
    search.rescore([Evaluated(e.genome, None, (), DIVERGED) for e in search.population()])
    assert search.population() == ()
    assert len(search.ask()) == 6


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"n_objectives": 0}, "n_objectives"),
        ({"n_constraints": -1}, "n_constraints"),
        ({"population_size": 1}, "population_size"),
        ({"population_size": 2.5}, "population_size"),
        ({"initial": list(itertools.islice(TINY.enumerate(), 9))}, "initial"),
    ],
)
def test_wrong_settings_are_named(name, change, field):
    settings = {"space": TINY, "n_objectives": 2, "population_size": 8} | change
    with pytest.raises(ConfigurationError) as caught:
        algorithm(name, **settings)
    assert caught.value.field == field


def test_unknown_algorithm_lists_the_known():
    with pytest.raises(ConfigurationError, match="nsga2, deap-nsga2, random"):
        algorithm("nsga4", SPACE, 2)


def test_all_algorithms_of_a_seed_start_alike():
    first = [algorithm(name, SPACE, 2, population_size=8, seed=3).ask() for name in ALGORITHMS]
    assert all(np.array_equal(first[0], genomes) for genomes in first)


@pytest.mark.parametrize(
    "arguments",
    [
        ((0,), None),
        ((0,), None, (0.0,)),
        ((0,), (1.0,), (), DIVERGED),
        ((0,), (1.0,), (-0.1,)),
        ((0,), (1.0,), (float("nan"),)),
        ((0,), None, (float("inf"),)),
    ],
)
def test_contradictory_evaluations_cannot_be_made(arguments):
    with pytest.raises(ProtocolError):
        Evaluated(*arguments)
