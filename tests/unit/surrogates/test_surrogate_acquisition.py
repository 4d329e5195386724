import numpy as np
import pytest
from fakes.records import random_specs, synthetic_records
from hypothesis import given, settings
from hypothesis import strategies as st

from surrogates import HardwareTarget, Pick, Shares, choose, fit_surrogate
from surrogates.acquisition import REASONS

TARGET = HardwareTarget()
SURROGATE = fit_surrogate(synthetic_records(40, np.random.default_rng(0)), "ridge")
KNOWN = [record.spec for record in SURROGATE.records]
SPECS = random_specs(60, np.random.default_rng(1))


def pick(front, pool, n, seed=0, known=KNOWN, **more):
    rng = np.random.default_rng(seed)
    return choose(front, pool, n, surrogate=SURROGATE, target=TARGET, known=known, rng=rng, **more)


def test_every_reason_gets_its_share():
    gains = {spec.digest: 0.5 for spec in SPECS}
    reasons = [p.reason for p in pick(SPECS[:20], SPECS, 20, improvement=gains)]
    assert {reason: reasons.count(reason) for reason in REASONS} == Shares().quotas(20)
    assert Shares().quotas(20) == {"front": 6, "uncertain": 3, "diverse": 3, "random": 4, "improvement": 4}


def test_without_an_improvement_its_share_is_the_fronts():
    reasons = [p.reason for p in pick(SPECS[:20], SPECS, 20)]
    assert [reasons.count(reason) for reason in REASONS] == [10, 3, 3, 4, 0]


def test_the_most_improving_are_chosen_and_what_improves_nothing_is_not():
    gains = {SPECS[row].digest: gain for row, gain in ((7, 0.1), (3, 0.3), (5, 0.2), (9, 0.0))}
    only = Shares(0, 0, 0, 0, 1)
    assert pick([], SPECS, 2, shares=only, improvement=gains) == [
        Pick(SPECS[3], "improvement"),
        Pick(SPECS[5], "improvement"),
    ]
    reasons = [p.reason for p in pick([], SPECS, 5, shares=only, improvement=gains)]
    assert reasons == ["improvement"] * 3 + ["uncertain"] * 2
    assert pick([], SPECS, 2, known=[SPECS[3]], shares=only, improvement=gains)[0].spec == SPECS[5]


def test_what_will_hardly_end_with_a_result_is_left_to_chance():
    gains = {spec.digest: 0.5 for spec in SPECS}
    doomed = {spec.digest: 0.4 for spec in SPECS[::2]}
    for seed in range(5):
        picks = pick(SPECS[:20], SPECS, 20, seed, improvement=gains, success=doomed)
        assert {p.reason for p in picks} == set(REASONS)
        assert all(p.reason == "random" for p in picks if p.spec.digest in doomed)
    everything = pick([], SPECS, 60, success=doomed)
    assert sum(p.spec.digest in doomed for p in everything) == 30  # all were asked for


def test_an_improvement_counts_as_often_as_it_comes_about():
    only = Shares(0, 0, 0, 0, 1)
    gains = {SPECS[3].digest: 0.3, SPECS[7].digest: 0.2}
    for success, best in ((0.5, SPECS[7]), (0.9, SPECS[3])):
        picks = pick([], SPECS, 1, shares=only, improvement=gains, success={SPECS[3].digest: success})
        assert picks == [Pick(best, "improvement")]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 15), st.integers(0, 15), st.integers(0, 30), st.integers(0, 5), st.integers(0, 3))
def test_picks_are_new_distinct_and_as_many_as_possible(n_front, n_pool, n, n_known, seed):
    front, pool = SPECS[:n_front], SPECS[10 : 10 + n_pool]  # they overlap
    known = [*KNOWN, *SPECS[8 : 8 + n_known]]
    picks = pick(front, [*pool, *pool], n, seed, known)
    digests = [p.spec.digest for p in picks]
    free = {spec.digest for spec in [*front, *pool]} - {spec.digest for spec in known}
    assert len(set(digests)) == len(digests) == min(n, len(free))
    assert set(digests) <= free
    assert all(p.spec in front for p in picks if p.reason == "front")


def test_the_same_generator_gives_the_same_picks_in_any_order():
    first = pick(SPECS[:20], SPECS, 12)
    assert pick(SPECS[:20][::-1], SPECS[::-1], 12, known=KNOWN[::-1]) == first
    assert pick(SPECS[:20], SPECS, 12, seed=5) != first


def test_the_random_share_does_not_depend_on_the_surrogate_or_the_front():
    chance = [p for p in pick(SPECS[:20], SPECS, 20) if p.reason == "random"]
    other = [p for p in pick([], SPECS, 20) if p.reason == "random"]
    assert chance == other


def test_uncertain_picks_are_the_most_uncertain():
    picks = pick([], SPECS, 5, shares=Shares(0, 1, 0, 0, 0))
    doubt = SURROGATE.predict(SPECS, TARGET).log_std["lut"]
    assert {p.spec for p in picks} == {SPECS[row] for row in np.argsort(-doubt)[:5]}
    assert {p.reason for p in picks} == {"uncertain"}


def test_diverse_picks_avoid_near_copies():
    copies = [SPECS[0]] * 5 + SPECS[1:3]
    picks = pick([], copies, 3, shares=Shares(0, 0, 1, 0, 0))
    assert {p.spec for p in picks} == set(SPECS[:3])


def test_a_short_front_leaves_its_places_to_others():
    picks = pick(SPECS[:1], SPECS, 10, shares=Shares(1, 0, 0, 0, 0))
    assert picks[0] == Pick(SPECS[0], "front")
    assert [p.reason for p in picks[1:]] == ["uncertain"] * 9


def test_nothing_to_choose_from():
    assert pick([], [], 5) == []
    assert pick(SPECS, SPECS, 0) == []
    assert pick(SPECS, SPECS, 5, known=SPECS) == []
    assert len(pick(SPECS, [], 3, known=[])) == 3


@pytest.mark.parametrize("shares", [(-1, 1, 1, 1, 1), (0, 0, 0, 0, 0), (float("nan"), 1, 1, 1, 1)])
def test_impossible_shares_are_refused(shares):
    with pytest.raises(ValueError, match="shares"):
        Shares(*shares)
    with pytest.raises(ValueError, match="n = -1"):
        pick(SPECS, SPECS, -1)


@given(st.integers(0, 200), st.tuples(*[st.floats(0, 1)] * 5).filter(lambda s: sum(s) > 1e-6))
def test_quotas_add_up(n, shares):
    quotas = Shares(*shares).quotas(n)
    assert sum(quotas.values()) == n
    assert all(abs(quotas[r] - n * s / sum(shares)) < 1 for r, s in zip(REASONS, shares, strict=True))
