"""The engine's control loops: PID from a tag to actuators or to another loop each scan.

Starts are bumpless, a Bad input takes the failure action and is never integrated. A loop whose output is another loop
sets that one's setpoint (cascade); a ratio's setpoint is a share of another tag; a split range has several actuators.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, Final

from evcontrol.acquisition.image import ProcessImage
from evcontrol.acquisition.scan import Scan
from evcontrol.clock import NS, Clock
from evcontrol.control.gate import CommandRefusedError, Gate
from evcontrol.control.loop import Loop, LoopMode, LoopState
from evcontrol.control.owner import Holder, Owner
from evcontrol.expression import Reading
from evcontrol.journal.events import Kind, Origin, ProcessActor
from evcontrol.journal.store import Journal
from evcontrol.plant.load_loops import SATURATED
from evcontrol.plant.model import FailureAction, LoopAction, LoopSpec, Plant
from evcontrol.plant.split_range import output_for, shares
from evcontrol.quality import BAD, BAD_OUT_OF_SERVICE, GOOD, is_bad, worst
from evcontrol.quality import text as quality_text

LOOP: Final = Origin(ProcessActor.LOOP)
SHOWN: Final = ("_MODE", "_SP", "_OUT", "_SAT")
"""Ends of the names of a loop's own tags, where the plant has them."""
LONG_SCAN: Final = 1.5
"""Times the longest scan of the tuning: a gap beyond it is not integrated over."""


class Loops:
    """All loops of a plant. ``evaluate`` is a stage of the scan, after the interlocks."""

    def __init__(self, plant: Plant, image: ProcessImage, gate: Gate, journal: Journal, clock: Clock) -> None:
        self._plant = plant
        self._image = image
        self._gate = gate
        self._journal = journal
        self._clock = clock
        self._loops = {name: Loop(spec) for name, spec in plant.loops.items()}
        self._shown = [(it, tags) for it in self._loops.values() if any(tags := self._tags_of(it.spec.name))]
        self._in_turn = sorted(self._loops.values(), key=lambda it: -self._depth(it))

    def evaluate(self, scan: Scan) -> None:
        """One step of every loop that runs; one that sets another's setpoint comes before it."""
        for loop in self._in_turn:
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
        if it.master:
            raise CommandRefusedError(f"loop {loop}: {it.master} sets its setpoint: stop that first")
        had = self._owns(it)
        self._take(it, origin, batch, path)
        try:
            self._append(it, setpoint, high, "", origin, batch, path)
        except BaseException:
            if not had:
                self._release(it)
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
        if it.master and setpoint is not None:
            raise ValueError(f"loop {loop}: {it.master} sets its setpoint: stop that first")
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
        self._release(it)
        if it.master:
            it.master = ""  # that one tracks from now on
        body = self._body(it, LoopMode.OFF, it.setpoint, it.limit_high, reason)
        self._journal.append_safety(Kind.LOOP_CHANGED, origin, body, batch=it.batch, path=it.path)

    def stop_unit(self, unit: str, origin: Origin, reason: str) -> None:
        """Switch all loops of a unit off."""
        for name, it in self._loops.items():
            if it.spec.unit == unit:
                self.stop(name, origin, reason)

    def states(self) -> list[LoopState]:
        """Every loop in the order of the plant file."""
        return [it.state for it in self._loops.values()]

    def show(self) -> None:
        """Show mode, setpoint in force, output and saturation of each loop in the plant's tags for it."""
        for it, (mode, working, output, saturated) in self._shown:
            state = it.state
            if mode:
                self._image.set_internal(mode, state.mode.value)
            if saturated:
                self._image.set_internal(saturated, SATURATED[state.saturated])
            for tag, value in ((working, state.working), (output, state.output)):
                if tag:
                    self._image.set_internal(tag, value or 0.0, BAD_OUT_OF_SERVICE if value is None else GOOD)

    def _step(self, it: Loop, t: int) -> None:
        spec = it.spec
        pv, actual, wild = self._image.reading(spec.pv), self._actual(it), self._wild(spec)
        dt, it.last_t = (t - it.last_t) / NS, t
        step = dt if dt <= LONG_SCAN * spec.max_scan_s else spec.max_scan_s
        if not self._owns(it):
            self._enter(it, LoopMode.TRACKING, self._holders(spec))
        elif not _usable(pv) or not _usable(wild):
            bad, reading = (spec.pv, pv) if not _usable(pv) else (spec.ratio_of, wild)
            self._enter(it, LoopMode.FAILED, f"{bad} {quality_text(reading.quality)}")
            self._fail(it)
        elif not _usable(actual):
            self._enter(it, LoopMode.FAILED, f"{spec.drives} {quality_text(actual.quality)}")
        elif not it.runs:
            it.working = pv.value if spec.setpoint_rate > 0 else self._target(it, wild.value)
            it.pid.track(actual.value, pv.value, it.working)
            self._enter(it, LoopMode.CASCADE if it.master else LoopMode.AUTOMATIC, "")
            self._give(it, actual.value)
        else:
            it.advance(self._target(it, wild.value), step)
            low, high = self._limits(it)
            self._give(it, it.pid.update(pv.value, it.working, step, low, high))

    def _fail(self, it: Loop) -> None:
        """Take the failure action; a loop that freezes gives nothing."""
        if it.spec.on_bad is FailureAction.VALUE:
            self._give(it, it.spec.on_bad_value)
        elif it.spec.on_bad is FailureAction.SAFE:
            for tag in it.spec.actuators:
                if (value := self._gate.safe_value(tag)) is not None:
                    self._gate.modulate(tag, value, it.spec.name)

    # -- setpoints and outputs ---------------------------------------------------------------------------------------

    def _target(self, it: Loop, wild: float) -> float:
        if it.master:
            return min(it.spec.setpoint_high, max(it.spec.setpoint_low, it.aim))
        return it.setpoint * wild if it.spec.ratio_of else it.setpoint

    def _wild(self, spec: LoopSpec) -> Reading:
        return self._image.reading(spec.ratio_of) if spec.ratio_of else Reading(1.0, GOOD)

    def _actual(self, it: Loop) -> Reading:
        """Where the output stands now, in the loop's own output unit."""
        spec = it.spec
        if (slave := self._slave(it)) is not None:
            return Reading(slave.working, GOOD) if slave.runs else Reading(0.0, BAD)
        if not spec.split:
            return self._image.reading(spec.output)
        found = {tag: self._image.reading(tag) for tag in spec.actuators}
        quality = worst(reading.quality for reading in found.values())
        if is_bad(quality) or not all(isfinite(reading.value) for reading in found.values()):
            return Reading(0.0, BAD)
        values = {tag: reading.value for tag, reading in found.items()}
        return Reading(output_for(spec.split, values, spec.output_low, it.limit_high), quality)

    def _give(self, it: Loop, value: float) -> None:
        spec = it.spec
        if (slave := self._slave(it)) is not None:
            slave.aim = value
        elif spec.split:
            for tag, share in shares(spec.split, value).items():
                self._gate.modulate(tag, share, spec.name)
        else:
            self._gate.modulate(spec.output, value, spec.name)

    def _limits(self, it: Loop) -> tuple[float, float]:
        """The output's limits now: a loop below that is saturated is not asked for more of the same."""
        low, high, slave = it.spec.output_low, it.limit_high, self._slave(it)
        if it.spec.lead > 0:
            return self._near_feedback(it.spec, low, high)
        if slave is None or slave.pid.saturated == 0:
            return low, high
        up = (slave.pid.saturated > 0) is (slave.spec.action is LoopAction.REVERSE)
        return (low, max(low, slave.working)) if up else (min(high, slave.working), high)

    def _near_feedback(self, spec: LoopSpec, low: float, high: float) -> tuple[float, float]:
        """Limits that keep the output near where the actuator really is (external reset)."""
        feedback = self._image.reading(str(self._plant.writes[spec.output].feedback))
        if not _usable(feedback):
            return low, high
        at = min(high, max(low, feedback.value))
        return max(low, at - spec.lead), min(high, at + spec.lead)

    # -- who owns what -----------------------------------------------------------------------------------------------

    def _tags_of(self, loop: str) -> tuple[str, ...]:
        return tuple(f"{loop}{end}" if f"{loop}{end}" in self._plant.internal else "" for end in SHOWN)

    def _slave(self, it: Loop) -> Loop | None:
        return self._loops.get(it.spec.output)

    def _depth(self, it: Loop) -> int:
        slave = self._slave(it)
        return 0 if slave is None else 1 + self._depth(slave)

    def _take(self, it: Loop, origin: Origin, batch: str, path: str) -> None:
        """Take the actuators, or the loop below, which is started where it stands."""
        slave, name = self._slave(it), it.spec.name
        if slave is None:
            taken: list[str] = []
            try:
                for tag in it.spec.actuators:
                    self._gate.grant(tag, name)
                    taken.append(tag)
            except CommandRefusedError:
                for tag in taken:
                    self._gate.release(tag)
                raise
            return
        if slave.master not in ("", name):
            raise CommandRefusedError(f"loop {name}: {slave.master} sets the setpoint of {slave.spec.name}")
        if slave.mode is LoopMode.OFF:
            pv = self._image.reading(slave.spec.pv)
            if not _usable(pv):
                raise CommandRefusedError(f"loop {slave.spec.name}: {slave.spec.pv} {quality_text(pv.quality)}")
            at = min(slave.spec.setpoint_high, max(slave.spec.setpoint_low, pv.value))
            self.start(slave.spec.name, at, origin, batch=batch, path=path)
            slave.working = at
        slave.master, slave.aim = name, slave.working
        if slave.mode is LoopMode.AUTOMATIC:
            slave.mode = LoopMode.CASCADE

    def _release(self, it: Loop) -> None:
        slave = self._slave(it)
        if slave is None:
            for tag in it.spec.actuators:
                self._gate.release(tag)
        elif slave.master == it.spec.name:
            slave.master = ""
            slave.setpoint = min(slave.spec.setpoint_high, max(slave.spec.setpoint_low, slave.working))
            if slave.mode is LoopMode.CASCADE:
                slave.mode = LoopMode.AUTOMATIC

    def _owns(self, it: Loop) -> bool:
        slave = self._slave(it)
        if slave is not None:
            return slave.master == it.spec.name
        return all(self._gate.holder(tag) == Holder(Owner.LOOP, it.spec.name) for tag in it.spec.actuators)

    def _holders(self, spec: LoopSpec) -> str:
        if spec.output in self._loops:
            return f"{spec.output} is {self._loops[spec.output].mode}"
        own = Holder(Owner.LOOP, spec.name)
        held = {tag: self._gate.holder(tag) for tag in spec.actuators}
        return ", ".join(f"{tag} is in the hands of {holder}" for tag, holder in held.items() if holder != own)

    def _enter(self, it: Loop, mode: LoopMode, note: str) -> None:
        """Change the mode by itself; journalled unless it is the beginning that the start has told of."""
        old, it.mode, it.note = it.mode, mode, note
        if old is not mode and not (old is LoopMode.STARTING and it.runs):
            body = self._body(it, mode, it.setpoint, it.limit_high, note or "in automatic again")
            self._journal.append_safety(Kind.LOOP_CHANGED, LOOP, body, batch=it.batch, path=it.path)

    def _check(self, spec: LoopSpec, setpoint: float, high: float) -> None:
        unit = self._setpoint_unit(spec)
        if not spec.setpoint_low <= setpoint <= spec.setpoint_high:
            limits = f"{spec.setpoint_low:g} to {spec.setpoint_high:g} {unit}".rstrip()
            raise ValueError(f"loop {spec.name}: setpoint {setpoint:g} is outside {limits}")
        if not spec.output_low <= high <= spec.output_high:
            limits = f"{spec.output_low:g} to {spec.output_high:g} {self._output_unit(spec)}".rstrip()
            raise ValueError(f"loop {spec.name}: output limit {high:g} is outside {limits}")
        if self._scan_s() > spec.max_scan_s:
            raise ValueError(
                f"loop {spec.name}: a scan of {self._scan_s():g} s is too long for its tuning (at most "
                f"{spec.max_scan_s:g} s): lower the speed"
            )

    def _setpoint_unit(self, spec: LoopSpec) -> str:
        unit = self._plant.tags[spec.pv].unit
        return f"{unit}/({self._plant.tags[spec.ratio_of].unit})" if spec.ratio_of else unit

    def _output_unit(self, spec: LoopSpec) -> str:
        if spec.split:
            return ""
        return self._plant.tags[self._plant.loops[spec.output].pv if spec.output in self._loops else spec.output].unit

    def _scan_s(self) -> float:
        return max(self._plant.scan_s, self._plant.wire_scan_s * self._clock.speed)

    def _append(
        self, it: Loop, setpoint: float, high: float, reason: str, origin: Origin, batch: str, path: str
    ) -> None:
        mode = LoopMode.AUTOMATIC if it.mode in (LoopMode.OFF, LoopMode.STARTING) else it.mode
        body = self._body(it, mode, setpoint, high, reason)
        self._journal.append(Kind.LOOP_CHANGED, origin, body, batch=batch, path=path)

    def _body(self, it: Loop, mode: LoopMode, setpoint: float, high: float, reason: str) -> Mapping[str, Any]:
        return {
            "loop": it.spec.name,
            "mode": mode.value,
            "setpoint": setpoint,
            "unit": self._setpoint_unit(it.spec),
            "limit_high": high,
            "reason": reason,
        }


def _usable(reading: Reading) -> bool:
    return not is_bad(reading.quality) and isfinite(reading.value)
