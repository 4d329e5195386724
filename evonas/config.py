"""The configuration of a study: read from TOML, checked field by field, resolved once and logged.

A file may hold presets, named sets of overrides chosen by `preset = "..."` or `--set preset=...`::

    [search]
    generations = 9

    [presets.smoke.search]
    generations = 2
"""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from evonas.errors import ConfigurationError
from evonas.objectives import Constraint, Objective
from surrogates import HardwareTarget

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Positive = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class TaskConfig(_Section):
    """Which data; options beyond `name` go to `evonas.tasks.load_task`."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str = "jets"

    @property
    def options(self) -> dict[str, Any]:
        """Options of the task, as written in the file."""
        return dict(self.__pydantic_extra__ or {})


class SpaceConfig(_Section):
    """The search space; the choices of every gene, in rising order."""

    family: Literal["mlp"] = "mlp"  # dense networks; see `FamilyConfig` for the others
    depth: tuple[int, int] = (1, 6)  # fewest and most hidden layers
    widths: tuple[int, ...] = (4, 8, 12, 16, 24, 32, 48, 64)
    weight_bits: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8)
    activation_bits: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8)
    input_bits: tuple[int, ...] = (4, 5, 6, 7, 8)
    sparsity: tuple[float, ...] = (0.0, 0.2, 0.35, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)
    activations: tuple[str, ...] = ("relu", "leaky_relu", "hard_tanh")
    learning_rate: tuple[float, ...] = (0.003, 0.005, 0.008, 0.012, 0.02, 0.03)
    # of each layer: adders without a DSP slice, or the reuse factor of multipliers in DSP slices
    implementations: tuple[int | str, ...] = ("distributed_arithmetic",)
    norms: tuple[str, ...] = ("none",)  # "batch": normalised in training, folded into weights and biases in hardware


class FamilyConfig(_Section):
    """The search space of another family: the fields are those of its class in `evonas.space`, or of the user's own."""

    model_config = ConfigDict(extra="allow", frozen=True)
    family: str

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, data: Any) -> Any:
        """Defaults are written out, so that a study's log holds them."""
        from evonas.space.families import options

        family = data.get("family") if isinstance(data, dict) else None
        if not isinstance(family, str):
            return data
        known = options(family)
        for name, value in data.items():
            if name not in (*known, "family"):
                mend = f"no such field; {family} has {', '.join(sorted(known))}"
                raise ConfigurationError(f"space.{name}", value, mend)
        return known | {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}

    @property
    def choices(self) -> dict[str, Any]:
        """What is set of the family."""
        return dict(self.__pydantic_extra__ or {})


def _kind_of_space(data: Any) -> str:
    family = data.get("family", "mlp") if isinstance(data, dict) else getattr(data, "family", "mlp")
    return "mlp" if family == "mlp" else "family"


Space = Annotated[
    Annotated[SpaceConfig, Tag("mlp")] | Annotated[FamilyConfig, Tag("family")], Discriminator(_kind_of_space)
]


class HalvingConfig(_Section):
    """Successive halving: candidates that are behind early in their training are stopped.

    Jamieson and Talwalkar, arXiv 1502.07943. A generation trains for `min_epochs`; the best of it, one in
    `reduction_factor`, go on to that many times the epochs, and so on to the end. Schedules are those of the whole
    training throughout.
    """

    min_epochs: Positive = 2
    reduction_factor: Annotated[int, Field(ge=2)] = 3
    extrapolate: bool = False  # compare what earlier generations' curves predict for the last epoch


class TrainingConfig(_Section):
    """Quantisation-aware training of each candidate."""

    epochs: Positive = 40
    batch_size: Positive = 1024
    max_rows: Positive | None = None  # use at most this many training rows
    repeats: Positive = 1  # trainings of each candidate, with other seeds; scores are their means
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0  # decoupled, as AdamW has it
    # epochs without a lower validation loss after which a training ends, once masks and binary points are settled
    patience: Positive | None = None
    halving: HalvingConfig | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.halving is not None and self.halving.min_epochs >= self.epochs:
            mend = f"must be less than training.epochs, which is {self.epochs}"
            raise ConfigurationError("training.halving.min_epochs", self.halving.min_epochs, mend)
        return self

    @property
    def rungs(self) -> tuple[int, ...]:
        """Epochs after which the weaker candidates of a generation are stopped, in rising order."""
        if self.halving is None:
            return ()
        found, factor = [self.halving.min_epochs], self.halving.reduction_factor
        while found[-1] * factor < self.epochs:
            found.append(found[-1] * factor)
        return tuple(found)


class ObjectiveConfig(_Section):
    """One objective."""

    metric: str
    direction: Literal["minimise", "maximise"] = "minimise"


class ConstraintConfig(_Section):
    """One constraint on a metric."""

    metric: str
    upper: float | None = None
    lower: float | None = None


def _default_objectives() -> tuple[ObjectiveConfig, ...]:
    return tuple(ObjectiveConfig(metric=m) for m in ("error", "latency_ns", "lut", "dsp"))


class PreselectionConfig(_Section):
    """Pre-selection: more offspring than the population has are bred, and predictions choose which are trained.

    From 20 measured candidates on. Lu et al., arXiv 2007.10396.
    """

    factor: Annotated[int, Field(ge=2)] = 3  # offspring for each that is trained
    proxies: bool = True  # predict task metrics also from what one batch says of the untrained network


class SearchConfig(_Section):
    """The evolutionary search."""

    algorithm: Literal["nsga2", "deap-nsga2", "random"] = "nsga2"
    population_size: Annotated[int, Field(ge=2)] = 24
    generations: Positive = 9
    objectives: Annotated[tuple[ObjectiveConfig, ...], Field(min_length=1)] = Field(
        default_factory=_default_objectives
    )
    constraints: tuple[ConstraintConfig, ...] = ()
    preselection: PreselectionConfig | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [o.metric for o in self.objectives]
        if len(set(names)) != len(names):
            raise ValueError("objectives must be different metrics")
        for objective in self.objectives:
            Objective(**objective.model_dump())
        for constraint in self.constraints:
            Constraint(**constraint.model_dump())
        return self


class SurrogateConfig(_Section):
    """The model that predicts hardware cost, and when real synthesis corrects it."""

    estimator: str = "default"
    start_records: Path | None = None  # JSON lines; the records shipped with the package when not given
    when: Literal["every", "error", "novelty"] = "every"  # see `surrogates.policy`
    recalibrate_every: Annotated[int, Field(ge=0)] = 3  # generations, or the longest wait; 0 = never
    designs: Annotated[int, Field(ge=0)] = 4  # synthesised at each recalibration
    budget_s: Seconds | None = None  # expected synthesis of one recalibration, in seconds of one worker; None: any
    rescore: bool = True  # give the population the refitted predictions


class SynthesisConfig(_Section):
    """Real synthesis of chosen candidates."""

    backend: Literal["auto", "openrtl", "vitis", "quartus", "oneapi", "catapult"] = "auto"
    part: str = "xcvu13p-flga2577-2-e"
    clock_period_ns: Annotated[float, Field(ge=0.5, le=1000, allow_inf_nan=False)] = 5.0
    vectors: Annotated[int, Field(ge=64)] = 64  # inputs on which every implementation must agree bit for bit
    csim: Literal["auto", "always", "never"] = "auto"  # hls4ml's C simulation, which needs g++
    simulator: Literal["yosys", "verilator", "auto"] = "yosys"  # of the open tools: see `OpenBackend`
    timeout_s: Seconds = 600.0
    licences: Positive | None = None  # runs of a vendor's tool at one time on this machine; None: no limit
    front_designs: Annotated[int, Field(ge=0)] = 12  # of the final front, in addition to those already synthesised


class ExecutionConfig(_Section):
    """Where training and synthesis run."""

    executor: Literal["inline", "processes"] = "processes"
    device: Literal["cpu", "cuda"] = "cpu"  # where candidates are trained; on a GPU a generation is one stack
    workers: Positive | None = None  # default: as many as there are cores


class StudyConfig(_Section):
    """A whole study."""

    name: str = "study"
    seed: Annotated[int, Field(ge=0)] = 0
    preset: str = "standard"
    task: TaskConfig = TaskConfig()
    space: Space = SpaceConfig()
    training: TrainingConfig = TrainingConfig()
    search: SearchConfig = SearchConfig()
    surrogate: SurrogateConfig = SurrogateConfig()
    synthesis: SynthesisConfig = SynthesisConfig()
    execution: ExecutionConfig = ExecutionConfig()

    @property
    def target(self) -> HardwareTarget:
        """The hardware that is aimed at; `tool` is resolved when the backend is chosen."""
        return HardwareTarget(part=self.synthesis.part, clock_period_ns=self.synthesis.clock_period_ns)

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The objectives as values."""
        return tuple(Objective(**o.model_dump()) for o in self.search.objectives)

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """The constraints as values."""
        return tuple(Constraint(**c.model_dump()) for c in self.search.constraints)


def load_config(path: Path | str, overrides: Sequence[str] = ()) -> StudyConfig:
    """Read a TOML file, apply its preset and `a.b=c` overrides (values in TOML syntax, or bare words).

    Raises `ConfigurationError` naming the field, the value and the mend.
    """
    path = Path(path)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigurationError("CONFIG", str(path), "no such file; give the path of a TOML file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError("CONFIG", str(path), f"cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError("CONFIG", str(path), f"is not valid TOML: {error}") from error
    return resolve(data, overrides)


def resolve(data: Mapping[str, Any], overrides: Sequence[str] = ()) -> StudyConfig:
    """Check plain data (as from TOML), with its presets and overrides applied."""
    data = dict(data)
    presets = data.pop("presets", {})
    if not isinstance(presets, dict) or not all(isinstance(changes, dict) for changes in presets.values()):
        raise ConfigurationError("presets", presets, "must be tables of overrides, [presets.NAME.section]")
    pairs = [_override(text) for text in overrides]
    chosen = dict(pairs).get("preset", data.get("preset", "standard"))
    if isinstance(chosen, str) and chosen in presets:
        data = _merge(data, presets[chosen])
    elif chosen != "standard":
        known = ", ".join(sorted({"standard", *presets}))
        raise ConfigurationError("preset", chosen, f"must be one of {known}")
    for name, value in pairs:
        nested: Any = value
        for part in reversed(name.split(".")):
            nested = {part: nested}
        data = _merge(data, nested)
    return restore(data)


def restore(data: Mapping[str, Any]) -> StudyConfig:
    """Check a configuration that is resolved already, such as the one in a study's log."""
    try:
        return StudyConfig.model_validate(data)
    except ValidationError as error:
        raise _clear(error) from error


def _override(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ConfigurationError("--set", text, "must look like section.field=value")
    try:
        return name.strip(), tomllib.loads(f"v = {value}")["v"]
    except tomllib.TOMLDecodeError:
        return name.strip(), value.strip()


def _merge(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _clear(error: ValidationError) -> ConfigurationError:
    first = error.errors()[0]
    location = first["loc"]
    if location[:1] == ("space",):  # pydantic puts the kind of space in between
        location = location[:1] + location[2:]
    field = ".".join(str(part) for part in location) or "configuration"
    if first["type"] == "extra_forbidden":
        return ConfigurationError(field, first["input"], _unknown_field(location))
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, ConfigurationError):
        return cause
    return ConfigurationError(field, first["input"], first["msg"])


def _unknown_field(location: tuple[int | str, ...]) -> str:
    model: type[BaseModel] = StudyConfig
    for part in location[:-1]:
        info = model.model_fields.get(str(part))
        annotation = SpaceConfig if part == "space" else info.annotation if info else None
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            model = annotation
    known = sorted(model.model_fields)
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"no such field; {hint}known fields are {', '.join(known)}"
