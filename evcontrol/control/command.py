"""One group of discrete commands: intent journalled, written, read back, outcome journalled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from drivers.driver import Outcome, WriteResult
from evcontrol.control.field import Field, Sight
from evcontrol.control.local import LocalWatch
from evcontrol.journal.events import Kind, Origin
from evcontrol.journal.store import Journal, JournalUnavailableError

READ_BACK_S = 2.0
"""Real time for which a write is read back, and at least READ_BACK_SCANS scans."""
READ_BACK_SCANS = 3
SETTLE_S = 5.0
"""Longest real time in which an unknown write is settled by reading back."""
NO_SCAN_S = 10.0
"""Real time after which a read-back is given up because no scan comes."""
STEP_S = 0.5


class CommandRefusedError(Exception):
    """A command that is not allowed now; one line with what to do about it."""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The worst outcome of a group of commands, why, and what each tag reads now (None = no good reading)."""

    outcome: Outcome
    reason: str
    read_back: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Request:
    """Who commands what, and why."""

    unit: str
    values: Mapping[str, float]
    origin: Origin
    why: str
    batch: str = ""
    path: str = ""


@dataclass(slots=True)
class _Item:
    tag: str
    value: float
    command: str
    sight: Sight | None = None
    sent: bool = False
    result: WriteResult | None = None
    ended_t: int = 0
    good_since: float | None = None
    good_scans: int = 0
    outcome: Outcome | None = None


_SEVERITY = {Outcome.CONFIRMED: 0, Outcome.REJECTED: 1, Outcome.UNKNOWN: 2}


class Group:
    """Runs one request to its end; :meth:`overtake` ends it early, with its outcome journalled all the same."""

    def __init__(
        self,
        request: Request,
        equipment: Field,
        journal: Journal,
        watch: LocalWatch,
        lock: Callable[[str], asyncio.Lock],
        forbidden: Callable[[str, float], str],
        active: dict[str, Group],
    ) -> None:
        self.request = request
        self._field = equipment
        self._journal = journal
        self._watch = watch
        self._lock = lock
        self._forbidden = forbidden
        self._active = active
        self._items: dict[str, _Item] = {}
        self._reasons: list[str] = []
        self._overtaken = ""
        self._begun = False
        self._task: asyncio.Task[CommandResult] | None = None

    def start(self) -> asyncio.Task[CommandResult]:
        """Run in a task of its own."""
        self._task = asyncio.create_task(self._run(), name=f"command {', '.join(self.request.values)}")
        return self._task

    def overtake(self, reason: str) -> None:
        """End at once: what is not sent is not sent any more."""
        if self._overtaken:
            return
        self._overtaken = reason
        if self._begun and self._task is not None:  # a task cancelled before it began would not even answer
            self._task.cancel()

    def supersede(self, tag: str) -> None:
        """A later command to the tag is about to be sent: stop reading this one back."""
        item = self._items[tag]
        if item.outcome is None:
            self._settle(item, Outcome.UNKNOWN, "overtaken by a later command before it was read back")

    async def _run(self) -> CommandResult:
        if self._overtaken:
            return CommandResult(Outcome.REJECTED, f"not sent: {self._overtaken}", {})
        self._begun = True
        try:
            await self._intend()
            await self._send()
            await self._read_back()
        except asyncio.CancelledError:
            self._abandon(self._overtaken or "the engine stopped")
        except Exception:
            self._abandon("the gate failed")
            raise
        finally:
            for tag, item in self._items.items():
                if item.sent:
                    self._watch.resume(tag)
                if self._active.get(tag) is self:
                    del self._active[tag]
        return await self._result()

    async def _intend(self) -> None:
        try:
            for tag, value in self.request.values.items():
                item = _Item(tag, value, f"C{self._journal.head[0]}")
                self._append_intent(item)
                self._items[tag] = item
            await self._journal.flush()
        except JournalUnavailableError as error:
            for item in self._items.values():
                self._settle(item, Outcome.REJECTED, "not sent: the journal cannot be written")
            raise CommandRefusedError(
                f"{', '.join(self.request.values)}: the journal cannot be written ({error}); "
                "make room on its disk and command again"
            ) from error

    def _append_intent(self, item: _Item) -> None:
        body = {
            "command": item.command,
            "tag": item.tag,
            "value": item.value,
            "unit": self._field.plant.tags[item.tag].unit,
            "previous": self._field.reading(item.tag),
            "why": self.request.why,
            "class": "discrete",
        }
        request = self.request
        self._journal.append(Kind.COMMAND_INTENT, request.origin, body, batch=request.batch, path=request.path)

    async def _send(self) -> None:
        await asyncio.gather(*(self._send_to(device, tags) for device, tags in self._by_device().items()))

    def _by_device(self) -> dict[str, list[str]]:
        return self._field.by_device(tag for tag, item in self._items.items() if item.outcome is None)

    async def _send_to(self, device: str, tags: list[str]) -> None:
        async with self._lock(device):
            items = [self._items[tag] for tag in tags]
            forbidden = next(filter(None, (self._forbidden(item.tag, item.value) for item in items)), "")
            if forbidden:
                for item in items:
                    self._settle(item, Outcome.REJECTED, f"not sent: {forbidden}")
                return
            for item in items:
                self._begin(item)
            results = await self._field.write(device, {item.tag: item.value for item in items})
            for item in items:
                item.result = results[item.tag]
                item.ended_t = self._field.clock.now()

    def _begin(self, item: _Item) -> None:
        earlier = self._active.get(item.tag)
        if earlier is not None:
            earlier.supersede(item.tag)
        self._active[item.tag] = self
        item.sight = Sight(self._field, item.tag, item.value)
        item.sent = True
        self._watch.suspend(item.tag)

    async def _read_back(self) -> None:
        clock = self._field.clock
        start, scans = clock.monotonic(), 0
        while True:
            for item in self._items.values():
                if item.outcome is None and item.result is not None:
                    self._judge(item, item.result, clock.monotonic() - start, scans)
            if all(item.outcome is not None for item in self._items.values()):
                return
            scanned = await self._field.wait_scan(STEP_S)
            scans += scanned
            for item in self._items.values():
                self._look(item, scanned)

    def _look(self, item: _Item, scanned: bool) -> None:
        if item.sight is None or not scanned:
            return
        item.sight.look()
        if item.sight.fresh and self._field.reading(item.tag) is not None:
            item.good_scans += 1
            if item.good_since is None:
                item.good_since = self._field.clock.monotonic()

    def _judge(self, item: _Item, result: WriteResult, elapsed_s: float, scans: int) -> None:
        """Settle the item when what has been read, or the time that has passed, decides it."""
        unknown = result.outcome is Outcome.UNKNOWN
        if result.outcome is Outcome.REJECTED:
            self._settle(item, Outcome.REJECTED, result.reason)
        elif self._field.clears_itself(item.tag):
            self._settle(item, result.outcome, f"{result.reason}; it cannot be read back" if unknown else "")
        elif item.sight is not None and item.sight.fresh and self._field.agrees(item.tag, item.value):
            self._judge_feedback(item, unknown, scans)
        elif self._read_back_over(item, unknown, elapsed_s, scans):
            words = self._field.disagreement(item.tag, item.value)
            before = f"{result.reason}; " if unknown else ""
            if not unknown and self._ended_itself(item):
                self._settle(item, Outcome.CONFIRMED, f"acknowledged, and ended by the device since: {words}")
            elif item.good_scans and self._field.reading(item.tag) is not None:
                self._settle(item, Outcome.REJECTED, f"{before}did not land: {words}")
            else:
                self._settle(item, Outcome.UNKNOWN, f"{before}{words}")

    def _ended_itself(self, item: _Item) -> bool:
        """Whether a dose was over before its setpoint could be read once."""
        allowed = self._watch.allowed(item.tag)
        return allowed is not None and item.good_scans > 0 and self._field.agrees(item.tag, allowed)

    def _judge_feedback(self, item: _Item, unknown: bool, scans: int) -> None:
        trouble = self._field.feedback_trouble(item.tag, item.value)
        within_s = self._field.plant.writes[item.tag].within_s
        if not trouble:
            self._settle(item, Outcome.CONFIRMED, "settled by reading back" if unknown else "")
        elif scans >= READ_BACK_SCANS and (self._field.clock.now() - item.ended_t) / 1e9 >= within_s:
            self._settle(item, Outcome.UNKNOWN, f"the device took it, but {trouble} after {within_s:g} s")

    def _read_back_over(self, item: _Item, unknown: bool, elapsed_s: float, scans: int) -> bool:
        if not unknown:
            return (elapsed_s >= READ_BACK_S and scans >= READ_BACK_SCANS) or elapsed_s >= NO_SCAN_S
        if elapsed_s >= SETTLE_S:
            return True
        good_s = 0.0 if item.good_since is None else self._field.clock.monotonic() - item.good_since
        return good_s >= READ_BACK_S and item.good_scans >= READ_BACK_SCANS

    def _abandon(self, reason: str) -> None:
        for item in self._items.values():
            if item.outcome is not None:
                continue
            if not item.sent:
                self._settle(item, Outcome.REJECTED, f"not sent: {reason}")
            elif item.result is not None and item.result.outcome is Outcome.REJECTED:
                self._settle(item, Outcome.REJECTED, item.result.reason)
            else:
                self._settle(item, Outcome.UNKNOWN, f"not read back: {reason}")

    def _settle(self, item: _Item, outcome: Outcome, reason: str) -> None:
        item.outcome = outcome
        if item.sent and outcome is Outcome.CONFIRMED:
            self._watch.expect(item.tag, item.value)
        elif item.sent and outcome is Outcome.UNKNOWN:
            self._watch.forget(item.tag)
        if reason:
            self._reasons.append(reason if item.tag in reason else f"{item.tag}: {reason}")
        body = {
            "command": item.command,
            "tag": item.tag,
            "outcome": outcome.value,
            "reason": reason,
            "read_back": self._field.reading(item.tag),
        }
        request = self.request
        # From the journal's reserve if need be: what happened at the device must not be lost.
        self._journal.append_safety(Kind.COMMAND_OUTCOME, request.origin, body, batch=request.batch, path=request.path)

    async def _result(self) -> CommandResult:
        try:
            await self._journal.flush()
        except JournalUnavailableError as error:
            self._reasons.append(f"the journal cannot be written ({error})")
        outcomes = [item.outcome for item in self._items.values() if item.outcome is not None]
        worst = max(outcomes, key=lambda outcome: _SEVERITY[outcome], default=Outcome.REJECTED)
        read_back = {tag: self._field.reading(tag) for tag in self._items}
        return CommandResult(worst, "; ".join(self._reasons), read_back)
