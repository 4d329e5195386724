import subprocess
import sys

import numpy as np
import pytest
from fakes.records import random_specs

import surrogates
from surrogates import HardwareTarget, SurrogateError, start_records, start_surrogate


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_import_is_light():
    heavy = "{'sklearn', 'scipy', 'torch', 'evonas', 'pandas', 'hls4ml', 'pymoo'}"
    assert run(f"import sys, surrogates; print(sorted({heavy} & set(sys.modules)))").strip() == "[]"


def test_what_needs_no_learner_loads_none():
    code = (
        "import sys; from surrogates import analytic_costs, feature_matrix, accuracy, Prediction, choose;"
        "print(sorted({'sklearn', 'scipy'} & set(sys.modules)))"
    )
    assert run(code).strip() == "[]"


def test_every_public_name_exists():
    for name in surrogates.__all__:
        assert getattr(surrogates, name) is not None
    assert set(surrogates.__all__) <= set(dir(surrogates))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        surrogates.nonsense  # noqa: B018


def test_missing_start_records_are_explained(monkeypatch, tmp_path):
    monkeypatch.setattr("surrogates.pretrained.files", lambda _: tmp_path)
    with pytest.raises(SurrogateError, match=r"install the package again"):
        start_records()


def test_the_start_surrogate_answers():
    try:
        surrogate = start_surrogate()
    except SurrogateError:
        pytest.skip("no start records yet")
    predicted = surrogate.predict(random_specs(3, np.random.default_rng(0)), HardwareTarget())
    assert (predicted.mean["lut"] > 10).all()
    assert (predicted.mean["dsp"] == 0).all()
