"""A recipe file as it is written: its sections and keys."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

MOST_TURNS = 100
"""Most turns that a loop may be given."""


def _scalar_text(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str | int | float):
        return str(value)
    raise ValueError("write one value here; quote a text that has commas, colons or brackets")


def _quantity_text(value: object) -> object:
    if isinstance(value, int | float):
        raise ValueError(f"write a quantity with its unit, such as '{value} g'")
    return value


def _flag(value: object) -> object:
    if value in ("yes", "no") or isinstance(value, bool):
        return value in ("yes", True)
    raise ValueError("write yes or no")


Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Line = Annotated[str, StringConstraints(min_length=1, max_length=300, strip_whitespace=True)]
Scalar = Annotated[str, BeforeValidator(_scalar_text), WithJsonSchema({"type": ["string", "number", "boolean"]})]
Measure = Annotated[Line, BeforeValidator(_quantity_text)]
Flag = Annotated[bool, BeforeValidator(_flag), WithJsonSchema({"enum": ["yes", "no", True, False]})]


class Section(BaseModel):
    """A part of the file; a key that it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ParameterSection(Section):
    """What a batch, or the caller of an operation, may set."""

    value: Measure = Field(description="quantity with its unit; what is not set runs with it")
    low: Measure | None = Field(None, description="lowest value allowed")
    high: Measure | None = Field(None, description="highest value allowed")
    description: str = Field("", description="what it is, for an operator")
    live: Flag = Field(False, description="whether it may be changed while the batch runs")
    scale_by: Name | None = Field(
        None, description="another parameter (cells, volume, mass, membrane area): the value grows in proportion to it"
    )
    per: Measure | None = Field(None, description="the amount of scale_by at which the value is as written")


class UnitSection(Section):
    """A unit that the recipe needs."""

    unit_class: Annotated[str, Field(alias="class", description="class that the plant's unit must have")]


class HandlerSection(Section):
    """What is done when something goes wrong: one trigger, one action."""

    alarm: Line | None = Field(None, description="an alarm that comes, such as tff.TMP_HIGH")
    phase_failure: Flag = Field(False, description="a phase that cannot go on")
    timeout: Measure | None = Field(None, description="running longer than this, such as 20 min")
    bad_quality: Line | None = Field(None, description="a tag that turns Bad, such as tff.CT")
    when: Line | None = Field(None, description="a condition that becomes true")
    do: Literal["hold", "stop", "abort"] | None = Field(None, description="what is done with the step")
    go_to: Name | None = Field(None, description="a later step: this one is stopped, those between are passed over")
    ask: Line | None = Field(None, description="a question to the operator")
    choices: list[Line] = Field([], description="answers of ask: go on, hold, stop, abort, or the name of a later step")


class StepSection(Section):
    """One step: exactly one kind, with its name behind it."""

    unit_procedure: Name | None = Field(None, description="group of steps on one unit")
    operation: Name | None = Field(None, description="group of steps")
    parallel: Name | None = Field(None, description="group whose steps run at once")
    phase: Name | None = Field(None, description="one phase of the library")
    choice: Name | None = Field(None, description="group of which one branch runs")
    branch: Name | None = Field(None, description="branch of a choice, taken when its condition holds")
    otherwise: Annotated[Name | None, Field(alias="else")] = Field(
        None, description="last branch of a choice, taken when no other is"
    )
    loop: Name | None = Field(None, description="group that runs again and again")
    use: Name | None = Field(None, description="an operation of the recipe's library")
    name: Name | None = Field(None, description="name of the step where the same one stands twice")
    unit: Name | None = Field(None, description="one of the recipe's units; holds for everything below")
    when: Line = Field("", description="condition that must hold before the step starts")
    times: Scalar | None = Field(None, description="turns of a loop: a number or an expression over parameters")
    until: Line = Field("", description="condition that ends a loop, looked at after each turn")
    at_most: Annotated[int, Field(ge=1, le=MOST_TURNS, strict=True)] | None = Field(
        None, description="bound of a loop: most turns"
    )
    arguments: Annotated[dict[str, Scalar], Field(alias="with", description="arguments of a phase or operation")] = {}
    on: list[HandlerSection] = Field([], description="what is done when something goes wrong in this step")
    steps: list[StepSection] = Field([], description="what is in a group")


class OperationSection(Section):
    """An operation that steps may use, with parameters of its own."""

    description: str = Field("", description="what it does")
    parameters: dict[Name, ParameterSection] = Field({}, description="what the caller may set under 'with'")
    steps: list[StepSection] = Field(description="its steps")


class RecipeFile(Section):
    """The whole file."""

    recipe: Line = Field(description="name of the recipe")
    version: Line = Field(description="version; a new one for each change")
    product: Line = Field(description="what it makes")
    description: str = Field("", description="what it does")
    units: dict[Name, UnitSection] = Field({}, description="the recipe's own names of units")
    parameters: dict[Name, ParameterSection] = Field({}, description="what a batch may set")
    operations: dict[Name, OperationSection] = Field({}, description="operations that steps may use")
    hold_level: Literal["phase", "operation", "unit procedure", "procedure"] = Field(
        "procedure", description="how far a hold goes"
    )
    procedure: list[StepSection] = Field(description="the steps, one after another")


StepSection.model_rebuild()
