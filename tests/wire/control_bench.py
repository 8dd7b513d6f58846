"""Simulators and an engine with a person at its command, and where the actuators really stand at the simulators."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evcontrol.api.client import ApiError
from evcontrol.plant.model import Plant
from tests.wire.processes import BOUND_S, Processes

STEP_S = 0.02
NEAR: Mapping[str, float] = {"TFF201.PCV101_SP": 1.0, "BR101.AGIT_SP": 2.0}
"""How far an actuator that is where it should be may stand from it."""


class ControlBench(Processes):
    """The engine is that of :mod:`tests.wire.faulty_serve`."""

    async def _start(self, *arguments: str) -> asyncio.subprocess.Process:
        module = "tests.wire.faulty_serve" if arguments[0] == "serve" else "evcontrol.cli.main"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def inject(self, **what: Any) -> None:
        """Let something be so inside the engine from its next scan on."""
        file = self.data / "run" / "inject.json"
        new = file.with_suffix(".new")
        new.write_text(json.dumps(what), encoding="utf-8")
        new.replace(file)

    async def by_hand(self, commands: Mapping[str, float]) -> None:
        """Take the units in hand and command their actuators."""
        for unit in {tag.partition(".")[0] for tag in commands}:
            await self.client.change_mode(unit, "manual", "test")
        for tag, value in commands.items():
            reply = await self.client.command_tag(tag, value, "test")
            assert reply.outcome == "confirmed", reply

    async def begin(self, kind: str, **fields: Any) -> int:
        """Cause a fault at the simulators."""
        return int(await self.order({"do": "begin", "fault": {"kind": kind} | fields}))

    async def reset(self, interlock: str) -> None:
        """Reset an interlock as soon as that is not refused."""
        async with asyncio.timeout(BOUND_S):
            while True:
                try:
                    await self.client.reset_interlock(interlock, "test")
                except ApiError:
                    await asyncio.sleep(0.2)
                else:
                    return

    async def until_at(self, wanted: Mapping[str, float], bound_s: float = BOUND_S) -> float:
        """Wait until actuators stand so at the simulators; the simulators' process time of then, s."""
        missing: dict[str, Any] = {}
        try:
            async with asyncio.timeout(bound_s):
                while True:
                    truth = await self.truth()
                    now = actuators(truth)
                    missing = {
                        tag: (now[tag], v) for tag, v in wanted.items() if abs(now[tag] - v) > NEAR.get(tag, 0.0)
                    }
                    if not missing:
                        return float(truth["time_s"])
                    await asyncio.sleep(STEP_S)
        except TimeoutError:
            raise AssertionError(f"not there within {bound_s} s (is, should be): {missing}") from None


def actuators(truth: Mapping[str, Any]) -> dict[str, float]:
    """Where every actuator stands, by the tag that commands it."""
    found = {
        f"TFF201.{name}{'_SP' if name in ('P101', 'P102', 'PCV101') else ''}": float(value)
        for name, value in truth["actuators"].items()
    }
    if "BR101" not in truth:
        return found
    controller, station = (truth["BR101"][part]["actuators"] for part in ("controller", "station"))
    found |= {f"BR101.{'AGIT_SP' if name == 'AGIT' else name}": float(v) for name, v in controller.items()}
    selectors = ("MED_FROM", "HARV_TO")
    return found | {f"BR101.{name if name in selectors else f'{name}_SP'}": float(v) for name, v in station.items()}


def safe_values(
    plant: Plant, unit: str, content: str = "default", trip: Mapping[str, float] | None = None
) -> dict[str, float]:
    """The unit's safe state as the plant file has it, with the values of a trip before it."""
    return {**plant.units[unit].safe_states[content], **(trip or {})}


def in_data(data: Path) -> Path:
    """A data directory of its own."""
    return data / "data"
