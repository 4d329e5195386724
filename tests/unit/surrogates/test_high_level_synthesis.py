"""Closed forms of what high-level synthesis makes of dense layers, and surrogates that learn from its records."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from surrogates import TARGETS, HardwareTarget, LayerSpec, ModelSpec, Stage, SynthesisRecord, fit_surrogate
from surrogates import high_level_synthesis as forms
from surrogates.choice import HeldOut, chosen
from surrogates.layer_law import closed_form, exact_part
from surrogates.metrics import r_squared
from surrogates.table import layer_table

VITIS = HardwareTarget("xcu250-figd2104-2L-e", tool="vitis")
ROOT = Path(__file__).parents[3]
EXPERIMENT, PUBLIC = ROOT / "experiments" / "benchmarks" / "surrogates", ROOT.parent / "shared" / "data" / "synthesis"


def shared(n_in, n_out, bits, reuse):
    return ModelSpec(16, (LayerSpec(n_in, n_out, bits, 0, "linear", 0.0, "reuse", reuse),))


def unrolled(n_in, n_out, bits):
    return ModelSpec(16, (LayerSpec(n_in, n_out, bits, 0, "linear"),))


# four layers of the public set wa-hls4ml-search, as Vitis HLS reported them: DSP, block RAM, cycles, interval
@pytest.mark.parametrize(
    ("layer", "found"),
    [
        ((64, 64, 8, 512), (8, 3, 514, 512)),
        ((64, 64, 4, 1024), (0, 2, 1026, 1024)),
        ((128, 32, 14, 512), (8, 5, 514, 512)),
        ((128, 32, 10, 1024), (4, 4, 1026, 1024)),
    ],
)
def test_counts_are_those_of_the_tool(layer, found):
    table = layer_table([shared(*layer)])
    counts = forms.dsp(table), forms.bram_18k(table), forms.cycles(table), forms.interval(table)
    assert tuple(float(count[0]) for count in counts) == found


def at_positions(spec, length):
    return ModelSpec(spec.input_bits, (replace(spec.layers[0], positions=length),))


# convolutions of N-TORC, as Vivado HLS reported them: words for one output, outputs, R, length; DSP, cycles
@pytest.mark.parametrize(
    ("layer", "found"),
    [
        ((3, 16, 3, 128), (16, 1690)),
        ((3, 32, 96, 256), (1, 27348)),
        ((48, 16, 96, 16), (8, 1908)),
        ((96, 32, 96, 256), (32, 27348)),
    ],
)
def test_a_stream_brings_positions_one_after_the_other(layer, found):
    *shape, reuse, length = layer
    table = layer_table([at_positions(shared(*shape, 16, reuse), length)])
    assert (forms.dsp(table, stream=True)[0], forms.cycles(table, stream=True)[0]) == found
    assert forms.interval(table, stream=True) == forms.cycles(table, stream=True)
    assert forms.cycles(table) == reuse * length + 2  # all words at once


def test_products_by_themselves_serve_all_positions_of_a_stream_and_one_otherwise():
    one, many = (layer_table([at_positions(unrolled(9, 16, 12), length)]) for length in (1, 64))
    for form in (forms.dsp, forms.lut, forms.ff):
        assert form(many, stream=True) == form(one, stream=True)
        assert form(many)[0] > 32 * form(one)[0]
    cycles = [forms.cycles(table, stream=True)[0] for table in (one, many)]
    assert cycles[1] - cycles[0] == 63
    assert forms.interval(many, stream=True) == 64
    assert forms.interval(many) == 1


def test_more_multipliers_cost_more_cells_and_fewer_cycles():
    table = layer_table([shared(64, 32, 8, reuse) for reuse in (2, 8, 32)])
    for cells in (forms.lut(table), forms.ff(table), forms.dsp(table), forms.bram_18k(table)):
        assert (np.diff(cells) < 0).all()
    assert (np.diff(forms.cycles(table)) > 0).all()


def test_wide_constants_take_dsp_slices_and_narrow_ones_adders():
    table = layer_table([unrolled(32, 32, bits) for bits in (4, 8, 14)])
    dsp = forms.dsp(table)
    assert dsp[0] == 0 < dsp[1] < dsp[2] < 32 * 32
    np.testing.assert_array_equal(forms.interval(table), 1)


def test_the_slowest_layer_sets_the_interval_and_cycles_add_up():
    first, second = LayerSpec(16, 8, 6, 8, "relu", 0.0, "reuse", 16), LayerSpec(8, 4, 6, 0, "linear", 0.0, "reuse", 4)
    table = layer_table([ModelSpec(8, (first, second))])
    assert table.total(closed_form(table, "initiation_interval", "io_parallel")) == 16
    assert table.total(closed_form(table, "initiation_interval", "io_stream")) == 16
    assert exact_part(table, "latency_cycles", "io_parallel") == 16 + 2 + 4 + 2
    assert exact_part(table, "latency_cycles") != 16 + 2 + 4 + 2  # our own Verilog has another schedule


def record(spec, dsp, *, lut=None):
    table = layer_table([spec])
    costs = {target: float(closed_form(table, target, "io_parallel")[0]) for target in TARGETS}
    costs |= {"dsp": dsp, "latency_cycles": float(exact_part(table, "latency_cycles", "io_parallel")[0]) + 1}
    costs |= {"lut": costs["lut"] if lut is None else lut}
    interval = int(costs.pop("initiation_interval"))
    return SynthesisRecord(spec, VITIS, Stage.CSYNTH, "Vitis HLS", initiation_interval=interval, **costs)


def test_only_networks_that_do_not_follow_the_closed_form_are_learnt():
    rng, records = np.random.default_rng(1), []
    for n_in in (8, 16, 24, 32, 48, 64):
        for n_out in (4, 8, 16, 32):
            records.append(record(shared(n_in, n_out, 8, n_in), dsp=float(n_out)))
            weights, bits = n_in * n_out, int(rng.integers(8, 14))
            found = 0.25 * float(forms.dsp(layer_table([unrolled(n_in, n_out, bits)]))[0])
            records.append(record(unrolled(n_in, n_out, bits), dsp=min(found, weights)))
    surrogate = fit_surrogate(records, "gp", stage=Stage.CSYNTH)
    predicted = surrogate.predict([shared(40, 20, 8, 40), unrolled(40, 20, 10)], VITIS)
    assert predicted.lower["dsp"][0] == predicted.mean["dsp"][0] == predicted.upper["dsp"][0] == 20
    wanted = 0.25 * float(forms.dsp(layer_table([unrolled(40, 20, 10)]))[0])
    assert predicted.mean["dsp"][1] == pytest.approx(wanted, rel=0.25)
    assert predicted.lower["dsp"][1] < predicted.upper["dsp"][1]
    assert surrogate.learners["dsp"] == "gp"
    assert surrogate.learners["initiation_interval"] == "closed form"


def held_out(truth, errors):
    return HeldOut(truth, truth - errors, np.full(len(truth), 0.1))


def test_a_learner_is_chosen_for_its_error_unless_it_orders_worse():
    truth = np.linspace(1.0, 5.0, 40)
    noise = np.random.default_rng(0).normal(size=40)
    weights = np.ones(40)
    both = {"gp": held_out(truth, 0.05 * noise), "ensemble": held_out(truth, 0.1 * noise)}
    assert chosen(both, weights) == "gp"
    assert chosen({**both, "gp": held_out(truth, 0.098 * noise)}, weights) == "ensemble"  # too close
    worse_order = np.where(np.arange(40) >= 36, 3.0, 0.0)  # some far off, the others exact
    steady = held_out(truth, np.full(40, 0.4))
    assert chosen({"trees": held_out(truth, worse_order), "ensemble": steady}, weights) == "ensemble"
    assert chosen({"trees": held_out(truth, np.abs(worse_order) / 10), "ensemble": steady}, weights) == "trees"
    assert chosen({"gp": held_out(truth, 0.05 * noise)}, weights) == "gp"
    empty = held_out(np.zeros(0), np.zeros(0))
    assert chosen({"gp": empty, "ensemble": empty}, np.ones(2)) == "ensemble"


def test_the_choice_follows_the_data():
    records = [record(shared(n_in, n_out, bits, n_in), dsp=float(n_out), lut=float(100 + 7 * n_in + 90 * n_out))
               for n_in in (8, 16, 24, 32, 48, 64, 96) for n_out in (4, 8, 16, 32) for bits in (6, 10)]  # fmt: skip
    surrogate = fit_surrogate(records, stage=Stage.CSYNTH)
    assert surrogate.kind == "auto"
    assert surrogate.learners["lut"] in ("gp", "ridge", "ensemble")  # trees cannot follow a sum past their leaves
    named = fit_surrogate(records, surrogate.learners["lut"], stage=Stage.CSYNTH)
    networks = [shared(40, 12, 8, 40), shared(56, 24, 8, 56)]
    found = surrogate.predict(networks, VITIS).mean["lut"]
    np.testing.assert_array_equal(found, named.predict(networks, VITIS).mean["lut"])
    assert found == pytest.approx([100 + 7 * 40 + 90 * 12, 100 + 7 * 56 + 90 * 24], rel=0.1)
    few = [replace(each, lut=each.lut + 1) for each in records[:10]]
    assert fit_surrogate(few, stage=Stage.CSYNTH).learners["lut"] == "offset"


@pytest.mark.shared
@pytest.mark.skipif(not PUBLIC.exists(), reason=f"the public synthesis results are not at {PUBLIC}")
def test_public_layers_of_shapes_never_seen():
    spec = importlib.util.spec_from_file_location("public_benchmark", EXPERIMENT / "public.py")
    public = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(public)
    some = public.single_dense(PUBLIC)
    fold = public.folds(some, 0)
    train, test = ([r for r, f in zip(some, fold, strict=True) if (f == 0) == held] for held in (False, True))
    predicted = fit_surrogate(train, "trees", stage=Stage.CSYNTH).predict([r.spec for r in test], test[0].target)
    least = {"lut": 0.9, "ff": 0.88, "dsp": 0.98, "bram_18k": 0.98}
    least |= {"latency_cycles": 0.999, "initiation_interval": 0.999}
    for target, wanted in least.items():
        found = r_squared(np.array([getattr(r, target) for r in test], float), predicted.mean[target])
        assert found > wanted, (target, found)
