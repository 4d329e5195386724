"""A network as a chain of Verilog modules with known latency, between a handshake in front and a valid bit behind.

Inside, nothing waits: a valid bit travels beside the data, through each stage in exactly its latency, and only the
front keeps inputs apart. The top module has the ports `clk`, `rst`, `in_valid`, `in_ready`, `model_inp`, `out_valid`
and `model_out`. An input is taken at each clock edge where `in_valid` and `in_ready` are high; its result stands in
`model_out` for one cycle, while `out_valid` is high. `rst` (synchronous) drops what is under way.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, final

from evonas.errors import ConfigurationError
from evonas.synthesis import yosys
from evonas.synthesis.rtl.conv_verilog import conv_module
from evonas.synthesis.rtl.dense_verilog import dense_module
from evonas.synthesis.rtl.shared_conv import SharedConv
from evonas.synthesis.rtl.shared_dense import SharedDense
from evonas.synthesis.rtl.verilog import DSP_REQUEST, bits, cast_words, concatenate, delay

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from evonas.synthesis.graph import Port

TOP = "dut"
SharedSegment = SharedDense | SharedConv


@final
@dataclass(frozen=True)
class LogicSegment:
    """A pipeline that takes an input at every clock edge, in Verilog that exists: alkaid's, or anything like it.

    The files are in `directory`/src, those that several pipelines share in `directory`/src/static. The top of them
    has the name `module` and the ports `clk`, `model_inp` and `model_out`.
    """

    module: str
    directory: Path
    inputs: Port
    outputs: Port
    latency_cycles: int

    @property
    def name(self) -> str:
        """The name of the module."""
        return self.module

    @property
    def initiation_interval(self) -> int:
        """Clock cycles from one input to the next."""
        return 1


@final
@dataclass(frozen=True)
class Stage:
    """One module of the chain. Of the bundle of words that arrives, it `reads` some, in its order; `passes` go by it.

    The bundle that leaves has the module's outputs and, behind them, the words that passed, delayed as long. A word
    may be read and pass (a skip connection), or neither, which ends it. A word that is read is cast to the type that
    the module's port has for it: bits that the port has no place for are dropped.
    """

    segment: LogicSegment | SharedSegment
    reads: tuple[int, ...]
    passes: tuple[int, ...] = ()


@final
@dataclass(frozen=True)
class Design:
    """The chain of `stages` behind the port `inputs`. Raises `ConfigurationError` for words that do not exist."""

    inputs: Port
    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        if not self.stages:
            raise ConfigurationError("stages", 0, "a design has at least one stage")
        for stage, bundle in zip(self.stages, self.bundles, strict=False):
            segment, words = stage.segment, len(bundle.widths)
            if len(stage.reads) != len(segment.inputs.widths):
                mend = f"must be as many words as {segment.name} has inputs: {len(segment.inputs.widths)}"
                raise ConfigurationError(f"{segment.name}: reads", len(stage.reads), mend)
            if absent := [word for word in (*stage.reads, *stage.passes) if not 0 <= word < words]:
                raise ConfigurationError(f"{segment.name}: reads or passes", absent, f"only {words} words arrive")
        segments = {id(stage.segment): stage.segment for stage in self.stages}.values()
        names = [TOP, *(segment.name for segment in segments)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigurationError("stages", twice, "the names of modules must differ from each other and the top's")

    @property
    def bundles(self) -> tuple[Port, ...]:
        """The words ahead of each stage and, last, behind the last one."""
        bundles = [self.inputs]
        for stage in self.stages:
            bundles.append(stage.segment.outputs + bundles[-1].pick(stage.passes))
        return tuple(bundles)

    @property
    def outputs(self) -> Port:
        """The words of `model_out`."""
        return self.bundles[-1]

    @property
    def initiation_interval(self) -> int:
        """Clock cycles from one input to the next: the largest of all stages."""
        return max(stage.segment.initiation_interval for stage in self.stages)

    @property
    def latency_cycles(self) -> int:
        """Clock edges from the one that takes an input, counted, to the one after which its result stands.

        An input that is taken at edge k is in `model_out` just before edge k + latency_cycles.
        """
        return sum(stage.segment.latency_cycles for stage in self.stages)

    @property
    def shared(self) -> tuple[SharedSegment, ...]:
        """The layers with shared multipliers in order."""
        return tuple(stage.segment for stage in self.stages if not isinstance(stage.segment, LogicSegment))

    @property
    def multipliers(self) -> int:
        """Multipliers of all shared layers."""
        return sum(layer.multipliers for layer in self.shared)

    @property
    def memory_bits(self) -> int:
        """Bits of weight memory of all shared layers."""
        return sum(layer.memory_bits for layer in self.shared)

    def write(self, directory: Path) -> None:
        """Write the Verilog to the new `directory`/src, the design's figures to ports.json, and techmap.v for yosys."""
        (directory / "src" / "static").mkdir(parents=True, exist_ok=True)
        for stage in self.stages:
            if isinstance(stage.segment, LogicSegment):
                _copy(stage.segment, directory)
                continue
            text = dense_module(stage.segment) if isinstance(stage.segment, SharedDense) else conv_module(stage.segment)
            (directory / "src" / f"{stage.segment.name}.v").write_text(text)
        (directory / "src" / f"{TOP}.v").write_text("\n".join(_top(self)) + "\n")
        (directory / "techmap.v").write_text(DSP_REQUEST)
        names = "initiation_interval", "latency_cycles", "multipliers", "memory_bits"
        figures = {name: getattr(self, name) for name in names}
        ports = {"inputs": asdict(self.inputs), "outputs": asdict(self.outputs)}
        (directory / "ports.json").write_text(json.dumps(figures | ports, indent=1, sort_keys=True) + "\n")


def _copy(segment: LogicSegment, directory: Path) -> None:
    """Copy a pipeline's files, with its inner modules renamed: those of several pipelines have the same names."""
    files = yosys.sources(segment.directory)
    own = [file for file in files if file.parent.name != "static"]
    text = "\n".join(file.read_text() for file in own)
    inner = set(re.findall(r"^\s*module\s+(\w+)", text, re.MULTILINE)) - {segment.module}
    if inner:
        text = re.sub(rf"\b({'|'.join(sorted(inner))})\b", rf"{segment.module}_\1", text)
    (directory / "src" / f"{segment.module}.v").write_text(text)
    for file in set(files) - set(own):
        (directory / "src" / "static" / file.name).write_text(file.read_text())


def _top(design: Design) -> Iterator[str]:
    """The lines of the top module."""
    bundles = design.bundles
    yield f"module {TOP} ("
    yield "    input clk,"
    yield "    input rst,"
    yield "    input in_valid,"
    yield "    output in_ready,"
    yield f"    input {bits(sum(design.inputs.widths))} model_inp,"
    yield "    output out_valid,"
    yield f"    output {bits(sum(design.outputs.widths))} model_out"
    yield ");"
    yield from (f"    {line}" for line in _front(design.initiation_interval))
    yield "    wire valid_0 = in_valid & in_ready;"
    yield f"    wire {bits(sum(design.inputs.widths))} bundle_0 = model_inp;"
    for index, stage in enumerate(design.stages):
        yield from (f"    {line}" for line in _stage(index, stage, bundles[index]))
    yield f"    assign out_valid = valid_{len(design.stages)};"
    yield f"    assign model_out = bundle_{len(design.stages)};"
    yield "endmodule"


def _front(initiation_interval: int) -> Iterator[str]:
    """`in_ready`: low for as long after an input as the slowest stage needs."""
    if initiation_interval == 1:
        yield "assign in_ready = 1;"
        return
    width = (initiation_interval - 1).bit_length()
    yield f"reg {bits(width)} pause = 0;"
    yield "assign in_ready = pause == 0;"
    yield "always @(posedge clk)"
    yield "    if (rst) pause <= 0;"
    yield f"    else if (in_valid & in_ready) pause <= {initiation_interval - 1};"
    yield "    else if (!in_ready) pause <= pause - 1;"


def _stage(index: int, stage: Stage, bundle: Port) -> Iterator[str]:
    """An instance of the stage's module, and what goes by it."""
    segment, following = stage.segment, index + 1
    inputs, outputs = sum(segment.inputs.widths), sum(segment.outputs.widths)
    yield f"wire {bits(inputs)} enter_{index} = {cast_words(f'bundle_{index}', bundle, stage.reads, segment.inputs)};"
    yield f"wire {bits(outputs)} leave_{index};"
    ports = f".clk(clk), .model_inp(enter_{index}), .model_out(leave_{index})"
    if not isinstance(segment, LogicSegment):
        ports += f", .rst(rst), .start(valid_{index}), .done(valid_{following})"
        yield f"wire valid_{following};"
    else:
        yield from delay(f"valid_{following}", 1, segment.latency_cycles, f"valid_{index}", reset=True)
    yield f"{segment.name} stage_{index} ({ports});"
    passing = bundle.pick(stage.passes)
    width, parts = sum(passing.widths), [f"leave_{index}"]
    if width:
        source = cast_words(f"bundle_{index}", bundle, stage.passes, passing)
        yield from delay(f"passing_{index}", width, segment.latency_cycles, source)
        parts.append(f"passing_{index}")
    yield f"wire {bits(outputs + width)} bundle_{following} = {concatenate(parts)};"
