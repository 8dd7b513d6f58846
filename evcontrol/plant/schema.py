"""The plant file as people write it: its keys, before units are converted and names resolved."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from evcontrol.plant.alarm_specs import AlarmClass, OnBad, Priority, Severity
from evcontrol.plant.model import FailureAction, LoopAction, OnSilence
from evcontrol.plant.sensor_checks import Doubt
from evcontrol.signals import TagKind
from evcontrol.units import Quantity, UnitError, parse_quantity


def _seconds(value: object) -> object:
    return _in_unit(value, "s")


def _quantity(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("write a quantity with its unit, such as '60 mL'")
    try:
        return parse_quantity(value)
    except UnitError as error:
        raise ValueError(str(error)) from None


def _in_unit(value: object, unit: str) -> object:
    if not isinstance(value, str):
        raise ValueError(f"write a quantity with its unit, such as '10 {unit}'")
    try:
        return parse_quantity(value).to(unit)
    except UnitError as error:
        raise ValueError(str(error)) from None


def _written(example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "description": f"A quantity with its unit, such as '{example}'"})


Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0), _written("10 s")]
"""A time in seconds, written with its unit."""
Measure = Annotated[Quantity, BeforeValidator(_quantity), _written("60 mL")]
"""A figure with its unit."""
SquareMetres = Annotated[float, BeforeValidator(lambda value: _in_unit(value, "m2")), Field(gt=0), _written("0.1 m2")]
Metres = Annotated[float, BeforeValidator(lambda value: _in_unit(value, "m")), Field(gt=0), _written("25 cm")]
Number = Annotated[float, Field(allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Above0 = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Section(BaseModel):
    """Base of all sections: an unknown key is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class WriteSection(Section):
    """``write:`` of a tag, in the tag's unit."""

    low: Number | None = None
    high: Number | None = None
    on_silence: OnSilence
    resolution: Number | None = None
    feedback: str | None = None
    feedback_tolerance: Number = 0.0
    within: Seconds = 10.0


class TagSection(Section):
    """One entry of ``tags:``."""

    device: str | None = None
    point: dict[str, Any] | None = None
    expression: str | None = None
    rate: WindowSection | None = None
    spread: WindowSection | None = None
    internal: bool = False
    unit: str = ""
    kind: TagKind = TagKind.ANALOG
    low: Number = 0.0
    high: Number | None = None
    labels: tuple[str, ...] = ()
    description: str = ""
    decimals: Annotated[int, Field(ge=0, le=9)] = 2
    record: bool = True
    expires: Annotated[Seconds, Field(gt=0)] | None = None
    on_change: OnChangeSection | None = None
    write: WriteSection | None = None


class OnChangeSection(Section):
    """``on_change:`` of a tag that is no batch record: kept only then; the deadband in the tag's unit."""

    deadband: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    max_interval: Annotated[Seconds, Field(gt=0)]


class WindowSection(Section):
    """``rate:`` or ``spread:`` of a derived tag: over which window of which tag."""

    of: str
    over: Seconds


class DeviceSection(Section):
    """One entry of ``devices:``."""

    driver: str
    options: dict[str, Any] = {}


class ReconcileSection(Section):
    """One entry of a unit's ``reconcile:``, in the tag's unit."""

    tag: str
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class TakeOverSection(Section):
    """One entry of a unit's ``take_over:``; ``to`` is a number in the tag's unit or a label."""

    when: str
    tag: str
    to: Number | str


class UnitSection(Section):
    """One entry of ``units:``."""

    unit_class: Annotated[str, Field(alias="class")]
    description: str = ""
    content_tag: str
    safe_states: dict[str, dict[str, Number | str]]
    safe_within: Seconds
    constants: dict[str, Measure] = {}
    reconcile: tuple[ReconcileSection, ...] = ()
    take_over: tuple[TakeOverSection, ...] = ()


class ModuleSection(Section):
    """One entry of ``modules:``."""

    description: str = ""
    area: SquareMetres
    fibres: Annotated[int, Field(gt=0)]
    fibre_radius: Metres
    length: Metres
    max_uses: Annotated[int, Field(gt=0)]


class OnBadSection(Section):
    """What a loop does while an input is Bad."""

    action: FailureAction
    value: Number = 0.0


class SplitSection(Section):
    """One entry of ``split:`` of a loop: which part of its output moves an actuator between which values."""

    output: str
    over: tuple[Number, Number]
    to: tuple[Number, Number]


class LoopSection(Section):
    """One entry of ``loops:``; gain and limits in the units of the tags named."""

    where: Literal["engine"]
    pv: str
    output: str | None = None
    split: tuple[SplitSection, ...] = ()
    ratio_of: str | None = None
    action: LoopAction
    gain: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    ti: Seconds = 0.0
    td: Seconds = 0.0
    setpoint_low: Number
    setpoint_high: Number
    setpoint_rate: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    output_low: Number
    output_high: Number
    output_rate: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    lead: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    max_scan: Seconds
    on_bad: OnBadSection
    description: str = ""


class InterlockSection(Section):
    """One entry of ``interlocks:``."""

    when: str
    only_while: str = ""
    tolerance: Seconds
    latched: bool = True
    trip: dict[str, Number | str] = {}
    whole_unit: bool = True
    bypass_longest: Seconds = 0.0
    description: str
    consequence: str
    corrective_action: str


class PermissiveSection(Section):
    """One entry of ``permissives:``."""

    when: str
    commands: tuple[str, ...]
    description: str
    corrective_action: str


class LimitSection(Section):
    """``high:`` or ``low:`` of an alarm."""

    tag: str
    setpoint: Measure
    deadband: Measure | None = None


class DeviationSection(Section):
    """``deviation:`` of an alarm."""

    tag: str
    reference: Annotated[str, Field(alias="from")]
    setpoint: Measure
    deadband: Measure | None = None


class ChangeSection(Section):
    """``rate:`` of an alarm."""

    tag: str
    setpoint: Measure
    deadband: Measure | None = None
    over: Annotated[Seconds, Field(gt=0)]


class DiscrepancySection(Section):
    """``discrepancy:`` of an alarm; what is left out is that of the tag's ``write:``."""

    commanded: str
    confirmed: str | None = None
    tolerance: Measure | None = None
    travel: Seconds | None = None


class SilenceSection(Section):
    """``stale:`` or ``watchdog:`` of an alarm."""

    tag: str
    setpoint: Annotated[Seconds, Field(gt=0)]


class BadQualitySection(Section):
    """``bad_quality:`` of an alarm."""

    tag: str
    or_uncertain: bool = False


class StateSection(Section):
    """``state:`` of an alarm."""

    tag: str
    labels: Annotated[str | tuple[str, ...], Field(alias="is")]


class AdjustableSection(Section):
    """``adjustable:`` of an alarm: between what its setpoint may be changed."""

    low: Measure
    high: Measure


class AlarmSection(Section):
    """One entry of ``alarms:``; exactly one of the first ten says what is looked at."""

    when: str | None = None
    high: LimitSection | None = None
    low: LimitSection | None = None
    deviation: DeviationSection | None = None
    rate: ChangeSection | None = None
    discrepancy: DiscrepancySection | None = None
    stale: SilenceSection | None = None
    bad_quality: BadQualitySection | None = None
    state: StateSection | None = None
    watchdog: SilenceSection | None = None
    only_while: str = ""
    on_delay: Seconds = 0.0
    off_delay: Seconds = 0.0
    on_bad: OnBad | None = None
    group: str = ""
    adjustable: AdjustableSection | None = None
    shelve_longest: Seconds = 0.0
    shelve_by: tuple[str, ...] = ()
    alarm_class: Annotated[AlarmClass, Field(alias="class")]
    severity: Severity
    respond_within: Annotated[Seconds, Field(gt=0)]
    priority: Priority | None = None
    description: str
    cause: str
    consequence: str
    corrective_action: str


class PartnerSection(Section):
    """``partner:`` of a frozen sensor: what must have moved meanwhile, in that tag's unit."""

    tag: str
    moves: Above0


class FrozenSection(Section):
    """``frozen:`` of a check, in the tags' unit."""

    over: Annotated[Seconds, Field(gt=0)]
    within: NotNegative = 0.0
    readings: Annotated[int, Field(ge=2)] = 20
    partner: PartnerSection | None = None


class JumpSection(Section):
    """``jump:`` of a check, in the tags' unit and per second."""

    rate: NotNegative
    noise: NotNegative = 0.0
    hold: Seconds = 60.0


class ContradictionSection(Section):
    """``contradiction:`` of a check."""

    when: str
    over: Seconds


class ImplausibleSection(Section):
    """``implausible:`` of a check, in the tags' unit."""

    low: Number | None = None
    high: Number | None = None
    over: Seconds = 0.0


class CheckSection(Section):
    """One entry of ``checks:``."""

    tags: tuple[str, ...]
    frozen: FrozenSection | None = None
    jump: JumpSection | None = None
    contradiction: ContradictionSection | None = None
    implausible: ImplausibleSection | None = None
    only_while: str = ""
    quality: Doubt = Doubt.UNCERTAIN
    state: str = ""
    description: str
    corrective_action: str


class InfluxSection(Section):
    """``influxdb:``, where readings are forwarded to."""

    url: str
    org: str
    bucket: str
    simulated_bucket: str | None = None
    token_env: str | None = None
    token_file: str | None = None
    timeout: Seconds = 10.0
    longest_pause: Seconds = 30.0
    batch_lines: Annotated[int, Field(ge=1, le=10_000)] = 500


class HistorySection(Section):
    """``history:``, how long readings stay on the local disk."""

    keep: Annotated[Seconds, Field(gt=0)] | None = None
    most_gb: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None


class PlantFile(Section):
    """The whole file."""

    name: str
    scan: Seconds
    wire_scan: Seconds
    devices: dict[str, DeviceSection]
    units: dict[str, UnitSection]
    tags: dict[str, TagSection]
    loops: dict[str, LoopSection] = {}
    interlocks: dict[str, InterlockSection] = {}
    permissives: dict[str, PermissiveSection] = {}
    alarms: dict[str, AlarmSection] = {}
    checks: dict[str, CheckSection] = {}
    modules: dict[str, ModuleSection] = {}
    influxdb: InfluxSection | None = None
    history: HistorySection | None = None


TagSection.model_rebuild()
