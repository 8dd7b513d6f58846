"""The connection's state machine in virtual time: states, pauses, who goes first, and what silence means."""

from __future__ import annotations

import asyncio
import socket
from itertools import pairwise

import pytest

from drivers.connection import (
    FIRST_RETRY_S,
    PROBE_AFTER_S,
    REFUSED_RETRY_S,
    RETRY_CAP_S,
    RETRY_JITTER,
    STEADY_S,
    Connection,
    LinkLostError,
    LinkRefusedError,
    NotSentError,
    SilentError,
    Urgency,
    os_error_words,
)
from drivers.driver import Link, LinkState
from evcontrol.clock import VirtualClock, run_virtual
from tests.drivers.connecting import TIMEOUT_S, Device, Line, on_device


def states(device: Device) -> list[tuple[LinkState, str]]:
    return [(link.state, link.reason) for link in device.links]


def test_a_link_goes_from_connecting_to_ready_and_ends_disconnected_when_stopped() -> None:
    async def test(device: Device) -> None:
        assert device.connection.link.state is LinkState.DISCONNECTED
        device.connection.start()
        await device.until(LinkState.READY)
        await device.connection.stop()
        await device.until(LinkState.DISCONNECTED)
        assert states(device) == [
            (LinkState.CONNECTING, "connecting"),
            (LinkState.CONNECTING, "shaking hands"),
            (LinkState.READY, "hello"),
            (LinkState.DISCONNECTED, "stopped"),
        ]
        assert device.lines[0].closed

    on_device(test)


def test_starting_twice_connects_once_and_a_stopped_connection_starts_again() -> None:
    async def test(device: Device) -> None:
        device.connection.start()
        device.connection.start()
        await device.until(LinkState.READY)
        assert len(device.knocks) == 1
        await device.connection.stop()
        await device.connection.stop()
        device.connection.start()
        await device.until(LinkState.READY)
        assert await device.ask("q") == "q answered"

    on_device(test)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionRefusedError(111, "x"), "connection refused"),
        (OSError("no route"), "no route"),
        (LinkLostError("port gone"), "port gone"),
        (
            socket.gaierror(-2, "Name or service not known"),
            "the name of the host is not found: name or service not known",
        ),
    ],
)
def test_a_device_that_cannot_be_reached_is_told_in_words(error: Exception, reason: str) -> None:
    async def test(device: Device) -> None:
        device.open_error = error
        device.connection.start()
        assert (await device.until(LinkState.DISCONNECTED)).reason == reason

    on_device(test)


def test_a_connection_that_does_not_open_is_given_up_after_the_time_out() -> None:
    async def test(device: Device) -> None:
        device.never_opens = True
        device.connection.start()
        link = await device.until(LinkState.DISCONNECTED, TIMEOUT_S + 0.01)
        assert link.reason == "no connection within 0.5 s"

    on_device(test)


def test_pauses_between_attempts_double_up_to_the_cap_and_never_leave_their_jitter() -> None:
    async def test(device: Device) -> None:
        device.open_error = ConnectionRefusedError(111, "x")
        device.connection.start()
        await device.knocked(12)
        pauses = [late - early for early, late in pairwise(device.knocks)]
        for attempt, pause in enumerate(pauses):
            middle = min(RETRY_CAP_S, FIRST_RETRY_S * 2**attempt)
            assert (1 - RETRY_JITTER) * middle - 1e-9 <= pause <= (1 + RETRY_JITTER) * middle + 1e-9
        assert len(set(pauses[-4:])) > 1

    on_device(test)


def test_a_link_that_held_long_begins_again_with_the_short_pause_and_a_flapping_one_does_not() -> None:
    async def test(device: Device) -> None:
        device.connection.start()
        for _ in range(7):
            await device.until(LinkState.READY)
            device.lines[-1].lost.set_result("cut")
            await device.until(LinkState.DISCONNECTED)
        cut = device.clock.monotonic()
        await device.until(LinkState.READY)
        assert device.clock.monotonic() - cut >= (1 - RETRY_JITTER) * RETRY_CAP_S - 1e-9
        await device.clock.sleep(STEADY_S + 0.01)
        device.lines[-1].lost.set_result("cut")
        await device.until(LinkState.DISCONNECTED)
        cut = device.clock.monotonic()
        await device.until(LinkState.READY)
        assert device.clock.monotonic() - cut <= (1 + RETRY_JITTER) * FIRST_RETRY_S + 1e-9

    on_device(test)


def test_a_device_that_refuses_is_asked_again_slowly_and_keeps_its_state_meanwhile() -> None:
    async def test(device: Device) -> None:
        device.handshake_error = LinkRefusedError("the wrong one")
        device.connection.start()
        await device.knocked(3)
        assert [late - early for early, late in pairwise(device.knocks)] == pytest.approx([REFUSED_RETRY_S] * 2)
        assert states(device)[-1] == (LinkState.REFUSED, "the wrong one")
        assert {link.state for link in device.links} == {LinkState.CONNECTING, LinkState.REFUSED}
        with pytest.raises(NotSentError, match="not connected: the wrong one"):
            await device.ask("q")
        assert all(line.closed for line in device.lines)
        device.handshake_error = None
        await device.until(LinkState.READY)

    on_device(test)


class WrongPasswordError(LinkRefusedError):
    pause_s = 10.0
    longest_pause_s = 60.0


def test_where_asking_again_does_harm_the_pause_grows_up_to_its_limit_and_begins_anew_after_a_link() -> None:
    async def test(device: Device) -> None:
        device.handshake_error = WrongPasswordError("who are you?")
        device.connection.start()
        await device.knocked(6, within_s=400.0)
        assert [late - early for early, late in pairwise(device.knocks)] == pytest.approx([10, 20, 40, 60, 60])
        device.handshake_error = None
        await device.until(LinkState.READY, 61.0)
        device.handshake_error = WrongPasswordError("who are you?")
        device.connection.drop("the password was changed")
        await device.until(LinkState.REFUSED)
        knocks = len(device.knocks)
        await device.knocked(knocks + 1)
        assert device.knocks[-1] - device.knocks[-2] == pytest.approx(10)

    on_device(test)


def watched(device: Device) -> None:
    device.connection = Connection(
        device.clock, device._open, device._handshake, TIMEOUT_S, device._on_link, lambda line: line.answer("there?")
    )
    device.connection.start()


def test_a_link_that_nobody_uses_is_probed_and_dropped_when_it_is_silent() -> None:
    async def test(device: Device) -> None:
        watched(device)
        await device.until(LinkState.READY)
        await device.clock.sleep(3 * PROBE_AFTER_S + 0.1)
        assert device.received == ["there?"] * 3
        device.takes_s = None
        link = await device.until(LinkState.DISCONNECTED, PROBE_AFTER_S + TIMEOUT_S + 0.01)
        assert link.reason == "no answer within 0.5 s"
        device.takes_s = 0.0
        await device.until(LinkState.READY)

    on_device(test)


def test_a_link_that_is_used_is_not_probed() -> None:
    async def test(device: Device) -> None:
        watched(device)
        await device.until(LinkState.READY)
        for _ in range(5):
            await device.clock.sleep(PROBE_AFTER_S - 0.1)
            await device.ask("q")
        assert device.received == ["q"] * 5

    on_device(test)


def test_a_probe_that_had_to_wait_for_the_line_is_not_the_last_one() -> None:
    async def test(device: Device) -> None:
        watched(device)
        await device.until(LinkState.READY)
        await device.clock.sleep(PROBE_AFTER_S - 0.05)
        device.takes_s = 0.8 * TIMEOUT_S
        assert await device.ask("q") == "q answered"
        await device.clock.sleep(TIMEOUT_S)
        assert device.received == ["q", "there?"]
        assert device.connection.ready
        device.takes_s = None
        await device.until(LinkState.DISCONNECTED, 2 * PROBE_AFTER_S)

    on_device(test)


def test_a_hand_shake_without_an_answer_closes_the_session() -> None:
    async def test(device: Device) -> None:
        device.handshake_error = SilentError("no answer within 0.5 s")
        device.connection.start()
        assert (await device.until(LinkState.DISCONNECTED)).reason == "hand-shake: no answer within 0.5 s"
        assert device.lines[0].closed

    on_device(test)


def test_nothing_is_sent_without_a_link() -> None:
    async def test(device: Device) -> None:
        with pytest.raises(NotSentError, match="not connected: not started"):
            await device.ask("q")
        assert device.received == []

    on_device(test)


def test_a_silent_device_is_dropped_and_connected_anew_and_its_request_never_repeated() -> None:
    async def test(device: Device) -> None:
        device.connection.start()
        await device.until(LinkState.READY)
        device.takes_s = None
        with pytest.raises(SilentError, match=r"no answer within 0\.5 s"):
            await device.ask("q")
        device.takes_s = 0.0
        await device.until(LinkState.DISCONNECTED)
        await device.until(LinkState.READY)
        assert device.lines[0].closed
        assert device.received == ["q"]
        assert await device.ask("r") == "r answered"

    on_device(test)


def test_requests_go_one_at_a_time_and_the_most_urgent_of_those_that_wait_goes_first() -> None:
    async def test(device: Device) -> None:
        device.connection.start()
        await device.until(LinkState.READY)
        device.takes_s = 0.01
        asked = [device.ask(f"read{i}", Urgency.READ) for i in range(3)]
        asked += [device.ask(f"write{i}", Urgency.WRITE) for i in range(2)]
        asked += [device.ask("beat", Urgency.HEARTBEAT)]
        await asyncio.gather(*asked)
        assert device.received == ["beat", "write0", "write1", "read0", "read1", "read2"]
        assert device.most_under_way == 1

    on_device(test)


def test_what_is_under_way_is_not_overtaken() -> None:
    async def test(device: Device) -> None:
        device.connection.start()
        await device.until(LinkState.READY)
        device.takes_s = 0.1
        read = asyncio.create_task(device.ask("read"))
        await device.clock.sleep(0.05)
        await device.ask("beat", Urgency.HEARTBEAT)
        assert read.done()
        assert device.received == ["read", "beat"]

    on_device(test)


def test_a_request_whose_turn_does_not_come_in_time_is_not_sent() -> None:
    async def test(device: Device) -> None:
        device.connection.start()
        await device.until(LinkState.READY)
        device.takes_s = 0.3
        first = asyncio.create_task(device.ask("first"))
        await asyncio.sleep(0)
        with pytest.raises(NotSentError, match="busy"):
            await device.ask("second", within_s=0.2)
        await first
        await device.clock.sleep(1.0)
        assert device.received == ["first"]

    on_device(test)


def test_a_request_whose_time_is_over_already_is_not_sent() -> None:
    async def test(device: Device) -> None:
        device.connection.start()
        await device.until(LinkState.READY)
        now = asyncio.get_running_loop().time()
        with pytest.raises(NotSentError, match="busy"):
            await device.connection.ask(lambda line: line.answer("late"), Urgency.WRITE, now, outcome=True)
        assert await device.ask("q") == "q answered"
        assert device.received == ["q"]

    on_device(test)


def test_a_write_under_way_is_waited_for_beyond_its_deadline_and_a_read_is_not() -> None:
    async def test(device: Device) -> None:
        device.connection.start()
        await device.until(LinkState.READY)
        device.takes_s = 0.4
        with pytest.raises(SilentError):
            await device.ask("read", within_s=0.1)
        assert await device.ask("write", Urgency.WRITE, outcome=True) == "write answered"
        assert device.connection.link.state is LinkState.READY

    on_device(test)


def test_a_cancelled_asker_does_not_stop_what_is_under_way() -> None:
    async def test(device: Device) -> None:
        device.connection.start()
        await device.until(LinkState.READY)
        device.takes_s = 0.2
        asker = asyncio.create_task(device.ask("q"))
        await device.clock.sleep(0.1)
        asker.cancel()
        await asyncio.wait((asker,))
        assert asker.cancelled()
        assert await device.ask("r") == "r answered"
        assert device.received == ["q", "r"]
        assert len(device.knocks) == 1

    on_device(test)


def test_a_cancelled_asker_that_still_waits_leaves_nothing_to_send() -> None:
    async def test(device: Device) -> None:
        device.connection.start()
        await device.until(LinkState.READY)
        device.takes_s = 0.2
        first = asyncio.create_task(device.ask("first"))
        second = asyncio.create_task(device.ask("second"))
        await device.clock.sleep(0.1)
        second.cancel()
        await first
        await device.clock.sleep(1.0)
        assert device.received == ["first"]

    on_device(test)


def test_stopping_ends_what_is_under_way_as_lost_and_what_waits_as_not_sent() -> None:
    async def test(device: Device) -> None:
        device.connection.start()
        await device.until(LinkState.READY)
        device.takes_s = None
        under_way = asyncio.create_task(device.ask("first", Urgency.WRITE, outcome=True))
        await device.clock.sleep(0.1)
        waiting = asyncio.create_task(device.ask("second", Urgency.WRITE, outcome=True))
        await asyncio.sleep(0)
        await device.connection.stop()
        with pytest.raises(LinkLostError, match="closed before the answer came"):
            await under_way
        with pytest.raises(NotSentError):
            await waiting
        assert device.received == ["first"]

    on_device(test)


def test_a_request_that_fails_by_itself_is_raised_at_its_asker_and_the_link_stays() -> None:
    async def test(device: Device) -> None:
        async def wrong(_line: Line) -> str:
            raise ValueError("mistake")

        device.connection.start()
        await device.until(LinkState.READY)
        with pytest.raises(ValueError, match="mistake"):
            await device.connection.ask(wrong, Urgency.READ, asyncio.get_running_loop().time() + 1)
        assert await device.ask("q") == "q answered"
        assert len(device.knocks) == 1

    on_device(test)


def test_the_owner_can_drop_a_link_for_a_reason_of_its_own() -> None:
    async def test(device: Device) -> None:
        device.connection.start()
        await device.until(LinkState.READY)
        device.connection.drop("restarted")
        assert (await device.until(LinkState.DISCONNECTED)).reason == "restarted"
        await device.until(LinkState.READY)
        assert len(device.lines) == 2

    on_device(test)


def test_the_time_of_a_state_is_when_it_began_not_when_its_reason_changed() -> None:
    async def test(device: Device) -> None:
        device.open_error = OSError("one")
        device.connection.start()
        first = await device.until(LinkState.DISCONNECTED)
        device.open_error = OSError("two")
        await device.knocked(3)
        second = device.connection.link
        assert (first.reason, second.reason) == ("one", "two")
        assert first.since == second.since

    on_device(test)


def test_a_listener_that_fails_is_heard_and_takes_nothing_with_it() -> None:
    heard: list[str] = []

    async def main(clock: VirtualClock) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: heard.append(str(context["exception"])))
        device = Device(clock)

        def fails(_link: Link) -> None:
            raise ValueError("listener")

        connection = Connection(clock, device._open, device._handshake, TIMEOUT_S, fails)
        connection.start()
        await device.knocked(1)
        await asyncio.sleep(0.01)
        assert connection.link.state is LinkState.READY
        await connection.stop()

    run_virtual(main)
    assert heard
    assert set(heard) == {"listener"}


def test_an_error_that_nobody_foresaw_is_the_links_reason_and_is_heard_and_the_link_comes_back() -> None:
    heard: list[str] = []

    async def main(clock: VirtualClock) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: heard.append(str(context["exception"])))
        device = Device(clock)
        device.handshake_error = ZeroDivisionError("bug")
        device.connection.start()
        link = await device.until(LinkState.DISCONNECTED)
        assert "bug" in link.reason
        with pytest.raises(NotSentError, match="bug"):
            await device.ask("q")
        device.handshake_error = None
        await device.until(LinkState.READY, REFUSED_RETRY_S + 0.1)
        await device.connection.stop()

    run_virtual(main)
    assert heard == ["bug"]


def test_what_the_operating_system_says_is_put_in_words() -> None:
    assert os_error_words(ConnectionResetError(104, "Connection reset by peer")) == "connection reset by peer"
    assert os_error_words(OSError("plain")) == "plain"


def test_on_a_free_line_a_request_may_run_in_the_askers_own_task_and_others_wait_for_it() -> None:
    async def test(device: Device) -> None:
        device.connection.start()
        await device.until(LinkState.READY)
        device.takes_s = 0.1
        ran_in: list[object] = []

        async def request(line: Line) -> str:
            ran_in.append(asyncio.current_task())
            return await line.answer_here("here")

        deadline = asyncio.get_running_loop().time() + TIMEOUT_S
        here = asyncio.create_task(device.connection.ask_here(request, Urgency.READ, deadline))
        await device.clock.sleep(0.01)
        others = [asyncio.create_task(device.ask(name)) for name in ("a", "b")]
        queued = asyncio.create_task(device.ask_here("queued"))
        assert await asyncio.gather(here, *others, queued) == [
            f"{name} answered" for name in ("here", "a", "b", "queued")
        ]
        assert ran_in == [here]
        assert device.received == ["here", "a", "b", "queued"]
        assert device.most_under_way == 1

    on_device(test)


def test_a_request_in_the_askers_own_task_that_is_not_answered_ends_the_link() -> None:
    async def test(device: Device) -> None:
        device.connection.start()
        await device.until(LinkState.READY)
        device.takes_s = None
        with pytest.raises(SilentError):
            await device.ask_here("a")
        await device.until(LinkState.DISCONNECTED)
        assert states(device)[-1] == (LinkState.DISCONNECTED, "nothing")
        device.takes_s = 0.0
        await device.until(LinkState.READY)
        assert await device.ask_here("b") == "b answered"

    on_device(test)


def test_an_asker_that_is_cancelled_in_its_own_task_leaves_the_line_free() -> None:
    async def test(device: Device) -> None:
        device.connection.start()
        await device.until(LinkState.READY)
        device.takes_s = None
        asking = asyncio.create_task(device.ask_here("a"))
        await device.clock.sleep(0.01)
        waiting = asyncio.create_task(device.ask("b"))
        await device.clock.sleep(0.01)
        device.takes_s = 0.0
        asking.cancel()
        assert await waiting == "b answered"
        assert device.connection.ready

    on_device(test)


def test_a_long_request_is_told_that_something_more_urgent_waits() -> None:
    async def test(device: Device) -> None:
        device.connection.start()
        await device.until(LinkState.READY)
        device.takes_s = 0.1
        under_way = asyncio.create_task(device.ask("a"))
        await device.clock.sleep(0.01)
        assert not device.connection.pressed(Urgency.READ)
        writing = asyncio.create_task(device.ask("w", Urgency.WRITE))
        await device.clock.sleep(0.01)
        assert device.connection.pressed(Urgency.READ)
        assert not device.connection.pressed(Urgency.WRITE)
        await asyncio.gather(under_way, writing)
        assert not device.connection.pressed(Urgency.READ)

    on_device(test)
