"""Software interlocks: conditions that trip a unit to its safe state and keep it there until a person resets them.

They come on top of the devices' own trips, never instead of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from evcontrol.acquisition.image import ProcessImage
from evcontrol.acquisition.scan import Scan
from evcontrol.clock import NS, Clock
from evcontrol.control.gate import Gate
from evcontrol.expression import Condition, Resolve, Symbol, compile_condition
from evcontrol.journal.events import Kind, Origin, ProcessActor
from evcontrol.journal.store import Journal
from evcontrol.plant.model import InterlockSpec, Plant

INTERLOCK = Origin(ProcessActor.INTERLOCK)


class ResetRefusedError(Exception):
    """An interlock that cannot be reset now; one line that says why."""


class BypassRefusedError(Exception):
    """A bypass that cannot be; one line that says why."""


@dataclass(frozen=True, slots=True)
class Bypass:
    """Until when an interlock does not trip (process time, UTC ns), who wanted that, and why."""

    until: int
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class InterlockState:
    """How an interlock stands.

    ``since`` is the process time (UTC ns) of the trip, 0 when not tripped. ``first_out`` stays until all interlocks of
    the unit are reset. ``watching`` is false while ``only_while`` is not true. ``passed`` is what would have tripped it
    if it were not bypassed.
    """

    spec: InterlockSpec
    tripped: bool
    cause: str
    since: int
    first_out: bool
    watching: bool
    bypass: Bypass | None = None
    passed: str = ""


class Interlocks:
    """All interlocks of a plant.

    ``evaluate`` is a stage of the scan; a trip locks the unit's actuators at the gate, is journalled from reserved
    space, and is handed to ``on_trip(spec, cause)``, whose owner starts the safe state: the stage itself never waits.
    """

    def __init__(self, plant: Plant, image: ProcessImage, gate: Gate, journal: Journal, clock: Clock) -> None:
        self._image = image
        self._gate = gate
        self._journal = journal
        self._clock = clock
        self._interlocks = {name: _Interlock(spec, plant.symbols) for name, spec in plant.interlocks.items()}
        self._first_trip: dict[str, int] = {}
        self.on_trip: Callable[[InterlockSpec, str], None] = lambda spec, cause: None
        self.on_release: Callable[[InterlockSpec], None] = lambda spec: None

    def evaluate(self, scan: Scan) -> None:
        """Look at every interlock with the readings of this scan; trip, or release what is not latched."""
        for interlock in self._interlocks.values():
            if interlock.bypass is not None and scan.t >= interlock.bypass.until:
                self._end_bypass(interlock, INTERLOCK, "its time is over")
            cause = interlock.look(self._image.resolve, scan.t)
            if interlock.tripped:
                if not interlock.spec.latched and (interlock.bypass is not None or not interlock.would_trip):
                    self._release(interlock)
                    self._journal.append_safety(Kind.INTERLOCK_RESET, INTERLOCK, _reset_body(interlock, "by itself"))
                    self.on_release(interlock.spec)
            elif interlock.bypass is not None:
                self._pass(interlock, cause)
            elif cause:
                self._trip(interlock, cause, scan.t)

    def states(self) -> list[InterlockState]:
        """Every interlock in the order of the plant file."""
        return [
            InterlockState(i.spec, i.tripped, i.cause, i.since, i.first_out, i.watching, i.bypass, i.passed)
            for i in self._interlocks.values()
        ]

    @property
    def bypassed(self) -> int:
        """How many are bypassed now."""
        return sum([interlock.bypass is not None for interlock in self._interlocks.values()])

    def still_true(self, unit: str) -> list[str]:
        """What stands against resetting the tripped interlocks of a unit, one line each."""
        return [line for i in self._tripped(unit) if (line := i.obstacle(self._image.resolve))]

    async def reset(self, name: str, origin: Origin, reason: str) -> None:
        """Reset one interlock for a person, so that the unit's actuators can be commanded again.

        ResetRefusedError when it is not tripped or would trip again now (outside its ``only_while`` it would not: the
        person may need the actuators to mend the cause); KeyError; JournalUnavailableError, and then it stays tripped.
        """
        interlock = self._interlocks[name]
        if not interlock.tripped:
            raise ResetRefusedError(f"interlock {name} is not tripped")
        if interlock.would_trip and interlock.bypass is None:
            raise ResetRefusedError(f"interlock {name} cannot be reset: {interlock.describe(self._image.resolve)}")
        await self._journal.record(Kind.INTERLOCK_RESET, origin, _reset_body(interlock, reason))
        if interlock.tripped:
            self._release(interlock)
            self.on_release(interlock.spec)

    def may_bypass(self, name: str, duration_s: float) -> InterlockSpec:
        """The interlock, if it may be bypassed for so long now; KeyError, BypassRefusedError."""
        interlock = self._interlocks[name]
        longest = interlock.spec.bypass_longest_s
        if not longest:
            raise BypassRefusedError(f"interlock {name} may not be bypassed (the plant file gives no bypass_longest)")
        if not 0.0 < duration_s <= longest:
            raise BypassRefusedError(f"interlock {name} may be bypassed for {longest:g} s at most; ask for less")
        if interlock.bypass is not None:
            raise BypassRefusedError(f"interlock {name} is bypassed already by {interlock.bypass.by}; end that first")
        return interlock.spec

    async def bypass(self, name: str, until: int, duration_s: float, origin: Origin, reason: str) -> None:
        """Let an interlock not trip until the process time ``until``; what stands tripped stays so until its reset.

        JournalUnavailableError, and then it is not bypassed.
        """
        body = {"interlock": name, "until": until, "duration_s": duration_s, "reason": reason}
        await self._journal.record(Kind.INTERLOCK_BYPASSED, origin, body)
        self._interlocks[name].bypass = Bypass(until, origin.actor, reason)

    def end_bypass(self, name: str, origin: Origin, reason: str) -> None:
        """Let an interlock trip again; KeyError, BypassRefusedError when it is not bypassed."""
        interlock = self._interlocks[name]
        if interlock.bypass is None:
            raise BypassRefusedError(f"interlock {name} is not bypassed")
        self._end_bypass(interlock, origin, reason)

    def restore_bypass(self, name: str, until: int, by: str, reason: str) -> None:
        """Take over a bypass that held when the engine ended; its time went on meanwhile."""
        interlock = self._interlocks[name]
        interlock.bypass = Bypass(until, by, reason)
        if not interlock.spec.bypass_longest_s:
            self._end_bypass(interlock, INTERLOCK, "the plant file does not allow it any more")

    def reset_unit(self, unit: str, origin: Origin, reason: str) -> list[str]:
        """Reset all tripped interlocks of a unit whose batch goes on; all or none.

        Returns one line for each whose condition still holds or is not known, whether or not the actuators are safe
        now: what tripped must be mended before the process goes on. JournalUnavailableError, and then all stay.
        """
        obstacles = self.still_true(unit)
        if obstacles:
            return obstacles
        for interlock in self._tripped(unit):
            self._journal.append(Kind.INTERLOCK_RESET, origin, _reset_body(interlock, reason))
            self._release(interlock)
        return []

    def restore(self, name: str, cause: str, since: int, first_out: bool) -> None:
        """Take over a trip that stood when the engine ended (process time ``since``): locked, not journalled again."""
        interlock = self._interlocks[name]
        interlock.trip(cause, since, first_out)
        if first_out:
            self._first_trip[interlock.spec.unit] = since
        self._gate.lock(interlock.spec.unit, name, interlock.spec.trip, interlock.spec.whole_unit)

    def _trip(self, interlock: _Interlock, cause: str, t: int) -> None:
        spec = interlock.spec
        # Interlocks that trip in one scan cannot be told apart: all of them are first out.
        interlock.trip(cause, t, first_out=self._first_trip.setdefault(spec.unit, t) == t)
        self._gate.lock(spec.unit, spec.name, spec.trip, spec.whole_unit)
        body = {"interlock": spec.name, "cause": cause, "first_out": interlock.first_out}
        self._journal.append_safety(Kind.INTERLOCK_TRIPPED, INTERLOCK, body)
        self.on_trip(spec, cause)

    def _pass(self, interlock: _Interlock, cause: str) -> None:
        """Tell once what would have tripped a bypassed interlock."""
        if cause and not interlock.passed:
            body = {"interlock": interlock.spec.name, "cause": cause}
            self._journal.append_safety(Kind.INTERLOCK_PASSED, INTERLOCK, body)
        interlock.passed = cause

    def _end_bypass(self, interlock: _Interlock, origin: Origin, reason: str) -> None:
        interlock.bypass, interlock.passed = None, ""
        body = {"interlock": interlock.spec.name, "reason": reason}
        self._journal.append_safety(Kind.INTERLOCK_BYPASS_ENDED, origin, body)

    def _release(self, interlock: _Interlock) -> None:
        unit = interlock.spec.unit
        interlock.release()
        self._gate.unlock(unit, interlock.spec.name)
        if not self._tripped(unit):
            self._first_trip.pop(unit, None)
            for other in self._interlocks.values():
                if other.spec.unit == unit:
                    other.first_out = False

    def _tripped(self, unit: str) -> list[_Interlock]:
        return [i for i in self._interlocks.values() if i.tripped and i.spec.unit == unit]


class _Interlock:
    """One interlock: its conditions and its latch."""

    def __init__(self, spec: InterlockSpec, symbols: Mapping[str, Symbol]) -> None:
        self.spec = spec
        self._when: Condition = compile_condition(spec.when, symbols)
        self._while = compile_condition(spec.while_, symbols) if spec.while_ else None
        self._tolerance = round(spec.tolerance_s * NS)
        self._while_seen = self._while is None
        self._holds: bool | None = False
        self._begun = False
        self.watching = False
        self.would_trip = False
        self.tripped = False
        self.cause = ""
        self.since = 0
        self.first_out = False
        self.bypass: Bypass | None = None
        self.passed = ""

    def look(self, resolve: Resolve, now: int) -> str:
        """Take a scan in; the cause when the interlock must trip, else empty.

        While tripped the condition is followed outside ``only_while`` too: the safe state ends most of those.
        """
        self.watching = self._is_watching(resolve, now)
        if not self.watching and not self.tripped:
            self._begin_anew()
            return ""
        self._begun = True
        self._holds = self._when.update(resolve, now)
        self.would_trip = self.watching and self._holds is not False
        if not self.would_trip or not (self._holds or self._unknown_too_long(now)):
            return ""
        return self.describe(resolve)

    def trip(self, cause: str, t: int, first_out: bool) -> None:
        """Set the latch."""
        self.tripped, self.cause, self.since, self.first_out = True, cause, t, first_out
        self._holds, self.would_trip = True, True

    def release(self) -> None:
        """Take the latch away; the condition begins anew."""
        self.tripped, self.cause, self.since = False, "", 0
        self._begin_anew()

    def describe(self, resolve: Resolve) -> str:
        """The condition with the present values; an input without a value is named."""
        text = self._when.describe(resolve)
        if self._when.unknown_since is None:
            return text
        return f"not known for {self.spec.tolerance_s:g} s: {text}" if not self.tripped else f"not known: {text}"

    def obstacle(self, resolve: Resolve) -> str:
        """Why the process that tripped cannot go on, in one line; empty when it can."""
        return "" if self._holds is False or self.bypass is not None else f"{self.spec.name}: {self.describe(resolve)}"

    def _is_watching(self, resolve: Resolve, now: int) -> bool:
        """Unknown counts as true, once the engine has seen it known: before the first readings nothing is watched."""
        if self._while is None:
            return True
        looking = self._while.update(resolve, now)
        self._while_seen = self._while_seen or looking is not None
        return looking is not False and (self._while_seen or self.tripped)

    def _unknown_too_long(self, now: int) -> bool:
        since = self._when.unknown_since
        return since is not None and now - since >= self._tolerance

    def _begin_anew(self) -> None:
        if self._begun:
            self._when = self._when.fresh()
            self._begun = False
        self._holds, self.would_trip = False, False


def _reset_body(interlock: _Interlock, reason: str) -> dict[str, str]:
    return {"interlock": interlock.spec.name, "reason": reason}
