"""Forwarding the history to InfluxDB: in order, each reading at least once, and a repeat overwrites itself.

A batch is sent until the server has acknowledged it, and only then is the cursor moved. While the server is away the
history itself is the queue. A batch that the server calls wrong is halved until the wrong line is found; that line is
set aside, and its place in the server is marked.
"""

from __future__ import annotations

import random
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from evcontrol.clock import LiveClock
from evcontrol.history.carry import Answer, Carrier, Verdict
from evcontrol.history.cursor import CURSOR_FILE, Cursor, Item
from evcontrol.history.follow import DAMAGED, Batch, Follower
from evcontrol.history.forward_state import ForwardState, ForwardStatus
from evcontrol.history.line import Lines
from evcontrol.history.target import Target

HISTORY_DIRECTORY = "history"
RATE_WINDOW_S = 5.0
LOOK_S = 0.25
"""Real time between two looks at the history when there was nothing new."""
FIRST_PAUSE_S = 0.25
"""Real time before the second attempt; doubled with each one after it, up to the target's longest."""


class Forwarder:
    """Forwards the history of one data directory to one target; ``on_status`` is told of every change at once.

    Everything runs in the thread that calls :meth:`run`.
    """

    def __init__(
        self,
        data: Path,
        target: Target,
        on_status: Callable[[ForwardStatus], None] = lambda status: None,
    ) -> None:
        self._data = data
        self._target = target
        self._on_status = on_status
        self._clock = LiveClock()
        self._carrier = Carrier(target, self._clock)
        self._marks = Lines(target.plant, target.simulated)
        self._cursor: Cursor | None = None
        self._follower: Follower | None = None
        self._finishing = threading.Event()
        self._failures = 0
        self._sent: deque[tuple[float, int]] = deque()
        self.status = ForwardStatus(ForwardState.STARTING)

    def run(self) -> None:
        """Forward until :meth:`finish` was called and all is sent, or cannot be sent at once."""
        try:
            while self._forward():
                pass
        finally:
            self._carrier.close()
            self._forget()

    def finish(self) -> None:
        """Send what is on the disk and end; from any thread."""
        self._finishing.set()

    # -- one batch after the other -----------------------------------------------------------------------------------

    def _forward(self) -> bool:
        """Forward one batch or wait for one; False when it is over."""
        finishing = self._finishing.is_set()  # before looking: what was kept before the call is on the disk
        try:
            follower, cursor = self._opened()
            batch = follower.next(self._target.batch_lines)
            if damage := self._damage():
                self._tell(reason=damage)
            if batch is None:
                self._tell(oldest=None, quarantined=cursor.quarantined, rate=self._rate(0))
                if not finishing:
                    self._finishing.wait(LOOK_S)
                return not finishing
            self._tell(oldest=next((item.wall for item in batch.items if item.wall), None))
            if not self._send(batch, cursor):
                return False
            cursor.move({batch.file: batch.position})
            follower.done(batch)
        except (sqlite3.Error, OSError) as error:
            # From the position on the disk on, which at worst repeats a batch.
            self._forget()
            return self._failed(_disk_trouble(error))
        return True

    def _opened(self) -> tuple[Follower, Cursor]:
        if self._cursor is None:
            self._cursor = Cursor(self._data / CURSOR_FILE, self._target)
        if self._follower is None:
            self._follower = Follower(
                self._data / HISTORY_DIRECTORY, self._target.plant, self._target.simulated, self._cursor.positions()
            )
        return self._follower, self._cursor

    def _forget(self) -> None:
        if self._follower is not None:
            self._follower.close()
            self._follower = None
        if self._cursor is not None:
            self._cursor.close()
            self._cursor = None

    def _send(self, batch: Batch, cursor: Cursor) -> bool:
        """Send a batch, whatever it takes; False when it was given up because all is to end."""
        for item in batch.items:
            while item.fault and not self._set_aside(item, item.fault, cursor):
                if self._finishing.is_set():
                    return False
        sound = [item for item in batch.items if not item.fault]
        parts = deque([sound] if sound else [])
        while parts:
            part = parts[0]
            answer = self._carrier.send([item.line for item in part])
            if answer.verdict is Verdict.TAKEN:
                parts.popleft()
                self._taken(len(part))
            elif answer.verdict is not Verdict.WRONG:
                if not self._failed(answer):
                    return False
            elif len(part) > 1:
                parts.popleft()
                middle = len(part) // 2
                parts.extendleft([part[middle:], part[:middle]])
            elif self._set_aside(part[0], answer.reason, cursor):
                parts.popleft()
            elif self._finishing.is_set():
                return False
        return True

    def _set_aside(self, item: Item, reason: str, cursor: Cursor) -> bool:
        """Quarantine a line if the server takes a mark in its place; if it does not, the line may not be to blame.

        False when it is to be tried again.
        """
        answer = self._carrier.send([self._marks.quarantined(item.t, f"{item.file} {item.row}", reason)])
        if answer.verdict is not Verdict.TAKEN:
            if answer.verdict is Verdict.WRONG:
                answer = Answer(Verdict.REFUSED, f"the server calls every line wrong: {answer.reason}")
            self._failed(answer)
            return False
        self._taken(0)
        if not item.fault:  # once more, since it may have been the server, which is well again
            answer = self._carrier.send([item.line])
            if answer.verdict is Verdict.TAKEN:
                self._taken(1)
                return True
            if answer.verdict is not Verdict.WRONG:
                self._failed(answer)
                return False
        cursor.quarantine(item, reason)
        self._tell(quarantined=cursor.quarantined, reason=f"set aside {item.file} {item.row}: {reason}")
        return True

    # -- state -------------------------------------------------------------------------------------------------------

    def _taken(self, lines: int) -> None:
        self._failures = 0
        if self.status.state is not ForwardState.FORWARDING:
            self._tell(state=ForwardState.FORWARDING, reason="")
        self._tell(lines=self.status.lines + lines, rate=self._rate(lines))

    def _failed(self, answer: Answer) -> bool:
        """Wait until the next attempt; False when all is to end instead."""
        refused = answer.verdict is Verdict.REFUSED
        state = ForwardState.REFUSED if refused else ForwardState.WAITING
        self._tell(state=state, reason=answer.reason, rate=self._rate(0), errors=self.status.errors + 1)
        step = min(self._target.longest_pause_s, FIRST_PAUSE_S * 2.0 ** min(self._failures, 16))
        self._failures += 1
        spread = random.uniform(0.5, 1.0)  # noqa: S311  (only so that two forwarders do not come at the same time)
        pause = self._target.longest_pause_s if refused else step * spread
        if answer.retry_after_s is not None:
            pause = answer.retry_after_s + step * (1.0 - spread)
        return not self._finishing.wait(pause)

    def _damage(self) -> str:
        damaged = self._follower.damaged if self._follower is not None else []
        return f"damaged and left out: {', '.join(damaged)}" if damaged else ""

    def _rate(self, lines: int) -> float:
        now = self._clock.monotonic()
        self._sent.append((now, lines))
        while self._sent[0][0] < now - RATE_WINDOW_S:
            self._sent.popleft()
        return sum(count for _, count in self._sent) / RATE_WINDOW_S

    def _tell(self, **changes: object) -> None:
        status = replace(self.status, **changes)  # type: ignore[arg-type]
        if status == self.status:
            return
        told = (status.state, status.reason, status.quarantined)
        before = (self.status.state, self.status.reason, self.status.quarantined)
        self.status = status
        if told != before:
            self._on_status(status)


def _disk_trouble(error: Exception) -> Answer:
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGED:
        why = f"{CURSOR_FILE} is damaged ({error}): delete it while no engine runs, and everything is sent again"
        return Answer(Verdict.REFUSED, why)
    return Answer(Verdict.AWAY, f"the local disk: {error}")
