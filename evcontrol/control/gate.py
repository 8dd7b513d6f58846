"""The command gate: the only way to a device. It decides who may write, and has every write journalled and proven."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from drivers.driver import Driver
from evcontrol.acquisition.image import ProcessImage
from evcontrol.acquisition.scan import Scan
from evcontrol.clock import Clock
from evcontrol.control.command import CommandRefusedError, CommandResult, Group, Request
from evcontrol.control.field import Field
from evcontrol.control.local import LocalWatch
from evcontrol.control.modulating import Modulator
from evcontrol.control.owner import Holder, Mode, Owner, Owners
from evcontrol.control.passes import GatePass
from evcontrol.control.permissives import Permissives
from evcontrol.control.restarts import RestartWatch
from evcontrol.control.rules import Lock, Rules, UnitState
from evcontrol.control.safe import SafeKeeper, SafeReport, SafeRun
from evcontrol.journal.events import ENGINE, Kind, Origin, ProcessActor
from evcontrol.journal.store import Journal, JournalUnavailableError
from evcontrol.plant.model import Plant

__all__ = ["CommandRefusedError", "CommandResult", "Gate", "GatePass", "SafeReport"]

_log = structlog.get_logger(__name__)


class Gate:
    """The gate of one plant. All methods are called from one event loop; ``next_scan`` waits for a scan to be over."""

    def __init__(
        self,
        plant: Plant,
        drivers: Mapping[str, Driver],
        image: ProcessImage,
        journal: Journal,
        clock: Clock,
        next_scan: Callable[[], Awaitable[object]],
    ) -> None:
        self._plant = plant
        self._journal = journal
        self._field = Field(plant, drivers, image, clock, next_scan)
        self._owners = Owners(self._owner_changed)
        self._units = {unit: UnitState() for unit in plant.units}
        self._permissives = Permissives(plant, self._field)
        self._rules = Rules(plant, self._field, self._owners, self._units, self._permissives)
        self._watch = LocalWatch(self._field, self._local_change)
        self._restarts = RestartWatch(plant, image, self._restarted)
        self._locks: dict[str, asyncio.Lock] = {device: asyncio.Lock() for device in plant.devices}
        self._modulator = Modulator(self._field, self._watch, self._locks.__getitem__, self._rules.may_modulate)
        self._safe = SafeKeeper(self._field, journal, self._watch)
        self._passes: dict[str, GatePass] = {}
        self._groups: set[Group] = set()
        self._active: dict[str, Group] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self.on_local: Callable[[str, str, float, float], None] = lambda unit, tag, expected, read: None
        self.on_restart: Callable[[str, str, str], None] = lambda unit, device, reason: None

    # -- phases ----------------------------------------------------------------------------------------------------

    def admit(self, unit: str, name: str, batch: str, path: str) -> GatePass:
        """Let a phase command a unit; KeyError for an unknown unit."""
        gate_pass = GatePass(unit, name, batch, path, self._write_as, self._watch.allow)
        self._units[unit].passes.append(gate_pass)
        self._passes[name] = gate_pass
        return gate_pass

    def revoke(self, gate_pass: GatePass) -> None:
        """Take a pass back: nothing more is sent for it, and its tags are free. Again does nothing."""
        if not gate_pass.valid:
            return
        gate_pass.valid = False
        self._units[gate_pass.unit].passes.remove(gate_pass)
        for tag in gate_pass.allowed:
            self._watch.allow(tag, None)
        if self._passes.get(gate_pass.name) is gate_pass:  # else a new pass of the same phase has taken over
            self._owners.give_up("the phase may not command any more", phase=gate_pass.name)
            del self._passes[gate_pass.name]

    async def _write_as(self, gate_pass: GatePass, values: Mapping[str, float], why: str) -> CommandResult:
        request = Request(
            gate_pass.unit, _floats(values), Origin(ProcessActor.PHASE), why, gate_pass.batch, gate_pass.path
        )
        self._permit(request, lambda tag, value: self._rules.forbids_phase(gate_pass, tag, value))
        for tag in values:
            claims = self._owners.claims(tag)
            displaced = "" if claims.loop else None  # only a value towards safety gets past a loop
            self._owners.claim(tag, why, phase=gate_pass.name, loop=displaced)
        return await self._start(request, lambda tag, value: self._rules.forbids_phase(gate_pass, tag, value))

    # -- people ----------------------------------------------------------------------------------------------------

    async def command(self, tag: str, value: float, origin: Origin, why: str) -> CommandResult:
        """A manual command by a person, who owns the tag until the unit is automatic again.

        Raises CommandRefusedError: in automatic mode, and for whatever else forbids the value.
        """
        request = Request(self._plant.unit_of(tag), {tag: float(value)}, origin, why)
        self._permit(request, self._rules.forbids_person)
        self._owners.claim(tag, why, operator=origin.actor)
        return await self._start(request, self._rules.forbids_person)

    def hand_back(self, tag: str, origin: Origin, reason: str) -> None:
        """Give a tag that a person holds back to the loop or phase that it was taken from; its value stays.

        CommandRefusedError when no person holds it.
        """
        if not self._owners.claims(tag).operator:
            raise CommandRefusedError(f"{tag} is not held by hand: it is in the hands of {self.holder(tag)}")
        self._owners.claim(tag, f"handed back by {origin.actor}: {reason}", operator="")

    def mode(self, unit: str) -> Mode:
        """The mode of a unit; KeyError."""
        return self._units[unit].mode

    async def set_mode(self, unit: str, mode: Mode, origin: Origin, reason: str) -> None:
        """Change the mode; in automatic mode nobody owns a tag by hand. CommandRefusedError without a journal."""
        old = self._units[unit].mode
        if old is mode:
            return
        body = {"unit": unit, "old": old.value, "new": mode.value, "reason": reason}
        try:
            await self._journal.record(Kind.MODE_CHANGED, origin, body)
        except JournalUnavailableError as error:
            raise CommandRefusedError(f"{unit} stays {old}: the journal cannot be written ({error})") from error
        self._units[unit].mode = mode
        if mode is Mode.AUTOMATIC:
            self._owners.release_operators(self._plant.writes_of(unit), f"{unit} is automatic again")

    def holder(self, tag: str) -> Holder:
        """Who may command the tag now."""
        locks = self._units[self._plant.unit_of(tag)].locks_on(tag)
        return Holder(Owner.INTERLOCK, locks[0]) if locks else self._owners.holder(tag)

    # -- loops -----------------------------------------------------------------------------------------------------

    def grant(self, tag: str, loop: str) -> None:
        """Give a tag to a loop, in place of the phase that asked for it. CommandRefusedError when it cannot have it."""
        refusal = self._rules.forbids_loop(tag, loop)
        if refusal:
            raise CommandRefusedError(f"loop {loop}: {refusal}")
        self._owners.claim(tag, f"loop {loop} started", loop=loop)

    def release(self, tag: str) -> None:
        """Take a tag back from its loop; the value stays where it is."""
        self._modulator.drop([tag])
        self._owners.release_loops([tag], "the loop stopped")

    def safe_value(self, tag: str) -> float | None:
        """Where a tag is safe for what the vessel of its unit holds now; None when the safe state leaves it alone."""
        return self._field.safe_values(self._plant.unit_of(tag)).get(tag)

    def modulate(self, tag: str, value: float, loop: str) -> None:
        """Keep a loop's output for the next flush, held to the tag's range; ignored unless the loop owns the tag."""
        spec = self._plant.writes[tag]
        if self._owners.holder(tag) != Holder(Owner.LOOP, loop) or not math.isfinite(value):
            return
        value = min(spec.high, max(spec.low, value))
        if self._rules.may_modulate(tag, value):
            self._modulator.put(tag, value)

    async def flush_modulating(self) -> None:
        """Send the loops' latest outputs: one write per device, none waited for (a task after each scan)."""
        self._modulator.flush()

    async def feed(self) -> None:
        """Feed the watchdog of every READY device, none waited for (a task after each scan)."""
        self._modulator.feed()

    # -- interlocks and the safe state -----------------------------------------------------------------------------

    def lock(
        self, unit: str, interlock: str, values: Mapping[str, float] | None = None, whole_unit: bool = True
    ) -> None:
        """A tripped interlock forbids anything but the unit's safe values, or holds only the actuators of ``values``.

        ``values`` come before the safe values of these actuators until the interlock is reset.
        """
        state = self._units[unit]
        state.locks[interlock] = Lock(values or {}, whole_unit)
        self._keep_trips()
        if state.run is not None and values:
            state.run.retarget(values, self._field)

    def unlock(self, unit: str, interlock: str) -> None:
        """The interlock is reset."""
        state = self._units[unit]
        state.locks.pop(interlock, None)
        self._keep_trips()
        if (tripping := state.tripping.pop(interlock, None)) is not None:
            tripping.cancel()

    def trip(self, unit: str, interlock: str, why: str) -> set[str]:
        """Bring the actuators that a tripped interlock names to its values, over everything else.

        Returns the batches whose phases had one of them. What is not reached is tried for until the reset.
        """
        state = self._units[unit]
        values = state.locks[interlock].values
        self._owners.release_loops(values, why)
        self._modulator.drop(list(values), abandon=True)
        for group in [group for group in self._groups if values.keys() & group.request.values.keys()]:
            group.overtake(why)
        run = SafeRun(unit, dict(values), [why])
        state.tripping[interlock] = self._spawn(self._reach_and_guard(run), f"trip {interlock}")
        phases = {self._owners.claims(tag).phase for tag in values}
        return {gate_pass.batch for name, gate_pass in self._passes.items() if name in phases}

    async def make_safe(self, unit: str, why: str, origin: Origin = ENGINE, batch: str = "") -> SafeReport:
        """Bring a unit to its safe state, over everything else, and keep it there until :meth:`release_safe`.

        Never raises for what the equipment or the journal does. Ends when all is proven, or after the unit's
        ``safe_within_s`` (real) and what the actuators' feedbacks have of their own time (process). What is not proven
        then is tried for in the background. A call while the unit is on its way already shares its report.
        """
        state = self._units[unit]
        if state.run is not None and state.reaching is not None and not state.reaching.done():
            state.run.whys.append(why)
            return await asyncio.shield(state.reaching)
        self._clear_for_safety(unit, state, why)
        state.run = SafeRun(unit, self._field.safe_values(unit), [why], origin, batch)
        state.reaching = self._spawn(self._make_safe(state, state.run), f"make {unit} safe")
        return await asyncio.shield(state.reaching)

    def release_safe(self, unit: str) -> None:
        """Let the unit be commanded again. CommandRefusedError while it is still being made safe."""
        state = self._units[unit]
        if state.reaching is not None and not state.reaching.done():
            raise CommandRefusedError(f"{unit} is still being made safe; wait until that has ended")
        state.held = False
        if state.guardian is not None:
            state.guardian.cancel()
            state.guardian = None

    def is_being_made_safe(self, unit: str) -> bool:
        """Whether the unit is on its way to its safe state."""
        reaching = self._units[unit].reaching
        return reaching is not None and not reaching.done()

    def lacks(self, unit: str) -> list[str]:
        """The actuators that are not read to be where they are safe."""
        return [tag for tag, value in self._field.safe_values(unit).items() if not self._field.agrees(tag, value)]

    def is_safe_held(self, unit: str) -> bool:
        """Whether only safe values may be written to the unit."""
        return self._units[unit].held

    def on_scan(self, scan: Scan) -> None:
        """A stage of the scan: see what restarted, and what was changed by somebody else."""
        self._restarts.look()
        self._watch.look()
        self._permissives.look(scan.t)

    async def close(self) -> None:
        """End all tasks; commands under way end with their outcome journalled."""
        for group in list(self._groups):
            group.overtake("the engine stopped")
        for state in self._units.values():
            for task in (state.reaching, state.guardian, *state.tripping.values()):
                if task is not None:
                    task.cancel()
        await self._modulator.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- refusals -------------------------------------------------------------------------------------------------

    def _permit(self, request: Request, forbids: Callable[[str, float], str]) -> None:
        """Journal and raise the first refusal of a request."""
        if not request.values:
            raise CommandRefusedError("nothing to write")
        for tag, value in request.values.items():
            reason = forbids(tag, value)
            if reason:
                self._journal_refusal(request, tag, value, reason)
                raise CommandRefusedError(reason)

    def _journal_refusal(self, request: Request, tag: str, value: float, reason: str) -> None:
        body = {
            "command": f"C{self._journal.head[0]}",
            "tag": tag,
            "value": value if math.isfinite(value) else None,
            "unit": self._plant.tags[tag].unit if tag in self._plant.tags else "",
            "reason": reason,
        }
        self._note(Kind.COMMAND_REFUSED, request.origin, body, request.batch, request.path)

    # -- work ------------------------------------------------------------------------------------------------------

    async def _start(self, request: Request, forbids: Callable[[str, float], str]) -> CommandResult:
        group = Group(request, self._field, self._journal, self._watch, self._locks.__getitem__, forbids, self._active)
        self._groups.add(group)
        task = group.start()
        self._keep(task)
        task.add_done_callback(lambda _: self._groups.discard(group))
        return await asyncio.shield(task)

    def _clear_for_safety(self, unit: str, state: UnitState, why: str) -> None:
        state.held = True
        for gate_pass in list(state.passes):
            self.revoke(gate_pass)
        tags = self._plant.writes_of(unit)
        self._owners.release_loops(tags, f"{unit} is made safe")
        self._modulator.drop(tags, abandon=True)
        for group in [group for group in self._groups if group.request.unit == unit]:
            group.overtake(f"{unit} is made safe ({why})")
        if state.guardian is not None:
            state.guardian.cancel()

    async def _make_safe(self, state: UnitState, run: SafeRun) -> SafeReport:
        report = await self._safe.reach(run)
        if not report.complete:
            state.guardian = self._spawn(self._safe.guard(run), f"guard {run.unit}")
        self._spawn(self._flush_later(), "flush")
        return report

    async def _reach_and_guard(self, run: SafeRun) -> SafeReport:
        report = await self._safe.reach(run)
        if not report.complete:
            await self._safe.guard(run)
        return report

    def _keep_trips(self) -> None:
        """The values of all trips; of two for one actuator the first stays."""
        self._field.tripped = {}
        for state in self._units.values():
            for lock in state.locks.values():
                self._field.tripped = {**lock.values, **self._field.tripped}

    async def _flush_later(self) -> None:
        try:
            await self._journal.flush()
        except JournalUnavailableError as error:
            _log.error("the safe state is not on disk yet", reason=str(error))

    def _spawn(self, work: Any, name: str) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.create_task(work, name=name)
        self._keep(task)
        return task

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None or isinstance(error, CommandRefusedError):
            return
        _log.error("a task of the gate failed", task=task.get_name(), exc_info=error)

    def _owner_changed(self, tag: str, old: Holder, new: Holder, reason: str) -> None:
        gate_pass = self._passes.get(new.name) or self._passes.get(old.name)
        batch, path = (gate_pass.batch, gate_pass.path) if gate_pass else ("", "")
        body = {"tag": tag, "old": str(old), "new": str(new), "reason": reason}
        self._note(Kind.OWNER_CHANGED, ENGINE, body, batch, path)

    def _note(self, kind: Kind, origin: Origin, body: Mapping[str, Any], batch: str, path: str) -> None:
        """Journal what is no matter of safety, and must not use up the journal's reserve for it."""
        try:
            self._journal.append(kind, origin, body, batch=batch, path=path)
        except JournalUnavailableError as error:
            _log.error("not journalled", kind=kind.value, body=dict(body), error=str(error))
        except Exception as error:  # noqa: BLE001  (a listener's failure must not keep a unit from its safe state)
            _log.error("a listener of the journal failed", kind=kind.value, exc_info=error)

    def _local_change(self, tag: str, expected: float, read: float) -> None:
        gate_pass = self._passes.get(self._owners.claims(tag).phase)
        batch, path = (gate_pass.batch, gate_pass.path) if gate_pass else ("", "")
        body = {"tag": tag, "expected": expected, "read": read}
        self._journal.append_safety(Kind.LOCAL_CHANGE, Origin(ProcessActor.DEVICE), body, batch=batch, path=path)
        # Not fought: a loop, phase or person has the actuator again when it is commanded again.
        self._modulator.drop([tag])
        self._owners.take_away(tag, "changed at the device")
        self.on_local(self._plant.unit_of(tag), tag, expected, read)

    def _restarted(self, device: str, before: float, after: float) -> None:
        """A controller came back with what it holds for its defaults: nobody owns its actuators any more."""
        reason = f"{device} restarted (start counter {before:g} to {after:g})"
        tags = [tag for tag in self._plant.writes if self._field.device_of(tag) == device]
        units = {self._plant.unit_of(point.tag.name): None for point in self._plant.devices[device].points}
        self._modulator.drop(tags)
        for unit in units:
            changed = self._watch.accept(tag for tag in tags if self._plant.unit_of(tag) == unit)
            body = {
                "device": device,
                "unit": unit,
                "before": before,
                "after": after,
                "changed": [{"tag": tag, "expected": expected, "read": read} for tag, expected, read in changed],
            }
            self._journal.append_safety(Kind.DEVICE_RESTARTED, Origin(ProcessActor.DEVICE), body)
        for tag in tags:
            self._owners.take_away(tag, reason)
        for unit in units:
            self.on_restart(unit, device, reason)


def _floats(values: Mapping[str, float]) -> dict[str, float]:
    return {tag: float(value) for tag, value in values.items()}
