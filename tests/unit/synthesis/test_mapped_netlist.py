"""The mapped cells, simulated with their models, give the bits of the Verilog that they came from."""

from __future__ import annotations

import re

import numpy as np
import pytest
from fakes.graphs import random_graph

from evonas.synthesis import yosys
from evonas.synthesis.evaluate import cast, evaluate
from evonas.synthesis.openrtl import emit
from evonas.synthesis.verification import pack, unpack

PART = "xcvu13p-flga2577-2-e"


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_cells_compute_the_graph(seed, tmp_path):
    graph = random_graph(seed, depth=2, shared=0.0)
    figures = emit(graph, tmp_path / "verilog", PART, 5.0).figures
    used, _ = yosys.synthesise(tmp_path / "verilog", tmp_path / "cells", PART, netlist=True, timeout_s=200)
    assert used.lut > 20
    x = cast(np.random.default_rng(0).uniform(-3, 3, (40, 4)), graph.inputs[0].result)
    stimulus = pack(x, figures.inputs) + [0] * figures.latency_cycles
    width, netlist = sum(figures.inputs.widths), tmp_path / "cells" / "netlist.json"
    rtl = tmp_path / "verilog"
    words, _ = yosys.simulate(rtl, tmp_path / "sim", stimulus, width, netlist=netlist, timeout_s=200)
    assert np.array_equal(unpack(words[figures.latency_cycles :], figures.outputs), evaluate(graph, x)[0])
    broken = tmp_path / "broken.json"
    broken.write_text(re.sub(r'("INIT": ")0110"', r'\g<1>1001"', netlist.read_text()))  # XOR becomes its opposite
    other, _ = yosys.simulate(rtl, tmp_path / "sim2", stimulus, width, netlist=broken, timeout_s=200)
    assert other != words
