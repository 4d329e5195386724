"""The columnar file: what goes in comes out, but for digests of reports; other files are refused with a mend."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes.families import FAMILIES, every_gene, space_of

from surrogates import HardwareTarget, SpecError, Stage, SynthesisRecord
from surrogates.columns import read_columns, write_columns
from surrogates.dataset import Dataset, FailedSynthesis, Origin
from surrogates.weights import LayerWeights


def record(spec, stage=Stage.TRACED, **more):
    values = {"lut": 12.0, "ff": 3.0, "dsp": 0.0, "bram_18k": 0.0, "latency_cycles": 4.0, "initiation_interval": 1}
    kept = tuple(LayerWeights(n.n_nonzero, 2 * n.n_nonzero, 7, 9, n.n_in, n.n_out) for n in spec.weighted)
    return SynthesisRecord(spec, HardwareTarget(), stage, "open 1", **(values | {"weights": kept} | more))


@pytest.fixture
def dataset():
    rng = np.random.default_rng(3)
    spaces = [space_of(family, **every_gene(family)) for family in FAMILIES]
    specs = [space.decode(genome).spec for space in spaces for genome in space.sample(5, rng)]
    small = HardwareTarget("xc7a35t", 3.333)
    records = [record(spec, lut=float(100 * n), verified_vectors=n, wall_time_s=0.5) for n, spec in enumerate(specs)]
    records.append(replace(records[0], weights=()))
    records.append(replace(record(specs[0], Stage.SYNTHESISED, ff=None, carry=7.0, delay_ns=2.25), target=small))
    failures = [FailedSynthesis(specs[1], small, Stage.SYNTHESISED, "timeout", 600.5, 600.0, 1 << 31)]
    origins = {spec.digest: Origin("mlp", "trained" if n % 2 else "random", "jets") for n, spec in enumerate(specs)}
    return Dataset(tuple(records), tuple(failures), origins)


def test_what_is_written_is_read(dataset, tmp_path):
    write_columns(dataset, tmp_path / "records.npz")
    assert read_columns(tmp_path / "records.npz") == dataset


def test_a_stage_alone(dataset, tmp_path):
    write_columns(dataset, tmp_path / "records.npz")
    found = read_columns(tmp_path / "records.npz", [Stage.SYNTHESISED])
    assert found.records == dataset.records[-1:]
    assert found.failures == dataset.failures
    assert set(found.origins) == {dataset.records[-1].spec.digest, dataset.failures[0].spec.digest}


def test_networks_of_every_stage(dataset, tmp_path):
    write_columns(dataset, tmp_path / "records.npz")
    found = read_columns(tmp_path / "records.npz", [Stage.TRACED, Stage.SYNTHESISED], complete=True)
    both = dataset.records[-1].spec
    assert found.records == tuple(record for record in dataset.records if record.spec == both)
    assert {record.stage for record in found.records} == {Stage.TRACED, Stage.SYNTHESISED}
    assert found.failures == tuple(failure for failure in dataset.failures if failure.spec == both)


def test_the_bytes_depend_on_the_content_alone(dataset, tmp_path):
    write_columns(dataset, tmp_path / "one.npz")
    write_columns(dataset, tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    assert (tmp_path / "one.npz").stat().st_size < 400 * len(dataset.records) + 20_000


def test_an_empty_file(tmp_path):
    write_columns(Dataset(()), tmp_path / "records.npz")
    assert read_columns(tmp_path / "records.npz") == Dataset(())


def test_weights_and_stage_can_be_chosen(dataset):
    assert len(dataset.of(Stage.SYNTHESISED)) == 1
    trained = dataset.of(Stage.TRACED, weights="trained")
    assert trained
    assert {dataset.origin(each.spec).weights for each in trained} == {"trained"}


@pytest.mark.parametrize("content", [b"", b"words", b"PK\x03\x04"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "records.npz").write_bytes(content)
    with pytest.raises(SpecError, match=r"records\.npz.*not a file of synthesis records"):
        read_columns(tmp_path / "records.npz")


def test_another_schema_says_what_to_do(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("surrogates.columns.SCHEMA", 99)
    write_columns(dataset, tmp_path / "records.npz")
    monkeypatch.undo()
    with pytest.raises(SpecError, match=r"schema = 99: this version reads schema 2; write the records anew"):
        read_columns(tmp_path / "records.npz")
