"""The command gate: the only way to a device. It decides who may write, and has every write journalled and proven."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
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
from evcontrol.control.safe import SafeKeeper, SafeReport, SafeRun
from evcontrol.journal.events import ENGINE, Kind, Origin, ProcessActor
from evcontrol.journal.store import Journal, JournalUnavailableError
from evcontrol.plant.model import OnSilence, Plant

__all__ = ["CommandRefusedError", "CommandResult", "Gate", "GatePass", "SafeReport"]

_log = structlog.get_logger(__name__)


class GatePass:
    """The permission of one phase to command its unit; the gate takes it back by revoking it."""

    def __init__(self, gate: Gate, unit: str, name: str, batch: str, path: str) -> None:
        self._gate = gate
        self.unit = unit
        self.name = name
        self.batch = batch
        self.path = path
        self.valid = True
        self.allowed: list[str] = []

    async def write(self, values: Mapping[str, float], why: str) -> CommandResult:
        """Command tags of the unit as one group; the caller decides what REJECTED or UNKNOWN means for it.

        Ends when every value is read back and every actuator has arrived. Raises CommandRefusedError. A caller that is
        cancelled does not stop a write under way: its outcome is journalled.
        """
        return await self._gate.write_as(self, values, why)

    def allow(self, tag: str, value: float) -> None:
        """Say that the device may set the tag to ``value`` by itself (a dose that stops itself): no local change.

        Holds until the pass is revoked.
        """
        if self.valid:
            self.allowed.append(tag)
            self._gate.allow(tag, value)


@dataclass(slots=True)
class _UnitState:
    mode: Mode = Mode.AUTOMATIC
    held: bool = False
    locks: dict[str, None] = field(default_factory=dict)
    passes: list[GatePass] = field(default_factory=list)
    run: SafeRun | None = None
    reaching: asyncio.Task[SafeReport] | None = None
    guardian: asyncio.Task[None] | None = None


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
        self._watch = LocalWatch(self._field, self._local_change)
        self._locks: dict[str, asyncio.Lock] = {device: asyncio.Lock() for device in plant.devices}
        self._modulator = Modulator(self._field, self._watch, self._locks.__getitem__, self._may_modulate)
        self._safe = SafeKeeper(self._field, journal, self._watch)
        self._units = {unit: _UnitState() for unit in plant.units}
        self._passes: dict[str, GatePass] = {}
        self._groups: set[Group] = set()
        self._active: dict[str, Group] = {}
        self._local: set[str] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.on_local: Callable[[str, str, float, float], None] = lambda unit, tag, expected, read: None

    # -- phases ----------------------------------------------------------------------------------------------------

    def admit(self, unit: str, name: str, batch: str, path: str) -> GatePass:
        """Let a phase command a unit; KeyError for an unknown unit."""
        gate_pass = GatePass(self, unit, name, batch, path)
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

    async def write_as(self, gate_pass: GatePass, values: Mapping[str, float], why: str) -> CommandResult:
        """What :meth:`GatePass.write` does."""
        request = Request(
            gate_pass.unit, dict(values), Origin(ProcessActor.PHASE), why, gate_pass.batch, gate_pass.path
        )
        self._permit(request, lambda tag, value: self._forbids_phase(gate_pass, tag, value))
        for tag in values:
            claims = self._owners.claims(tag)
            displaced = "" if claims.loop else None  # only a value towards safety gets past a loop
            self._owners.claim(tag, why, phase=gate_pass.name, loop=displaced)
        return await self._start(request, lambda tag, value: self._forbids_phase(gate_pass, tag, value))

    def allow(self, tag: str, value: float) -> None:
        """What :meth:`GatePass.allow` does."""
        self._watch.allow(tag, value)

    # -- people ----------------------------------------------------------------------------------------------------

    async def command(self, tag: str, value: float, origin: Origin, why: str) -> CommandResult:
        """A manual command by a person, who owns the tag until the unit is automatic again.

        Raises CommandRefusedError: in automatic mode, and for whatever else forbids the value.
        """
        request = Request(self._plant.unit_of(tag), {tag: value}, origin, why)
        self._permit(request, self._forbids_person)
        self._owners.claim(tag, why, operator=origin.actor)
        return await self._start(request, self._forbids_person)

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
        locks = self._units[self._plant.unit_of(tag)].locks
        return Holder(Owner.INTERLOCK, next(iter(locks))) if locks else self._owners.holder(tag)

    # -- loops -----------------------------------------------------------------------------------------------------

    def grant(self, tag: str, loop: str) -> None:
        """Give a tag to a loop, in place of the phase that asked for it. CommandRefusedError when it cannot have it."""
        unit = self._plant.unit_of(tag)
        state = self._units[unit]
        claims = self._owners.claims(tag)
        refusal = ""
        if tag not in self._plant.writes:
            refusal = f"{tag} cannot be written"
        elif state.held:
            refusal = _held(unit)
        elif state.locks:
            refusal = _locked(unit, state)
        elif claims.operator:
            refusal = f"{tag} is held by {claims.operator}; return {unit} to automatic first"
        elif claims.loop and claims.loop != loop:
            refusal = f"{tag} is held by loop {claims.loop}; stop that loop first"
        if refusal:
            raise CommandRefusedError(f"loop {loop}: {refusal}")
        self._local.discard(tag)
        self._owners.claim(tag, f"loop {loop} started", loop=loop)

    def release(self, tag: str) -> None:
        """Take a tag back from its loop; the value stays where it is."""
        self._modulator.drop([tag])
        self._owners.release_loops([tag], "the loop stopped")

    def modulate(self, tag: str, value: float, loop: str) -> None:
        """Keep a loop's output for the next flush, held to the tag's range; ignored unless the loop owns the tag."""
        spec = self._plant.writes[tag]
        if self._owners.holder(tag) != Holder(Owner.LOOP, loop) or not math.isfinite(value):
            return
        value = min(spec.high, max(spec.low, value))
        if self._may_modulate(tag, value):
            self._modulator.put(tag, value)

    async def flush_modulating(self) -> None:
        """Send the loops' latest outputs: one write per device, none waited for (a task after each scan)."""
        self._modulator.flush()

    async def feed(self) -> None:
        """Feed the watchdog of every READY device, none waited for (a task after each scan)."""
        self._modulator.feed()

    # -- interlocks and the safe state -----------------------------------------------------------------------------

    def lock(self, unit: str, interlock: str) -> None:
        """A tripped interlock forbids anything but the unit's safe values."""
        self._units[unit].locks[interlock] = None

    def unlock(self, unit: str, interlock: str) -> None:
        """The interlock is reset."""
        self._units[unit].locks.pop(interlock, None)

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

    def is_safe_held(self, unit: str) -> bool:
        """Whether only safe values may be written to the unit."""
        return self._units[unit].held

    def on_scan(self, scan: Scan) -> None:
        """A stage of the scan: see what was changed by somebody else."""
        self._watch.look()

    async def close(self) -> None:
        """End all tasks; commands under way end with their outcome journalled."""
        for group in list(self._groups):
            group.overtake("the engine stopped")
        for state in self._units.values():
            for task in (state.reaching, state.guardian):
                if task is not None:
                    task.cancel()
        await self._modulator.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- the rules -------------------------------------------------------------------------------------------------

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

    def _forbids_phase(self, gate_pass: GatePass, tag: str, value: float) -> str:
        unit = gate_pass.unit
        if not gate_pass.valid:
            return f"{tag}: {gate_pass.name} may not command {unit} any more"
        if self._plant.unit_of(tag) != unit:
            return f"{tag} is not a tag of {unit}, which {gate_pass.name} may command"
        return self._forbids_value(tag, value, lambda: self._forbids_phase_now(gate_pass, tag))

    def _forbids_phase_now(self, gate_pass: GatePass, tag: str) -> str:
        unit = gate_pass.unit
        if self._units[unit].mode is Mode.MANUAL:
            return f"{tag}: {unit} is in manual mode; return it to automatic first"
        claims = self._owners.claims(tag)
        if claims.operator:
            return f"{tag} is held by {claims.operator}; return {unit} to automatic first"
        if claims.loop:
            return f"{tag} is held by loop {claims.loop}; stop that loop first"
        if claims.phase and claims.phase != gate_pass.name:
            return f"{tag} is held by {claims.phase}; wait until that phase has ended"
        return ""

    def _forbids_person(self, tag: str, value: float) -> str:
        unit = self._plant.unit_of(tag)
        if unit in self._units and self._units[unit].mode is Mode.AUTOMATIC:
            return f"{tag}: {unit} is in automatic mode; set it to manual or semi-automatic first"
        return self._forbids_value(tag, value, lambda: "")

    def _forbids_value(self, tag: str, value: float, forbids_now: Callable[[], str]) -> str:
        """What forbids a value to anybody; a safe value is never forbidden by what goes on in the unit."""
        unit = self._plant.unit_of(tag)
        if tag not in self._plant.writes or unit not in self._units:
            return f"{tag} is not a tag that can be written"
        misfit = self._field.misfit(tag, value)
        if misfit or self._field.safe_values(unit).get(tag) == value:
            return misfit
        state = self._units[unit]
        if self._is_harmless_button(tag):
            return forbids_now()
        if state.held:
            return f"{tag}: {_held(unit)}"
        if state.locks:
            return f"{tag}: {_locked(unit, state)}"
        return forbids_now()

    def _is_harmless_button(self, tag: str) -> bool:
        """Whether the tag clears itself and moves nothing: the reset of a device's trips is needed while held."""
        return self._field.clears_itself(tag) and self._plant.writes[tag].on_silence is OnSilence.STAYS

    def _may_modulate(self, tag: str, value: float) -> bool:
        unit = self._plant.unit_of(tag)
        state = self._units[unit]
        if state.held or tag in self._local or self._owners.holder(tag).owner is not Owner.LOOP:
            return False
        return not state.locks or self._field.safe_values(unit).get(tag) == value

    # -- work ------------------------------------------------------------------------------------------------------

    async def _start(self, request: Request, forbids: Callable[[str, float], str]) -> CommandResult:
        group = Group(request, self._field, self._journal, self._watch, self._locks.__getitem__, forbids, self._active)
        self._groups.add(group)
        self._local.difference_update(request.values)
        task = group.start()
        self._keep(task)
        task.add_done_callback(lambda _: self._groups.discard(group))
        return await asyncio.shield(task)

    def _clear_for_safety(self, unit: str, state: _UnitState, why: str) -> None:
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

    async def _make_safe(self, state: _UnitState, run: SafeRun) -> SafeReport:
        report = await self._safe.reach(run)
        if not report.complete:
            state.guardian = self._spawn(self._safe.guard(run), f"guard {run.unit}")
        self._spawn(self._flush_later(), "flush")
        return report

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
        gate_pass = self._passes.get(self._owners.claims(tag).phase)
        batch, path = (gate_pass.batch, gate_pass.path) if gate_pass else ("", "")
        body = {"tag": tag, "old": str(old), "new": str(new), "reason": reason}
        self._note(Kind.OWNER_CHANGED, ENGINE, body, batch, path)

    def _note(self, kind: Kind, origin: Origin, body: Mapping[str, Any], batch: str, path: str) -> None:
        """Journal what is no matter of safety, and must not use up the journal's reserve for it."""
        try:
            self._journal.append(kind, origin, body, batch=batch, path=path)
        except JournalUnavailableError as error:
            _log.error("not journalled", kind=kind.value, reason=str(error), **body)

    def _local_change(self, tag: str, expected: float, read: float) -> None:
        self._local.add(tag)
        gate_pass = self._passes.get(self._owners.claims(tag).phase)
        batch, path = (gate_pass.batch, gate_pass.path) if gate_pass else ("", "")
        body = {"tag": tag, "expected": expected, "read": read}
        self._journal.append_safety(Kind.LOCAL_CHANGE, Origin(ProcessActor.DEVICE), body, batch=batch, path=path)
        self.on_local(self._plant.unit_of(tag), tag, expected, read)


def _held(unit: str) -> str:
    return f"{unit} is held in its safe state; restart the batch or release the unit first"


def _locked(unit: str, state: _UnitState) -> str:
    return f"interlock {', '.join(state.locks)} of {unit} is tripped; remove its cause and reset it first"
