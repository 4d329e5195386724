"""`evonas synth`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from evonas.cli._typer import Argument, JsonFlag, Option, echo
from evonas.cli.guard import fail, guarded
from evonas.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from evonas.models.fixed_point import QuantisedNetwork
    from evonas.synthesis.backend import SynthesisResult
    from surrogates import HardwareTarget, SynthesisRecord

VECTORS = 256
SEED = 0


def synth(
    model: Annotated[
        Path,
        Argument(
            metavar="MODEL",
            help="A design.json or its folder, or a network file: .onnx (QONNX too), .keras, .h5.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, Option("--out", "-o", metavar="DIR", help="New or empty directory for the firmware.", show_default=False)
    ],
    backend: Annotated[
        str,
        Option(
            help="auto, openrtl, vitis, quartus, oneapi or catapult; auto is Vitis where it is installed, else the open"
            " tools."
        ),
    ] = "auto",
    part: Annotated[str, Option(help="Part name of the FPGA.")] = "xcvu13p-flga2577-2-e",
    clock_period_ns: Annotated[float, Option(help="Clock period in nanoseconds.")] = 5.0,
    precision: Annotated[
        str | None, Option(help="Network file: default type of what has none, fixed<16,6> if not given.")
    ] = None,
    reuse_factor: Annotated[
        int | None, Option(help="Network file: reuse factor of every layer, 1 if not given.")
    ] = None,
    strategy: Annotated[
        str | None, Option(help="Network file: latency (adders), or resource (DSPs); latency if not given.")
    ] = None,
    timeout_s: Annotated[float, Option(help="Stop the tools after so many seconds.")] = 3600.0,
    as_json: JsonFlag = False,
) -> None:
    """Turn one trained network into firmware and verify it bit for bit.

    Every implementation is compared with the network's exact arithmetic on 256 random inputs over the whole range of
    its input type (always the same ones). Exit code 1 if a tool fails or a single bit differs. A network file that
    evonas did not train goes through hls4ml's front ends to the open tools.
    """
    with guarded():
        from evonas.cli.output import json_object, machine_output
        from evonas.cli.synth_file import is_foreign, synthesise_file

        given = {"precision": precision, "reuse_factor": reuse_factor, "strategy": strategy}
        given = {name: value for name, value in given.items() if value is not None}
        if is_foreign(model):
            from evonas.synthesis.file_build import Conversion
            from surrogates import HardwareTarget

            _check_out(out)
            _check_timeout(timeout_s)
            target = HardwareTarget(part=part, clock_period_ns=clock_period_ns)
            synthesise_file(model, out, backend, target, Conversion(**given), timeout_s, as_json=as_json)  # type: ignore[arg-type]
            return
        for name, value in given.items():
            option = f"--{name.replace('_', '-')}"
            raise ConfigurationError(option, value, "is for network files; a design of evonas has its own")
        if as_json:
            with machine_output() as stream:
                data, result = _synthesise(model, out, backend, part, clock_period_ns, timeout_s, quiet=True)
                stream.write(json_object(data) + "\n")
        else:
            data, result = _synthesise(model, out, backend, part, clock_period_ns, timeout_s, quiet=False)
            _show(data, result)
        if result.failure is not None:
            raise fail(f"synthesis failed: {result.failure.kind.value}: {result.failure.message}")


def _synthesise(
    model: Path, out: Path, backend: str, part: str, clock_period_ns: float, timeout_s: float, *, quiet: bool
) -> "tuple[dict[str, Any], SynthesisResult]":
    """Run the backend; returns what `evonas synth --json` prints, and the result itself."""
    from surrogates import HardwareTarget, Stage

    _check_timeout(timeout_s)
    target = HardwareTarget(part=part, clock_period_ns=clock_period_ns)
    _check_out(out)
    if not model.exists():
        raise DataError("no such file; give a design.json or a model.onnx", model)
    from evonas.synthesis import choose
    from evonas.synthesis.handover import load_design

    tool = choose(backend)
    target = HardwareTarget(part=part, clock_period_ns=clock_period_ns, tool=_tool(tool.name))
    network = load_design(model)
    out.mkdir(parents=True, exist_ok=True)
    result = tool.synthesise(
        network,
        random_inputs(network),
        target,
        out,
        until=Stage.SYNTHESISED,
        timeout_s=timeout_s,
        progress=None if quiet else _say,
    )
    return result_data(network, target, tool.name, result), result


def random_inputs(network: "QuantisedNetwork") -> "NDArray[np.float64]":
    """`VECTORS` random rows over the whole range of the input type, and the two ends of the range; always the same."""
    import numpy as np

    kind = network.input_type
    drawn = np.random.default_rng(SEED).uniform(kind.low, kind.high, (VECTORS, network.spec.n_inputs))
    drawn[0], drawn[1] = kind.low, kind.high
    return kind.quantise(drawn)


def result_data(
    network: "QuantisedNetwork", target: "HardwareTarget", tool: str, result: "SynthesisResult"
) -> dict[str, Any]:
    """What `evonas synth --json` prints."""
    failure = result.failure
    return {
        "succeeded": failure is None,
        "failure": None if failure is None else {"kind": failure.kind.value, "message": failure.message},
        "backend": tool,
        "target": target.to_dict(),
        "network": network.digest,
        "topology": network.spec.topology,
        "records": [record.to_dict() for record in result.records],
        "files": {role: str(path) for role, path in sorted(result.files.items())},
    }


def _tool(name: str) -> Any:
    """The tool of the target, which is called like its backend."""
    return name


def _say(step: str) -> None:
    echo(f"{step} ...", err=True)


def _check_timeout(timeout_s: float) -> None:
    if timeout_s <= 0:
        raise ConfigurationError("--timeout-s", timeout_s, "must be above 0")


def _check_out(out: Path) -> None:
    """Raise `ConfigurationError` unless `out` can be made or is an empty directory."""
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.exists():
        what = "is not empty" if out.is_dir() else "is not a directory"
        raise ConfigurationError("--out", str(out), f"{what}; choose another place")
    nearest = next(path for path in out.absolute().parents if os.path.lexists(path))
    if not nearest.is_dir():
        raise ConfigurationError("--out", str(out), f"{nearest} is not a directory; choose another place")


def _show(data: dict[str, Any], result: "SynthesisResult") -> None:
    from evonas.cli._rich import console, line, table

    out = console()
    if result.records:
        columns = ["stage", "LUT", "FF", "DSP", "BRAM", "cycles", "ns", "II", "verified", "seconds"]
        out.print(
            table(
                [(name, "left" if name == "stage" else "right") for name in columns],
                [_cells(record) for record in result.records],
                title=f"{data['topology']} by {data['backend']} for {data['target']['part']}",
                caption="verified: inputs compared bit for bit; – : the tool does not say",
            )
        )
    for role, path in data["files"].items():
        line(out, f"{role:<14} {path}")


def _cells(record: "SynthesisRecord") -> list[str]:
    from evonas.report.formatting import count, decimal, shortest

    return [
        record.stage.label,
        *(count(value) for value in (record.lut, record.ff, record.dsp, record.bram_18k)),
        shortest(record.latency_cycles),
        shortest(record.latency_ns),
        str(record.initiation_interval),
        count(record.verified_vectors),
        decimal(record.wall_time_s, 1),
    ]
