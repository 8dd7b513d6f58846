"""Sessions on real pseudo-terminals and sockets are recorded whole, and replayed byte by byte."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from drivers.capture import MOST_WAITING, Capture, CaptureError, Event, Piece, read_capture
from drivers.connection import LinkLostError
from drivers.driver import LinkState
from drivers.framing import LINES
from drivers.replay import ReplayLine, ReplayMismatchError, replay
from drivers.transport import SerialOptions, open_line
from evcontrol.quality import BAD_TIMEOUT, GOOD
from simulators.devices.balance import Balance, BalanceParameters
from simulators.devices.bus import LineFault
from simulators.devices.sbi_balance import SbiBalance, cut_sbi
from tests.drivers.instruments import PtyInstrument, TcpInstrument
from tests.drivers.serial_rig import Reader, Rig, on_line, reader

KINDS = pytest.mark.parametrize("kind", ["pty", "tcp"])
POINTS: dict[str, tuple[dict[str, Any], str]] = {"W": ({"field": "weight"}, "g"), "REST": ({"field": "stable"}, "")}
TIMEOUT_S = 0.4


@KINDS
def test_a_recorded_session_is_replayed_to_the_same_readings(kind: str, tmp_path: Path) -> None:
    """With a good answer, a silence that ends the link, what comes unasked, and a new connection."""
    file = tmp_path / "balance.jsonl"
    there = SbiBalance(Balance(lambda: 123.45, BalanceParameters(noise_g=0.0, serial="SIM00001")))
    seen: list[dict[str, tuple[float, int]]] = []

    async def record(one: Reader, rig: Rig) -> None:
        seen.append(await one.read())
        rig.send(b"N     +   999.99 g  \r\n")
        await asyncio.sleep(0.05)
        seen.append(await one.read())
        rig.bus.fault = LineFault.HALF
        seen.append(await one.read())
        await one.until(LinkState.DISCONNECTED)
        rig.bus.fault = LineFault.NONE
        await one.until(LinkState.READY)
        seen.append(await one.read())

    on_line(
        lambda: Rig(kind, tmp_path, there, cut_sbi),
        lambda rig: reader("sartorius-sbi", POINTS, port=rig.port, capture=str(file), timeout_s=TIMEOUT_S),
        record,
    )
    good = {"W": (123.45, GOOD), "REST": (1.0, GOOD)}
    assert [seen[0], seen[1], seen[3]] == [good] * 3
    assert seen[2]["W"][1] == BAD_TIMEOUT

    sessions_in(file, 2)

    async def main() -> None:
        played = replay(file)
        one = reader("sartorius-sbi", POINTS, connect=played, timeout_s=TIMEOUT_S)
        await one.driver.start()
        for number, expected in enumerate(seen):
            await one.until(LinkState.READY)
            assert str(await one.read()) == str(expected), number
            if expected != good:
                await one.until(LinkState.DISCONNECTED)
        assert played.finished
        await one.driver.stop()

    asyncio.run(main())


@KINDS
def test_every_piece_is_in_the_file_in_order_and_in_its_direction(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "line.jsonl"

    async def main() -> None:
        other = PtyInstrument(tmp_path / "line") if kind == "pty" else TcpInstrument()
        await other.plug()
        line = await open_line(SerialOptions(port=other.port, capture=str(file)))
        asking = asyncio.create_task(line.request(b"q\r\n", LINES))
        await other.was_asked(1)
        for part in (b"first ", b"second\r\n"):
            other.send(part)
            await asyncio.sleep(0.1)
        assert await asking == b"first second"
        await other.unplug()
        with pytest.raises(LinkLostError):
            await line.request(b"r\r\n", LINES)
        await line.close()

    asyncio.run(main())
    (session,) = sessions_in(file, 1)
    events = [(piece.event, piece.data) for piece in session if piece.data != b"r\r\n"]
    assert events[0] == (Event.SENT, b"q\r\n")
    assert b"".join(data for event, data in events if event is Event.RECEIVED) == b"first second\r\n"
    assert [event for event, _ in events[-2:]] == [Event.LOST, Event.CLOSE]
    times = [piece.t for piece in session]
    assert times == sorted(times)
    assert times[-1] >= 0.1


def sessions_in(file: Path, count: int) -> list[list[Piece]]:
    """The sessions, once so many are complete."""
    for _ in range(2000):
        if file.exists() and file.read_text(encoding="utf-8").count('"close"') == count:
            break
        threading.Event().wait(0.01)
    sessions = read_capture(file)
    assert len(sessions) == count
    return sessions


def test_sessions_are_appended_and_a_line_that_was_cut_off_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "line.jsonl"
    for data in (b"one", b"two"):
        capture = Capture(file, "/dev/x", lambda: 1.0)
        capture.sent(data)
        capture.close()
        assert capture.written(10)
        with file.open("ab") as cut:
            cut.write(b'{"t":0.5,"event":"rece')
    assert [[piece.data for piece in session] for session in read_capture(file)] == [[b"one", b""], [b"two", b""]]


def test_a_line_that_could_not_be_opened_is_no_session(tmp_path: Path) -> None:
    async def main() -> None:
        for port in (str(tmp_path / "absent"), "socket://127.0.0.1:1"):
            with pytest.raises((OSError, LinkLostError)):
                await open_line(SerialOptions(port=port, capture=str(tmp_path / "line.jsonl")))

    asyncio.run(main())
    assert not (tmp_path / "line.jsonl").exists()


@KINDS
def test_a_file_that_cannot_be_written_is_told_and_the_line_works_on(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "no such folder" / "line.jsonl"

    async def main() -> None:
        answer = lambda asked: asked + b"\r\n"  # noqa: E731
        other = PtyInstrument(tmp_path / "line", answer) if kind == "pty" else TcpInstrument(answer)
        await other.plug()
        line = await open_line(SerialOptions(port=other.port, capture=str(file)))
        for _ in range(3):
            assert await line.request(b"q\r\n", LINES) == b"q"
        await line.close()
        await other.unplug()

    with capture_logs() as logs:
        asyncio.run(main())
        for _ in range(2000):
            if logs:
                break
            threading.Event().wait(0.01)
    assert [(entry["event"], entry["file"]) for entry in logs] == [("capture_not_written", str(file))]


def test_what_a_slow_disk_did_not_take_is_told_in_the_file_and_not_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "line.jsonl"
    monkeypatch.setattr("drivers.capture.MOST_WAITING", 3)
    capture = Capture(file, "/dev/x", lambda: 1.0)
    monkeypatch.setattr(capture, "_thread", type(capture._thread)(target=lambda: None))
    for number in range(6):
        capture.sent(b"%d" % number)
    late = type(capture._thread)(target=capture._write)
    late.start()
    for _ in range(2000):
        if not capture._waiting.full():
            break
        threading.Event().wait(0.005)
    capture.sent(b"later")
    capture.close()
    late.join(10)
    told = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [entry["pieces"] for entry in told if entry["event"] == "gap"] == [4]
    with pytest.raises(CaptureError, match="a piece is missing here"):
        read_capture(file)
    assert MOST_WAITING > 1000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"t":0,"event":"sent","hex":""}\n', "begins without the opening"),
        ('{"t":0,"event":"open"}\nnonsense\n{"t":0,"event":"sent","hex":""}\n', ":2: not a line of a recording"),
        ('{"t":0,"event":"open"}\n{"t":0,"event":"sent","hex":"0"}\n[]\n', ":2: not a line of a recording"),
    ],
)
def test_a_file_that_is_no_recording_is_told_with_its_line(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_text(text, encoding="utf-8")
    with pytest.raises(CaptureError, match=words):
        replay(tmp_path / "x")


def recorded(tmp_path: Path, *pieces: tuple[str, bytes]) -> Path:
    lines = [{"t": 0, "event": "open"}] + [{"t": 0, "event": event, "hex": data.hex()} for event, data in pieces]
    file = tmp_path / "recorded.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return file


def test_a_request_that_was_not_recorded_is_a_mismatch(tmp_path: Path) -> None:
    file = recorded(tmp_path, ("sent", b"a\r\n"), ("received", b"b\r"), ("received", b"\n"), ("received", b"late"))

    async def main() -> None:
        line: ReplayLine = await replay(file)(None)
        assert await line.request(b"a\r\n", LINES) == b"b"
        with pytest.raises(ReplayMismatchError, match="ends here"):
            await line.request(b"a\r\n", LINES)
        assert line.unasked == 4
        other = await replay(file)(None)
        with pytest.raises(ReplayMismatchError, match=r"b'x' is sent, where b'a\\r\\n' was recorded"):
            await other.send(b"x")

    asyncio.run(main())


def test_a_recorded_loss_and_a_recorded_silence_are_replayed(tmp_path: Path) -> None:
    file = recorded(tmp_path, ("sent", b"a\r\n"), ("received", b"half"), ("sent", b"b\r\n"), ("lost", b""))

    async def main() -> None:
        played = replay(file)
        line = await played(None)
        silent = asyncio.create_task(line.request(b"a\r\n", LINES))
        done, _ = await asyncio.wait((silent,), timeout=0.05)
        assert not done
        silent.cancel()
        with pytest.raises(LinkLostError):
            await line.request(b"b\r\n", LINES)
        assert line.lost.done()
        assert played.finished
        with pytest.raises(LinkLostError, match="the recording has ended"):
            await played(None)

    asyncio.run(main())
