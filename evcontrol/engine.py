"""The engine: builds the rooms of a plant, starts and stops them in order, and ties findings to what follows."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import structlog
from filelock import FileLock, Timeout

from drivers.driver import Driver, Link, LinkState
from drivers.registry import driver_type
from evcontrol.access.people import People
from evcontrol.access.session import Sessions
from evcontrol.acquisition.forced import ForcedValues
from evcontrol.acquisition.image import ProcessImage
from evcontrol.acquisition.lateness import Lateness
from evcontrol.acquisition.links import LinkTags
from evcontrol.acquisition.scan import Scan, Scanner
from evcontrol.acquisition.standstill import Standstill
from evcontrol.alarms.alarms import Alarms
from evcontrol.alarms.service import AlarmService
from evcontrol.alarms.states import AlarmStatus
from evcontrol.batch.approval import RecipeApproval
from evcontrol.batch.batches import Batches
from evcontrol.batch.revise import BatchRevising
from evcontrol.batch.steer import BatchSteering
from evcontrol.clock import NS, Clock, ClockKind, ScaledClock, VirtualClock
from evcontrol.control.bypass import BypassService
from evcontrol.control.expiry import Expiry
from evcontrol.control.gate import CommandRefusedError, Gate, SafeReport
from evcontrol.control.interlocks import Interlocks
from evcontrol.control.loop import LoopMode
from evcontrol.control.loops import Loops
from evcontrol.control.owner import Mode
from evcontrol.history.cursor import CURSOR_FILE
from evcontrol.history.forward_state import ForwardState, ForwardStatus
from evcontrol.history.forward_worker import ForwardWorker
from evcontrol.history.layout import Gap
from evcontrol.history.reader import HistoryReader
from evcontrol.history.retention import Retention, forwarded_so_far, removable, remove
from evcontrol.history.rollup import NEVER
from evcontrol.history.store import Historian
from evcontrol.journal.events import ENGINE, Kind, Origin
from evcontrol.journal.replay import PlantView
from evcontrol.journal.store import Journal, JournalUnavailableError, read_events
from evcontrol.pace import Limit, SpeedGovernor
from evcontrol.plant.model import InterlockSpec, Plant
from evcontrol.plant.sensor_checks import CheckSpec
from evcontrol.procedure.context import Rooms
from evcontrol.procedure.run import BatchRun
from evcontrol.procedure.states import FINAL, State
from evcontrol.quality import is_bad
from evcontrol.yaml_source import SourceError

OBSERVE_S = 5.0
"""Longest real time for which the engine looks before it does anything."""
LINK_LOST_S = 1.0
"""Process time after which a lost link holds the batches behind it."""
LINK_REASONS = 10
"""Different reasons of one outage that are journalled: a device that stays away must not fill the journal."""
HISTORY_BEHIND_S = 3.0
"""Real time by which the history may be behind the readings before the batches are held."""
DIED_TOLD_S = 5.0
"""Process time after a start for which the engine's own tag says that the one before died."""
JOURNAL_RETRY_S = 1.0
RETENTION_S = 3600.0
"""Process time between two looks at what of the history may go."""
STOP_GRACE_S = 5.0
"""Real time beyond the safe state's own in which the batches must be held when the engine stops."""
MakeDriver = Callable[[str], Driver]

_log = structlog.get_logger(__name__)


class EngineError(Exception):
    """The engine cannot start; one line that says why and what to do."""


class Engine:
    """One plant under control. ``make_driver`` makes the driver of a device (None: as the plant file says)."""

    def __init__(self, plant: Plant, data: Path, clock: Clock, make_driver: MakeDriver | None = None) -> None:
        if clock.kind is ClockKind.SCALED and not plant.simulated:
            raise EngineError("a speed other than 1 is for simulated equipment only")
        self.plant, self.data, self.clock = plant, data, clock
        self._lock = FileLock(data / "run" / "lock")
        self._take_lock()
        self.journal = Journal(data / "journal", clock)
        self.view = PlantView(read_events(data / "journal"))
        self._before = max(self.view.last_t, _last_reading(data / "history"))
        self.journal.subscribe(self.view.apply)
        self.historian = Historian(data / "history", plant.tags, clock, simulated=plant.simulated)
        forwards = plant.target is not None and clock.kind is not ClockKind.VIRTUAL
        self.forwarding = ForwardWorker(data, plant.target) if forwards and plant.target is not None else None
        self.image = ProcessImage(plant.tags, plant.internal)
        make = make_driver or self._make_driver
        self.drivers: dict[str, Driver] = {name: make(name) for name in plant.devices}
        self.scanner = Scanner(plant, self.drivers, self.image, clock)
        self.links = LinkTags(self.drivers, self.image, self.scanner.timing, plant.internal)
        self.gate = Gate(plant, self.drivers, self.image, self.journal, clock, self.scanner.next_scan)
        self.interlocks = Interlocks(plant, self.image, self.gate, self.journal, clock)
        self.loops = Loops(plant, self.image, self.gate, self.journal, clock)
        self.alarms = Alarms(plant, self.image, self.journal, clock)
        self.people = People(data / "people.json", clock)
        self.sessions = Sessions(self.people, clock)
        self.alarm_service = AlarmService(self.alarms, self.people, self.journal, clock)
        self.bypasses = BypassService(self.interlocks, self.people, self.journal, clock)
        self.expiry = Expiry(self.image, plant.expiries, self.view.tag_times)
        rooms = Rooms(
            plant, self.image, self.journal, self.gate, self.loops, clock, self.scanner.next_scan, self.view,
            self.alarms.is_active,
        )  # fmt: skip
        self.batches = Batches(rooms, self.interlocks, self.blockers, data / "history")
        self.forced = ForcedValues(plant, self.journal, clock, lambda: [run.id for run in self.batches.active()])
        self.steering = BatchSteering(self.batches, self.people, rooms)
        self.revising = BatchRevising(self.batches, self.people, rooms)
        self.approval = RecipeApproval(self.people, rooms)
        self._devices_of = {unit: plant.devices_of(unit) for unit in plant.units}
        self._standstill = Standstill(clock)
        self._scan_lateness, self._loop_lateness = Lateness(), Lateness()
        self._loops_late_ms = 0.0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._observed = False
        self._died_until = 0
        self._journal_retry = 0.0
        self._told_of_links: dict[str, set[tuple[LinkState, str]]] = {}
        self._trouble = ""
        self._governor: SpeedGovernor | None = None
        self._tie()

    # -- life --------------------------------------------------------------------------------------------------------

    async def start(self, asked_speed: float = 1.0) -> None:
        """Connect, look, and take up the batches that ran. JournalUnavailableError when nothing can be kept."""
        body = {
            "version": version("evcontrol"), "plant": self.plant.name, "plant_hash": self.plant.hash,
            "clock": self.clock.kind.value, "speed": self.clock.speed, "simulated": self.plant.simulated,
            "previous_end": "orderly" if self.view.stopped_orderly else "died",
            "constants": {
                unit.name: {name: str(value) for name, value in unit.constants.items()}
                for unit in self.plant.units.values()
            },
        }  # fmt: skip
        died = self._before > 0 and not self.view.stopped_orderly
        await self.journal.record(Kind.ENGINE_STARTED, ENGINE, body)
        if isinstance(self.clock, ScaledClock | VirtualClock):
            self._governor = SpeedGovernor(self.clock, asked_speed, self._speed_limits, self.journal)
        self._restore_tags()
        self._died_until = self.clock.now() + round(DIED_TOLD_S * NS) if died else 0
        if "SYS.DIED" in self.plant.internal:
            self.image.set_internal("SYS.DIED", float(died))
        self._restore_trips_and_alarms()
        for driver in self.drivers.values():
            await driver.start()
        if self.clock.kind is not ClockKind.VIRTUAL:
            self._standstill.start()
        self._spawn(self.historian.run(), "history")
        if self.forwarding is not None:
            self.forwarding.start()
        if self.plant.retention is not None and self.clock.kind is not ClockKind.VIRTUAL:
            self._spawn(self._retain(self.plant.retention), "retention")
        self._spawn(self.scanner.run(), "scan")
        await self._observe()
        try:
            await self.batches.restore(self._before)
        except SourceError as error:
            raise EngineError(
                f"a batch does not fit this plant file; start with the one it was begun on ({error})"
            ) from None
        await self._complete_safe_states(died)
        gc.collect()
        gc.freeze()

    async def set_mode(self, unit: str, mode: Mode, origin: Origin, reason: str) -> None:
        """Change a unit's mode (ISA-88): by hand it may leave its safe state; back in automatic it is made safe again.

        Raises CommandRefusedError while a batch runs on the unit or it is still being made safe; KeyError.
        """
        busy = [run.id for run in self.batches.active(unit) if not run.at_rest]
        if busy and mode is not Mode.AUTOMATIC:
            raise CommandRefusedError(f"{unit} is used by {busy[0]}: hold it first")
        if mode is not Mode.AUTOMATIC:
            self.gate.release_safe(unit)
        await self.gate.set_mode(unit, mode, origin, reason)
        if mode is Mode.AUTOMATIC and not busy:
            await self.gate.make_safe(unit, f"automatic again: {reason}", origin)

    async def stop(self, reason: str) -> list[SafeReport]:
        """Hold every batch, make every unit safe, and end; what could not be made safe stands in the reports."""
        with suppress(TimeoutError):
            async with asyncio.timeout(
                max((u.safe_within_s for u in self.plant.units.values()), default=0.0) + STOP_GRACE_S
            ):
                await self.batches.hold_all(f"the engine stops: {reason}")
        reports = [await self.gate.make_safe(unit, f"the engine stops: {reason}") for unit in self.plant.units]
        self._standstill.stop()
        self.forced.end_all("the engine stops")
        await self.batches.close()
        await self.gate.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for driver in self.drivers.values():
            await driver.stop()
        await self.historian.close()
        if self.forwarding is not None:
            await self.forwarding.stop()
        self.journal.append_safety(Kind.ENGINE_STOPPED, ENGINE, {"reason": reason})
        with suppress(JournalUnavailableError):
            await self.journal.flush()
        self.journal.close()
        self._lock.release()
        gc.unfreeze()
        return reports

    def abandon(self) -> None:
        """Let go of the data directory's lock without a word, as the operating system does for a process that dies."""
        self._lock.release()

    async def failed(self) -> None:
        """Wait until a task without which nothing goes on has ended; raises what ended it."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
            raise RuntimeError(f"{task.get_name()} ended by itself")

    # -- what stands against a start ---------------------------------------------------------------------------------

    def blockers(self, unit: str) -> list[str]:
        """Why a batch cannot be started or restarted on a unit now, in words."""
        reasons = []
        for name in self._devices_of[unit]:
            link = self.drivers[name].link
            if link.state is not LinkState.READY:
                reasons.append(f"{name} is {link.state}{f' ({link.reason})' if link.reason else ''}")
        for tag in self.plant.writes_of(unit):
            if not reasons and is_bad(self.image.reading(tag).quality):
                reasons.append(f"{tag} cannot be read")
        if self.gate.mode(unit) is not Mode.AUTOMATIC:
            reasons.append(f"{unit} is in {self.gate.mode(unit)} mode: set it to automatic first")
        if not reasons:
            reasons += self.interlocks.still_true(unit)
        if not self.journal.available:
            reasons.append(f"the journal cannot be written ({self.journal.trouble})")
        if self.gate.is_being_made_safe(unit):
            reasons.append(f"{unit} is still being made safe: wait until that has ended")
        if trouble := self._history_trouble():
            reasons.append(trouble)
        if not self.plant.simulated:
            reasons += [f"{one.tag} is forced by {one.by}: end that first" for one in self.forced.standing()]
        return reasons

    # -- what follows what -------------------------------------------------------------------------------------------

    def _tie(self) -> None:
        """Connect what one room finds with what the others do about it."""
        for name, driver in self.drivers.items():
            driver.on_link = lambda link, name=name: self._link_changed(name, link)
        self.historian.on_gap = self._gap
        self.interlocks.on_trip = self._tripped
        self.interlocks.on_release = self._released
        self.gate.on_local = self._local
        self.gate.on_restart = self._restarted
        self.scanner.on_failure = self._room_failed
        self.scanner.checks.on_doubt = self._doubted
        self.scanner.overlay = self.forced.apply
        self.batches.on_change = self._batch_changed
        self.batches.on_release = self._unit_released
        self.scanner.stages += [
            self.expiry.evaluate,
            self.gate.on_scan,
            self.alarms.evaluate,
            self._interlocks,
            self._step_loops,
            self._keep,
            self._watch,
        ]
        self.scanner.after += [self.gate.flush_modulating, self.gate.feed]

    def _interlocks(self, scan: Scan) -> None:
        if self._observed:
            self.interlocks.evaluate(scan)

    def _step_loops(self, scan: Scan) -> None:
        self.loops.evaluate(scan)
        self._loops_late_ms = scan.late_ms + (self.clock.now() - scan.t) / 1e6 / self.clock.speed

    def _keep(self, scan: Scan) -> None:
        self.historian.keep(scan.t, scan.wall, scan.frames)

    def _watch(self, scan: Scan) -> None:
        """What the engine looks at itself each scan: its own tags, links, journal, history, speed, batches."""
        self._own_tags(scan)
        for run in self.batches.active():
            self._watch_links(run, scan)
        self._watch_storage()
        self.batches.allocation.on_scan()
        for run in self.batches.active():
            run.on_scan()
        if self._governor is not None:
            self._governor.evaluate(scan)

    def _own_tags(self, scan: Scan) -> None:
        forward = ForwardStatus(ForwardState.OFF) if self.forwarding is None else self.forwarding.status
        tags: Mapping[str, float | str] = {
            "SYS.SPEED": self.clock.speed,
            "SYS.SCAN_LATE": max(0.0, scan.late_ms),
            "SYS.SCAN_LATE_P99": self._scan_lateness.take(scan.wall, scan.late_ms),
            "SYS.LOOPS_LATE": max(0.0, self._loops_late_ms),
            "SYS.LOOPS_LATE_P99": self._loop_lateness.take(scan.wall, self._loops_late_ms),
            "SYS.SCANS_MISSED": float(self.scanner.overruns),
            "SYS.STOOD_STILL": self._standstill.take(),
            "SYS.DIED": float(scan.t < self._died_until),
            "SYS.BYPASSED": float(self.interlocks.bypassed),
            "SYS.FORCED": float(len(self.forced.standing())),
            "SYS.HISTORY_LAG": self.historian.lag_s,
            "SYS.HISTORY_REFUSED": float(bool(self._history_trouble())),
            "SYS.FORWARD_STATE": forward.state.value,
            "SYS.FORWARD_REASON": forward.reason,
            "SYS.FORWARD_LAG": forward.lag_s(scan.wall),
            "SYS.FORWARD_RATE": forward.rate,
            "SYS.FORWARD_ERRORS": float(forward.errors),
            "SYS.FORWARD_QUARANTINE": float(forward.quarantined),
        }
        for name, value in tags.items():
            if name in self.plant.internal:
                self.image.set_internal(name, value)
        self.loops.show()
        self.links.measure()

    def _watch_links(self, run: BatchRun, scan: Scan) -> None:
        for unit in run.busy_units():
            for name in self._devices_of[unit]:
                link = self.drivers[name].link
                if link.state is not LinkState.READY and scan.t - link.since >= LINK_LOST_S * NS:
                    run.hold_unit(unit, f"{name} is lost ({link.reason or link.state})")

    def _watch_storage(self) -> None:
        trouble = ""
        if not self.journal.available:
            trouble = f"the journal cannot be written ({self.journal.trouble})"
            if self.clock.monotonic() >= self._journal_retry:
                self._journal_retry = self.clock.monotonic() + JOURNAL_RETRY_S
                self._spawn_once(self._retry_journal(), "journal retry")
        else:
            trouble = self._history_trouble()
        if trouble and not self._trouble:
            _log.error("holding all batches", reason=trouble)
        for run in self.batches.active() if trouble else ():
            run.hold(trouble)
        self._trouble = trouble

    def _history_trouble(self) -> str:
        if self.historian.trouble:
            return f"the history cannot be written ({self.historian.trouble})"
        if self.historian.lag_wall_s > HISTORY_BEHIND_S:
            return f"the history is {self.historian.lag_wall_s:.0f} s behind"
        return ""

    async def _retry_journal(self) -> None:
        await self.journal.retry()

    def _link_changed(self, name: str, link: Link) -> None:
        self.links.changed(name, link)
        told = self._told_of_links.setdefault(name, set())
        if link.state is LinkState.READY:
            told.clear()
        elif (link.state, link.reason) in told or len(told) >= LINK_REASONS:
            return  # the tags tell it all the same
        else:
            told.add((link.state, link.reason))
        body = {"device": name, "state": link.state.value, "reason": link.reason}
        self.journal.append_safety(Kind.LINK_STATE, ENGINE, body)

    def _doubted(self, spec: CheckSpec, tags: tuple[str, ...], text: str) -> None:
        body = {"check": spec.name, "tags": list(tags), "quality": spec.doubt.value if tags else "", "text": text}
        self.journal.append_safety(Kind.SENSOR_CHECK, ENGINE, body)

    def _gap(self, start: int, end: int, reason: str) -> None:
        self.journal.append_safety(Kind.HISTORY_GAP, ENGINE, {"from": start, "to": end, "reason": reason})

    async def _retain(self, retention: Retention) -> None:
        """Remove months of the history that nobody needs any more, now and then; the journal says which."""
        while True:
            protected = [
                (view.created, view.last_t if view.state in FINAL else NEVER) for view in self.view.batches.values()
            ]
            for gap in await asyncio.to_thread(self._remove_months, retention, protected):
                self._gap(gap.start, gap.end, gap.reason)
            await self.clock.sleep(RETENTION_S)

    def _remove_months(self, retention: Retention, protected: list[tuple[int, int]]) -> list[Gap]:
        """In a thread: what was removed."""
        removed = []
        try:
            target = self.plant.target
            forwarded = None if target is None else forwarded_so_far(self.data / CURSOR_FILE, target)
            for path, gap in removable(self.data / "history", retention, self.clock.now(), forwarded, protected):
                remove(path)
                removed.append(gap)
                _log.info("a month of the history was removed", file=path.name)
        except (OSError, sqlite3.Error) as error:
            _log.error("the history cannot be kept to its retention", error=str(error))
        return removed

    def _tripped(self, spec: InterlockSpec, cause: str) -> None:
        why = f"interlock {spec.name}: {cause}"
        if not spec.whole_unit:
            self._trip_actuators(spec, why)
            return
        self.loops.stop_unit(spec.unit, ENGINE, why)
        for run in self.batches.active(spec.unit):
            run.hold_unit(spec.unit, why)
        self._spawn_once(self.gate.make_safe(spec.unit, why), f"make {spec.unit} safe")

    def _trip_actuators(self, spec: InterlockSpec, why: str) -> None:
        """Trip only what the interlock names; a batch that has one of these actuators cannot go on."""
        for loop in self.plant.loops.values():
            if not spec.trip.keys().isdisjoint(loop.actuators):
                self.loops.stop(loop.name, ENGINE, why)
        batches = self.gate.trip(spec.unit, spec.name, why)
        for run in self.batches.active(spec.unit):
            if run.id in batches:
                run.hold_unit(spec.unit, why)

    def _released(self, spec: InterlockSpec) -> None:
        """What a trip held elsewhere than where it is safe goes there, while the unit stays in its safe state."""
        if spec.trip and self.gate.is_safe_held(spec.unit):
            self._spawn_once(self.gate.make_safe(spec.unit, f"interlock {spec.name} was reset"), f"{spec.unit} safe")

    def _local(self, unit: str, tag: str, expected: float, read: float) -> None:
        self._moved(unit, f"{tag} was changed at the device (commanded {expected:g}, reads {read:g})")

    def _restarted(self, unit: str, device: str, reason: str) -> None:
        self._moved(unit, reason)

    def _moved(self, unit: str, why: str) -> None:
        """Actuators are where nobody commanded them: batches are held, and in a held one nothing stays on."""
        runs = self.batches.active(unit)
        for run in runs:
            run.hold_unit(unit, why)
        if runs and self.gate.is_safe_held(unit):
            self._spawn_once(self.gate.make_safe(unit, why), f"make {unit} safe")

    def _room_failed(self, what: str, error: Exception) -> None:
        """A stage or a driver failed: that must not be, and whatever it was, the equipment is made safe."""
        why = f"{what} failed ({type(error).__name__}: {error}); the details are in log/engine.log"
        for run in self.batches.active():
            run.hold(why)
        for unit in self.plant.units:
            if not self.gate.is_safe_held(unit):
                self._spawn_once(self.gate.make_safe(unit, why), f"make {unit} safe")

    def _batch_changed(self, run: BatchRun) -> None:
        for unit in run.units:
            if f"{unit}.STATE" in self.plant.internal:
                self.image.set_internal(f"{unit}.STATE", run.state_on(unit).value)
            if f"{unit}.PHASE" in self.plant.internal:
                self.image.set_internal(f"{unit}.PHASE", ", ".join(run.running(unit)))
            if run.ended:
                self._spawn_once(self._at_rest(run, unit, f"{run.id} has ended"), f"{unit} at rest")

    def _unit_released(self, run: BatchRun, unit: str) -> None:
        if f"{unit}.STATE" in self.plant.internal:
            self.image.set_internal(f"{unit}.STATE", State.COMPLETE.value)
        self._spawn_once(self._at_rest(run, unit, f"{run.id} needs it no longer"), f"{unit} at rest")

    async def _at_rest(self, run: BatchRun, unit: str, why: str) -> None:
        """What a batch leaves is in its safe state before another batch gets it."""
        await self.gate.make_safe(unit, why, batch=run.id)
        self.batches.allocation.release(run.id, unit)

    # -- helpers -----------------------------------------------------------------------------------------------------

    def _take_lock(self) -> None:
        (self.data / "run").mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise EngineError(f"{self.data}: another engine runs on this data directory") from None

    def _make_driver(self, name: str) -> Driver:
        spec = self.plant.devices[name]
        return driver_type(spec.driver)(name, spec.options, spec.points, self.clock)

    def _restore_tags(self) -> None:
        """The units' own tags as the journal tells of them; what was never set is at rest."""
        for unit in self.plant.units.values():
            for name, value in (
                (unit.content_tag, "empty"),
                (f"{unit.name}.STATE", "Idle"),
                (f"{unit.name}.PHASE", ""),
            ):
                if name in self.plant.internal:
                    self.image.set_internal(name, value)
        for name, value in self.view.tags.items():
            if name in self.plant.internal:
                self.image.set_internal(name, value)

    def _restore_trips_and_alarms(self) -> None:
        """What stood tripped or unacknowledged when the last engine ended, as far as the plant still has it."""
        for name, trip in self.view.trips.items():
            if name in self.plant.interlocks:
                self.interlocks.restore(name, trip.cause, trip.since, trip.first_out)
        for name, bypass in list(self.view.bypasses.items()):
            if name in self.plant.interlocks:
                self.interlocks.restore_bypass(name, bypass.until, bypass.by, bypass.reason)
        for name, alarm in self.view.alarms.items():
            if name in self.plant.alarms:
                self.alarms.restore(name, AlarmStatus(alarm.state), alarm.since, alarm.until, first_out=alarm.first_out)
        for name, changed in list(self.view.setpoints.items()):
            if name in self.plant.alarms:
                self.alarms.restore_setpoint(name, changed.value, changed.configured)

    async def _complete_safe_states(self, died: bool) -> None:
        """After the death of an engine: what the watchdogs left elsewhere than where it is safe; then what tripped."""
        for state in self.interlocks.states():
            if state.tripped and not state.spec.whole_unit:
                self.gate.trip(state.spec.unit, state.spec.name, f"interlock {state.spec.name} stands tripped")
        for unit in self.plant.units:
            if died and not self.batches.active(unit) and self.gate.lacks(unit):
                await self.gate.make_safe(unit, "the engine was started after it had died")

    async def _observe(self) -> None:
        """Look at the plant before anything is written: until every link is up, or for a bounded time."""
        end = self.clock.monotonic() + OBSERVE_S
        await self.scanner.next_scan()
        while self.clock.monotonic() < end:
            if all(driver.link.state is LinkState.READY for driver in self.drivers.values()):
                break
            await self.scanner.next_scan()
        await self.scanner.next_scan()
        self._observed = True

    def _speed_limits(self) -> Iterable[Limit]:
        runs = self.batches.active()
        yield from (Limit(*run.max_speed()) for run in runs)
        if not runs:
            yield Limit(1.0, "no batch runs")
        for name, driver in self.drivers.items():
            if driver.link.state is not LinkState.READY:
                yield Limit(1.0, f"{name} is {driver.link.state}")
        for name, longest_s in self.alarms.longest_scans():
            yield Limit(longest_s / self.plant.wire_scan_s, name)
        for loop in self.loops.states():
            if loop.mode is not LoopMode.OFF:
                yield Limit(loop.spec.max_scan_s / self.plant.wire_scan_s, loop.spec.name)

    def _spawn(self, work: Any, name: str) -> None:
        self._tasks.add(asyncio.create_task(work, name=name))

    def _spawn_once(self, work: Any, name: str) -> None:
        """A task that ends by itself; a failure of it is logged."""
        task: asyncio.Task[Any] = asyncio.create_task(work, name=name)
        task.add_done_callback(_ended)


def _last_reading(history: Path) -> int:
    """Process time of the last reading that is kept, UTC ns; 0 before the first."""
    span = HistoryReader(history).span()
    return 0 if span is None else span[1]


def _ended(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("a task of the engine failed", task=task.get_name(), exc_info=error)
