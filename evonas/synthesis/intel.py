"""What Intel's (Altera's) two HLS compilers share: their devices, and how their reports count.

An adaptive logic module (ALM) holds two adaptive LUTs (ALUT). An ALUT is about as large as, but not the same as, the
LUT of another vendor: records of two tools must never train one model. Block RAM is M20K of 20 kbit each.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from evonas.errors import ConfigurationError, FailureKind, ToolError
from evonas.synthesis.reports import read_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from surrogates import HardwareTarget

BRAM_18K_PER_M20K = 20 / 18  # by capacity
M20K_DEVICES = re.compile(  # families by name, and the beginnings of their part numbers
    r"(arria ?10|cyclone ?10 ?gx|stratix ?10|stratix ?v|agilex ?[3579]?|10a[xst]|10cx|1s[dgmtx]|5sg|a[35]|ag[fimr])\w*",
    re.IGNORECASE,
)
STRING = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'', re.DOTALL)


def check_part(target: HardwareTarget) -> None:
    """Raise `ConfigurationError` unless the part is an Intel device with M20K block RAM."""
    if not M20K_DEVICES.fullmatch(target.part.strip()):
        mend = "must be an Intel family or part with M20K memory, such as Arria10, Stratix10, Agilex7, 10AS066N3F40E2SG"
        raise ConfigurationError("target.part", target.part, mend)


@final
@dataclass(frozen=True)
class IntelArea:
    """Cells as Intel counts them; None where a report does not say. `alm` is known only after fitting."""

    alut: float | None
    ff: float
    dsp: float
    m20k: float
    mlab: float | None = None
    alm: float | None = None

    def figures(self) -> dict[str, Any]:
        """The fields of a `SynthesisRecord`: LUT is ALUT, block RAM by capacity. Empty if the ALUT are not known."""
        if self.alut is None:
            return {}
        return {"lut": self.alut, "ff": self.ff, "dsp": self.dsp, "bram_18k": self.m20k * BRAM_18K_PER_M20K}


@final
@dataclass(frozen=True)
class Fit:
    """Cells after place and route, and the highest clock frequency in MHz."""

    area: IntelArea
    clock_mhz: float


def number(value: object, path: Path, what: str) -> float:
    """A number as these reports write it, also 58,968. Raises `ToolError` (REPORT_BROKEN)."""
    try:
        return float(str(value).replace(",", ""))
    except ValueError as error:
        raise ToolError(FailureKind.REPORT_BROKEN, f"{path.name} has {value!r} for {what}") from error


def read_script(path: Path, variable: str) -> dict[str, Any]:
    """The object that a report's script assigns to `variable`. Raises `ToolError` (REPORT_MISSING, REPORT_BROKEN).

    The literals are JSON but for strings in single quotes; old releases put the whole JSON into such a string.
    """
    text = read_text(path)
    found = re.search(rf"\bvar\s+{variable}\s*=\s*", text)
    if found is None:
        raise ToolError(FailureKind.REPORT_BROKEN, f"{path.name} does not set {variable}")
    literal = text[found.end() :]
    if literal.startswith("'") and (whole := STRING.match(literal)):
        literal = _unquoted(whole[0])
    else:
        literal = STRING.sub(lambda s: s[0] if s[0][0] == '"' else json.dumps(_unquoted(s[0])), literal)
    try:
        value, _ = json.JSONDecoder().raw_decode(literal)
    except json.JSONDecodeError as error:
        raise ToolError(FailureKind.REPORT_BROKEN, f"{variable} in {path.name} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise ToolError(FailureKind.REPORT_BROKEN, f"{variable} in {path.name} is no object")
    return value


def _unquoted(string: str) -> str:
    return re.sub(r"\\(.)", r"\1", string[1:-1], flags=re.DOTALL)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a report with one JSON object a line. Raises `ToolError` (REPORT_MISSING, REPORT_BROKEN)."""
    try:
        values = [json.loads(line) for line in read_text(path).splitlines() if line.strip()]
    except json.JSONDecodeError as error:
        raise ToolError(FailureKind.REPORT_BROKEN, f"{path.name} is no JSON: {error}") from error
    if not all(isinstance(value, dict) for value in values):
        raise ToolError(FailureKind.REPORT_BROKEN, f"{path.name} holds something else than objects")
    return values


def area(columns: Iterable[str], values: Sequence[object], packing: int, path: Path) -> IntelArea:
    """A row of an estimate under its `columns`. Raises `ToolError` (REPORT_BROKEN) if a column is missing.

    A "fractional" DSP is one of `packing` multipliers that share a block; the column "DSPs" leaves those out.
    """
    names = [name for column in columns if (name := column.strip()) not in ("", "Kernel Name", "Details")]
    row = {name: number(value, path, name) for name, value in zip(names, values, strict=False)}
    missing = {"ALUTs", "FFs", "RAMs", "DSPs"} - set(row)
    if missing:
        raise ToolError(FailureKind.REPORT_BROKEN, f"{path.name} has no column {min(missing)}")
    dsp = row["DSPs"] + row.get("Frac. DSPs", 0.0) / packing
    return IntelArea(row["ALUTs"], row["FFs"], dsp, row["RAMs"], row.get("MLABs"))


def fit(data: dict[str, Any], path: Path) -> Fit:
    """What Quartus found, from its part of a report: the last row, which is the component without what surrounds it.

    Raises `ToolError`: REPORT_MISSING when Quartus has not run ("TBD"), else REPORT_BROKEN.
    """
    try:
        clock = data["quartusFitClockSummary"]["nodes"][0]
        frequency = clock.get("clock fmax", clock.get("clock"))
        row = data["quartusFitResourceUsageSummary"]["nodes"][-1]
    except (KeyError, IndexError, TypeError) as error:
        raise ToolError(FailureKind.REPORT_BROKEN, f"{path.name} lacks {error}") from error
    if "TBD" in (frequency, row.get("alm")):
        raise ToolError(FailureKind.REPORT_MISSING, f"{path.name} says that Quartus has not run")
    found = {key: number(row.get(key), path, key) for key in ("alm", "reg", "dsp", "ram")}
    alut, mlab = (number(row[key], path, key) if key in row else None for key in ("alut", "mlab"))
    cells = IntelArea(alut, found["reg"], found["dsp"], found["ram"], mlab, found["alm"])
    return Fit(cells, number(frequency, path, "clock"))
