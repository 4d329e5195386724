"""Run as a script: keeps torch, hls4ml and alkaid loaded and serves one request after the other.

A request is a line of JSON on standard input, the answer a line on standard output. What the libraries print goes to
the log that the request names. The process can be killed at any time; the next request then starts a new one.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from evonas.errors import ConfigurationError, DataError, FailureKind, ToolError
from evonas.models.quantised_network import QuantisedNetwork
from surrogates import HardwareTarget

HEADERS = {  # folders of a project with what its C++ includes; those of Vitis are found without
    "Quartus": ("firmware/ac_types",),
    "Catapult": tuple(
        f"firmware/{name}" for name in ("ac_types/include", "ac_math/include", "ac_simutils/include", "nnet_utils")
    ),
}
INCLUDE_PATH = os.environ.get("CPLUS_INCLUDE_PATH", "")  # where g++ looks as well
GRACE_S = 10  # the kernel ends a request this long after its time-out if nobody else did


def _load(directory: Path) -> tuple[QuantisedNetwork, Any]:
    network = QuantisedNetwork.from_bytes((directory / "network.bin").read_bytes())
    return network, np.load(directory / "inputs.npy", allow_pickle=False)


def trace(directory: Path, target: HardwareTarget) -> None:
    """Network -> graph -> Verilog; saves the outputs of another implementation and of alkaid's interpreter.

    A multi-layer perceptron goes through hls4ml's graph and is compared with torch; other families, and activations by
    table, which hls4ml rounds otherwise, do without it and are compared with onnxruntime.
    """
    from evonas.synthesis import openrtl

    network, inputs = _load(directory)
    if network.fits_hls4ml:
        from evonas.synthesis import _hls4ml

        graph = _hls4ml.read(_hls4ml.convert(network, target, directory / "hls4ml", "OpenRTL"))
        other = _hls4ml.torch_predict(network, inputs)
    else:
        from evonas.synthesis import _onnx, lowering

        graph = lowering.lower(network)
        other = _onnx.run(_onnx.build(network), inputs)
    np.save(directory / "other_outputs.npy", other)
    verilog = openrtl.emit(graph, directory / "verilog", target.part, target.clock_period_ns)
    np.save(directory / "alkaid_outputs.npy", verilog.interpret(inputs))


def write_hls4ml(
    directory: Path,
    target: HardwareTarget,
    compile: bool,  # noqa: A002 - the request's word
    backend: str = "Vitis",
) -> None:
    """Write hls4ml's project for `backend`; if `compile` is set, compile its C simulation and save its outputs."""
    from evonas.synthesis import _hls4ml

    network, inputs = _load(directory)
    model = _hls4ml.convert(network, target, directory / "hls4ml", backend)
    _hls4ml.write(model)
    if compile:
        os.environ["CPLUS_INCLUDE_PATH"] = os.pathsep.join(filter(None, (*HEADERS.get(backend, ()), INCLUDE_PATH)))
        np.save(directory / "csim_outputs.npy", _hls4ml.simulate(model, inputs))


def make_file(directory: Path, target: HardwareTarget, model: str, vectors: int, **options: Any) -> None:
    """A network file -> hls4ml's graph for OpenRTL -> Verilog, checked; all that `build.finish` needs."""
    from evonas.synthesis import build
    from evonas.synthesis._hls4ml import frontends, reader

    converted, warnings = frontends.load(Path(model), target, directory / "hls4ml", **options)
    graph = reader.read(converted)
    inputs = build.random_inputs(graph, vectors)
    build.make(graph, directory, target.part, target.clock_period_ns, inputs)
    (directory / "conversion.json").write_text(json.dumps({"warnings": warnings}) + "\n")


def write_file(
    directory: Path,
    target: HardwareTarget,
    model: str,
    vectors: int,
    backend: str,
    compile: bool,  # noqa: A002 - the request's word
    **options: Any,
) -> None:
    """A network file -> hls4ml's project for `backend`, and if `compile` is set, what its C simulation computes."""
    from evonas.synthesis import _hls4ml
    from evonas.synthesis._hls4ml import frontends

    converted, warnings = frontends.load(Path(model), target, directory / "hls4ml", backend=backend, **options)
    _hls4ml.write(converted)
    found: dict[str, Any] = {"warnings": warnings}
    if compile:
        found |= _compared(directory, converted, Path(model), vectors, **options)
    (directory / "conversion.json").write_text(json.dumps(found) + "\n")


def _compared(directory: Path, converted: Any, model: Path, vectors: int, precision: str, **_: Any) -> dict[str, Any]:
    """Save inputs, the outputs of the same network as OpenRTL reads it, and those of the C simulation.

    "reason" says why there are none; "own" are layers that not every compiler computes as Vitis does.
    """
    from evonas.synthesis import _hls4ml, build, evaluate
    from evonas.synthesis import graph as g
    from evonas.synthesis._hls4ml import frontends

    try:  # reuse and strategy change no bit, and any part will do
        reference = frontends.load(model, HardwareTarget(), directory / "hls4ml", precision, 1, "latency")[0]
        graph = _hls4ml.read(reference)
    except ToolError as error:
        return {"reason": error.failure.message}
    inputs = build.random_inputs(graph, vectors)
    shapes = [tuple(int(n) for n in variable.shape) for variable in converted.get_input_variables()]
    backend = converted.config.get_config_value("Backend")
    os.environ["CPLUS_INCLUDE_PATH"] = os.pathsep.join(filter(None, (*HEADERS.get(backend, ()), INCLUDE_PATH)))
    try:
        shaped = (data.reshape(-1, *shape) for data, shape in zip(inputs, shapes, strict=True))
        outputs = _hls4ml.simulate(converted, *shaped)
    except Exception as error:  # noqa: BLE001 - hls4ml raises nothing narrower
        traceback.print_exc()
        return {"reason": f"hls4ml's C simulation for {backend} cannot be run: {error}"}
    np.save(directory / "inputs.npy", np.concatenate(inputs, axis=1))
    np.save(directory / "expected.npy", np.concatenate(evaluate.evaluate(graph, *inputs), axis=1))
    np.save(directory / "csim_outputs.npy", outputs)
    means = (node for node in graph.nodes if isinstance(node, g.Pool) and node.kind == "mean")
    tables = (node for node in graph.nodes if isinstance(node, g.Table | g.Softmax))
    return {"reason": None, "own": [node.name for node in (*tables, *means)]}


OPERATIONS: dict[str, Any] = {f.__name__: f for f in (trace, write_hls4ml, make_file, write_file)}


def serve(line: str) -> dict[str, Any]:
    """Answer one request: `{}`, `{"failure": kind, "message": text}` or `{"damaged": path, "message": text}`."""
    request = json.loads(line)
    output = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    signal.alarm(int(request["timeout_s"]) + GRACE_S)
    try:
        arguments = request["arguments"]
        target, directory = HardwareTarget(**arguments.pop("target")), Path(arguments.pop("directory"))
        OPERATIONS[request["operation"]](directory, target, **arguments)
        return {}
    except ToolError as error:
        return {"failure": error.failure.kind.value, "message": error.failure.message}
    except DataError as error:
        return {"damaged": str(error.path), "message": error.message}
    except ConfigurationError as error:  # such as accumulators of more than 53 bits
        return {"failure": FailureKind.UNSUPPORTED.value, "message": str(error)}
    except MemoryError as error:
        return {"failure": FailureKind.TOOL_MEMORY.value, "message": f"out of memory: {error}"}
    except Exception as error:  # noqa: BLE001 - the end of the process boundary: whatever a library raises is a crash
        traceback.print_exc()
        return {"failure": FailureKind.TOOL_CRASHED.value, "message": f"{type(error).__name__}: {error}"}
    finally:
        signal.alarm(0)
        sys.stdout.flush()


def _end_with(starter: int) -> None:
    """End this process and what it started when the process that started it has ended."""
    while os.getppid() == starter:
        time.sleep(1.0)
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Serve until standard input is closed."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    requests = os.fdopen(os.dup(0), "r")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for line in requests:
        print(json.dumps(serve(line)), file=answers, flush=True)


if __name__ == "__main__":
    main()
