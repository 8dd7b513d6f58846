"""The section ``alarms:`` of a plant file: checked, and made into specifications."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

from evcontrol.access.permission import ROLES, Permission
from evcontrol.plant.alarm_specs import (
    ABOUT_BAD,
    ON_BAD,
    AlarmSpec,
    AlarmTest,
    BadQualityTest,
    DeviationTest,
    DiscrepancyTest,
    ExpressionTest,
    LimitTest,
    OnBad,
    RateTest,
    StaleTest,
    StateTest,
    WatchdogTest,
    priority_of,
)
from evcontrol.plant.model import WriteSpec
from evcontrol.plant.schema import (
    AlarmSection,
    BadQualitySection,
    ChangeSection,
    DeviationSection,
    DiscrepancySection,
    LimitSection,
    SilenceSection,
    StateSection,
)
from evcontrol.signals import Tag, TagKind, TagTable
from evcontrol.units import Quantity, UnitError, compatible, convert, difference, divide
from evcontrol.yaml_source import nearest

Where = tuple[str | int, ...]
Wrong = Callable[[Where, str], None]
IsCondition = Callable[[Where, str], None]
UnitOf = Callable[[Where, str], str]

KINDS: Final = (
    "when", "high", "low", "deviation", "rate", "discrepancy", "stale", "bad_quality", "state", "watchdog",
)  # fmt: skip
NUMBERS: Final = (TagKind.ANALOG, TagKind.INTEGER)
SHELVERS: Final = tuple(sorted(role for role, may in ROLES.items() if Permission.SHELVE in may))


def make_alarms(
    sections: Mapping[str, AlarmSection],
    tags: TagTable,
    writes: Mapping[str, WriteSpec],
    wrong: Wrong,
    is_condition: IsCondition,
    unit_of: UnitOf,
) -> dict[str, AlarmSpec]:
    """The alarms of a plant by name.

    ``wrong`` is told of every mistake; ``is_condition`` finds those of a condition, ``unit_of`` those of a name, and
    says to which unit it belongs.
    """
    return {
        name: _Maker(name, section, tags, writes, wrong, is_condition).spec(unit_of)
        for name, section in sections.items()
    }


class _Maker:
    def __init__(
        self,
        name: str,
        section: AlarmSection,
        tags: TagTable,
        writes: Mapping[str, WriteSpec],
        wrong: Wrong,
        is_condition: IsCondition,
    ) -> None:
        self._name = name
        self._section = section
        self._where: Where = ("alarms", name)
        self._tags = tags
        self._writes = writes
        self._wrong = wrong
        self._is_condition = is_condition
        self._setpoint_unit = ""

    def spec(self, unit_of: UnitOf) -> AlarmSpec:
        section = self._section
        test = self._test()
        if section.only_while:
            self._is_condition((*self._where, "only_while"), section.only_while)
        low, high = self._adjustable(test)
        priority = priority_of(section.severity, section.respond_within)
        if section.priority not in (None, priority):
            what = f"{section.severity}, with {section.respond_within:g} s to respond, is of priority {priority}"
            self._wrong((*self._where, "priority"), f"{what}, not {section.priority}: leave it out, or mend the others")
        return AlarmSpec(
            name=self._name,
            unit=unit_of(self._where, self._name),
            test=test,
            while_=section.only_while,
            on_delay_s=section.on_delay,
            off_delay_s=section.off_delay,
            on_bad=self._on_bad(test),
            alarm_class=section.alarm_class,
            severity=section.severity,
            respond_within_s=section.respond_within,
            priority=priority,
            description=section.description,
            cause=section.cause,
            consequence=section.consequence,
            corrective_action=section.corrective_action,
            group=section.group,
            shelve_longest_s=section.shelve_longest,
            shelve_roles=self._shelvers(),
            setpoint_unit=self._setpoint_unit,
            setpoint_low=low,
            setpoint_high=high,
        )

    # -- what is looked at -------------------------------------------------------------------------------------------

    def _test(self) -> AlarmTest:  # noqa: PLR0911 - one for each kind
        section = self._section
        given = [kind for kind in KINDS if getattr(section, kind) is not None]
        if len(given) != 1:
            self._wrong(self._where, f"alarm {self._name!r} needs exactly one of: {', '.join(KINDS)}")
            return ExpressionTest("")
        kind, asked = given[0], getattr(section, given[0])
        where = (*self._where, kind)
        match asked:
            case LimitSection():
                return self._limit(where, asked, above=kind == "high")
            case DeviationSection():
                return self._deviation(where, asked)
            case ChangeSection():
                return self._rate(where, asked)
            case DiscrepancySection():
                return self._discrepancy(where, asked)
            case SilenceSection():
                self._tag((*where, "tag"), asked.tag)
                self._setpoint_unit = "s"
                return (StaleTest if kind == "stale" else WatchdogTest)(asked.tag, asked.setpoint)
            case BadQualitySection():
                self._tag((*where, "tag"), asked.tag)
                return BadQualityTest(asked.tag, asked.or_uncertain)
            case StateSection():
                return self._state(where, asked)
        self._is_condition(where, asked)
        return ExpressionTest(asked)

    def _limit(self, where: Where, asked: LimitSection, *, above: bool) -> LimitTest:
        tag = self._number((*where, "tag"), asked.tag)
        if tag is None:
            return LimitTest(asked.tag, above, math.nan)
        self._setpoint_unit = tag.unit
        setpoint = self._in((*where, "setpoint"), asked.setpoint, tag.unit)
        if not tag.low <= setpoint <= tag.high and not math.isnan(setpoint):
            what = f"{asked.setpoint} is outside the range of {tag.name}, {tag.low:g} to {tag.high:g} {tag.unit}"
            self._wrong((*where, "setpoint"), what.rstrip())
        return LimitTest(tag.name, above, setpoint, self._deadband(where, asked.deadband, difference(tag.unit).text))

    def _deviation(self, where: Where, asked: DeviationSection) -> DeviationTest:
        tag = self._number((*where, "tag"), asked.tag)
        reference = self._number((*where, "from"), asked.reference)
        if tag is None or reference is None:
            return DeviationTest(asked.tag, asked.reference, math.nan)
        if reference.unit != tag.unit:
            what = f"{reference.name} is in {reference.unit or 'plain numbers'}, {tag.name} in {tag.unit or 'those'}"
            self._wrong((*where, "from"), f"{what}: only tags of one unit are compared")
        self._setpoint_unit = difference(tag.unit).text
        setpoint = self._above_0((*where, "setpoint"), asked.setpoint)
        return DeviationTest(tag.name, reference.name, setpoint, self._deadband(where, asked.deadband))

    def _rate(self, where: Where, asked: ChangeSection) -> RateTest:
        tag = self._number((*where, "tag"), asked.tag)
        if tag is None:
            return RateTest(asked.tag, math.nan, asked.over, math.nan)
        self._setpoint_unit = asked.setpoint.unit.text
        own = divide(difference(tag.unit), "s").text
        per_s = self._in((*where, "setpoint"), Quantity(1.0, asked.setpoint.unit), own)
        setpoint = self._above_0((*where, "setpoint"), asked.setpoint)
        return RateTest(tag.name, setpoint, asked.over, 1.0 / per_s, self._deadband(where, asked.deadband))

    def _discrepancy(self, where: Where, asked: DiscrepancySection) -> DiscrepancyTest:
        write = self._writes.get(asked.commanded)
        if write is None:
            known = nearest(asked.commanded, self._writes)
            self._wrong((*where, "commanded"), f"{asked.commanded!r} is not a tag that can be written{known}")
            return DiscrepancyTest(asked.commanded, "", 0.0, 0.0)
        confirmed = asked.confirmed or write.feedback
        travel = write.within_s if asked.travel is None else asked.travel
        if confirmed is None:
            what = f"{asked.commanded} has no feedback in its write: name the tag that confirms it"
            self._wrong(where, f"{what} (confirmed: ...)")
        if confirmed is None or (tag := self._tag((*where, "confirmed"), confirmed)) is None:
            return DiscrepancyTest(asked.commanded, "", 0.0, travel)
        commanded = self._tags[asked.commanded]
        tolerance = write.feedback_tolerance if confirmed == write.feedback else 0.0
        if asked.tolerance is not None:
            tolerance = self._in((*where, "tolerance"), asked.tolerance, difference(commanded.unit).text)
        runs = tag.kind is TagKind.DISCRETE and commanded.kind in NUMBERS
        if not runs and (tag.unit, tag.labels) != (commanded.unit, commanded.labels):
            self._wrong(where, f"{commanded.name} and {tag.name} have different units or labels")
        return DiscrepancyTest(commanded.name, tag.name, tolerance, travel, runs)

    def _state(self, where: Where, asked: StateSection) -> StateTest:
        labels = (asked.labels,) if isinstance(asked.labels, str) else asked.labels
        tag = self._tag((*where, "tag"), asked.tag)
        if tag is not None and not tag.labels:
            self._wrong((*where, "tag"), f"{tag.name} has no labels: only a discrete or enum tag has states")
        elif tag is not None:
            for label in labels:
                if label not in tag.labels:
                    self._wrong((*where, "is"), f"{tag.name} has no label {label!r}{nearest(label, tag.labels)}")
        return StateTest(asked.tag, labels)

    # -- what is said about it ---------------------------------------------------------------------------------------

    def _on_bad(self, test: AlarmTest) -> OnBad:
        usual = ON_BAD[type(test)]
        chosen = self._section.on_bad or usual
        if isinstance(test, ABOUT_BAD) and chosen is not usual:
            self._wrong((*self._where, "on_bad"), "this kind of alarm is about readings that are Bad: leave on_bad out")
        return chosen

    def _adjustable(self, test: AlarmTest) -> tuple[float | None, float | None]:
        asked = self._section.adjustable
        if asked is None:
            return None, None
        where = (*self._where, "adjustable")
        setpoint = getattr(test, "setpoint", None)
        if setpoint is None:
            self._wrong(where, "this kind of alarm has no setpoint that could be changed")
            return None, None
        low = self._in((*where, "low"), asked.low, self._setpoint_unit)
        high = self._in((*where, "high"), asked.high, self._setpoint_unit)
        if low > setpoint or setpoint > high:
            self._wrong(where, "the setpoint itself is not between low and high")
        if low <= 0 and not isinstance(test, LimitTest):
            self._wrong((*where, "low"), "it must be above 0")
        return low, high

    def _shelvers(self) -> tuple[str, ...]:
        roles = self._section.shelve_by
        for role in roles:
            if role not in SHELVERS:
                self._wrong((*self._where, "shelve_by"), f"no role {role!r} may shelve{nearest(role, SHELVERS)}")
        if roles and not self._section.shelve_longest:
            self._wrong((*self._where, "shelve_by"), "it may not be shelved at all: give shelve_longest")
        return roles

    # -- tags and numbers --------------------------------------------------------------------------------------------

    def _tag(self, where: Where, name: str) -> Tag | None:
        if name in self._tags:
            return self._tags[name]
        self._wrong(where, f"unknown tag {name!r}{nearest(name, self._tags.names())}")
        return None

    def _number(self, where: Where, name: str) -> Tag | None:
        tag = self._tag(where, name)
        if tag is not None and tag.kind not in NUMBERS:
            self._wrong(where, f"{name} is {tag.kind}: only a number has a limit; use state or when")
            return None
        return tag

    def _in(self, where: Where, quantity: Quantity, unit: str) -> float:
        if not quantity.unit.text and unit and not compatible("", unit):
            self._wrong(where, f"{quantity} has no unit: write '{quantity} {unit}'")
            return math.nan
        try:
            return convert(quantity.value, quantity.unit, unit)
        except UnitError as error:
            self._wrong(where, str(error))
            return math.nan

    def _above_0(self, where: Where, quantity: Quantity) -> float:
        value = self._in(where, quantity, self._setpoint_unit)
        if value <= 0:
            self._wrong(where, f"{quantity} must be above 0")
        return value

    def _deadband(self, where: Where, quantity: Quantity | None, unit: str | None = None) -> float:
        if quantity is None:
            return 0.0
        value = self._in((*where, "deadband"), quantity, self._setpoint_unit if unit is None else unit)
        if value < 0:
            self._wrong((*where, "deadband"), f"{quantity} must not be below 0")
        return value
