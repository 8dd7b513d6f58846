"""The plant's sensor checks: what they find goes into the quality of the frames, before anybody else sees them.

A check judges what the devices delivered, not what the checks made of it: else two sensors that contradict each other
could never be found to agree again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from evcontrol.acquisition.derived import worker
from evcontrol.acquisition.image import ProcessImage
from evcontrol.acquisition.sensor_tests import (
    BoolArray,
    CodeArray,
    FrozenTests,
    ImplausibleTests,
    JumpTests,
    Looking,
    Readings,
    Verdict,
)
from evcontrol.clock import NS
from evcontrol.expression import Condition, Reading, compile_condition, compile_value
from evcontrol.plant.model import Plant
from evcontrol.plant.sensor_checks import (
    CheckSpec,
    CheckState,
    ContradictionTest,
    Doubt,
    FrozenTest,
    ImplausibleTest,
    JumpTest,
    SensorTest,
)
from evcontrol.quality import (
    BAD,
    BAD_CONTRADICTED,
    BAD_FROZEN,
    BAD_IMPLAUSIBLE,
    BAD_JUMPED,
    BAD_WAITING_FOR_INITIAL,
    UNCERTAIN_CONTRADICTED,
    UNCERTAIN_FROZEN,
    UNCERTAIN_IMPLAUSIBLE,
    UNCERTAIN_JUMPED,
    QualityArray,
    is_bad,
)
from evcontrol.signals import FloatArray, Frame, IndexArray

QUALITY: Final[Mapping[tuple[type[SensorTest], Doubt], int]] = {
    (FrozenTest, Doubt.UNCERTAIN): UNCERTAIN_FROZEN,
    (FrozenTest, Doubt.BAD): BAD_FROZEN,
    (JumpTest, Doubt.UNCERTAIN): UNCERTAIN_JUMPED,
    (JumpTest, Doubt.BAD): BAD_JUMPED,
    (ContradictionTest, Doubt.UNCERTAIN): UNCERTAIN_CONTRADICTED,
    (ContradictionTest, Doubt.BAD): BAD_CONTRADICTED,
    (ImplausibleTest, Doubt.UNCERTAIN): UNCERTAIN_IMPLAUSIBLE,
    (ImplausibleTest, Doubt.BAD): BAD_IMPLAUSIBLE,
}
"""What a failed test makes of a tag."""

_VERDICTS: Final = tuple(Verdict)
_STATES: Final = {
    Verdict.OFF: CheckState.OFF,
    Verdict.GOOD: CheckState.GOOD,
    Verdict.UNKNOWN: CheckState.UNKNOWN,
    Verdict.FAILED: CheckState.FAILED,
}


@dataclass(frozen=True, slots=True)
class CheckReport:
    """How a check stands, since when (process time, UTC ns), and the tags that it doubts now."""

    spec: CheckSpec
    state: CheckState
    since: int
    doubted: tuple[str, ...]


class SensorChecks:
    """All checks of a plant.

    ``on_doubt(spec, tags, text)`` is called when a check begins to doubt tags, doubts others, or doubts none any more
    (no tags). A verdict that cannot be given leaves what was doubted doubted.
    """

    def __init__(self, plant: Plant, image: ProcessImage) -> None:
        self.on_doubt: Callable[[CheckSpec, tuple[str, ...], str], None] = lambda spec, tags, text: None
        self._plant = plant
        self._image = image
        self._checks = [_Check(spec, plant) for spec in plant.checks.values()]
        self._sources = _Sources(plant, image, self._names())
        self._whiles = {spec.while_: compile_condition(spec.while_, plant.symbols) for spec in plant.checks.values()
                        if spec.while_}  # fmt: skip
        self._frozen = _Rows(plant, [c for c in self._checks if isinstance(c.spec.test, FrozenTest)])
        self._jumps = _Rows(plant, [c for c in self._checks if isinstance(c.spec.test, JumpTest)])
        self._ranges = _Rows(plant, [c for c in self._checks if isinstance(c.spec.test, ImplausibleTest)])
        self._frozen_tests = FrozenTests([test for test in self._frozen.tests if isinstance(test, FrozenTest)])
        self._jump_tests = JumpTests([test for test in self._jumps.tests if isinstance(test, JumpTest)])
        self._range_tests = ImplausibleTests([test for test in self._ranges.tests if isinstance(test, ImplausibleTest)])
        self._partners = np.array(
            [plant.tags[test.partner].index if isinstance(test, FrozenTest) and test.partner else index
             for test, index in zip(self._frozen.tests, self._frozen.index, strict=True)], dtype=np.int32,
        )  # fmt: skip
        self._mark = np.zeros(len(plant.tags), dtype=np.uint32)

    def apply(self, frames: list[Frame], t: int) -> list[Frame]:
        """Judge the frames of the scan at process time ``t``, and return them with the doubts in their qualities.

        A doubt about a tag that is not in these frames takes effect with its next reading.
        """
        if not self._checks:
            return frames
        fresh = self._sources.take(frames, t)
        looking = {text: _looking(condition.update(self._sources.reading, t)) for text, condition in
                   self._whiles.items()}  # fmt: skip
        for check in self._checks:
            check.looking = looking.get(check.spec.while_, Looking.LOOKING)
        self._judge(t, fresh)
        changed = [check for check in self._checks if check.conclude(t)]
        for check in changed:
            if check.spec.state_tag:
                self._image.set_internal(check.spec.state_tag, check.state.value)
        if any(check.redoubted for check in changed):
            self._mark_anew()
        return [self._marked(frame) for frame in frames]

    def states(self) -> list[CheckReport]:
        """Every check in the order of the plant file."""
        return [CheckReport(c.spec, c.state, c.since, c.doubted) for c in self._checks]

    def _names(self) -> set[str]:
        """The tags that the checks' conditions read."""
        texts = [spec.while_ for spec in self._plant.checks.values() if spec.while_]
        texts += [s.test.when for s in self._plant.checks.values() if isinstance(s.test, ContradictionTest)]
        return {name for text in texts for name in compile_condition(text, self._plant.symbols).names}

    def _judge(self, t: int, fresh: BoolArray) -> None:
        of = self._sources
        if len(self._frozen):
            tag, partner = of.readings(self._frozen.index, fresh), of.readings(self._partners, fresh)
            self._frozen.tell(self._frozen_tests.update(t, tag, partner, self._frozen.looking()))
        for rows, tests in ((self._jumps, self._jump_tests), (self._ranges, self._range_tests)):
            if len(rows):
                rows.tell(tests.update(t, of.readings(rows.index, fresh), rows.looking()))
        for check in self._checks:
            check.ask_condition(self._sources.reading, t)

    def _mark_anew(self) -> None:
        self._mark[:] = 0
        for check in self._checks:
            for tag in check.doubted:
                index = self._plant.tags[tag].index
                self._mark[index] = max(int(self._mark[index]), check.quality)
        for check in self._checks:
            if check.redoubted:
                check.redoubted = False
                self.on_doubt(check.spec, check.doubted, check.words(self._sources.reading))

    def _marked(self, frame: Frame) -> Frame:
        mark = self._mark[frame.index]
        if not mark.any():
            return frame
        quality = np.maximum(frame.quality, mark)
        value = np.where(quality >= np.uint32(BAD), np.nan, frame.value)
        return Frame(frame.t, frame.wall, frame.group, frame.index, value, quality, frame.source_t)


class _Check:
    """One check: the verdicts on its tags, and what follows from them."""

    def __init__(self, spec: CheckSpec, plant: Plant) -> None:
        self.spec = spec
        self.quality = QUALITY[type(spec.test), spec.doubt]
        self.looking = Looking.LOOKING
        self.state = CheckState.OFF
        self.since = 0
        self.doubted: tuple[str, ...] = ()
        self.redoubted = False
        self.verdicts: dict[str, Verdict] = dict.fromkeys(spec.tags, Verdict.OFF)
        self._begun = False
        self._unit = {tag: plant.tags[tag].unit for tag in spec.tags}
        self._when: Condition | None = None
        self._true_since: int | None = None
        if isinstance(spec.test, ContradictionTest):
            self._when = compile_condition(spec.test.when, plant.symbols)

    def ask_condition(self, resolve: Callable[[str], Reading], t: int) -> None:
        """The verdict of a contradiction, which holds for all tags of the check."""
        test = self.spec.test
        if self._when is None or not isinstance(test, ContradictionTest):
            return
        if self.looking is Looking.ASLEEP:
            self._when = self._when.fresh()
        state = self._when.update(resolve, t) if self.looking is Looking.LOOKING else None
        if not state:
            self._true_since = None
        elif self._true_since is None:
            self._true_since = t
        lasted = self._true_since is not None and t - self._true_since >= round(test.over_s * NS)
        known = Verdict.FAILED if lasted else Verdict.GOOD
        verdict = Verdict.UNKNOWN if state is None else known
        self.verdicts = dict.fromkeys(self.spec.tags, Verdict.OFF if self.looking is Looking.ASLEEP else verdict)

    def conclude(self, t: int) -> bool:
        """Take the verdicts over; whether the state or what is doubted has changed."""
        state = _STATES[max(self.verdicts.values())]
        doubted = tuple(tag for tag, verdict in self.verdicts.items() if self._doubts(tag, verdict))
        self.redoubted = doubted != self.doubted
        changed = self.redoubted or state is not self.state or not self._begun
        if state is not self.state or not self._begun:
            self.since = t
        self._begun = True
        self.state, self.doubted = state, doubted
        return changed

    def words(self, resolve: Callable[[str], Reading]) -> str:
        """What was found, for people."""
        if not self.doubted:
            return "not doubted any more"
        told = ", ".join(self.doubted)
        unit = self._unit[self.doubted[0]]
        match self.spec.test:
            case FrozenTest(within, over_s, _, partner):
                meanwhile = f" although {partner} moved" if partner else ""
                return f"{told}: no change of more than {within:g} {unit} within {over_s:g} s{meanwhile}"
            case JumpTest(_, per_s):
                return f"{told}: changed faster than {per_s:g} {unit} per second"
            case ImplausibleTest(low, high, _):
                return f"{told}: outside {low:g} to {high:g} {unit}"
            case ContradictionTest():
                return f"{told}: {self._when.describe(resolve) if self._when else ''}"

    def _doubts(self, tag: str, verdict: Verdict) -> bool:
        return verdict is Verdict.FAILED or (verdict is Verdict.UNKNOWN and tag in self.doubted)


class _Rows:
    """The tags of all checks of one kind, one entry for each tag of each check."""

    def __init__(self, plant: Plant, checks: Sequence[_Check]) -> None:
        self._of = [(check, tag) for check in checks for tag in check.spec.tags]
        self.tests = [check.spec.test for check, _ in self._of]
        self.index: IndexArray = np.array([plant.tags[tag].index for _, tag in self._of], dtype=np.int32)

    def __len__(self) -> int:
        return len(self._of)

    def looking(self) -> CodeArray:
        """Whether each entry's check looks."""
        return np.array([check.looking for check, _ in self._of], dtype=np.int8)

    def tell(self, verdicts: CodeArray) -> None:
        """Give each check its verdicts."""
        for (check, tag), verdict in zip(self._of, verdicts.tolist(), strict=True):
            check.verdicts[tag] = _VERDICTS[verdict]


class _Sources:
    """What the checks look at: readings as delivered, derived tags worked out from those, and the engine's own tags."""

    def __init__(self, plant: Plant, image: ProcessImage, names: Iterable[str]) -> None:
        self._value: FloatArray = np.full(len(plant.tags), np.nan)
        self._quality: QualityArray = np.full(len(plant.tags), BAD_WAITING_FOR_INITIAL, dtype=np.uint32)
        self._image = image
        self._read = {point.tag.name: point.tag.index for device in plant.devices.values() for point in device.points}
        wanted = set(_with_sources(plant, names))
        self._work = [(s.tag, worker(s, plant.tags, plant.symbols)) for s in plant.derived if s.tag in wanted]
        self._derived: dict[str, Reading] = {}

    def take(self, frames: Iterable[Frame], t: int) -> BoolArray:
        """Take a scan's frames over; which tags are in them."""
        fresh = np.zeros(len(self._value), dtype=bool)
        for frame in frames:
            self._value[frame.index] = frame.value
            self._quality[frame.index] = frame.quality
            fresh[frame.index] = True
        for tag, work in self._work:
            self._derived[tag] = work(self, t)
        return fresh

    def readings(self, index: IndexArray, fresh: BoolArray) -> Readings:
        """What the devices delivered last of some tags."""
        return Readings(self._value[index], self._quality[index] < np.uint32(BAD), fresh[index])

    def reading(self, name: str) -> Reading:
        """Value and quality of a tag."""
        if name in self._derived:
            return self._derived[name]
        index = self._read.get(name)
        if index is None:
            return self._image.reading(name)
        quality = int(self._quality[index])
        return Reading(math.nan if is_bad(quality) else float(self._value[index]), quality)


def _with_sources(plant: Plant, names: Iterable[str]) -> Iterator[str]:
    """Names, and those from which they are worked out."""
    wanted = set(names)
    for spec in reversed(plant.derived):
        if spec.tag in wanted:
            source = spec.rate or spec.spread
            if source is not None:
                wanted.add(source.source)
            else:
                wanted |= compile_value(spec.expression, plant.symbols, unit=plant.tags[spec.tag].unit).names
    yield from wanted


def _looking(state: bool | None) -> Looking:
    if state is None:
        return Looking.BLIND
    return Looking.LOOKING if state else Looking.ASLEEP
