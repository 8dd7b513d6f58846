"""Whatever happens to a connection, in any order, its promises hold."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.connection import (
    LinkLostError,
    LinkRefusedError,
    NotSentError,
    Urgency,
)
from tests.drivers.connecting import TIMEOUT_S, Device, on_device

STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["ask", "here", "write", "silence", "talk", "cut", "refuse", "allow", "close", "open", "drop", "cancel"]
        ),
        st.floats(0.0, 0.7),
    ),
    max_size=25,
)


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_whatever_happens_every_request_ends_in_time_is_sent_once_at_most_and_the_link_comes_back(
    steps: list[tuple[str, float]],
) -> None:
    async def test(device: Device) -> None:
        device.connection.start()
        asked: list[asyncio.Task[str]] = []
        for number, (what, after_s) in enumerate(steps):
            match what:
                case "ask":
                    asked.append(asyncio.create_task(_bounded(device, f"{number}", Urgency.READ, outcome=False)))
                case "here":
                    asked.append(asyncio.create_task(_here(device, f"{number}")))
                case "write":
                    asked.append(asyncio.create_task(_bounded(device, f"{number}", Urgency.WRITE, outcome=True)))
                case "cancel":
                    for task in asked[-1:]:
                        task.cancel()
                case "silence":
                    device.takes_s = None
                case "talk":
                    device.takes_s = 0.1
                case "cut":
                    for line in device.lines[-1:]:
                        if not line.lost.done():
                            line.lost.set_result("cut")
                case "refuse":
                    device.handshake_error = LinkRefusedError("no")
                case "allow":
                    device.handshake_error = None
                case "close":
                    device.open_error = ConnectionRefusedError(111, "x")
                case "open":
                    device.open_error = None
                case "drop":
                    device.connection.drop("asked for")
            await device.clock.sleep(after_s)
        device.takes_s, device.handshake_error, device.open_error = 0.0, None, None
        if asked:
            await asyncio.wait(asked)
        assert all(task.cancelled() or task.exception() is None for task in asked)
        await device.clock.sleep(10.0)
        assert device.connection.ready
        assert await device.ask("last") == "last answered"
        assert device.most_under_way <= 1
        assert len(set(device.received)) == len(device.received)
        assert all(line.closed for line in device.lines[:-1])

    on_device(test)


async def _here(device: Device, name: str) -> str:
    begun = device.clock.monotonic()
    try:
        return await device.ask_here(name)
    except (NotSentError, LinkLostError) as error:
        return type(error).__name__
    finally:
        assert device.clock.monotonic() - begun <= TIMEOUT_S + 1e-6


async def _bounded(device: Device, name: str, urgency: Urgency, *, outcome: bool) -> str:
    begun = device.clock.monotonic()
    try:
        return await device.ask(name, urgency, outcome=outcome)
    except (NotSentError, LinkLostError) as error:
        if isinstance(error, NotSentError):
            assert name not in device.received
        return type(error).__name__
    finally:
        assert device.clock.monotonic() - begun <= TIMEOUT_S * (2 if outcome else 1) + 1e-6
