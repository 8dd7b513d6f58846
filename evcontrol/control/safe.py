"""Making a unit safe: write at once, repeat until it is read back, and keep trying for what could not be reached."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from drivers.driver import Outcome
from evcontrol.clock import NS
from evcontrol.control.field import Field, Sight
from evcontrol.control.local import LocalWatch
from evcontrol.journal.events import ENGINE, Kind, Origin
from evcontrol.journal.store import Journal

SCAN_GRACE_S = 0.25
"""Real time beyond the unit's ``safe_within_s`` in which the last scan's readings may still come."""
STEP_S = 0.25
GUARD_RETRY_S = 1.0
"""Shortest real time between two attempts for what was not reached."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SafeReport:
    """What of a unit's safe state is proven, and what is not with the reason."""

    unit: str
    why: str
    reached: list[str]
    not_reached: list[tuple[str, str]]

    @property
    def complete(self) -> bool:
        """Whether every actuator is proven to be where it is safe."""
        return not self.not_reached


@dataclass(slots=True)
class _Target:
    tag: str
    value: float
    sight: Sight
    sent_t: int | None = None
    answer: str = ""
    unknown: bool = False
    """The outcome of the last write is: drivers may send nothing more after it, so that it goes last the next time."""
    awaited: bool = False
    """Acknowledged, and not read since."""
    proven: bool = False


@dataclass(slots=True)
class SafeRun:
    """One unit on its way to its safe state, with everything that asked for it."""

    unit: str
    values: Mapping[str, float]
    whys: list[str]
    origin: Origin = ENGINE
    batch: str = ""
    targets: list[_Target] = field(default_factory=list)

    def retarget(self, values: Mapping[str, float], equipment: Field) -> None:
        """Lead some of its actuators to another value: an interlock tripped meanwhile."""
        self.values = {tag: values.get(tag, value) for tag, value in self.values.items()}
        for target in self.targets:
            if values.get(target.tag, target.value) != target.value:
                target.value = values[target.tag]
                target.sight = Sight(equipment, target.tag, target.value)
                target.awaited = target.proven = False

    @property
    def why(self) -> str:
        """All reasons, each once."""
        return "; ".join(dict.fromkeys(self.whys))


class SafeKeeper:
    """Brings units to their safe state. Nothing here waits for the journal, and nothing is asked for permission."""

    def __init__(self, equipment: Field, journal: Journal, watch: LocalWatch) -> None:
        self._field = equipment
        self._journal = journal
        self._watch = watch

    async def reach(self, run: SafeRun) -> SafeReport:
        """Write and read back until all is proven or the time is over; journalled."""
        run.targets = [_Target(tag, value, Sight(self._field, tag, value)) for tag, value in run.values.items()]
        deadline = self._field.clock.monotonic() + self._field.plant.units[run.unit].safe_within_s + SCAN_GRACE_S
        for target in run.targets:
            self._watch.goes_to(target.tag, target.value)
        devices = self._by_device(run)
        try:
            ends = await asyncio.gather(
                *(self._reach_device(d, targets, deadline) for d, targets in devices), return_exceptions=True
            )
        except asyncio.CancelledError:
            self._report(run, run.why, [target.tag for target in run.targets if target.proven])
            raise
        for (device, _), error in zip(devices, ends, strict=True):
            if error is not None:
                _log.error("making safe failed", device=device, exc_info=error)
        return self._report(run, run.why, [target.tag for target in run.targets if target.proven])

    async def guard(self, run: SafeRun) -> None:
        """Go on with what was not reached until it is; journalled whenever more of it is."""
        await asyncio.gather(*(self._guard_device(d, run, targets) for d, targets in self._by_device(run)))

    async def _reach_device(self, device: str, targets: Sequence[_Target], deadline: float) -> None:
        clock = self._field.clock
        timeout_s = self._field.plant.devices[device].timeout_s
        while True:
            left_s = deadline - clock.monotonic()
            late = left_s <= 0
            # A write that the deadline would cut off is not begun: it might land without anybody knowing.
            if left_s >= timeout_s or not (late or targets[0].sent_t):
                await self._send(device, targets, deadline)
            waited_for = [target for target in targets if not target.proven and (not late or self._travels(target))]
            if not waited_for:
                return
            if await self._field.wait_scan(STEP_S if late else min(STEP_S, deadline - clock.monotonic())):
                self._look(targets)

    async def _guard_device(self, device: str, run: SafeRun, targets: Sequence[_Target]) -> None:
        clock = self._field.clock
        next_attempt = clock.monotonic() + GUARD_RETRY_S
        while open_targets := [target for target in targets if not target.proven]:
            if await self._field.wait_scan(STEP_S):
                self._look(open_targets)
            reached = [target.tag for target in open_targets if target.proven]
            if reached:
                self._report(run, f"{run.why} (reached later)", reached)
            elif self._field.ready(device) and clock.monotonic() >= next_attempt:
                next_attempt = clock.monotonic() + GUARD_RETRY_S
                await self._send(device, open_targets, None)

    async def _send(self, device: str, among: Sequence[_Target], deadline: float | None) -> None:
        """Write those that the device does not have, unless they were just acknowledged and not read since."""
        targets = [target for target in among if not target.awaited and not self._took(target)]
        if not targets:
            return
        for target in targets:
            if target.sent_t is None:
                target.sent_t = self._field.clock.now()
        values = {target.tag: target.value for target in sorted(targets, key=lambda target: target.unknown)}
        try:
            async with asyncio.timeout(None if deadline is None else deadline - self._field.clock.monotonic()):
                results = await self._field.write(device, values)
        except TimeoutError:
            for target in targets:
                target.answer = "the device does not answer"
            return
        for target in targets:
            result = results[target.tag]
            target.awaited = result.outcome is Outcome.CONFIRMED
            target.unknown = result.outcome is Outcome.UNKNOWN
            target.answer = "" if result.outcome is Outcome.CONFIRMED else f"{result.outcome}: {result.reason}"

    def _took(self, target: _Target) -> bool:
        """Whether the device has the value, though the actuator may still travel."""
        return target.sight.fresh and self._field.agrees(target.tag, target.value)

    def _travels(self, target: _Target) -> bool:
        """Whether the actuator still has time to arrive."""
        if not self._took(target) or target.sent_t is None:
            return False
        within_s = self._field.plant.writes[target.tag].within_s
        return self._field.clock.now() - target.sent_t < round(within_s * NS)

    def _look(self, targets: Sequence[_Target]) -> None:
        for target in targets:
            target.sight.look()
            target.awaited = False
            target.proven = self._took(target) and not self._field.feedback_trouble(target.tag, target.value)
            if target.proven:
                self._watch.expect(target.tag, target.value)

    def _by_device(self, run: SafeRun) -> list[tuple[str, list[_Target]]]:
        by_tag = {target.tag: target for target in run.targets}
        return [(device, [by_tag[tag] for tag in tags]) for device, tags in self._field.by_device(by_tag).items()]

    def _report(self, run: SafeRun, why: str, reached: list[str]) -> SafeReport:
        missing = [(target.tag, self._trouble(target)) for target in run.targets if not target.proven]
        body = {
            "unit": run.unit,
            "why": why,
            "reached": reached,
            "not_reached": [{"tag": tag, "reason": reason} for tag, reason in missing],
        }
        self._journal.append_safety(Kind.SAFE_STATE, run.origin, body, batch=run.batch)
        return SafeReport(run.unit, why, reached, missing)

    def _trouble(self, target: _Target) -> str:
        link = self._field.link(target.tag)
        if not self._field.ready(self._field.device_of(target.tag)):
            return f"the link to {self._field.device_of(target.tag)} is {link.state}: {link.reason}"
        if self._field.agrees(target.tag, target.value):
            trouble = self._field.feedback_trouble(target.tag, target.value)
            return trouble or f"{target.tag} was not read again since the write"
        words = self._field.disagreement(target.tag, target.value)
        return f"{words} ({target.answer})" if target.answer else words
