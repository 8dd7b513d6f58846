"""``evcontrol serve`` with faults inside of it that a test causes: nothing of this is in the product.

The test writes ``run/inject.json``; from the next scan on it holds: ``{"set": {tag: value}}`` for tags of the engine's
own, ``{"fail": "phase" | "loop" | "driver" | "block"}``. Simulated time runs as fast as asked, with a batch or without.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from drivers.modbus import ModbusDriver
from evcontrol.acquisition.scan import Scan
from evcontrol.cli.main import main
from evcontrol.control.loops import Loops
from evcontrol.engine import Engine
from evcontrol.pace import Limit
from evcontrol.procedure.context import PhaseContext, Rooms

FAULTS = ("phase", "loop", "driver", "block")
BLOCKED_S = 3600.0


class InjectedError(RuntimeError):
    """The fault of the test."""


class _Injection:
    """What the test wants now."""

    def __init__(self) -> None:
        self.file = Path()
        self.now: dict[str, Any] = {}

    def look(self, engine: Engine) -> None:
        self.file = engine.data / "run" / "inject.json"
        if self.file.exists():
            self.now = json.loads(self.file.read_text(encoding="utf-8"))
        for tag, value in self.now.get("set", {}).items():
            engine.image.set_internal(tag, value)
        if self.wants("block"):
            threading.Event().wait(BLOCKED_S)

    def wants(self, what: str) -> bool:
        return self.now.get("fail") == what


INJECTION = _Injection()


def install() -> None:
    """Put the faults in their places."""
    watch, loops, read, make = Engine._watch, Loops.evaluate, ModbusDriver.read, PhaseContext.__init__

    def watched(self: Engine, scan: Scan) -> None:
        INJECTION.look(self)
        watch(self, scan)

    def unlimited(self: Engine) -> Iterable[Limit]:
        return ()

    def evaluated(self: Loops, scan: Scan) -> None:
        if INJECTION.wants("loop"):
            raise InjectedError("in a loop")
        loops(self, scan)

    async def was_read(self: ModbusDriver) -> Any:
        if INJECTION.wants("driver"):
            raise InjectedError("in a driver")
        return await read(self)

    def made(self: PhaseContext, rooms: Rooms, *arguments: Any, **named: Any) -> None:
        async def scanned() -> Scan:
            if INJECTION.wants("phase"):
                raise InjectedError("in a phase")
            return await rooms.next_scan()

        make(self, replace(rooms, next_scan=scanned), *arguments, **named)

    for owner, name, work in (
        (Engine, "_watch", watched),
        (Engine, "_speed_limits", unlimited),
        (Loops, "evaluate", evaluated),
        (ModbusDriver, "read", was_read),
        (PhaseContext, "__init__", made),
    ):
        setattr(owner, name, work)


if __name__ == "__main__":
    install()
    main(sys.argv[1:])
