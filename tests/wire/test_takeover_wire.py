"""Over real sockets: somebody takes the skid over at its panel during a batch, and its controller restarts."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

from evcontrol.journal.events import Kind
from evcontrol.journal.store import read_events
from tests.wire.processes import BOUND_S, Processes

PANEL_RAW, PANEL = 770, 77.0
"""A setpoint of the transfer pump at the panel: the register, and mL/min."""


async def begin(suite: Processes, kind: str, **fields: Any) -> int:
    return int(await suite.order({"do": "begin", "fault": {"kind": kind} | fields}))


async def reason_of(suite: Processes) -> str:
    view = await suite.client.batch(suite.batch)
    return " ".join(element.waiting for element in view.elements if element.waiting)


def test_a_takeover_and_a_restart_are_seen_journalled_and_hold_the_batch(tmp_path: Path) -> None:
    async def story() -> None:
        async with Processes(tmp_path, speed=10.0) as suite:
            await suite.start_batch()
            await suite.until_running("load")
            await suite.until(lambda picture: picture.number("TFF201.P102_SP") not in (None, 0.0))
            taken = await begin(suite, "local_takeover", setpoints={"P102": PANEL_RAW})
            await suite.until_state("Held")
            await suite.until(lambda picture: picture.number("TFF201.P102_SP") == PANEL)
            await suite.until(lambda picture: picture.text("TFF201.REMOTE") == "local")
            # Nothing is written back: what the panel says stands, for as long as the panel has it.
            await asyncio.sleep(1.0)
            await suite.until(lambda picture: picture.number("TFF201.P102_SP") == PANEL)
            await suite.order({"do": "end", "number": taken})
            await suite.until_safe()
            await suite.until(lambda picture: picture.text("TFF201.REMOTE") == "remote")
            starts = suite.picture.number("TFF201.STARTS")
            await begin(suite, "skid_restart")
            await suite.until(lambda picture: picture.number("TFF201.STARTS") not in (starts, None))
            await suite.until(lambda picture: picture.number("SYS.LINK_TFF201_RECONNECTS") == 1)
            suite.engine.send_signal(signal.SIGTERM)
            async with asyncio.timeout(BOUND_S):
                await suite.engine.wait()

    asyncio.run(story())
    events = list(read_events(tmp_path / "journal"))
    change = next(e for e in events if e.kind is Kind.LOCAL_CHANGE and e.body["tag"] == "TFF201.P102_SP")
    assert change.body["read"] == PANEL
    assert change.body["expected"] > 0.0
    assert change.actor == "device"
    assert any(e.kind is Kind.STATE_CHANGED and e.body["new"] == "Held" for e in events)
    [restart] = [e for e in events if e.kind is Kind.DEVICE_RESTARTED]
    assert (restart.body["device"], restart.body["unit"]) == ("TFF201", "TFF201")
    assert restart.body["after"] == restart.body["before"] + 1
    assert restart.seq > change.seq
