"""`evonas synth`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from evonas.cli._typer import Argument, JsonFlag, Option, echo
from evonas.cli.guard import fail, guarded
from evonas.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from evonas.errors import Failure
    from evonas.models.quantised_network import QuantisedNetwork
    from evonas.synthesis.backend import SynthesisBackend, SynthesisResult
    from evonas.synthesis.file_build import FileRecord
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
    vectors: Annotated[int, Option(help="Random inputs on which every implementation is compared.")] = VECTORS,
    simulator: Annotated[
        str | None,
        Option(
            help="Of openrtl: yosys, which is shown the first 128 inputs at most, verilator, which is shown all, or"
            " auto, which is verilator where it is installed and there are 1000 inputs; auto if not given."
        ),
    ] = None,
    timeout_s: Annotated[float, Option(help="Stop the tools after so many seconds.")] = 3600.0,
    as_json: JsonFlag = False,
) -> None:
    """Turn one trained network into firmware and verify it bit for bit.

    Every implementation is compared with the network's exact arithmetic on random inputs over the whole range of its
    input type (always the same ones). Exit code 1 if a tool fails or a single bit differs. A network file that evonas
    did not train goes through hls4ml's front ends to the same tools.
    """
    with guarded():
        from evonas.cli.synth_file import is_foreign, synthesise_file

        _check_numbers(timeout_s, vectors)
        _check_out(out)
        given = {"precision": precision, "reuse_factor": reuse_factor, "strategy": strategy}
        given = {name: value for name, value in given.items() if value is not None}
        if not model.exists():
            raise DataError("no such file; give a design.json, its folder, or an .onnx, .keras or .h5 file", model)
        foreign = is_foreign(model)
        for name, value in given.items() if not foreign else ():
            option = f"--{name.replace('_', '-')}"
            raise ConfigurationError(option, value, "is for network files; a design of evonas has its own")
        tool, target = _tool(backend, simulator, part, clock_period_ns)
        failure: Failure | None
        if foreign:
            from evonas.synthesis.file_build import Conversion

            conversion = Conversion(**given)  # type: ignore[arg-type]
            failure = synthesise_file(model, out, tool, target, conversion, vectors, timeout_s, as_json=as_json)
        else:
            failure = _synthesise(model, out, tool, target, vectors, timeout_s, as_json=as_json)
        if failure is not None:
            raise fail(f"synthesis failed: {failure.kind.value}: {failure.message}")


def _tool(
    backend: str, simulator: str | None, part: str, clock_period_ns: float
) -> "tuple[SynthesisBackend, HardwareTarget]":
    """The backend that is meant, and the target, whose tool is called like it."""
    from evonas.synthesis import choose
    from surrogates import HardwareTarget

    tool = choose(backend)
    if tool.name == "openrtl":
        tool = choose("openrtl", simulator=simulator or "auto")
    elif simulator is not None:
        raise ConfigurationError("--simulator", simulator, f"is for openrtl, not for {tool.name}")
    name: Any = tool.name
    return tool, HardwareTarget(part=part, clock_period_ns=clock_period_ns, tool=name)


def _synthesise(
    model: Path,
    out: Path,
    tool: "SynthesisBackend",
    target: "HardwareTarget",
    vectors: int,
    timeout_s: float,
    *,
    as_json: bool,
) -> "Failure | None":
    """Run the backend on a design of ours and print its numbers; returns why it failed, if it did."""
    from evonas.cli.output import json_object, machine_output
    from evonas.synthesis.handover import load_design
    from surrogates import Stage

    network = load_design(model)
    out.mkdir(parents=True, exist_ok=True)
    inputs = random_inputs(network, vectors)
    options: dict[str, Any] = {"until": Stage.SYNTHESISED, "timeout_s": timeout_s}
    if as_json:
        with machine_output() as stream:
            result = tool.synthesise(network, inputs, target, out, **options)
            stream.write(json_object(result_data(network, target, tool.name, result)) + "\n")
    else:
        result = tool.synthesise(network, inputs, target, out, progress=say, **options)
        show(f"{network.spec.topology} by {tool.name} for {target.part}", result.records, result.files)
    return result.failure


def random_inputs(network: "QuantisedNetwork", count: int = VECTORS) -> "NDArray[np.float64]":
    """`count` random rows over the whole range of the input type, and the two ends of the range; always the same."""
    import numpy as np

    kind = network.input_type
    drawn = np.random.default_rng(SEED).uniform(kind.low, kind.high, (count, network.spec.n_inputs))
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


def say(step: str) -> None:
    """Tell on standard error what is being done."""
    echo(f"{step} ...", err=True)


def _check_numbers(timeout_s: float, vectors: int) -> None:
    from evonas.synthesis.verification import MINIMUM_VECTORS

    if timeout_s <= 0:
        raise ConfigurationError("--timeout-s", timeout_s, "must be above 0")
    if vectors < MINIMUM_VECTORS:
        raise ConfigurationError("--vectors", vectors, f"must be at least {MINIMUM_VECTORS}")


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


def show(
    title: str,
    records: "Sequence[SynthesisRecord | FileRecord]",
    files: "Mapping[str, Path]",
    notes: "Sequence[str]" = (),
) -> None:
    """Print a table of the records, the notes, and where the files are."""
    from evonas.cli._rich import Text, console, line, table

    out = console()
    if records:
        columns = ["stage", "LUT", "FF", "DSP", "BRAM", "cycles", "ns", "II", "verified", "seconds"]
        out.print(
            table(
                [(name, "left" if name == "stage" else "right") for name in columns],
                [_cells(record) for record in records],
                title=title,
                caption="verified: inputs compared bit for bit; – : the tool does not say",
            )
        )
    for note in notes:
        out.print(Text(note))
    for role, path in sorted(files.items()):
        line(out, f"{role:<14} {path}")


def _cells(record: "SynthesisRecord | FileRecord") -> list[str]:
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
