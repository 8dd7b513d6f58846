"""An engine tells by an alarm that the one before it did not stop in order."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from evcontrol.alarms.states import AlarmStatus
from evcontrol.clock import LiveClock
from evcontrol.engine import Engine
from evcontrol.journal.events import ENGINE, Kind
from evcontrol.journal.store import Journal
from evcontrol.plant.load import parse_plant

PLANT = """name: A plant without equipment
scan: 1 s
wire_scan: 50 ms
devices: {}
units:
  U: {class: test, content_tag: U.CONTENT, safe_states: {default: {}}, safe_within: 2 s}
tags:
  U.CONTENT: {internal: true, kind: enum, labels: [empty]}
  SYS.DIED: {internal: true, kind: discrete, labels: ["no", "yes"]}
alarms:
  SYS.DIED:
    state: {tag: SYS.DIED, is: "yes"}
    class: system
    severity: severe
    respond_within: 1 h
    description: d
    cause: c
    consequence: q
    corrective_action: a
"""
START = {
    "version": "0", "plant": "p", "plant_hash": "", "clock": "live", "speed": 1.0, "simulated": False,
    "previous_end": "orderly", "constants": {},
}  # fmt: skip


@pytest.mark.parametrize("died", [True, False])
def test_an_engine_that_died_is_told_by_an_alarm_that_waits_for_a_person(tmp_path: Path, died: bool) -> None:
    journal = Journal(tmp_path / "journal", LiveClock())
    journal.append(Kind.ENGINE_STARTED, ENGINE, START)
    if not died:
        journal.append(Kind.ENGINE_STOPPED, ENGINE, {"reason": "in order"})
    journal.close()
    assert asyncio.run(_last_state(tmp_path, died)) is (AlarmStatus.RETURNED if died else AlarmStatus.NORMAL)


async def _last_state(data: Path, died: bool) -> AlarmStatus:
    """How the alarm stands when it has returned, or after some scans."""
    engine = Engine(parse_plant(PLANT, "plant.yaml"), data, LiveClock())
    await engine.start()
    seen: list[AlarmStatus] = []
    async with asyncio.timeout(60):
        while len(seen) < 3 or (died and seen[-1] is not AlarmStatus.RETURNED):
            await engine.scanner.next_scan()
            seen.append(engine.alarms.states()[0].state)
    await engine.stop("the test is over")
    assert (AlarmStatus.UNACKNOWLEDGED in seen) is died
    return seen[-1]
