"""The section ``checks:`` of a plant file: checked, and made into specifications."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping

from evcontrol.plant.schema import CheckSection
from evcontrol.plant.sensor_checks import (
    CheckSpec,
    CheckState,
    ContradictionTest,
    FrozenTest,
    ImplausibleTest,
    JumpTest,
    SensorTest,
)
from evcontrol.signals import TagKind, TagTable
from evcontrol.yaml_source import nearest

Wrong = Callable[[tuple[str | int, ...], str], None]
IsCondition = Callable[[tuple[str | int, ...], str], None]

TESTS = ("frozen", "jump", "contradiction", "implausible")
STATES = tuple(state.value for state in CheckState)


def make_checks(
    sections: Mapping[str, CheckSection],
    tags: TagTable,
    read: Collection[str],
    internal: Collection[str],
    wrong: Wrong,
    is_condition: IsCondition,
) -> dict[str, CheckSpec]:
    """The checks of a plant by name.

    ``read`` are the tags that come from a device, ``internal`` those of the engine. ``wrong`` is told of every mistake;
    ``is_condition`` finds those of a condition.
    """
    return {name: _Maker(name, section, tags, read, internal, wrong, is_condition).spec for name, section in
            sections.items()}  # fmt: skip


class _Maker:
    def __init__(
        self,
        name: str,
        section: CheckSection,
        tags: TagTable,
        read: Collection[str],
        internal: Collection[str],
        wrong: Wrong,
        is_condition: IsCondition,
    ) -> None:
        self._where: tuple[str | int, ...] = ("checks", name)
        self._wrong = wrong
        self._is_condition = is_condition
        self._tags = tags
        self._read = read
        for tag in section.tags:
            self._may_be_checked((*self._where, "tags"), tag)
        if not section.tags:
            wrong(self._where, f"check {name!r} names no tag: write 'tags: [...]'")
        if section.only_while:
            is_condition((*self._where, "only_while"), section.only_while)
        if section.state:
            self._shows_states(section.state, internal)
        self.spec = CheckSpec(
            name=name,
            unit=name.partition(".")[0],
            tags=section.tags,
            test=self._test(section),
            doubt=section.quality,
            while_=section.only_while,
            state_tag=section.state,
            description=section.description,
            corrective_action=section.corrective_action,
        )

    def _may_be_checked(self, where: tuple[str | int, ...], tag: str) -> None:
        if tag not in self._tags:
            self._wrong(where, f"unknown tag {tag!r}{nearest(tag, self._tags.names())}")
        elif tag not in self._read:
            self._wrong(where, f"{tag} is read from no device: name the sensor itself")
        elif self._tags[tag].kind not in (TagKind.ANALOG, TagKind.INTEGER):
            self._wrong(where, f"{tag} is {self._tags[tag].kind}: only a measured number can be checked")

    def _shows_states(self, tag: str, internal: Collection[str]) -> None:
        if tag not in internal or self._tags[tag].labels != STATES:
            what = f"{tag!r} must be a tag with internal: true, kind: enum, labels: [{', '.join(STATES)}]"
            self._wrong((*self._where, "state"), what)

    def _test(self, section: CheckSection) -> SensorTest:
        given = [test for test in TESTS if getattr(section, test) is not None]
        if len(given) != 1:
            self._wrong(self._where, f"a check needs exactly one of: {', '.join(TESTS)}")
        if (frozen := section.frozen) is not None:
            partner = frozen.partner
            if partner is not None:
                self._may_be_checked((*self._where, "frozen", "partner"), partner.tag)
            return FrozenTest(
                frozen.within,
                frozen.over,
                frozen.readings,
                "" if partner is None else partner.tag,
                0.0 if partner is None else partner.moves,
            )
        if (jump := section.jump) is not None:
            return JumpTest(jump.noise, jump.rate, jump.hold)
        if (contradiction := section.contradiction) is not None:
            self._is_condition((*self._where, "contradiction", "when"), contradiction.when)
            return ContradictionTest(contradiction.when, contradiction.over)
        return self._implausible(section)

    def _implausible(self, section: CheckSection) -> ImplausibleTest:
        test = section.implausible
        if test is None:
            return ImplausibleTest(-math.inf, math.inf, 0.0)
        low = -math.inf if test.low is None else test.low
        high = math.inf if test.high is None else test.high
        if not low < high or (test.low is None and test.high is None):
            self._wrong((*self._where, "implausible"), "give low, high or both, and low below high")
        return ImplausibleTest(low, high, test.over)
