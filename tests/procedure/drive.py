"""A phase that moves a skid and has slow transients, and recipes of it, for tests of the supervisor."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import ClassVar

import pytest

from evcontrol.procedure import phase as library
from evcontrol.procedure.phase import Phase

TRANSIENT_S = 2.0
STEPS = 4
RECIPE = """\
recipe: R
version: 1.0.0
product: P
units:
  tff: {class: tff}
procedure:
  - unit_procedure: work
    unit: tff
    steps:
      - operation: first
        steps:
          - parallel: both
            steps:
              - phase: drive
                name: a
              - phase: prompt
                name: b
                with: {text: Do b}
      - operation: second
        steps:
          - phase: drive
            name: c
"""
LEVELS = {
    "procedure": "",
    "unit procedure": "work",
    "operation": "work/first",
    "parallel": "work/first/both",
    "phase": "work/first/both/a",
}


class Drive(Phase):
    """Opens valves and runs the transfer pump for a while, with places where it may be paused."""

    unit_class = "tff"
    actuators: ClassVar = ("XV102", "PCV101_SP", "P102_SP", "INLET")
    hazardous = True
    max_speed = 1.0

    async def running(self) -> None:
        """Move, wait, and move again; everything at rest in a pause and at the end."""
        for _ in range(STEPS):
            await self.context.write("move", INLET="water", P102_SP=20.0, PCV101_SP=40.0, XV102="open")
            await self.context.for_seconds(5.0, "works")
            await self.context.write("rest", P102_SP=0.0, XV102="closed", PCV101_SP=100.0, INLET="none")
            await self.context.pause_point()

    async def restarting(self) -> None:
        """Slow enough to be commanded meanwhile."""
        await self.context.for_seconds(TRANSIENT_S, "restarts")

    async def stopping(self) -> None:
        """Slow enough to be commanded meanwhile."""
        await self.context.for_seconds(TRANSIENT_S, "stops")


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the phase known to recipes as ``drive``."""
    installed = library._entry_points()
    point = EntryPoint("drive", "tests.procedure.drive:Drive", "evcontrol.phases")
    monkeypatch.setattr(library, "_entry_points", lambda: {**installed, "drive": point})
