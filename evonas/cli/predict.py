"""`evonas predict`."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from evonas.cli._typer import Argument, JsonFlag, Option
from evonas.cli.guard import guarded
from evonas.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evonas.cli.specs import Shorthand
    from surrogates import HardwareTarget, ModelSpec, Prediction, SynthesisRecord

SHOWN = {
    "lut": "LUT",
    "ff": "FF",
    "dsp": "DSP",
    "bram_18k": "BRAM",
    "latency_cycles": "cycles",
    "initiation_interval": "II (cycles)",
}
INTERVAL = 0.9


class ActivationName(StrEnum):
    """Activations of the hidden layers."""

    RELU = "relu"
    LEAKY_RELU = "leaky_relu"
    HARD_TANH = "hard_tanh"
    IDENTITY = "identity"
    GELU = "gelu"
    TANH = "tanh"
    SIGMOID = "sigmoid"


def predict(
    spec: Annotated[
        str,
        Argument(
            metavar="SPEC",
            help="A topology such as 16-32-16-5, a JSON file of a network, a design.json or its folder, or a network"
            " file: .onnx (QONNX too), .keras, .h5, or a torch state dict .pt.",
            show_default=False,
        ),
    ],
    weight_bits: Annotated[
        int | None,
        Option(help="Of a topology or state dict: bits of the weights; 6. Of other network files: instead of its own."),
    ] = None,
    activation_bits: Annotated[int | None, Option(help="Likewise: bits of the hidden activations; 6.")] = None,
    input_bits: Annotated[int | None, Option(help="Likewise: bits of the inputs; 8.")] = None,
    sparsity: Annotated[
        float | None, Option(help="Of a topology or state dict: fraction of the weights pruned; 0, or as it is.")
    ] = None,
    activation: Annotated[
        ActivationName | None,
        Option(
            metavar="NAME",
            help="Of a topology or state dict: relu, leaky_relu, hard_tanh, identity, or gelu, tanh or sigmoid by table"
            " in the hidden layers; relu.",
        ),
    ] = None,
    reuse_factor: Annotated[
        str | None,
        Option(
            metavar="R",
            help="Multipliers in DSPs, each of which computes R weights one after the other; one number,"
            " or one for each layer as 8,4,-, where - is adders; adders alone if not given. The nearest legal one is"
            " taken.",
        ),
    ] = None,
    part: Annotated[str, Option(help="Part name of the FPGA.")] = "xcvu13p-flga2577-2-e",
    clock_period_ns: Annotated[float, Option(help="Clock period in nanoseconds.")] = 5.0,
    trace: Annotated[
        bool,
        Option(
            "--trace",
            help="Of a design or network file: first count the adders and registers of its very weights, which takes"
            " seconds and leaves much less doubt.",
        ),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Predict the hardware cost of a network that is neither trained nor synthesised, with 90 % intervals.

    LUT, FF, DSP, blocks of 18 Kbit of RAM, latency, and the cycles from one input to the next (II). The surrogate
    learned from the synthesis results that come with the package; it is the one a study starts with. Of a network file
    the widths of its numbers count as hls4ml reads them, with fixed<16,6> for what has no type of its own. With --trace
    another surrogate says what logic synthesis will leave of what the arithmetic compiler makes of the weights.
    """
    with guarded():
        from evonas.cli.output import emit
        from evonas.cli.specs import Shorthand
        from surrogates import HardwareTarget

        name = None if activation is None else activation.value
        shorthand = Shorthand(weight_bits, activation_bits, input_bits, sparsity, name, reuse_factor)
        target = HardwareTarget(part=part, clock_period_ns=clock_period_ns)
        network, data = (_from_trace if trace else _from_description)(spec, target, shorthand)
        if as_json:
            emit(data)
        else:
            _show(network, data, reuse_factor)


def _from_description(
    spec: str, target: "HardwareTarget", shorthand: "Shorthand"
) -> "tuple[ModelSpec, dict[str, Any]]":
    """The network that is meant, and what is predicted of it."""
    from evonas.cli.network_file import is_network_file, read_network_file
    from evonas.cli.specs import read_spec
    from surrogates import start_surrogate

    notes: tuple[str, ...] = ()
    if is_network_file(Path(spec)):
        network, notes = read_network_file(Path(spec), target, shorthand)
    else:
        network = read_spec(spec, shorthand)
    prediction = start_surrogate().predict([network], target)
    return network, prediction_data(network, target, prediction) | {"notes": list(notes)}


def _from_trace(spec: str, target: "HardwareTarget", shorthand: "Shorthand") -> "tuple[ModelSpec, dict[str, Any]]":
    """Likewise, with what the arithmetic compiler counts."""
    from surrogates import trace_surrogate

    traced, notes = _traced(Path(spec), target, shorthand.given())
    data = prediction_data(traced.spec, target, trace_surrogate().predict([traced])) | {"notes": list(notes)}
    counted = {name: getattr(traced, name) for name in (*SHOWN, "latency_ns", "tool_version")}
    return traced.spec, data | {"traced": counted}


def prediction_data(network: "ModelSpec", target: "HardwareTarget", prediction: "Prediction") -> dict[str, Any]:
    """What `evonas predict --json` prints but for notes and traces: values of the first network of `prediction`."""
    values = {
        metric: {
            "value": float(prediction.mean[metric][0]),
            "lower": float(prediction.lower[metric][0]),
            "upper": float(prediction.upper[metric][0]),
            "std": float(prediction.std[metric][0]),
        }
        for metric in SHOWN
    }
    period = target.clock_period_ns
    values["latency_ns"] = {key: value * period for key, value in values["latency_cycles"].items()}
    return {
        "stage": prediction.stage.label,
        "surrogate_version": prediction.version,
        "interval": INTERVAL,
        "target": target.to_dict(),
        "predicted": values,
        "spec": network.to_dict(),
    }


def _traced(
    path: Path, target: "HardwareTarget", given: "Sequence[str]"
) -> "tuple[SynthesisRecord, tuple[str, ...]]":
    """The traced record of a design or network file, and what is not counted."""
    from evonas.cli.synth import random_inputs, say
    from evonas.cli.synth_file import is_foreign
    from evonas.synthesis.handover import load_design
    from evonas.synthesis.tracing import trace_design, trace_file

    if given:
        raise ConfigurationError("--trace", str(path), f"has bits and weights of its own: leave out {', '.join(given)}")
    if not path.exists():
        raise ConfigurationError("--trace", str(path), "give a design.json, its folder, an .onnx, .keras or .h5 file")
    if is_foreign(path):
        return trace_file(path, target, progress=say)
    network = load_design(path)
    return trace_design(network, random_inputs(network), target, progress=say), ()


def _show(network: "ModelSpec", data: dict[str, Any], asked: str | None) -> None:
    from evonas.cli._rich import Text, console, table
    from evonas.report.formatting import count, decimal, describe, shortest

    traced: dict[str, float] | None = data.get("traced")

    def row(name: str, metric: str, digits: int) -> list[str]:
        found = data["predicted"][metric]
        numbers = [found[k] for k in ("value", "lower", "upper")]
        if traced is not None:
            numbers.insert(0, traced[metric])
        return [name, *(decimal(number, digits) if digits else count(number) for number in numbers)]

    out = console()
    rows = [row(name, metric, int(metric == "latency_cycles")) for metric, name in SHOWN.items()]
    rows.append(row("latency (ns)", "latency_ns", 1))
    traces = [] if traced is None else ["traced"]
    period = shortest(data["target"]["clock_period_ns"])
    out.print(Text(describe(network), style="bold"))
    out.print(Text(f"inputs {network.input_bits} bit; {data['target']['part']} at {period} ns"))
    if any(layer.strategy == "reuse" for layer in network.weighted):
        out.print(Text(_reuse_factors(network, asked)))
    out.print(
        table(
            [("", "left"), *((name, "right") for name in (*traces, "predicted", "90 % from", "to"))],
            rows,
            caption=f"stage {data['stage']}, surrogate {data['surrogate_version']}",
        )
    )
    for note in data["notes"]:
        out.print(Text(f"note: {note}"))


def _reuse_factors(network: "ModelSpec", asked: str | None) -> str:
    """The reuse factor of each layer, and whether they are not those that were `asked` for."""
    factors = [str(layer.reuse_factor) if layer.strategy == "reuse" else "-" for layer in network.weighted]
    wanted = factors if asked is None else [word.strip() for word in asked.split(",")]
    repaired = (wanted * len(factors) if len(wanted) == 1 else wanted) != factors
    return f"reuse factors {','.join(factors)}" + (f", the legal ones nearest to {asked}" if repaired else "")
