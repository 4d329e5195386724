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


def pick(front, pool, n, seed=0, known=KNOWN, shares=None):
    return choose(
        front, pool, n, surrogate=SURROGATE, target=TARGET, known=known, rng=np.random.default_rng(seed), shares=shares
    )


def test_every_reason_gets_its_share():
    reasons = [p.reason for p in pick(SPECS[:20], SPECS, 20)]
    assert {reason: reasons.count(reason) for reason in REASONS} == Shares().quotas(20)
    assert Shares().quotas(20) == {"front": 8, "uncertain": 4, "diverse": 4, "random": 4}


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
    picks = pick([], SPECS, 5, shares=Shares(0, 1, 0, 0))
    doubt = SURROGATE.predict(SPECS, TARGET).log_std["lut"]
    assert {p.spec for p in picks} == {SPECS[row] for row in np.argsort(-doubt)[:5]}
    assert {p.reason for p in picks} == {"uncertain"}


def test_diverse_picks_avoid_near_copies():
    copies = [SPECS[0]] * 5 + SPECS[1:3]
    picks = pick([], copies, 3, shares=Shares(0, 0, 1, 0))
    assert {p.spec for p in picks} == set(SPECS[:3])


def test_a_short_front_leaves_its_places_to_others():
    picks = pick(SPECS[:1], SPECS, 10, shares=Shares(1, 0, 0, 0))
    assert picks[0] == Pick(SPECS[0], "front")
    assert [p.reason for p in picks[1:]] == ["uncertain"] * 9


def test_nothing_to_choose_from():
    assert pick([], [], 5) == []
    assert pick(SPECS, SPECS, 0) == []
    assert pick(SPECS, SPECS, 5, known=SPECS) == []
    assert len(pick(SPECS, [], 3, known=[])) == 3


@pytest.mark.parametrize("shares", [(-1, 1, 1, 1), (0, 0, 0, 0), (float("nan"), 1, 1, 1)])
def test_impossible_shares_are_refused(shares):
    with pytest.raises(ValueError, match="shares"):
        Shares(*shares)
    with pytest.raises(ValueError, match="n = -1"):
        pick(SPECS, SPECS, -1)


@given(st.integers(0, 200), st.tuples(*[st.floats(0, 1)] * 4).filter(lambda s: sum(s) > 1e-6))
def test_quotas_add_up(n, shares):
    quotas = Shares(*shares).quotas(n)
    assert sum(quotas.values()) == n
    assert all(abs(quotas[r] - n * s / sum(shares)) < 1 for r, s in zip(REASONS, shares, strict=True))
