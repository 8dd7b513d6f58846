"""What a phase sees of the house: its unit's tags, the gate, questions, and progress that survives a crash."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from drivers.driver import Outcome
from evcontrol.acquisition.image import ProcessImage
from evcontrol.acquisition.scan import Scan
from evcontrol.clock import NS, Clock
from evcontrol.control.gate import CommandRefusedError, Gate, GatePass
from evcontrol.control.loops import Loops
from evcontrol.expression import Condition, Reading, Symbol, compile_condition
from evcontrol.journal.events import Kind, Origin, ProcessActor
from evcontrol.journal.replay import ANSWER_KEY, TAG_KEY, PlantView
from evcontrol.journal.store import Journal
from evcontrol.plant.model import Plant
from evcontrol.procedure.prompts import Answer, Prompt, PromptBoard, PromptKind
from evcontrol.quality import is_bad, reason

TOLERANCE_S = 1.0
"""Process time for which an end condition may be unknown before the phase is held."""
RATE_WINDOW_S = 20.0
SLOW_DOWN_S = 1.0
"""Real time before a slower part in which the slower speed is asked for: a change is published half a second ahead."""


class HoldRequiredError(Exception):
    """The phase cannot go on and must be held; the message tells the operator why."""


@dataclass(frozen=True, slots=True)
class Rooms:
    """The rooms that procedures work with."""

    plant: Plant
    image: ProcessImage
    journal: Journal
    gate: Gate
    loops: Loops
    clock: Clock
    next_scan: Callable[[], Awaitable[Scan]]
    view: PlantView
    alarm_active: Callable[[str], bool] = lambda alarm: False


class PhaseContext:
    """One phase of one batch on one unit. Names of tags, actuators and loops are without the unit's name."""

    def __init__(
        self,
        rooms: Rooms,
        prompts: PromptBoard,
        *,
        batch: str,
        path: str,
        unit: str,
        arguments: Mapping[str, Any],
        progress: Mapping[str, Any],
    ) -> None:
        self.rooms = rooms
        self.batch = batch
        self.path = path
        self.unit = unit
        self.arguments = arguments
        self.progress: dict[str, Any] = dict(progress)
        """What was recorded and fsynced: absolute targets, steps done, answers."""
        self.waiting = ""
        """What the phase waits for, for an operator."""
        self.gate_pass: GatePass | None = None
        """Given by the supervisor while the phase may command the unit."""
        self.pause: Callable[[], Awaitable[None]] | None = None
        self.thawed: Callable[[], Awaitable[None]] | None = None
        """Waits while the batch is frozen; given by the supervisor."""
        self.speed_limit = math.inf
        """Highest multiple of real time that the phase bears just now, below that of its class."""
        self.quiet = 0
        """Scans since the phase's work was heard of."""
        self._waits = 0
        self._prompts = prompts
        self._origin = Origin(ProcessActor.PHASE)

    # -- being heard of -----------------------------------------------------------------------------------------------

    def is_heard(self) -> bool:
        """Whether the phase's work was heard of since the last call, to be asked once a scan."""
        self.quiet = 0 if self._waits else self.quiet + 1
        return self.quiet <= 1

    @contextmanager
    def waiting_for_house(self) -> Iterator[None]:
        """While the work waits for something of the house: a scan, a person, the gate, the journal."""
        self._waits += 1
        try:
            yield
        finally:
            self._waits -= 1
            self.quiet = 0

    # -- reading ----------------------------------------------------------------------------------------------------

    def reading(self, tag: str) -> Reading:
        """Value and quality of a tag now."""
        self.quiet = 0
        return self.rooms.image.reading(f"{self.unit}.{tag}")

    def value(self, tag: str) -> float:
        """The value of a tag now, in its unit. Raises HoldRequiredError when it is Bad."""
        value, quality = self.reading(tag)
        if is_bad(quality):
            raise HoldRequiredError(f"{self.unit}.{tag} cannot be read ({reason(quality)})")
        return value

    def constant(self, name: str, unit: str) -> float:
        """A constant of the unit's equipment in ``unit``. Raises HoldRequiredError when the plant file has none."""
        constants = self.rooms.plant.units[self.unit].constants
        if name not in constants:
            raise HoldRequiredError(f"the plant file gives {self.unit} no constant {name!r}")
        return constants[name].to(unit)

    def number(self, name: str) -> float:
        """A number argument in its unit."""
        return float(self.arguments[name])

    def condition(self, text: str) -> Condition:
        """A condition over the unit's tags."""
        plant = self.rooms.plant
        scope: dict[str, Symbol] = {
            tag.partition(".")[2]: symbol for tag, symbol in plant.symbols.items() if plant.unit_of(tag) == self.unit
        }
        return compile_condition(text, scope)

    async def until(
        self,
        condition: str | Condition,
        *,
        tolerance_s: float = TOLERANCE_S,
        unless: Callable[[], bool] = lambda: False,
        show: Callable[[], None] = lambda: None,
    ) -> None:
        """Wait until a condition holds, or ``unless`` does; ``show`` is called each scan.

        Raises HoldRequiredError when the condition stays unknown beyond the tolerance.
        """
        test = self.condition(condition) if isinstance(condition, str) else condition.fresh()
        resolve = self.rooms.image.reading
        while True:
            show()
            now = self.rooms.clock.now()
            state = test.update(resolve, now)
            self.waiting = test.describe(resolve)
            if state or unless():
                self.waiting = ""
                return
            since = test.unknown_since
            if since is not None and now - since >= tolerance_s * NS:
                raise HoldRequiredError(f"unknown for {tolerance_s:g} s: {self.waiting}")
            await self._scan()

    async def until_reaches(
        self,
        tag: str,
        target: float,
        lag_s: float,
        *,
        rising: bool,
        tolerance_s: float = TOLERANCE_S,
        show: Callable[[], None] = lambda: None,
    ) -> None:
        """Wait until a rising (or falling) tag will be past ``target`` in ``lag_s`` seconds (what stopping takes).

        The moment is foreseen from the slope of the last readings, between two scans; ``show`` is called each scan.
        Raises HoldRequiredError when the tag stays Bad for longer than the tolerance.
        """
        unit = self.rooms.plant.tags[f"{self.unit}.{tag}"].unit
        points: deque[tuple[int, float]] = deque()
        good = self.rooms.clock.now()
        while True:
            show()
            value, quality = self.reading(tag)
            now = self.rooms.clock.now()
            if is_bad(quality):
                points.clear()
                if now - good >= tolerance_s * NS:
                    raise HoldRequiredError(f"{self.unit}.{tag} cannot be read ({reason(quality)})")
            else:
                good = now
                t = self.rooms.image.time_of(f"{self.unit}.{tag}")
                if not points or t > points[-1][0]:
                    points.append((t, value))
                while points[-1][0] - points[0][0] > RATE_WINDOW_S * NS:
                    points.popleft()
                self.waiting = f"{tag} {'>=' if rising else '<='} {target:.1f} {unit} (now {value:.1f} {unit})"
                left_s = _seconds_left(points, target, rising) - lag_s - (now - t) / NS
                if left_s <= self.scan_s:
                    await self.rooms.clock.sleep(max(0.0, left_s))
                    self.waiting = ""
                    return
            await self._scan()

    async def for_seconds(self, seconds: float, what: str) -> None:
        """Let so much process time pass."""
        end = self.rooms.clock.now() + round(seconds * NS)
        while (left := (end - self.rooms.clock.now()) / NS) > 0:
            self.waiting = f"{what}: {left:.0f} s left"
            if left <= self.scan_s:
                await self.rooms.clock.sleep(left)
            else:
                end += await self._scan()
        self.waiting = ""

    async def until_time(
        self, end_ns: int, what: str, *, look: Callable[[], None] = lambda: None, then_at_most: float = math.inf
    ) -> None:
        """Let process time pass until ``end_ns`` (UTC ns); ``look`` is called each scan.

        ``then_at_most`` is the highest multiple of real time that is borne afterwards; it holds in time.
        """
        clock = self.rooms.clock
        while (left := (end_ns - clock.now()) / NS) > 0:
            look()
            self.waiting = f"{what}: {_span(left)} left"
            if left <= clock.speed * SLOW_DOWN_S:
                self.speed_limit = min(self.speed_limit, then_at_most)
            if left <= self.scan_s:
                await clock.sleep(left)
            else:
                await self._scan()
        self.waiting = ""

    async def at_most(self, speed: float) -> None:
        """Have process time run at most at this multiple of real time, and wait until it does."""
        self.speed_limit = speed
        clock = self.rooms.clock
        # A faster moment may still lie ahead of the speed that was set last.
        while max([clock.speed, *(ahead for _, ahead in clock.changes_ahead())]) > speed:
            self.waiting = f"process time slows down to {speed:g} times real time"
            await self._scan()
        self.waiting = ""

    # -- commanding -------------------------------------------------------------------------------------------------

    async def write(self, why: str, **values: float | str) -> None:
        """Command actuators as one group; labels as text. Raises HoldRequiredError unless all are confirmed."""
        if self.gate_pass is None:
            raise HoldRequiredError(f"{self.path} has no right to command {self.unit}")
        group = {f"{self.unit}.{name}": self._code(name, value) for name, value in values.items()}
        with self.waiting_for_house():
            if self.thawed is not None:
                await self.thawed()
            self.waiting = why
            try:
                result = await self.gate_pass.write(group, why)
            except CommandRefusedError as refused:
                raise HoldRequiredError(str(refused)) from None
        if result.outcome is not Outcome.CONFIRMED:
            raise HoldRequiredError(f"{why}: {result.outcome}, {result.reason}")
        self.waiting = ""

    def allow(self, actuator: str, value: float) -> None:
        """Say that the device may set an actuator to ``value`` by itself (a dose that stops itself)."""
        if self.gate_pass is not None:
            self.gate_pass.allow(f"{self.unit}.{actuator}", value)

    def start_loop(self, loop: str, setpoint: float) -> None:
        """Put a loop of the unit in automatic, or change its setpoint (in the unit of its process value)."""
        name = f"{self.unit}.{loop}"
        if self.gate_pass is None or not self.gate_pass.valid:
            raise HoldRequiredError(f"{self.path} has no right to command {self.unit}")
        try:
            self.rooms.loops.start(name, setpoint, self._origin, batch=self.batch, path=self.path)
        except (ValueError, CommandRefusedError) as error:
            raise HoldRequiredError(f"{name}: {error}") from None

    def stop_loop(self, loop: str) -> None:
        """Take a loop of the unit out of automatic; its output stays where it is."""
        self.rooms.loops.stop(f"{self.unit}.{loop}", self._origin, "the phase is done with it")

    # -- what lasts ---------------------------------------------------------------------------------------------------

    async def record(self, key: str, value: Any) -> None:
        """Record progress; it is on disk when this returns, and before what it describes is begun."""
        await self.event(Kind.PHASE_PROGRESS, {"key": key, "value": value})
        self.progress[key] = value

    async def once(self, key: str, value: Callable[[], Any]) -> Any:
        """The value recorded under ``key``, or, the first time, ``value()``, recorded."""
        if key not in self.progress:
            await self.record(key, value())
        return self.progress[key]

    async def set_tag(self, tag: str, value: float | str) -> None:
        """Set one of the unit's own tags, such as what the vessel holds; it outlives phase and engine."""
        name = f"{self.unit}.{tag}"
        await self.record(TAG_KEY + name, value)
        self.rooms.image.set_internal(name, value)

    def show_tag(self, tag: str, value: float) -> None:
        """Set one of the unit's own tags for as long as the engine runs (a figure that is worked out anew)."""
        self.rooms.image.set_internal(f"{self.unit}.{tag}", value)

    async def result(self, name: str, value: float | str, unit: str = "") -> None:
        """Put a result into the batch record."""
        body = {"name": name, "value": value, "unit": unit}
        await self.event(Kind.PHASE_RESULT, body)

    async def event(self, kind: Kind, body: Mapping[str, Any]) -> None:
        """Put an event into the batch record."""
        with self.waiting_for_house():
            await self.rooms.journal.record(kind, self._origin, body, batch=self.batch, path=self.path)

    async def ask(
        self,
        key: str,
        kind: PromptKind,
        text: str,
        *,
        unit: str = "",
        low: float | None = None,
        high: float | None = None,
        choices: tuple[str, ...] = (),
        meaning: str = "",
    ) -> Answer:
        """Ask a person, once: an answer that was given is not asked for again after a hold or a crash.

        With a ``meaning`` the answer is a signature: it is taken only with the signer's password.
        """
        if ANSWER_KEY + key in self.progress:
            answered: Answer = self.progress[ANSWER_KEY + key]
            return answered
        prompt = Prompt(
            f"{self.path}:{key}", self.path, kind, text, unit, low, high, choices, meaning, self.rooms.clock.now()
        )
        body = {
            "prompt": prompt.id, "kind": kind, "text": text, "unit": unit,
            "low": low, "high": high, "choices": list(choices), "meaning": meaning,
        }  # fmt: skip
        await self.event(Kind.PROMPT_OPENED, body)
        self.waiting = f"answer to: {text}"
        with self.waiting_for_house():
            answer = await self._prompts.ask(prompt)
        self.waiting = ""
        return answer

    async def pause_point(self) -> None:
        """A place where the phase may wait: goes on at once unless a pause was asked for."""
        if self.pause is not None:
            with self.waiting_for_house():
                await self.pause()

    # -- helpers ------------------------------------------------------------------------------------------------------

    async def _scan(self) -> int:
        """Wait for the next scan, and while the batch is frozen; returns for how long it was (ns of process time)."""
        with self.waiting_for_house():
            await self.rooms.next_scan()
            began = self.rooms.clock.now()
            if self.thawed is not None:
                await self.thawed()
        return self.rooms.clock.now() - began

    @property
    def scan_s(self) -> float:
        """Process time (s) from one scan to the next."""
        plant, clock = self.rooms.plant, self.rooms.clock
        return max(plant.scan_s, plant.wire_scan_s * clock.speed)

    def _code(self, name: str, value: float | str) -> float:
        if not isinstance(value, str):
            return float(value)
        return float(self.rooms.plant.tags[f"{self.unit}.{name}"].labels.index(value))


def _span(seconds: float) -> str:
    """A time as a person says it."""
    if seconds < 600.0:
        return f"{seconds:.0f} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 7200.0 else f"{seconds / 3600.0:.1f} h"


def _seconds_left(points: deque[tuple[int, float]], target: float, rising: bool) -> float:
    """Seconds from the last reading until the target at the present slope.

    0 when two readings are past it (one alone may be a spike), infinite when it is not coming nearer.
    """
    t, value = points[-1]
    missing = target - value if rising else value - target
    if missing <= 0:
        before = points[-2][1] if len(points) > 1 else value
        return 0.0 if (before >= target if rising else before <= target) else float("inf")
    span = (t - points[0][0]) / NS
    if span <= 0:
        return float("inf")
    slope = (value - points[0][1]) / span
    slope = slope if rising else -slope
    return missing / slope if slope > 0 else float("inf")
