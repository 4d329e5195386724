"""surrogates: predict what a neural network costs on an FPGA before it is trained or synthesised.

A leaf package: it knows networks, hardware targets and synthesis records, and nothing of how they were made.

    from surrogates import HardwareTarget, LayerSpec, ModelSpec, start_surrogate

    surrogate = start_surrogate()
    network = ModelSpec(8, (LayerSpec(16, 32, 6, 6), LayerSpec(32, 5, 6, 0, "linear")))
    prediction = surrogate.predict([network], HardwareTarget())
    prediction.mean["lut"], prediction.lower["lut"], prediction.upper["lut"]    # how many LUTs will it take?

Whatever needs scikit-learn or SciPy is loaded at first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from surrogates.errors import SpecError
from surrogates.layers import LayerSpec, OperationSpec, Window
from surrogates.records import TARGETS, Stage, SynthesisRecord, read_records, write_records
from surrogates.spec import HardwareTarget, ModelSpec

if TYPE_CHECKING:
    from surrogates._sklearn import ResidualRegressor
    from surrogates.acquisition import Pick, Shares, choose
    from surrogates.analytic import AnalyticCost, analytic_costs
    from surrogates.calibration import Drift, drift
    from surrogates.checks import check_surrogate
    from surrogates.error_surrogate import ErrorPrediction, ErrorSurrogate, MeasuredError
    from surrogates.errors import MixedRecordsError, NotFittedError, PersistenceError, SurrogateError
    from surrogates.estimators import ResidualSurrogate, fit_surrogate, predict_records
    from surrogates.features import feature_matrix, feature_names
    from surrogates.metrics import Accuracy, accuracy
    from surrogates.persistence import load_surrogate, load_trace_surrogate, save_surrogate
    from surrogates.prediction import Prediction, Surrogate
    from surrogates.pretrained import shipped_dataset, start_records
    from surrogates.recalibration import RecalibrationSummary, recalibrate
    from surrogates.start import start_surrogate, trace_surrogate
    from surrogates.trace import TraceSurrogate
    from surrogates.transfer import TransferSurrogate

__all__ = [
    "TARGETS",
    "Accuracy",
    "AnalyticCost",
    "Drift",
    "ErrorPrediction",
    "ErrorSurrogate",
    "HardwareTarget",
    "LayerSpec",
    "MeasuredError",
    "MixedRecordsError",
    "ModelSpec",
    "NotFittedError",
    "OperationSpec",
    "PersistenceError",
    "Pick",
    "Prediction",
    "RecalibrationSummary",
    "ResidualRegressor",
    "ResidualSurrogate",
    "Shares",
    "SpecError",
    "Stage",
    "Surrogate",
    "SurrogateError",
    "SynthesisRecord",
    "TraceSurrogate",
    "TransferSurrogate",
    "Window",
    "accuracy",
    "analytic_costs",
    "check_surrogate",
    "choose",
    "drift",
    "feature_matrix",
    "feature_names",
    "fit_surrogate",
    "load_surrogate",
    "load_trace_surrogate",
    "predict_records",
    "read_records",
    "recalibrate",
    "save_surrogate",
    "shipped_dataset",
    "start_records",
    "start_surrogate",
    "trace_surrogate",
    "write_records",
]

PACKAGE = "evonas"  # tells this package from an unrelated one of the same name

_HOMES = {
    "_sklearn": ("ResidualRegressor",),
    "acquisition": ("Pick", "Shares", "choose"),
    "analytic": ("AnalyticCost", "analytic_costs"),
    "calibration": ("Drift", "drift"),
    "checks": ("check_surrogate",),
    "error_surrogate": ("ErrorPrediction", "ErrorSurrogate", "MeasuredError"),
    "errors": ("MixedRecordsError", "NotFittedError", "PersistenceError", "SurrogateError"),
    "estimators": ("ResidualSurrogate", "fit_surrogate", "predict_records"),
    "features": ("feature_matrix", "feature_names"),
    "metrics": ("Accuracy", "accuracy"),
    "persistence": ("load_surrogate", "load_trace_surrogate", "save_surrogate"),
    "prediction": ("Prediction", "Surrogate"),
    "pretrained": ("shipped_dataset", "start_records"),
    "recalibration": ("RecalibrationSummary", "recalibrate"),
    "start": ("start_surrogate", "trace_surrogate"),
    "trace": ("TraceSurrogate",),
    "transfer": ("TransferSurrogate",),
}
_LAZY = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'surrogates' has no attribute {name!r}")
    return getattr(import_module(f"surrogates.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
