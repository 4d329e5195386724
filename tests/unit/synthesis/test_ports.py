"""Ports: their words from types, in another order, and side by side."""

from __future__ import annotations

from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from evonas.models.fixed_point import FixedPoint
from evonas.synthesis.graph import Port

KIFS = st.lists(st.tuples(st.integers(0, 1), st.integers(-8, 8), st.integers(-8, 8)), min_size=1, max_size=6)


def words(port):
    return list(zip(port.signed, port.integer, port.fraction, strict=True))


def test_the_words_of_a_port_are_those_of_its_types():
    kinds = [FixedPoint.parse(text) for text in ("fixed<8,3>", "ufixed<4,0>", "fixed<5,7>")]
    port = Port.of(kind.kif for kind in kinds)
    assert port == Port((True, False, True), (2, 0, 6), (5, 4, -2))
    assert port.widths == tuple(kind.width for kind in kinds)


def test_a_pick_may_be_empty():
    assert Port.of([(1, 2, 3)]).pick(()) == Port((), (), ())


@given(KIFS)
def test_a_port_keeps_its_words_and_their_plain_types(kifs):
    port = Port.of(kifs)
    assert words(port) == kifs
    assert all(type(sign) is bool for sign in port.signed)
    assert Port.from_dict(asdict(port)) == port


@given(KIFS, st.data())
def test_picked_words_come_in_the_order_that_is_asked(kifs, data):
    order = data.draw(st.lists(st.integers(0, len(kifs) - 1), max_size=8))
    assert words(Port.of(kifs).pick(order)) == [kifs[word] for word in order]


@given(KIFS, KIFS)
def test_words_of_two_ports_stand_one_after_the_other(first, second):
    both = Port.of(first) + Port.of(second)
    assert words(both) == first + second
    assert both.pick(range(len(first))) == Port.of(first)
