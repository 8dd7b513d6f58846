"""The recipe file as people write it: its keys, before names are resolved and steps are made of it."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
MOST_PASSES: Final = 1000
"""Most passes of a loop."""
Line = Annotated[str, StringConstraints(min_length=1, max_length=300, strip_whitespace=True)]


def _scalar_text(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str | int | float):
        return str(value)
    raise ValueError("write one value here; quote a text that has commas, colons or brackets")


Scalar = Annotated[str, BeforeValidator(_scalar_text), WithJsonSchema({"type": ["string", "number", "boolean"]})]


def _quantity_text(value: object) -> object:
    if isinstance(value, int | float):
        raise ValueError(f"write a quantity with its unit, such as '{value} g'")
    return value


Measure = Annotated[Line, BeforeValidator(_quantity_text)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ParameterSection(_Section):
    """One entry of ``parameters:``."""

    value: Measure
    low: Measure | None = None
    high: Measure | None = None
    description: str = ""
    live: bool = False
    scale_by: Name | None = None


class UnitSection(_Section):
    """One entry of ``units:``."""

    unit_class: Annotated[str, Field(alias="class")]
    allocate: Literal["at start", "when needed"] = "at start"


class HandlerSection(_Section):
    """One entry of ``on:``."""

    when: Line = ""
    alarm: Line = ""
    bad_quality: Line = ""
    timeout: Annotated[str, BeforeValidator(_quantity_text)] = ""
    failure: bool = False
    do: Literal["", "hold", "stop", "abort", "end"] = ""
    go_to: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")] | None = None
    ask: Line = ""
    choices: dict[str, Scalar] = {}


class StepSection(_Section):
    """One entry of ``steps:``; one of the first seven keys says what it is."""

    unit_procedure: Name | None = None
    operation: Name | None = None
    parallel: Name | None = None
    choice: Name | None = None
    loop: Name | None = None
    phase: Name | None = None
    use: Name | None = None
    name: Name | None = None
    unit: Name | None = None
    when: Line = ""
    arguments: Annotated[dict[str, Scalar], Field(alias="with")] = {}
    condition: Annotated[Line, Field(alias="if")] = ""
    until: Line = ""
    times: Scalar | None = None
    at_most: Annotated[int, Field(ge=1, le=MOST_PASSES)] | None = None
    handlers: Annotated[list[HandlerSection], Field(alias="on")] = []
    steps: list[StepSection] = []


class OperationSection(_Section):
    """An operation that is written once and used in several places."""

    description: str = ""
    parameters: dict[Name, ParameterSection] = {}
    handlers: Annotated[list[HandlerSection], Field(alias="on")] = []
    steps: list[StepSection]


class RecipeFile(_Section):
    """A whole recipe file as people write it."""

    recipe: Line
    version: Line
    product: Line
    description: str = ""
    units: dict[Name, UnitSection] = {}
    parameters: dict[Name, ParameterSection] = {}
    hold_level: Literal["phase", "operation", "unit procedure", "procedure"] = "procedure"
    operations: dict[Name, OperationSection] = {}
    handlers: Annotated[list[HandlerSection], Field(alias="on")] = []
    procedure: list[StepSection]


StepSection.model_rebuild()
