"""Alarms as a plant file declares them: what is looked at, what a Bad reading does, and how urgent it is (ISA-18.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Priority(StrEnum):
    """Alarm priorities (ISA-18.2)."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Severity(StrEnum):
    """How bad it is when nobody acts."""

    MINOR = "minor"
    """More work, a record that is harder to read."""
    SERIOUS = "serious"
    """Part of the product, or of its proof, is lost."""
    SEVERE = "severe"
    """The batch, the equipment or a person is in danger."""


class AlarmClass(StrEnum):
    """What an alarm is about, and with it who looks after it (ISA-18.2, 3.1)."""

    PRODUCT = "product"
    """A condition of the process that the quality of the product depends on."""
    EQUIPMENT = "equipment"
    """Pumps, valves, vessels, controllers."""
    INSTRUMENT = "instrument"
    """Sensors and their connections."""
    SYSTEM = "system"
    """The engine itself, its disk and its clock."""


class OnBad(StrEnum):
    """What an input that is not known (Bad, or Uncertain) does to an alarm."""

    HOLD = "hold"
    """Neither raises it nor clears it."""
    RAISE = "raise"
    """Counts as the condition being true."""
    NEVER_CLEAR = "never_clear"
    """What was true when the input was lost counts as true until it is known again."""


PROMPT_S: Final = 300.0
SOON_S: Final = 1800.0
PRIORITIES: Final[Mapping[Severity, tuple[Priority, Priority, Priority]]] = {
    Severity.MINOR: (Priority.LOW, Priority.LOW, Priority.LOW),
    Severity.SERIOUS: (Priority.HIGH, Priority.MEDIUM, Priority.LOW),
    Severity.SEVERE: (Priority.CRITICAL, Priority.HIGH, Priority.MEDIUM),
}
"""Priority by severity, and by the time to respond: up to ``PROMPT_S``, up to ``SOON_S``, longer (EEMUA 191, 2.5)."""


def priority_of(severity: Severity, respond_within_s: float) -> Priority:
    """The priority that follows from what happens without a response and from the time that there is for one."""
    column = 0 if respond_within_s <= PROMPT_S else 1 if respond_within_s <= SOON_S else 2
    return PRIORITIES[severity][column]


# What is looked at. A setpoint and its deadband are in the unit that the alarm's ``setpoint_unit`` gives.


@dataclass(frozen=True, slots=True)
class ExpressionTest:
    """True while the condition is."""

    when: str


@dataclass(frozen=True, slots=True)
class LimitTest:
    """True when a tag is above (or below) its setpoint, until it is back by more than the deadband."""

    tag: str
    above: bool
    setpoint: float
    deadband: float = 0.0


@dataclass(frozen=True, slots=True)
class DeviationTest:
    """True when a tag is further from another, its reference, than the setpoint, on either side."""

    tag: str
    reference: str
    setpoint: float
    deadband: float = 0.0


@dataclass(frozen=True, slots=True)
class RateTest:
    """True when a tag changes faster than the setpoint, up or down: least squares over ``over_s`` of process time.

    ``per_s`` is how many units of the setpoint are one unit of the tag (of its differences) per second.
    """

    tag: str
    setpoint: float
    over_s: float
    per_s: float
    deadband: float = 0.0


@dataclass(frozen=True, slots=True)
class DiscrepancyTest:
    """True when what was commanded has not been confirmed for ``travel_s`` (process time), nor come any nearer.

    They must agree within ``tolerance``; with ``runs`` the confirmation is only whether something runs, and must be on
    for every command above 0.
    """

    commanded: str
    confirmed: str
    tolerance: float
    travel_s: float
    runs: bool = False


@dataclass(frozen=True, slots=True)
class StaleTest:
    """True when the device has said nothing new about a tag for longer than the setpoint (real s)."""

    tag: str
    setpoint: float


@dataclass(frozen=True, slots=True)
class BadQualityTest:
    """True while a tag is Bad, or (``or_uncertain``) Uncertain."""

    tag: str
    or_uncertain: bool = False


@dataclass(frozen=True, slots=True)
class StateTest:
    """True while a tag with labels shows one of ``labels``."""

    tag: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WatchdogTest:
    """True when a tag that counts or toggles has not moved for longer than the setpoint (real s)."""

    tag: str
    setpoint: float


SetpointTest = LimitTest | DeviationTest | RateTest | StaleTest | WatchdogTest
AlarmTest = ExpressionTest | SetpointTest | DiscrepancyTest | BadQualityTest | StateTest

ON_BAD: Final[Mapping[type[AlarmTest], OnBad]] = {
    ExpressionTest: OnBad.HOLD,
    LimitTest: OnBad.HOLD,
    DeviationTest: OnBad.HOLD,
    RateTest: OnBad.HOLD,
    StateTest: OnBad.HOLD,
    DiscrepancyTest: OnBad.NEVER_CLEAR,
    StaleTest: OnBad.RAISE,
    BadQualityTest: OnBad.RAISE,
    WatchdogTest: OnBad.RAISE,
}
"""What an input that is not known does where the plant file says nothing."""

ABOUT_BAD: Final = (StaleTest, BadQualityTest, WatchdogTest)
"""Kinds that are about such inputs, and for which nothing else can be chosen."""


@dataclass(frozen=True, slots=True)
class AlarmSpec:
    """An alarm: raised when its ``test`` has been true for ``on_delay_s``, cleared when it has not for ``off_delay_s``.

    While ``while_`` (an expression, empty = always) is false it is suppressed by design. Of a ``group`` the first that
    is raised is marked. ``shelve_longest_s`` is for how long a person may put it aside (process s; 0 = not at all), and
    ``shelve_roles`` who (empty: whoever may shelve). The setpoint may be changed between ``setpoint_low`` and
    ``setpoint_high``; None: not at all.
    """

    name: str
    unit: str
    test: AlarmTest
    while_: str
    on_delay_s: float
    off_delay_s: float
    on_bad: OnBad
    alarm_class: AlarmClass
    severity: Severity
    respond_within_s: float
    priority: Priority
    description: str
    cause: str
    consequence: str
    corrective_action: str
    group: str = ""
    shelve_longest_s: float = 0.0
    shelve_roles: tuple[str, ...] = ()
    setpoint_unit: str = ""
    setpoint_low: float | None = None
    setpoint_high: float | None = None

    @property
    def setpoint(self) -> float | None:
        """The setpoint in ``setpoint_unit``; None when this kind of alarm has none."""
        return self.test.setpoint if isinstance(self.test, SetpointTest) else None
