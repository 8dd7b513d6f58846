"""The rules of the gate: what forbids a phase, a person or a loop to write a value now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from evcontrol.control.field import Field
from evcontrol.control.owner import Mode, Owner, Owners
from evcontrol.control.passes import GatePass
from evcontrol.control.permissives import Permissives
from evcontrol.control.safe import SafeReport, SafeRun
from evcontrol.plant.model import OnSilence, Plant


@dataclass(frozen=True, slots=True)
class Lock:
    """What a tripped interlock holds: the whole unit or only the actuators of ``values``, which have these values."""

    values: Mapping[str, float]
    whole_unit: bool


@dataclass(slots=True)
class UnitState:
    """What goes on in one unit: its mode, what forbids commands, who has a pass, and its way to the safe state."""

    mode: Mode = Mode.AUTOMATIC
    held: bool = False
    locks: dict[str, Lock] = field(default_factory=dict)
    passes: list[GatePass] = field(default_factory=list)
    run: SafeRun | None = None
    reaching: asyncio.Task[SafeReport] | None = None
    guardian: asyncio.Task[None] | None = None
    tripping: dict[str, asyncio.Task[SafeReport]] = field(default_factory=dict)
    """Interlocks that are bringing their own actuators to the values of their trip."""

    def locks_on(self, tag: str) -> list[str]:
        """The tripped interlocks that hold a tag."""
        return [name for name, lock in self.locks.items() if lock.whole_unit or tag in lock.values]


class Rules:
    """Looks and decides; changes nothing. Every reason is one line with what to do about it."""

    def __init__(
        self,
        plant: Plant,
        equipment: Field,
        owners: Owners,
        units: Mapping[str, UnitState],
        permissives: Permissives,
    ) -> None:
        self._plant = plant
        self._field = equipment
        self._owners = owners
        self._units = units
        self._permissives = permissives

    def forbids_phase(self, gate_pass: GatePass, tag: str, value: float) -> str:
        """Why a phase may not write a value; empty when it may."""
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

    def forbids_person(self, tag: str, value: float) -> str:
        """Why a person may not write a value; empty when he may."""
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
            return f"{tag}: {held(unit)}"
        if locks := state.locks_on(tag):
            return f"{tag}: {locked(unit, locks)}"
        return self._permissives.forbids(tag) or forbids_now()

    def _is_harmless_button(self, tag: str) -> bool:
        """Whether the tag clears itself and moves nothing: the reset of a device's trips is needed while held."""
        return self._field.clears_itself(tag) and self._plant.writes[tag].on_silence is OnSilence.STAYS

    def forbids_loop(self, tag: str, loop: str) -> str:
        """Why a loop may not have a tag; empty when it may."""
        if tag not in self._plant.writes:
            return f"{tag} cannot be written"
        unit = self._plant.unit_of(tag)
        state, claims = self._units[unit], self._owners.claims(tag)
        if state.held:
            return held(unit)
        if locks := state.locks_on(tag):
            return locked(unit, locks)
        if claims.operator:
            return f"{tag} is held by {claims.operator}; return {unit} to automatic first"
        if claims.loop and claims.loop != loop:
            return f"{tag} is held by loop {claims.loop}; stop that loop first"
        return self._permissives.forbids(tag)

    def may_modulate(self, tag: str, value: float) -> bool:
        """Whether the output of the loop that owns the tag may go out."""
        unit = self._plant.unit_of(tag)
        state = self._units[unit]
        if state.held or self._owners.holder(tag).owner is not Owner.LOOP:
            return False
        return not state.locks_on(tag) or self._field.safe_values(unit).get(tag) == value


def held(unit: str) -> str:
    """What to do about a unit in its safe state."""
    return f"{unit} is held in its safe state; restart the batch or release the unit first"


def locked(unit: str, locks: Sequence[str]) -> str:
    """What to do about what tripped interlocks hold."""
    return f"interlock {', '.join(locks)} of {unit} is tripped; remove its cause and reset it first"
