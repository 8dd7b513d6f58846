"""The equipment as the gate sees it: writes to a device bounded in time, and what the readings say of a write."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping

import structlog

from drivers.driver import Driver, Link, LinkState, Outcome, WriteResult
from evcontrol.acquisition.image import ProcessImage
from evcontrol.clock import Clock
from evcontrol.plant.model import Plant
from evcontrol.quality import is_good, text
from evcontrol.signals import TagKind

WRITE_GRACE_S = 1.0
"""Real time beyond twice the device's time-out after which a driver that does not end a write is given up."""
SAFE_DEFAULT = "default"

_log = structlog.get_logger(__name__)


class Field:
    """Drivers, image and time of one plant. Nothing here decides whether a write is allowed."""

    def __init__(
        self,
        plant: Plant,
        drivers: Mapping[str, Driver],
        image: ProcessImage,
        clock: Clock,
        next_scan: Callable[[], Awaitable[object]],
    ) -> None:
        self.plant = plant
        self.drivers = drivers
        self.image = image
        self.clock = clock
        self._next_scan = next_scan
        self._device = {point.tag.name: device.name for device in plant.devices.values() for point in device.points}
        self.tripped: dict[str, float] = {}
        """Actuators that interlocks have tripped to a value of their own, which comes before the safe one."""
        self._under_way: Counter[str] = Counter()
        self._ended: dict[str, int] = {}

    def device_of(self, tag: str) -> str:
        """The device of a tag that can be written; KeyError."""
        return self._device[tag]

    def by_device(self, tags: Iterable[str]) -> dict[str, list[str]]:
        """Tags grouped by device, in their order."""
        groups: dict[str, list[str]] = {}
        for tag in tags:
            groups.setdefault(self._device[tag], []).append(tag)
        return groups

    def link(self, tag: str) -> Link:
        """The link to a tag's device."""
        return self.drivers[self._device[tag]].link

    def ready(self, device: str) -> bool:
        """Whether a device can be written."""
        return self.drivers[device].link.state is LinkState.READY

    def safe_values(self, unit: str) -> Mapping[str, float]:
        """The safe state of a unit for what its vessel holds now; an unknown content has the default."""
        spec = self.plant.units[unit]
        content = self.image.text(spec.content_tag)
        values = spec.safe_states.get(content, spec.safe_states[SAFE_DEFAULT])
        return {**values, **{tag: value for tag, value in self.tripped.items() if self.plant.unit_of(tag) == unit}}

    # -- readings --------------------------------------------------------------------------------------------------

    def reading(self, tag: str) -> float | None:
        """The tag's value when its quality is Good."""
        value, quality = self.image.reading(tag)
        return float(value) if is_good(quality) else None

    def agrees(self, tag: str, value: float) -> bool:
        """Whether the tag's own reading is ``value``, within the resolution of its writes."""
        return self._near(tag, value, self.plant.writes[tag].resolution)

    def clears_itself(self, tag: str) -> bool:
        """Whether the tag cannot be read back, since any reading would agree (a push button)."""
        spec = self.plant.writes[tag]
        return spec.resolution >= spec.high - spec.low

    def disagreement(self, tag: str, value: float) -> str:
        """How the tag's own reading differs from ``value``, in words."""
        read = self.reading(tag)
        if read is None:
            return f"no good reading of {tag} ({text(self.image.reading(tag).quality)})"
        return f"{tag} reads {self.words(tag, read)} instead of {self.words(tag, value)}"

    def feedback_trouble(self, tag: str, value: float) -> str:
        """Why the actuator's own feedback does not show ``value``; empty when it does or there is none."""
        spec = self.plant.writes[tag]
        if spec.feedback is None:
            return ""
        runs_only = self._tells_only_whether_it_runs(tag, spec.feedback)
        if self._near(spec.feedback, float(value > 0.0) if runs_only else value, spec.feedback_tolerance):
            return ""
        read = self.reading(spec.feedback)
        if read is None:
            return f"no good reading of {spec.feedback} ({text(self.image.reading(spec.feedback).quality)})"
        return f"{spec.feedback} reads {self.words(spec.feedback, read)} instead of {self.words(tag, value)}"

    def _tells_only_whether_it_runs(self, tag: str, feedback: str) -> bool:
        """A discrete feedback of an analogue actuator (a pump's run contact)."""
        tags = self.plant.tags
        return tags[feedback].kind is TagKind.DISCRETE and tags[tag].kind is TagKind.ANALOG

    def words(self, tag: str, value: float) -> str:
        """A value of a tag for people: its label, or the number with the unit."""
        spec = self.plant.tags[tag]
        if spec.labels and value == int(value) and 0 <= int(value) < len(spec.labels):
            return spec.labels[int(value)]
        return f"{value:.{spec.decimals}f} {spec.unit}".rstrip()

    def misfit(self, tag: str, value: float) -> str:
        """Why a value cannot be written to a tag at all; empty when it can."""
        spec, kind = self.plant.writes[tag], self.plant.tags[tag]
        if not math.isfinite(value):
            return f"{tag}: {value} is not a number that can be written"
        if not spec.low <= value <= spec.high:
            limits = f"{self.words(tag, spec.low)} to {self.words(tag, spec.high)}"
            return f"{tag}: {value:g} is outside {limits}; write a value inside"
        if kind.kind in (TagKind.ENUM, TagKind.DISCRETE) and not (value == int(value) < len(kind.labels)):
            return f"{tag}: {value:g} is none of its codes ({', '.join(kind.labels)})"
        if kind.kind is TagKind.INTEGER and value != int(value):
            return f"{tag}: {value:g} is not a whole number"
        return ""

    # -- writing and waiting ---------------------------------------------------------------------------------------

    async def write(self, device: str, values: Mapping[str, float]) -> dict[str, WriteResult]:
        """One write of a driver. Never raises for what goes wrong: a driver that fails leaves it UNKNOWN."""
        limit = 2.0 * self.plant.devices[device].timeout_s + WRITE_GRACE_S
        self._under_way.update(values.keys())
        try:
            async with asyncio.timeout(limit):
                results = await self.drivers[device].write(values)
        except TimeoutError:
            return _unknown(values, f"the driver did not end the write within {limit:g} s")
        except Exception as error:  # noqa: BLE001  (whatever a driver does, the gate has an outcome for every write)
            _log.error("driver failed to write", device=device, exc_info=error)
            return _unknown(values, f"the driver failed: {error}")
        finally:
            self._under_way.subtract(values.keys())
            self._ended.update(dict.fromkeys(values, self.clock.now()))
        return {tag: results.get(tag, WriteResult(Outcome.UNKNOWN, "the driver did not say")) for tag in values}

    def written_since_reading(self, tag: str) -> bool:
        """Whether the tag's reading may be older than the last write to it."""
        return self._under_way[tag] > 0 or self._ended.get(tag, -1) >= self.image.time_of(tag)

    async def wait_scan(self, seconds: float) -> bool:
        """Wait for the next scan, at most so many real seconds; whether one came."""
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._next_scan()
        except TimeoutError:
            return False
        return True

    def _near(self, tag: str, value: float, tolerance: float) -> bool:
        read = self.reading(tag)
        # A little more than the tolerance, since neither scaled registers nor decimal fractions are exact in binary.
        return read is not None and abs(read - value) <= tolerance * (1 + 1e-6) + 1e-9 * max(1.0, abs(value))


class Sight:
    """Whether the reading of a tag can be taken as proof of a write that is about to be made.

    A device is read while it is written, so that the first reading after a write may have been taken before it. That
    matters only when the last reading agreed already although the tag was written since: then two are waited for.
    """

    def __init__(self, field: Field, tag: str, value: float) -> None:
        self._field = field
        self._tag = tag
        self._seen = field.image.time_of(tag)
        self._missing = 2 if field.agrees(tag, value) and field.written_since_reading(tag) else 1

    def look(self) -> None:
        """Count the reading of a new scan."""
        t = self._field.image.time_of(self._tag)
        if t != self._seen and self._field.reading(self._tag) is not None:
            self._seen = t
            self._missing -= 1

    @property
    def fresh(self) -> bool:
        """Whether the tag's present reading was taken after the write."""
        return self._missing <= 0


def _unknown(values: Mapping[str, float], reason: str) -> dict[str, WriteResult]:
    return dict.fromkeys(values, WriteResult(Outcome.UNKNOWN, reason))
