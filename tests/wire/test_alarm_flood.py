"""A flood of a thousand alarms on a live engine: kept, in order, summed up, acknowledged at once, no scan missed."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

from evcontrol.acquisition.scan import Scan
from evcontrol.alarms.figures import changes_of, figures
from evcontrol.alarms.states import AlarmStatus
from evcontrol.clock import NS, LiveClock
from evcontrol.engine import Engine
from evcontrol.journal.events import Kind, Origin
from evcontrol.journal.store import read_events, verify
from evcontrol.plant.load import parse_plant

ALARMS = 1000
LATE_MS = 500.0
"""By how much a scan of a second may come late."""
ANNA = Origin.user("anna", "console-1")
HEAD = """name: A plant of alarms
scan: 1 s
wire_scan: 50 ms
devices: {}
units:
  U: {class: test, content_tag: U.CONTENT, safe_states: {default: {}}, safe_within: 2 s}
tags:
  U.CONTENT: {internal: true, kind: enum, labels: [empty]}
  U.X: {internal: true, low: 0, high: 10000}
alarms:
"""
WORDS = (
    "group: flood, class: product, severity: minor, respond_within: 1 h, "
    "description: d, cause: c, consequence: q, corrective_action: a"
)


def _look(i: int) -> str:
    """Half of them as expressions, half as declared limits."""
    return f"when: U.X > {i}" if i % 2 else f"high: {{tag: U.X, setpoint: '{i}'}}"


def plant_text() -> str:
    return HEAD + "".join(f"  U.A{i:04}: {{{_look(i)}, {WORDS}}}\n" for i in range(ALARMS))


def test_a_thousand_alarms_in_a_second_are_kept_and_acknowledged_and_no_scan_is_missed(tmp_path: Path) -> None:
    asyncio.run(_flood(tmp_path))


async def _flood(tmp_path: Path) -> None:
    engine = Engine(parse_plant(plant_text(), "plant.yaml"), tmp_path, LiveClock())
    scans: list[Scan] = []
    await engine.start()
    engine.image.set_internal("U.X", 0.0)
    await engine.scanner.next_scan()
    engine.scanner.stages.append(scans.append)
    missed = engine.scanner.overruns

    engine.image.set_internal("U.X", float(ALARMS))
    async with asyncio.timeout(60):
        while not all(one.state is AlarmStatus.UNACKNOWLEDGED for one in engine.alarms.states()):
            await engine.scanner.next_scan()
        await engine.journal.flush()
        names = [one.spec.name for one in engine.alarms.states()]
        assert engine.alarms.acknowledge_all(names, ANNA, "seen") == names
        await engine.journal.flush()
        for _ in range(2):
            await engine.scanner.next_scan()
    assert engine.scanner.overruns == missed
    assert {round((b.t - a.t) / NS) for a, b in pairwise(scans)} == {1}
    assert max(scan.late_ms for scan in scans) < LATE_MS
    await engine.stop("the test is over")

    events = [event for event in read_events(tmp_path / "journal") if event.kind is Kind.ALARM_STATE]
    raised, acknowledged = events[:ALARMS], events[ALARMS:]
    assert [event.body["alarm"] for event in raised] == names == [event.body["alarm"] for event in acknowledged]
    assert {event.body["new"] for event in raised} == {"unacknowledged"}
    assert {(event.body["new"], event.actor) for event in acknowledged} == {("acknowledged", "user:anna")}
    assert [event.body["alarm"] for event in raised if event.body["first_out"]] == names[:1]
    assert raised[-1].t - raised[0].t < NS
    told = figures(changes_of(events), raised[0].t, raised[0].t + NS)
    assert (told.raised, told.peak, told.flood_share) == (ALARMS, ALARMS, 1.0)
    assert verify(tmp_path / "journal").intact
