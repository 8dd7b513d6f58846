"""Sees that an actuator's setpoint was changed by somebody else: at the device's panel, or by the device itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from evcontrol.control.field import Field

SCANS = 3
"""Scans for which a difference must last before it counts; also how many modulated values may still be on the way."""


@dataclass(slots=True)
class _Expected:
    values: deque[float] = field(default_factory=lambda: deque(maxlen=SCANS))
    goal: float | None = None
    """Where a command towards safety takes the tag, sooner or later."""
    differs: int = 0
    seen: int = 0


class LocalWatch:
    """Compares setpoints each scan with what was last commanded; ``on_change(tag, expected, read)`` once per change.

    What nobody has commanded yet is expected to stay as it was first read.
    """

    def __init__(self, equipment: Field, on_change: Callable[[str, float, float], None]) -> None:
        self._field = equipment
        self._on_change = on_change
        self._expected: dict[str, _Expected] = {}
        self._unseen = dict.fromkeys(tag for tag in equipment.plant.writes if not equipment.clears_itself(tag))
        self._may_become: dict[str, float] = {}
        self._suspended: dict[str, int] = {}

    def expect(self, tag: str, value: float) -> None:
        """From now on the tag must read ``value``."""
        if self._field.clears_itself(tag):
            return
        self._unseen.pop(tag, None)
        expected = self._expected[tag] = _Expected()
        expected.values.append(value)

    def expect_modulated(self, tag: str, value: float) -> None:
        """The tag may read ``value``, which is about to be written, or one of the values before it."""
        self._unseen.pop(tag, None)
        self._expected.setdefault(tag, _Expected()).values.append(value)

    def goes_to(self, tag: str, value: float) -> None:
        """The tag is being made safe: it may read ``value``, or still what was expected before."""
        self._unseen.pop(tag, None)
        if tag in self._expected:
            self._expected[tag].goal = value

    def refused(self, tag: str, value: float) -> None:
        """The modulated value was not taken."""
        expected = self._expected.get(tag)
        if expected is not None and value in expected.values:
            expected.values.remove(value)

    def allow(self, tag: str, value: float | None) -> None:
        """The device may set the tag to ``value`` by itself (a dose that stops itself); None ends that."""
        if value is None:
            self._may_become.pop(tag, None)
        else:
            self._may_become[tag] = value

    def allowed(self, tag: str) -> float | None:
        """What the device may set the tag to by itself, if anything."""
        return self._may_become.get(tag)

    def suspend(self, tag: str) -> None:
        """Do not compare while a command is under way."""
        self._unseen.pop(tag, None)
        self._suspended[tag] = self._suspended.get(tag, 0) + 1

    def resume(self, tag: str) -> None:
        """Compare again, with what was expected last."""
        left = self._suspended.get(tag, 0) - 1
        if left > 0:
            self._suspended[tag] = left
        else:
            self._suspended.pop(tag, None)

    def forget(self, tag: str) -> None:
        """Expect nothing of the tag."""
        self._expected.pop(tag, None)
        self._unseen.pop(tag, None)

    def accept(self, tags: Iterable[str]) -> list[tuple[str, float, float]]:
        """Expect what some tags read now; those that read something else than commanded last: tag, commanded, read."""
        found = []
        for tag in tags:
            expected, read = self._expected.get(tag), self._field.reading(tag)
            if expected is None or not expected.values or tag in self._suspended or read is None:
                continue
            if not self._field.agrees(tag, expected.values[-1]):
                found.append((tag, expected.values[-1], read))
            self.expect(tag, read)
        return found

    def look(self) -> None:
        """Compare after a scan."""
        for tag in [tag for tag in self._unseen if self._field.reading(tag) is not None]:
            self.expect(tag, self._field.reading(tag) or 0.0)
        for tag, expected in list(self._expected.items()):
            t = self._field.image.time_of(tag)
            if tag in self._suspended or t == expected.seen:
                continue
            expected.seen = t
            self._compare(tag, expected)

    def _compare(self, tag: str, expected: _Expected) -> None:
        read = self._field.reading(tag)
        if read is None or not self._differs(tag, expected):
            expected.differs = 0
            return
        expected.differs += 1
        if expected.differs >= SCANS:
            commanded = expected.values[-1]
            self.expect(tag, read)
            self._expected[tag].goal = expected.goal
            self._on_change(tag, commanded, read)

    def _differs(self, tag: str, expected: _Expected) -> bool:
        if not expected.values or self._field.agrees(tag, expected.values[-1]):
            return False
        possible = [*expected.values, *(v for v in (expected.goal, self._may_become.get(tag)) if v is not None)]
        return not any(self._field.agrees(tag, value) for value in possible)
