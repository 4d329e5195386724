"""What yosys makes of a shared layer: as many DSP blocks as it says, and block memory only where it is asked for."""

import pytest
from rtl_layers import random_layer

from evonas.models.fixed_point import FixedPoint
from evonas.synthesis import yosys
from evonas.synthesis.graph import Port
from evonas.synthesis.rtl import Design, Stage

pytestmark = pytest.mark.slow
ULTRASCALE, SEVEN = "xcvu13p-flga2577-2-e", "xc7z020clg400-1"


def alone(shape, *, factor, input_bits=8, **options):
    port = Port((True,) * shape[0], (2,) * shape[0], (input_bits - 3,) * shape[0])
    layer = random_layer(0, shape, factor, inputs=port, accumulator=FixedPoint(True, 24, 12), **options)
    return Design(port, (Stage(layer, tuple(range(shape[0]))),))


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"factor": 1, "weight_bits": 8}, ULTRASCALE),  # constants, some of which have few bits
        ({"factor": 4, "weight_bits": 3, "input_bits": 3}, ULTRASCALE),
        ({"factor": 16, "weight_bits": 2, "input_bits": 4, "storage": "block"}, SEVEN),
    ],
)
def test_every_multiplier_becomes_a_dsp_block(tmp_path, options, part):
    design = alone((8, 4), **options)
    design.write(tmp_path / "rtl")
    used, _ = yosys.synthesise(tmp_path / "rtl", tmp_path, part, timeout_s=300)
    assert used.dsp == design.multipliers > 0
    assert (used.bram_18k > 0) == (options.get("storage") == "block")


def test_without_the_map_small_products_stay_in_luts(tmp_path):
    alone((8, 4), factor=4, weight_bits=3, input_bits=3).write(tmp_path / "rtl")
    (tmp_path / "rtl" / "techmap.v").unlink()
    used, _ = yosys.synthesise(tmp_path / "rtl", tmp_path, ULTRASCALE, timeout_s=300)
    assert used.dsp == 0


def test_weights_of_a_large_layer_fill_block_memory(tmp_path):
    design = alone((32, 16), factor=32, weight_bits=8, storage="block")
    assert design.memory_bits == 14 * 32 * 8  # two of 16 outputs have no weights
    design.write(tmp_path / "rtl")
    used, _ = yosys.synthesise(tmp_path / "rtl", tmp_path, ULTRASCALE, timeout_s=300)
    assert used.dsp == design.multipliers == 14
    assert used.cells["RAMB36E2"] == 2  # words of 112 bits, 72 bits to a block
