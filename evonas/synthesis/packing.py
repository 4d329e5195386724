"""How many LUT sites of a Xilinx device a mapped netlist takes: two small LUTs may share one.

A site holds one function of six inputs, or two of together at most five distinct inputs (outputs O6 and O5). What keeps
a design of adders near its raw count: each bit of a carry chain needs the O6 of its own site, even where its operand
comes straight from a register, so two LUTs that feed carries never share, and such a site's O5 reaches the fabric only
if the bit's sum does not take the same way out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PAIR_INPUTS = 5  # distinct inputs of two functions in one site
LOGIC = frozenset({"LUT1", "LUT2", "LUT3", "LUT4", "LUT5", "LUT6", "INV"})
CONSTANTS = frozenset({"", "$false", "$true", "$undef"})
CANDIDATES = 32  # readers of one net that are tried as partners: more cost time and change nothing


@final
@dataclass(frozen=True)
class _Cell:
    kind: str
    pins: dict[str, str]


@final
@dataclass(frozen=True)
class _Function:
    """A LUT: the nets that it reads and the one it drives."""

    inputs: frozenset[str]
    output: str


def packed_luts(netlist: str) -> int:
    """LUT sites of a flat netlist in yosys's BLIF, an estimate by greedy pairing; LUTs used as memory are left out.

    Two LUTs share a site if they have an input in common and at most five together, as Vivado pairs them while the
    device is not full. Inverters count as LUTs of one input here: where no LUT took them in they need one.
    """
    cells = list(_cells(netlist))
    functions = {
        cell.pins["O"]: _Function(frozenset(net for pin, net in cell.pins.items() if pin[0] == "I"), cell.pins["O"])
        for cell in cells
        if cell.kind in LOGIC
    }
    hosts, sites, inside = _carry_sites(cells, functions)
    placed = {host.output for host in hosts} | inside
    free = [function for net, function in functions.items() if net not in placed]
    return sites + len(free) - _pairs(free, [host for host in hosts if host.inputs])


def _cells(netlist: str) -> Iterator[_Cell]:
    for line in netlist.splitlines():
        if line.startswith((".subckt ", ".gate ")):
            _, kind, *pins = line.split()
            yield _Cell(kind, dict(pin.split("=", 1) for pin in pins))
        elif line.startswith(".outputs "):
            yield _Cell("port", {f"P{index}": net for index, net in enumerate(line.split()[1:])})


def _carry_sites(cells: list[_Cell], functions: dict[str, _Function]) -> tuple[list[_Function], int, set[str]]:
    """LUTs under carry bits, with no inputs where nothing can join them; the number of sites; outputs of LUTs inside.

    Inside is the LUT of a bit's other operand (DI) where it has no other reader: it is the O5 of the bit's site.
    """
    into_register = {cell.pins.get("D", "") for cell in cells if cell.kind.startswith("FD")}
    readers = _readers(cells)
    hosts: dict[str, _Function] = {}
    inside: set[str] = set()
    sites = 0
    for cell in (cell for cell in cells if cell.kind.startswith("CARRY")):
        for bit in range(int(cell.kind[5:])):
            operand, other, total, carry = (cell.pins.get(f"{pin}[{bit}]", "") for pin in ("S", "DI", "O", "CO"))
            if operand in CONSTANTS:
                continue
            sites += 1
            if operand in hosts:  # the site of another bit computes it too; this one is a copy
                continue
            inputs = functions[operand].inputs if operand in functions else frozenset({operand})
            way_out_taken = readers[total] > (total in into_register) or readers[carry] > 0
            if other in functions and readers[other] == 1 and len(inputs | functions[other].inputs) <= PAIR_INPUTS:
                inside.add(other)
                way_out_taken = True
            hosts[operand] = _Function(frozenset() if way_out_taken else inputs, operand)
    return list(hosts.values()), sites, inside


def _readers(cells: list[_Cell]) -> Counter[str]:
    """How many pins read each net; a carry chain's own connections do not count."""
    nets: Counter[str] = Counter()
    for cell in cells:
        pins = cell.pins.items()
        nets.update(net for pin, net in pins if pin not in ("O", "Q", "CI") and not pin.startswith(("O[", "CO[")))
    return nets


def _pairs(free: list[_Function], hosts: list[_Function]) -> int:
    """Greedy matching: the number of `free` LUTs that move into the site of another LUT."""
    every = [function for function in (*hosts, *free) if len(function.inputs) <= PAIR_INPUTS]
    by_net: defaultdict[str, list[int]] = defaultdict(list)
    for index, function in enumerate(every):
        for net in function.inputs:
            by_net[net].append(index)
    first_free = sum(len(function.inputs) <= PAIR_INPUTS for function in hosts)
    taken: set[int] = set()
    for index in sorted(range(first_free, len(every)), key=lambda i: -len(every[i].inputs)):
        if index in taken:
            continue
        partner = _partner(index, every, by_net, taken)
        if partner is not None:
            taken |= {index, partner}
    return len(taken) // 2


def _partner(index: int, every: list[_Function], by_net: dict[str, list[int]], taken: set[int]) -> int | None:
    """The free site that has most inputs in common with LUT `index` and room for it."""
    mine = every[index].inputs
    best: tuple[int, int] | None = None
    for candidate in _near(mine, by_net):
        theirs = every[candidate].inputs
        if candidate == index or candidate in taken or len(mine | theirs) > PAIR_INPUTS:
            continue
        rank = (len(mine & theirs), -candidate)
        best = max(best, rank) if best else rank
    return None if best is None else -best[1]


def _near(nets: Iterable[str], by_net: dict[str, list[int]]) -> set[int]:
    return {candidate for net in nets for candidate in by_net[net][:CANDIDATES]}
