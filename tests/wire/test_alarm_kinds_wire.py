"""Declared alarms against the simulated skid: a stuck valve, a program that stands still, a blocked event loop."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from evcontrol.clock import NS
from evcontrol.journal.events import Kind
from tests.api.served import Served, serve

WITHIN_S = 10.0


@pytest.mark.parametrize(
    ("tag", "value", "back", "alarm"),
    [("TFF201.XV102", 1.0, 0.0, "TFF201.XV102_STUCK"), ("TFF201.PCV101_SP", 90.0, 40.0, "TFF201.PCV101_STUCK")],
)
def test_a_stuck_valve_is_an_alarm_within_ten_seconds_and_clears_when_it_comes_free(
    tmp_path: Path, tag: str, value: float, back: float, alarm: str
) -> None:
    async def work(served: Served) -> None:
        process = served.sim.process
        valve = process.permeate_valve if tag == "TFF201.XV102" else process.retentate_valve
        async with served.signed_on() as client:
            await client.change_mode("TFF201", "manual", "the valve is looked at")
            await client.command_tag("TFF201.TRIP_RESET", 1.0, "no engine ran")
            await client.command_tag(tag, value, "does it move")
            assert not served.engine.alarms.is_active(alarm)
            valve.stuck = True
            begun = served.clock.now()
            command = asyncio.create_task(client.command_tag(tag, back, "does it move now"))
            await served.until(lambda: served.engine.alarms.is_active(alarm))
            valve.stuck = False
            await served.until(lambda: not served.engine.alarms.is_active(alarm))
            await command
        mine = [event for event in served.events(Kind.ALARM_STATE) if event.body["alarm"] == alarm]
        raised = next(event for event in mine if event.body["new"] == "unacknowledged")
        assert (raised.t - begun) / NS < WITHIN_S
        assert "does not follow" in raised.body["text"]
        assert mine[-1].body["new"] == "returned"

    serve(tmp_path, work)


def test_a_controller_whose_program_stands_still_is_an_alarm_although_its_link_answers(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        await served.until(lambda: served.engine.image.reading("TFF201.HEARTBEAT_ECHO").value > 0)
        served.sim.skid.step = lambda dt_s: None  # type: ignore[method-assign]
        stands = "TFF201.CONTROLLER_STANDS_STILL"
        await served.until(lambda: served.engine.alarms.is_active(stands))
        assert not served.engine.alarms.is_active("TFF201.LINK_LOST")

    serve(tmp_path, work)


def test_an_event_loop_that_stands_still_is_an_alarm_when_it_goes_on(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        await served.until(lambda: served.engine.scanner.latest.seq > 10)
        threading.Event().wait(1.5)  # what no part of the engine may do
        await served.until(lambda: served.engine.alarms.is_active("SYS.STOOD_STILL"))
        (raised,) = [e for e in served.events(Kind.ALARM_STATE) if e.body["alarm"] == "SYS.STOOD_STILL"]
        assert raised.body["value"] > 1_000.0

    serve(tmp_path, work)
