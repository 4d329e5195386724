"""A synthesis backend that answers at once, with numbers that follow from the network alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from evonas.errors import ConfigurationError, Failure, FailureKind, ToolError
from evonas.synthesis.backend import Availability, SynthesisResult
from surrogates import Stage, SynthesisRecord

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np

    from evonas.models.quantised_network import QuantisedNetwork
    from surrogates import HardwareTarget

STAGES = (Stage.TRACED, Stage.SYNTHESISED)


class InstantBackend:
    """Deterministic; `fail(network)` says which networks fail, how, and after which stage.

    `fail` returns None (all is well) or `(kind, last_stage)`: records up to `last_stage` (None: none at all) and a
    failure. `missing` makes the tool unavailable. `calls` are the digests of the synthesised networks, in order.
    """

    name = "openrtl"

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fail: Callable[[QuantisedNetwork], tuple[FailureKind, Stage | None] | None] = lambda _network: None
        self.missing: str | None = None
        self.options: dict[str, Any] = {}

    def available(self) -> Availability:
        return Availability("instant 1") if self.missing is None else Availability(None, self.missing)

    def check(self, target: HardwareTarget) -> None:
        if target.part == "unknown":
            raise ConfigurationError("target.part", target.part, "is unknown")

    def synthesise(
        self,
        network: QuantisedNetwork,
        vectors: np.ndarray,
        target: HardwareTarget,
        directory: Path,
        *,
        until: Stage,
        timeout_s: float,
        progress: Callable[[str], None] | None = None,
    ) -> SynthesisResult:
        if self.missing is not None:
            raise ToolError(FailureKind.TOOL_MISSING, self.missing)
        self.calls.append(network.digest)
        plan = self.fail(network)
        last = until if plan is None else plan[1]
        stages = [stage for stage in STAGES if last is not None and stage <= min(last, until)]
        directory = directory.resolve()
        verilog = directory / "verilog"
        verilog.mkdir(parents=True, exist_ok=True)
        (verilog / "top.v").write_text(f"// {network.digest}\nmodule top; endmodule\n")
        report = directory / "report.json"
        report.write_text(json.dumps({"digest": network.digest}))
        records = tuple(record(network, target, stage, len(vectors)) for stage in stages)
        failure = None if plan is None else Failure(plan[0], f"told to fail: {plan[0].value}")
        if progress is not None:
            progress("instant")
        return SynthesisResult(records, failure, {"verilog": verilog, "report": report})


def record(network: QuantisedNetwork, target: HardwareTarget, stage: Stage, vectors: int) -> SynthesisRecord:
    """Numbers from the weights that are really there; a traced one is rougher."""
    widths = [layer.weight_type.width for layer in network.layers]
    terms = sum(n * w for n, w in zip(network.nonzero_weights, widths, strict=True))
    factor = 1.3 if stage == Stage.TRACED else 1.0
    return SynthesisRecord(
        spec=network.spec,
        target=target,
        stage=stage,
        tool_version="instant 1",
        lut=float(round(factor * (40 + 1.7 * terms))),
        ff=float(20 * len(network.layers)),
        dsp=0.0,
        bram_18k=0.0,
        latency_cycles=float(1 + len(network.layers)),
        initiation_interval=1,
        delay_ns=2.5,
        weights=network.layer_weights,
        verified_vectors=vectors if stage >= Stage.SYNTHESISED else 0,
    )
