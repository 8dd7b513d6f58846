"""The physical model of a plant (ISA-88.00.01, 5): units, devices, tags, loops, interlocks, alarms, safe states.

These are the checked and converted forms: every quantity is a float in the unit that its name or docstring gives.
``load.py`` makes them from the plant file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from drivers.driver import BoundPoint, Model
from evcontrol.expression import Symbol
from evcontrol.history.retention import Retention
from evcontrol.history.target import Target
from evcontrol.plant.alarm_specs import AlarmSpec
from evcontrol.plant.sensor_checks import CheckSpec
from evcontrol.plant.split_range import Span
from evcontrol.signals import TagTable
from evcontrol.units import Quantity


class OnSilence(StrEnum):
    """What an actuator does when the engine falls silent."""

    CONTROLLER_WATCHDOG = "controller_watchdog"
    DEVICE_TRIP = "device_trip"
    BOUNDED_DOSE = "bounded_dose"
    STAYS = "stays"
    """Keeps its position and can do no harm by it (a selector, a limit)."""
    RUNS_ON = "runs_on"
    """Keeps moving something: refused in hazardous phases."""


class LoopAction(StrEnum):
    """Direct: the output rises with the process value; reverse: it falls."""

    DIRECT = "direct"
    REVERSE = "reverse"


class FailureAction(StrEnum):
    """What a loop does with its output while an input is Bad."""

    FREEZE = "freeze"
    VALUE = "value"
    SAFE = "safe"
    """Its actuators take their values of the unit's safe state for what the vessel holds."""


@dataclass(frozen=True, slots=True)
class WriteSpec:
    """What may be written to a tag: range in the tag's unit, and how the write is proven.

    The tag's own read-back must agree within ``resolution``. ``feedback`` names the tag that shows the actuator's real
    position; it must agree within ``feedback_tolerance`` after ``within_s`` of process time. A discrete feedback of an
    analogue actuator tells whether it runs: it must be on for every value above 0.
    """

    low: float
    high: float
    on_silence: OnSilence
    resolution: float
    feedback: str | None = None
    feedback_tolerance: float = 0.0
    within_s: float = 10.0


@dataclass(frozen=True, slots=True)
class DeviceSpec:
    """One device: driver, checked options, bound points, and after how long a silence (real s) it counts as lost."""

    name: str
    driver: str
    options: Model
    points: tuple[BoundPoint, ...]
    timeout_s: float


@dataclass(frozen=True, slots=True)
class RateSpec:
    """A derived tag that is the slope of another, by least squares over ``window_s`` of process time."""

    source: str
    window_s: float
    per_s: float
    """Seconds in the unit of time of the result (60 for g/min)."""


@dataclass(frozen=True, slots=True)
class SpreadSpec:
    """A derived tag that is the scatter of another from scan to scan over ``window_s`` of process time."""

    source: str
    window_s: float


@dataclass(frozen=True, slots=True)
class DerivedSpec:
    """A tag that is worked out each scan: an expression, a rate or a spread."""

    tag: str
    expression: str = ""
    rate: RateSpec | None = None
    spread: SpreadSpec | None = None


@dataclass(frozen=True, slots=True)
class ReconcileSpec:
    """A tag compared after a crash: how far it may have moved without a person having to explain it."""

    tag: str
    tolerance: float


@dataclass(frozen=True, slots=True)
class TakeOverSpec:
    """A write made when a person starts or restarts a batch on the unit, if the condition ``when`` is true then."""

    when: str
    tag: str
    value: float


@dataclass(frozen=True, slots=True)
class UnitSpec:
    """A unit of the process cell.

    ``safe_states`` maps what the vessel holds (a label of the unit's ``content_tag``) to the value that each actuator
    takes; the entry ``default`` holds for every other content. ``safe_within_s`` is the real time in which a reachable
    device must confirm it. ``constants`` are figures of its equipment.
    """

    name: str
    unit_class: str
    content_tag: str
    safe_states: Mapping[str, Mapping[str, float]]
    safe_within_s: float
    constants: Mapping[str, Quantity] = field(default_factory=dict)
    reconcile: tuple[ReconcileSpec, ...] = ()
    take_over: tuple[TakeOverSpec, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True)
class ModuleSpec:
    """A type of hollow-fibre membrane module; sizes of the fibres' lumen."""

    name: str
    area_m2: float
    fibres: int
    fibre_radius_mm: float
    length_m: float
    max_uses: int
    description: str = ""


@dataclass(frozen=True, slots=True)
class LoopSpec:
    """A control loop of the engine, PID in ISA form.

    ``gain`` is output units per unit of process value; ``ti_s`` and ``td_s`` in process seconds (0 = off);
    ``output_rate`` in output units per process second (0 = unlimited); ``max_scan_s`` is the longest scan (process s)
    at which the tuning holds: a faster clock is refused. ``output`` is a tag or another loop (cascade), empty with a
    ``split``. The setpoint in force changes by at most ``setpoint_rate`` per second (0 = at once); with ``ratio_of``
    the setpoint is multiplied by that tag. The output goes at most ``lead`` ahead of the actuator's own feedback (0 =
    it is not looked at), so that a loop whose actuator sticks winds nothing up.
    """

    name: str
    unit: str
    pv: str
    output: str
    action: LoopAction
    gain: float
    ti_s: float
    td_s: float
    setpoint_low: float
    setpoint_high: float
    output_low: float
    output_high: float
    output_rate: float
    max_scan_s: float
    on_bad: FailureAction
    on_bad_value: float
    description: str = ""
    setpoint_rate: float = 0.0
    ratio_of: str = ""
    split: tuple[Span, ...] = ()
    lead: float = 0.0

    @property
    def actuators(self) -> tuple[str, ...]:
        """The tags that it may write; of a loop that sets another's setpoint its name stands here and is no tag."""
        return tuple(dict.fromkeys(span.tag for span in self.split)) if self.split else (self.output,)

    @property
    def drives(self) -> str:
        """What it drives, in words."""
        return ", ".join(self.actuators)


@dataclass(frozen=True, slots=True)
class InterlockSpec:
    """A condition that trips a unit to its safe state and holds its phase, or only some of its actuators.

    While ``while_`` (an expression, empty = always) is not true the interlock does not look. An unknown condition trips
    after ``tolerance_s`` of process time. ``trip`` gives actuators a value that comes before their safe value; unless
    ``whole_unit`` they alone are tripped. It may be bypassed for at most ``bypass_longest_s`` of process time (0: not
    at all).
    """

    name: str
    unit: str
    when: str
    while_: str
    tolerance_s: float
    latched: bool
    description: str
    consequence: str
    corrective_action: str
    trip: Mapping[str, float] = field(default_factory=dict)
    whole_unit: bool = True
    bypass_longest_s: float = 0.0


@dataclass(frozen=True, slots=True)
class PermissiveSpec:
    """What must hold before any of ``commands`` may leave its safe value; while unknown it does not hold."""

    name: str
    unit: str
    when: str
    commands: tuple[str, ...]
    description: str
    corrective_action: str


@dataclass(frozen=True, slots=True)
class Plant:
    """A process cell as the engine runs it. ``text`` and ``hash`` are the plant file's own (SHA-256)."""

    name: str
    text: str
    hash: str
    scan_s: float
    """Process time between scans at speed 1."""
    wire_scan_s: float
    """Shortest real time between scans; at a multiple of real time it stretches the scan."""
    simulated: bool
    devices: Mapping[str, DeviceSpec]
    tags: TagTable
    writes: Mapping[str, WriteSpec]
    derived: tuple[DerivedSpec, ...]
    internal: frozenset[str]
    """Tags that the engine and its phases set."""
    units: Mapping[str, UnitSpec]
    loops: Mapping[str, LoopSpec]
    interlocks: Mapping[str, InterlockSpec]
    alarms: Mapping[str, AlarmSpec]
    checks: Mapping[str, CheckSpec] = field(default_factory=dict)
    permissives: Mapping[str, PermissiveSpec] = field(default_factory=dict)
    expiries: Mapping[str, float] = field(default_factory=dict)
    """For how many seconds of process time a tag of the engine's own counts as known after it was set."""
    modules: Mapping[str, ModuleSpec] = field(default_factory=dict)
    symbols: Mapping[str, Symbol] = field(default_factory=dict)
    """Every tag as a name of the expression language."""
    target: Target | None = None
    """Where readings are forwarded to; None when they stay here."""
    retention: Retention | None = None
    """How long readings stay on the local disk; None for without end."""

    def unit_of(self, tag: str) -> str:
        """The unit that a tag belongs to: the part of its name before the first dot."""
        return tag.partition(".")[0]

    def devices_of(self, unit: str) -> list[str]:
        """The devices that have tags of a unit."""
        return [
            name
            for name, device in self.devices.items()
            if any(self.unit_of(point.tag.name) == unit for point in device.points)
        ]

    def writes_of(self, unit: str) -> list[str]:
        """The writable tags of a unit."""
        return [tag for tag in self.writes if self.unit_of(tag) == unit]
