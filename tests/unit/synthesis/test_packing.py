"""How many LUT sites a netlist takes, on netlists small enough to count by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evonas.synthesis.packing import packed_luts


def lut(output, *inputs):
    return f".subckt LUT{len(inputs)} " + " ".join(f"I{i}={net}" for i, net in enumerate(inputs)) + f" O={output}"


def inverter(output, net):
    return f".subckt INV I={net} O={output}"


def register(output, net):
    return f".subckt FDRE C=clk CE=$true D={net} Q={output} R=$false"


def carry(operands, others, sums, number=0):
    pins = {"CI": "$false", "CYINIT": "$false"}
    for name, nets in (("S", operands), ("DI", others), ("O", sums)):
        pins |= {f"{name}[{bit}]": nets[bit] if bit < len(nets) else "$false" for bit in range(4)}
    pins |= {f"CO[{bit}]": f"carry{number}_{bit}" for bit in range(4)}
    return ".subckt CARRY4 " + " ".join(f"{pin}={net}" for pin, net in pins.items())


@pytest.mark.parametrize(
    ("lines", "sites"),
    [
        ([], 0),
        ([lut("x", "a", "b"), lut("y", "b", "c")], 1),  # three inputs together
        ([lut("x", "a", "b"), lut("y", "c", "d")], 2),  # would fit, but share nothing
        ([lut("x", "a", "b", "c"), lut("y", "c", "d", "e")], 1),  # exactly five
        ([lut("x", "a", "b", "c", "d"), lut("y", "d", "e", "f")], 2),  # six
        ([lut("x", *"abcdef"), lut("y", "a")], 2),  # a LUT of six inputs has no second output
        ([lut("x", "a", "b"), lut("y", "a", "b"), lut("z", "a", "b")], 2),  # two to a site
        ([lut("x", "a", "$true"), inverter("y", "a")], 1),
    ],
)
def test_pairs(lines, sites):
    assert packed_luts("\n".join(lines)) == sites


def test_each_carry_bit_has_its_own_site():
    lines = [lut("p", "a", "b"), lut("q", "b", "c"), carry(["p", "q"], ["a", "b"], ["s", "t"])]
    assert packed_luts("\n".join(lines)) == 2


def test_an_operand_from_a_register_takes_a_site_and_a_constant_none():
    assert packed_luts("\n".join([register("r", "d"), carry(["r", "$true"], ["$false"] * 2, ["s", "t"])])) == 1


def test_an_operand_of_two_carries_is_computed_twice():
    lines = [lut("p", "a", "b"), carry(["p"], ["a"], ["s"]), carry(["p"], ["b"], ["t"], 1)]
    assert packed_luts("\n".join(lines)) == 2


def test_a_carry_site_takes_a_second_lut_only_if_the_sum_goes_into_a_register():
    lines = [lut("p", "a", "b"), carry(["p"], ["a"], ["s"]), lut("x", "b", "c")]
    assert packed_luts("\n".join([*lines, register("q", "s")])) == 2 - 1
    assert packed_luts("\n".join([*lines, register("q", "s"), lut("y", "s", "k")])) == 2 + 1
    assert packed_luts("\n".join([*lines, ".outputs s"])) == 2
    assert packed_luts("\n".join([*lines, register("q", "s"), register("r", "carry0_0")])) == 2


def test_the_other_operand_of_a_carry_is_made_inside_its_site():
    lines = [lut("p", "a", "b"), lut("d", "c", "e"), carry(["p"], ["d"], ["s"]), ".outputs s"]
    assert packed_luts("\n".join(lines)) == 1
    assert packed_luts("\n".join([*lines, register("q", "d")])) == 2  # read elsewhere too


NETS = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6, unique=True)


@given(st.lists(NETS, max_size=30))
def test_bounds(functions):
    """No site holds more than two LUTs, none of six inputs shares; only repetition of LUTs may not add sites."""
    lines = [lut(f"n{index}", *nets) for index, nets in enumerate(functions)]
    large = sum(len(nets) == 6 for nets in functions)
    sites = packed_luts("\n".join(lines))
    assert large + (len(functions) - large + 1) // 2 <= sites <= len(functions)
