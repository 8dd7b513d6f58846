"""Values that a tester puts in place of readings: for a time, marked in their quality, never beside a real batch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from evcontrol.clock import NS, Clock
from evcontrol.journal.events import ENGINE, Kind, Origin
from evcontrol.journal.store import Journal
from evcontrol.plant.model import Plant
from evcontrol.quality import GOOD_LOCAL_OVERRIDE
from evcontrol.signals import Frame, Tag, TagKind

LONGEST_S: Final = 8 * 3600.0
"""Process time after which a value must be forced anew: a shift."""
_CODED: Final = (TagKind.ENUM, TagKind.DISCRETE)


class ForceRefusedError(Exception):
    """A value is not forced; one line that says why."""


@dataclass(frozen=True, slots=True)
class ForcedValue:
    """A value in place of a tag's reading, in the tag's unit, until a process time (UTC ns)."""

    tag: str
    value: float
    until: int
    by: str
    reason: str


class ForcedValues:
    """All forced values of a plant; none outlives the engine.

    ``busy`` names the batches that have not ended. On equipment that is not simulated nothing is forced beside them,
    and the engine starts none while anything is forced.
    """

    def __init__(self, plant: Plant, journal: Journal, clock: Clock, busy: Callable[[], list[str]]) -> None:
        self._plant = plant
        self._journal = journal
        self._clock = clock
        self._busy = busy
        self._read = {point.tag.name for device in plant.devices.values() for point in device.points}
        self._forced: dict[int, ForcedValue] = {}

    def force(self, tag: str, value: float, duration_s: float, origin: Origin, reason: str) -> None:
        """Put a value in place of what is read from the next scan on, for so many seconds of process time.

        Raises ForceRefusedError, KeyError for an unknown tag, JournalUnavailableError; nothing is forced then.
        """
        spec = self._plant.tags[tag]
        refusal = self._forbids(spec, value) or self._beside_a_batch()
        if not 0 < duration_s <= LONGEST_S:
            refusal = refusal or f"a value is forced for up to {LONGEST_S:g} s, not {duration_s:g}"
        if refusal:
            raise ForceRefusedError(refusal)
        until = self._clock.now() + round(duration_s * NS)
        body = {"tag": tag, "value": value, "unit": spec.unit, "until": until, "duration_s": duration_s,
                "reason": reason}  # fmt: skip
        self._journal.append(Kind.VALUE_FORCED, origin, body)
        self._forced[spec.index] = ForcedValue(tag, value, until, origin.actor, reason)

    def end(self, tag: str, origin: Origin, reason: str) -> None:
        """Let the reading through again, whatever the journal says. ForceRefusedError when it is not forced."""
        index = self._plant.tags[tag].index
        if self._forced.pop(index, None) is None:
            raise ForceRefusedError(f"{tag} is not forced")
        self._journal.append_safety(Kind.VALUE_FORCE_ENDED, origin, {"tag": tag, "reason": reason})

    def end_all(self, reason: str) -> None:
        """Let all readings through again."""
        for forced in self.standing():
            self.end(forced.tag, ENGINE, reason)

    def standing(self) -> list[ForcedValue]:
        """What is forced now."""
        return list(self._forced.values())

    def apply(self, frames: list[Frame], t: int) -> list[Frame]:
        """The frames of a scan at process time ``t`` with forced values in place of what was read."""
        for forced in [one for one in self._forced.values() if t >= one.until]:
            self.end(forced.tag, ENGINE, "its time is over")
        return [self._overlaid(frame) for frame in frames] if self._forced else frames

    def _overlaid(self, frame: Frame) -> Frame:
        places = [place for place, index in enumerate(frame.index) if int(index) in self._forced]
        if not places:
            return frame
        value, quality = frame.value.copy(), frame.quality.copy()
        value[places] = [self._forced[int(frame.index[place])].value for place in places]
        quality[places] = np.uint32(GOOD_LOCAL_OVERRIDE)
        return Frame(frame.t, frame.wall, frame.group, frame.index, value, quality, frame.source_t)

    def _beside_a_batch(self) -> str:
        busy = [] if self._plant.simulated else self._busy()
        return f"{busy[0]} has not ended: values are not forced beside a batch on real equipment" if busy else ""

    def _forbids(self, tag: Tag, value: float) -> str:
        if tag.name in self._plant.writes:
            return f"{tag.name} is an actuator: command it, its read-back proves commands"
        if tag.name not in self._read:
            return f"{tag.name} is not read from a device: force what it is worked out from"
        if tag.kind is TagKind.TEXT:
            return f"{tag.name} is a text: only numbers are forced"
        if tag.kind in _CODED and not (value == int(value) and 0 <= value < len(tag.labels)):
            return f"{tag.name}: {value:g} is none of its codes ({', '.join(tag.labels)})"
        if not (math.isfinite(value) and tag.low <= value <= tag.high):
            return f"{tag.name}: {value:g} is outside {tag.low:g} to {tag.high:g} {tag.unit}".rstrip()
        return ""
