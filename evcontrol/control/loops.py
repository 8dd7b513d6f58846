"""The engine's control loops: PID from a tag to an actuator each scan, with bumpless starts and a failure action."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Any, Final

from evcontrol.acquisition.image import ProcessImage
from evcontrol.acquisition.scan import Scan
from evcontrol.clock import NS, Clock
from evcontrol.control.gate import Gate
from evcontrol.control.owner import Holder, Owner
from evcontrol.control.pid import Pid, Tuning
from evcontrol.expression import Reading
from evcontrol.journal.events import Kind, Origin, ProcessActor
from evcontrol.journal.store import Journal
from evcontrol.plant.model import FailureAction, LoopAction, LoopSpec, Plant
from evcontrol.quality import is_bad
from evcontrol.quality import text as quality_text

LOOP: Final = Origin(ProcessActor.LOOP)
LONG_SCAN: Final = 1.5
"""Times the longest scan of the tuning: a gap beyond it is not integrated over."""


class LoopMode(StrEnum):
    """What a loop does now."""

    OFF = "off"
    STARTING = "starting"  # waits for the scan that gives it its first readings
    AUTOMATIC = "automatic"
    FAILED = "failed"  # an input is Bad: the failure action holds
    TRACKING = "tracking"  # the actuator is not the loop's now: the loop follows it


@dataclass(frozen=True, slots=True)
class LoopState:
    """How a loop stands; ``setpoint`` and ``output`` in the units of the tags, None when off or not yet known.

    ``limit_high`` is the highest output allowed now. ``note`` says why a loop is not in automatic.
    """

    spec: LoopSpec
    mode: LoopMode
    setpoint: float | None
    output: float | None
    limit_high: float
    note: str


class Loops:
    """All loops of a plant. ``evaluate`` is a stage of the scan, after the interlocks."""

    def __init__(self, plant: Plant, image: ProcessImage, gate: Gate, journal: Journal, clock: Clock) -> None:
        self._plant = plant
        self._image = image
        self._gate = gate
        self._journal = journal
        self._clock = clock
        self._loops = {name: _Loop(spec) for name, spec in plant.loops.items()}

    def evaluate(self, scan: Scan) -> None:
        """One step of every loop that runs."""
        for loop in self._loops.values():
            if loop.mode is not LoopMode.OFF and scan.t > loop.last_t:
                self._step(loop, scan.t)

    def start(
        self,
        loop: str,
        setpoint: float,
        origin: Origin,
        *,
        batch: str = "",
        path: str = "",
        limit_high: float | None = None,
    ) -> None:
        """Put a loop in automatic from wherever its actuator stands; a running one takes the new values over.

        ``setpoint`` in the unit of the process value, ``limit_high`` the highest output allowed (None = the plant
        file's). ValueError for a value out of range or a scan longer than the tuning allows; CommandRefusedError when
        the gate does not give the actuator; JournalUnavailableError, and then the loop stays as it was.
        """
        it = self._loops[loop]
        high = it.spec.output_high if limit_high is None else limit_high
        self._check(it.spec, setpoint, high)
        had = self._owns(it)
        self._gate.grant(it.spec.output, loop)
        try:
            self._append(it, setpoint, high, "", origin, batch, path)
        except BaseException:
            if not had:
                self._gate.release(it.spec.output)
            raise
        it.batch, it.path = batch, path
        it.setpoint, it.limit_high = setpoint, high
        if it.mode is LoopMode.OFF:
            it.begin(LoopMode.STARTING)

    def change(
        self, loop: str, setpoint: float | None, origin: Origin, reason: str = "", *, limit_high: float | None = None
    ) -> None:
        """Give a running loop another setpoint or output limit (None = as it is); raises as :meth:`start`."""
        it = self._loops[loop]
        if it.mode is LoopMode.OFF:
            raise ValueError(f"loop {loop} does not run: start it first")
        wanted = it.setpoint if setpoint is None else setpoint
        high = it.limit_high if limit_high is None else limit_high
        self._check(it.spec, wanted, high)
        self._append(it, wanted, high, reason, origin, it.batch, it.path)
        it.setpoint, it.limit_high = wanted, high

    def stop(self, loop: str, origin: Origin, reason: str) -> None:
        """Switch a loop off, whatever the journal says; the actuator stays where it is. Nothing when it is off."""
        it = self._loops[loop]
        if it.mode is LoopMode.OFF:
            return
        it.begin(LoopMode.OFF)
        self._gate.release(it.spec.output)
        body = self._body(it, LoopMode.OFF, it.setpoint, it.limit_high, reason)
        self._journal.append_safety(Kind.LOOP_CHANGED, origin, body, batch=it.batch, path=it.path)

    def stop_unit(self, unit: str, origin: Origin, reason: str) -> None:
        """Switch all loops of a unit off."""
        for name, it in self._loops.items():
            if it.spec.unit == unit:
                self.stop(name, origin, reason)

    def states(self) -> list[LoopState]:
        """Every loop in the order of the plant file."""
        return [
            LoopState(
                it.spec,
                it.mode,
                None if it.mode is LoopMode.OFF else it.setpoint,
                it.output if it.mode is LoopMode.AUTOMATIC else None,
                it.limit_high,
                it.note,
            )
            for it in self._loops.values()
        ]

    def _step(self, it: _Loop, t: int) -> None:
        spec = it.spec
        pv, actual = self._image.reading(spec.pv), self._image.reading(spec.output)
        dt, it.last_t = (t - it.last_t) / NS, t
        if not self._owns(it):
            self._enter(it, LoopMode.TRACKING, f"{spec.output} is in the hands of {self._gate.holder(spec.output)}")
        elif not _usable(pv):
            self._enter(it, LoopMode.FAILED, f"{spec.pv} {quality_text(pv.quality)}")
            if spec.on_bad is FailureAction.VALUE:
                self._gate.modulate(spec.output, spec.on_bad_value, spec.name)
        elif not _usable(actual):
            self._enter(it, LoopMode.FAILED, f"{spec.output} {quality_text(actual.quality)}")
        elif it.mode is not LoopMode.AUTOMATIC:
            it.pid.track(actual.value, pv.value, it.setpoint)
            self._enter(it, LoopMode.AUTOMATIC, "")
            self._gate.modulate(spec.output, actual.value, spec.name)
        else:
            step = dt if dt <= LONG_SCAN * spec.max_scan_s else spec.max_scan_s
            output = it.pid.update(pv.value, it.setpoint, step, spec.output_low, it.limit_high)
            self._gate.modulate(spec.output, output, spec.name)

    def _owns(self, it: _Loop) -> bool:
        return self._gate.holder(it.spec.output) == Holder(Owner.LOOP, it.spec.name)

    def _enter(self, it: _Loop, mode: LoopMode, note: str) -> None:
        """Change the mode by itself; journalled unless it is the beginning that the start has told of."""
        old, it.mode, it.note = it.mode, mode, note
        if old is not mode and (old, mode) != (LoopMode.STARTING, LoopMode.AUTOMATIC):
            body = self._body(it, mode, it.setpoint, it.limit_high, note or "in automatic again")
            self._journal.append_safety(Kind.LOOP_CHANGED, LOOP, body, batch=it.batch, path=it.path)

    def _check(self, spec: LoopSpec, setpoint: float, high: float) -> None:
        unit = self._plant.tags[spec.pv].unit
        if not spec.setpoint_low <= setpoint <= spec.setpoint_high:
            limits = f"{spec.setpoint_low:g} to {spec.setpoint_high:g} {unit}".rstrip()
            raise ValueError(f"loop {spec.name}: setpoint {setpoint:g} is outside {limits}")
        if not spec.output_low <= high <= spec.output_high:
            limits = f"{spec.output_low:g} to {spec.output_high:g} {self._plant.tags[spec.output].unit}".rstrip()
            raise ValueError(f"loop {spec.name}: output limit {high:g} is outside {limits}")
        if self._scan_s() > spec.max_scan_s:
            raise ValueError(
                f"loop {spec.name}: a scan of {self._scan_s():g} s is too long for its tuning (at most "
                f"{spec.max_scan_s:g} s): lower the speed"
            )

    def _scan_s(self) -> float:
        return max(self._plant.scan_s, self._plant.wire_scan_s * self._clock.speed)

    def _append(
        self, it: _Loop, setpoint: float, high: float, reason: str, origin: Origin, batch: str, path: str
    ) -> None:
        mode = LoopMode.AUTOMATIC if it.mode in (LoopMode.OFF, LoopMode.STARTING) else it.mode
        body = self._body(it, mode, setpoint, high, reason)
        self._journal.append(Kind.LOOP_CHANGED, origin, body, batch=batch, path=path)

    def _body(self, it: _Loop, mode: LoopMode, setpoint: float, high: float, reason: str) -> Mapping[str, Any]:
        return {
            "loop": it.spec.name,
            "mode": mode.value,
            "setpoint": setpoint,
            "unit": self._plant.tags[it.spec.pv].unit,
            "limit_high": high,
            "reason": reason,
        }


class _Loop:
    """What the engine remembers of one loop."""

    def __init__(self, spec: LoopSpec) -> None:
        self.spec = spec
        self.pid = Pid(_tuning(spec))
        self.mode = LoopMode.OFF
        self.note = ""
        self.setpoint = 0.0
        self.limit_high = spec.output_high
        self.batch = ""
        self.path = ""
        self.last_t = 0

    @property
    def output(self) -> float:
        """The output last sent, in the unit of the output tag."""
        return self.pid.output

    def begin(self, mode: LoopMode) -> None:
        """Enter a mode that was asked for."""
        self.mode, self.note = mode, ""


def _usable(reading: Reading) -> bool:
    return not is_bad(reading.quality) and isfinite(reading.value)


def _tuning(spec: LoopSpec) -> Tuning:
    return Tuning(spec.gain, spec.ti_s, spec.td_s, spec.action is LoopAction.REVERSE, spec.output_rate)
