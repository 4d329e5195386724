"""OpenRTL, a backend of hls4ml: Verilog, exact prediction and synthesis numbers without a vendor's tool.

    model = hls4ml.converters.convert_from_pytorch_model(net, hls_config=config, backend="OpenRTL", output_dir="prj")
    model.compile()          # reads the graph; needs no compiler
    model.predict(x)         # exact, the bits of hls4ml's C simulation
    model.build()            # Verilog, simulation against `predict`, logic synthesis; a report as of Vitis

hls4ml finds `register` through the entry-point group `hls4ml.backends`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from hls4ml.backends.fpga.fpga_backend import FPGABackend
from hls4ml.backends.vitis.vitis_backend import VitisBackend
from hls4ml.model.flow import register_flow
from hls4ml.model.optimizer import model_optimizer
from hls4ml.writer.writers import Writer

from evonas.synthesis._hls4ml import attention, faithful
from evonas.synthesis._hls4ml.reader import read
from evonas.synthesis.evaluate import evaluate, trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from evonas.synthesis.graph import Graph

NAME = "OpenRTL"
DEFAULT_PART = "xcvu13p-flga2577-2-e"


def register(*, register_backend: Callable[..., None], register_writer: Callable[..., None]) -> None:
    """What hls4ml calls once while it is imported; the backend asks for its writer by name, so that comes first."""
    register_writer(NAME, OpenRTLWriter)
    register_backend(NAME, OpenRTLBackend)
    attention.register()


@final
class OpenRTLWriter(Writer):  # type: ignore[misc]
    """Writes what was converted: the graph is read, which refuses whatever has no path, and its layers listed."""

    def write_hls(self, model: Any) -> None:
        """Write `layers.json` to the model's output directory."""
        graph = graph_of(model, fresh=True)
        directory = Path(model.config.get_output_dir())
        directory.mkdir(parents=True, exist_ok=True)
        rows = [
            {"name": node.name, "kind": type(node).__name__.lower(), "inputs": node.inputs, "size": node.size}
            | {"types": sorted({str(kind) for kind in node.results})}
            for node in graph.nodes
        ]
        (directory / "layers.json").write_text(json.dumps(rows, indent=1) + "\n")


def graph_of(model: Any, *, fresh: bool = False) -> Graph:
    """The model's graph, read once and kept with the model; `fresh` reads it again (precisions may have changed)."""
    if fresh or getattr(model, "openrtl_graph", None) is None:
        model.openrtl_graph = read(model)
    return model.openrtl_graph  # type: ignore[no-any-return]


@final
class OpenRTLBackend(VitisBackend):  # type: ignore[misc]
    """hls4ml's backend interface. Attributes and layer initialisers are those of Vitis, the firmware is ours."""

    def __init__(self) -> None:
        FPGABackend.__init__(self, NAME)  # Vivado's and Vitis's own constructors fix the name
        self._register_layer_attributes()
        self._register_flows()

    def _register_flows(self) -> None:
        """The passes of Vitis that change what is computed, without those that write C++ or move weights for it."""
        init = register_flow("init_layers", self._get_layer_initializers(), requires=["optimize"], backend=self.name)
        quantisation = register_flow(
            "quantization",
            [
                "vivado:merge_batch_norm_quantized_tanh",
                "vivado:quantize_dense_output",
                "fuse_consecutive_batch_normalization",
                "vivado:xnor_pooling",
            ],
            requires=[init],
            backend=self.name,
        )
        optimisation = register_flow(
            "optimize",
            [
                "vivado:remove_final_reshape",
                "vivado:optimize_pointwise_conv",
                "vivado:skip_softmax",
                "vivado:fix_softmax_table_size",
                "infer_precision_types",
            ],
            requires=[init],
            backend=self.name,
        )
        check = register_flow(
            "check", [f"{self.name.lower()}:check_hardware"], requires=[optimisation], backend=self.name
        )
        requires = ["optimize", init, quantisation, optimisation, check]
        self._default_flow = register_flow("ip", None, requires=requires, backend=self.name)
        self._writer_flow = register_flow(
            "write", ["make_stamp", f"{self.name.lower()}:write_hls"], requires=[self._default_flow], backend=self.name
        )

    @model_optimizer()  # type: ignore[untyped-decorator]
    def check_hardware(self, model: Any) -> None:
        """The last pass of a conversion: a layer without hardware, or a front end's slip, is refused there and then.

        Raises `ToolError` (UNSUPPORTED) naming the layer.
        """
        read(model)
        faithful.check(model)

    def get_default_flow(self) -> str:
        """The flow that a conversion applies."""
        return str(self._default_flow)

    def get_writer_flow(self) -> str:
        """The flow of `model.write()`."""
        return str(self._writer_flow)

    def create_initial_config(
        self,
        part: str | None = DEFAULT_PART,
        clock_period: float | None = 5,
        io_type: str | None = "io_parallel",
        **other: Any,
    ) -> dict[str, Any]:
        """What `convert_from_*` puts into the configuration.

        `other` are Vitis's arguments for its C++ project, which there is none of here. Raises `ConfigurationError` for
        a part without a synthesis flow, and for io_stream.
        """
        from evonas.errors import ConfigurationError
        from evonas.synthesis.parts import family

        config = super().create_initial_config(
            part=part or DEFAULT_PART, clock_period=clock_period or 5, io_type=io_type or "io_parallel", **other
        )
        if config["IOType"] != "io_parallel":
            raise ConfigurationError("io_type", io_type, "OpenRTL has io_parallel only")
        family(config["Part"])
        return dict(config)

    def compile(self, model: Any) -> None:
        """Read the graph; there is nothing to compile, and None tells hls4ml to load no library."""
        graph_of(model, fresh=True)

    def predict(self, model: Any, x: Any, sim: str = "csim") -> Any:
        """Exact outputs, as of hls4ml's C simulation: flat (n, words), a list if there are several outputs."""
        if sim != "csim":
            raise ValueError(f"sim = {sim!r}: `build` simulates the Verilog; here only 'csim', the exact interpreter")
        data = _inputs(model, x)
        outputs = [out.astype(data[0].dtype) for out in evaluate(graph_of(model), *data)]
        if len(data[0]) == 1:
            outputs = [out[0] for out in outputs]
        return outputs[0] if len(outputs) == 1 else outputs

    def trace(self, model: Any, x: Any) -> dict[str, NDArray[np.float64]]:
        """What leaves every layer, by name, in the layer's shape: hls4ml's `ModelGraph.trace` needs its C library."""
        shapes = {layer.name: layer.get_output_variable().shape for layer in model.get_layers()}
        values = trace(graph_of(model), *_inputs(model, x))
        return {name: values[name].reshape(-1, *shape) for name, shape in shapes.items() if name in values}

    def build(self, model: Any, **options: Any) -> dict[str, Any]:
        """Verilog, its simulation against `predict`, and logic synthesis; see `evonas.synthesis.build.build`."""
        from evonas.synthesis.build import build

        directory = Path(model.config.get_output_dir())
        part, period = model.config.get_config_value("Part"), float(model.config.get_config_value("ClockPeriod"))
        return build(graph_of(model), directory, part=part, clock_period_ns=period, **options)


def _inputs(model: Any, x: Any) -> list[NDArray[np.floating]]:
    """One (n, size) array per input tensor, of an array or a list of them."""
    inputs = x if isinstance(x, list | tuple) else [x]
    return [_batched(array, node.size) for array, node in zip(inputs, graph_of(model).inputs, strict=True)]


def _batched(array: Any, size: int) -> NDArray[np.floating]:
    """An input as (n, size); hls4ml takes one sample without its batch axis as well."""
    data = np.asarray(array)
    data = data if np.issubdtype(data.dtype, np.floating) else data.astype(np.float64)
    if data.size % size:
        raise ValueError(f"an input of shape {data.shape} does not hold words of an input tensor of {size}")
    return data.reshape(-1, size)
