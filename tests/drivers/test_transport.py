"""Lines to instruments, over real pseudo-terminals and real sockets."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.connection import LinkLostError, LinkRefusedError, UnreadableError
from drivers.framing import CR_LINES, LINES
from drivers.line import MAX_TELEGRAM, Wanted
from drivers.line_serial import SerialLine
from drivers.transport import InProcessLine, Line, SerialOptions, in_process, open_line
from tests.drivers.instruments import Answer, Instrument, PtyInstrument, TcpInstrument

KINDS = pytest.mark.parametrize("kind", ["pty", "tcp"])


def options_of(port: str) -> SerialOptions:
    return SerialOptions.model_construct(port=port)


@asynccontextmanager
async def instrument(kind: str, folder: Path, answer: Answer = lambda _: b"") -> AsyncIterator[Instrument]:
    other: Instrument = PtyInstrument(folder / "line", answer) if kind == "pty" else TcpInstrument(answer)
    await other.plug()
    try:
        yield other
    finally:
        await other.unplug()


def on_line(kind: str, folder: Path, answer: Answer, test: Callable[[Instrument, Line], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(10), instrument(kind, folder, answer) as other:
            line = await open_line(options_of(other.port))
            try:
                await test(other, line)
            finally:
                await line.close()

    asyncio.run(main())


@KINDS
def test_a_line_is_asked_and_answered(kind: str, tmp_path: Path) -> None:
    async def test(other: Instrument, line: Line) -> None:
        for number in range(20):
            assert await line.request(b"q%d\r\n" % number, LINES) == b"answer to q%d" % number
        assert other.asked == [b"q%d" % number for number in range(20)]

    on_line(kind, tmp_path, lambda asked: b"answer to " + asked + b"\r\n", test)


@KINDS
def test_lines_that_are_not_wanted_are_passed_over(kind: str, tmp_path: Path) -> None:
    async def test(_other: Instrument, line: Line) -> None:
        assert await line.request(b"q\r\n", LINES, lambda got: not got.startswith(b"3")) == b"3"

    on_line(kind, tmp_path, lambda _: b"1\r\n2\r\n3\r\n4\r\n", test)


@KINDS
def test_what_came_before_a_request_is_not_its_answer(kind: str, tmp_path: Path) -> None:
    async def test(other: Instrument, line: Line) -> None:
        assert await line.request(b"first\r\n", LINES) == b"first"
        # Two lines to one request: the second is there, read or not, before the next request goes out.
        assert await line.request(b"second\r\n", LINES) == b"second"
        assert other.asked == [b"first", b"second"]

    on_line(kind, tmp_path, lambda asked: asked + b"\r\nlate " + asked + b"\r\n", test)


@KINDS
def test_an_answer_may_come_in_pieces(kind: str, tmp_path: Path) -> None:
    async def test(other: Instrument, line: Line) -> None:
        asking = asyncio.create_task(line.request(b"q\r\n", LINES))
        await other.was_asked(1)
        for byte in b"S S     100.00 g\r\n":
            other.send(bytes([byte]))
            await asyncio.sleep(0)
        assert await asking == b"S S     100.00 g"

    on_line(kind, tmp_path, lambda _: b"", test)


@KINDS
def test_bytes_without_an_end_of_line_are_unreadable(kind: str, tmp_path: Path) -> None:
    async def test(_other: Instrument, line: Line) -> None:
        with pytest.raises(UnreadableError, match="without a whole telegram"):
            await line.request(b"q\r\n", LINES)

    on_line(kind, tmp_path, lambda _: b"\xff" * (MAX_TELEGRAM + 1), test)


@KINDS
def test_half_a_line_is_no_answer(kind: str, tmp_path: Path) -> None:
    async def test(other: Instrument, line: Line) -> None:
        asking = asyncio.create_task(line.request(b"q\r\n", LINES))
        await other.was_asked(1)
        done, _ = await asyncio.wait((asking,), timeout=0.05)
        assert not done
        asking.cancel()
        await asyncio.wait((asking,))
        other.answer = lambda _: b"whole\r\n"
        assert await line.request(b"r\r\n", LINES) == b"whole"

    on_line(kind, tmp_path, lambda _: b"S S     100.", test)


@KINDS
def test_a_request_that_nobody_waits_for_any_more_leaves_the_line_free(kind: str, tmp_path: Path) -> None:
    async def test(other: Instrument, line: Line) -> None:
        asking = asyncio.create_task(line.request(b"q\r\n", LINES))
        await other.was_asked(1)
        asking.cancel()
        await asyncio.wait((asking,))
        other.answer = lambda asked: asked + b"\r\n"
        assert await line.request(b"r\r\n", LINES) == b"r"

    on_line(kind, tmp_path, lambda _: b"", test)


@KINDS
def test_a_line_that_is_closed_is_lost_for_who_waits_and_takes_nothing_more(kind: str, tmp_path: Path) -> None:
    async def test(other: Instrument, line: Line) -> None:
        waiting = asyncio.create_task(line.request(b"q\r\n", LINES))
        await other.was_asked(1)
        await line.close()
        with pytest.raises(LinkLostError):
            await waiting
        with pytest.raises(LinkLostError):
            await line.request(b"q\r\n", LINES)
        with pytest.raises(LinkLostError):
            await line.send(b"s\r\n")
        assert other.asked == [b"q"]

    on_line(kind, tmp_path, lambda _: b"", test)


@KINDS
def test_unplugged_while_waiting_the_line_is_lost_in_words(kind: str, tmp_path: Path) -> None:
    async def test(other: Instrument, line: Line) -> None:
        asking = asyncio.create_task(line.request(b"q\r\n", LINES))
        await other.was_asked(1)
        await other.unplug()
        with pytest.raises(LinkLostError) as lost:
            await asking
        assert str(lost.value)
        assert "[Errno" not in str(lost.value)
        assert line.lost.done()
        with pytest.raises(LinkLostError):
            await line.request(b"r\r\n", LINES)

    on_line(kind, tmp_path, lambda _: b"", test)


def test_a_tcp_line_knows_at_once_that_the_other_end_closed(tmp_path: Path) -> None:
    async def test(other: Instrument, line: Line) -> None:
        assert await line.request(b"q\r\n", LINES) == b"q"
        await other.unplug()
        assert await line.lost

    on_line("tcp", tmp_path, lambda asked: asked + b"\r\n", test)


@KINDS
def test_a_telegram_to_which_no_answer_comes_is_sent_and_not_waited_for(kind: str, tmp_path: Path) -> None:
    async def test(other: Instrument, line: Line) -> None:
        await line.send(b"#ST\r\n")
        await other.was_asked(1)
        other.answer = lambda asked: asked + b"\r\n"
        assert await line.request(b"q\r\n", LINES) == b"q"
        assert other.asked == [b"#ST", b"q"]

    on_line(kind, tmp_path, lambda _: b"", test)


@KINDS
def test_listening_takes_what_comes_from_now_on_and_counts_what_came_unasked(kind: str, tmp_path: Path) -> None:
    async def test(other: Instrument, line: Line) -> None:
        other.answer = lambda asked: asked + b"\rold\r"
        assert await line.request(b"q\r\n", CR_LINES) == b"q"
        listening = asyncio.create_task(line.request(b"", CR_LINES, lambda got: got == b"old"))
        while not listening.done():
            other.send(b"new\r")
            await asyncio.wait((listening,), timeout=0.01)
        assert listening.result() == b"new"
        other.send(b"late\r")
        other.answer = lambda asked: asked + b"\r"
        await asyncio.sleep(0.05)
        assert await line.request(b"r\r\n", CR_LINES, lambda got: got != b"r") == b"r"
        assert line.unasked >= len(b"late\r")

    on_line(kind, tmp_path, lambda _: b"", test)


@KINDS
def test_the_silence_between_telegrams_is_kept(kind: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with asyncio.timeout(10), instrument(kind, tmp_path, lambda asked: asked + b"\r\n") as other:
            line = await open_line(options_of(other.port), silence_s=0.05)
            loop = asyncio.get_running_loop()
            try:
                begun = loop.time()
                for _ in range(4):
                    await line.request(b"q\r\n", LINES)
                assert loop.time() - begun >= 3 * 0.05
                await line.send(b"#ST\r\n")
                sent = loop.time()
                await line.request(b"q\r\n", LINES)
                assert loop.time() - sent >= 0.05 + 5 * 10 / 9600 - 0.01
            finally:
                await line.close()

    asyncio.run(main())


def test_an_unplugged_port_opens_again_under_its_old_name(tmp_path: Path) -> None:
    async def main() -> None:
        async with asyncio.timeout(10), instrument("pty", tmp_path, lambda asked: asked + b"\r\n") as other:
            for _ in range(3):
                line = await open_line(options_of(other.port))
                assert await line.request(b"q\r\n", LINES) == b"q"
                await other.unplug()
                with pytest.raises(LinkLostError, match=r"gone|error"):
                    await line.request(b"q\r\n", LINES)
                await line.close()
                with pytest.raises(LinkLostError, match="no such file"):
                    await open_line(options_of(other.port))
                await other.plug()

    asyncio.run(main())


def test_a_port_is_opened_by_one_program_only(tmp_path: Path) -> None:
    async def test(other: Instrument, _line: Line) -> None:
        with pytest.raises(LinkLostError, match="in use by another program"):
            await open_line(options_of(other.port))

    on_line("pty", tmp_path, lambda _: b"", test)


def test_a_closed_port_can_be_opened_again_at_once_even_after_silence(tmp_path: Path) -> None:
    async def main() -> None:
        async with asyncio.timeout(10), instrument("pty", tmp_path) as other:
            for number in range(1, 4):
                line = await SerialLine.open(options_of(other.port))
                asking = asyncio.create_task(line.request(b"q\r\n", LINES))
                await other.was_asked(number)
                asking.cancel()
                await asyncio.wait((asking,))
                await line.close()

    asyncio.run(main())
    workers = [thread for thread in threading.enumerate() if thread.name.startswith("serial ")]
    for worker in workers:
        worker.join(5)
    assert not any(worker.is_alive() for worker in workers)


@pytest.mark.parametrize("port", ["nonsense://x", "loop://?logging=nonsense"])
def test_a_kind_of_port_that_does_not_exist_is_refused(port: str) -> None:
    async def main() -> None:
        async with asyncio.timeout(5):
            with pytest.raises(LinkRefusedError):
                await open_line(options_of(port))

    asyncio.run(main())


@pytest.mark.parametrize("port", ["socket://", "socket://host", "socket://a..b:8001"])
def test_a_socket_without_a_place_is_refused(port: str) -> None:
    async def main() -> None:
        async with asyncio.timeout(5):
            with pytest.raises(LinkRefusedError):
                await open_line(options_of(port))

    asyncio.run(main())


def test_a_port_that_is_no_serial_port_does_not_open(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    async def main() -> None:
        for port in (tmp_path / "file", tmp_path / "absent", tmp_path):
            with pytest.raises(LinkLostError, match="port"):
                await open_line(options_of(str(port)))

    asyncio.run(main())


def test_a_tcp_port_where_nobody_listens_is_an_error_of_the_system() -> None:
    async def main() -> None:
        free = TcpInstrument()
        await free.plug()
        await free.unplug()
        with pytest.raises(ConnectionRefusedError):
            await open_line(options_of(free.port))

    asyncio.run(main())


def test_an_instrument_in_this_process_answers_is_silent_or_is_lost() -> None:
    async def main() -> None:
        line = await in_process(lambda asked: [asked, f"{asked} {asked}"])(None)
        assert await line.request(b"q\r\n", LINES) == b"q"
        assert await line.request(b"q\r\n", LINES, lambda got: b" " not in got) == b"q q"
        silent = asyncio.create_task(InProcessLine(lambda _: b"").request(b"q\r\n", LINES))
        await asyncio.sleep(0)
        assert not silent.done()
        silent.cancel()

        def unplugged(_asked: bytes) -> bytes:
            raise OSError(errno.EIO, "x")

        with pytest.raises(LinkLostError, match="input/output error"):
            await InProcessLine(unplugged).request(b"q\r\n", LINES)
        await line.close()

    asyncio.run(main())


@given(
    st.lists(st.binary(max_size=30).filter(lambda line: b"\r" not in line and b"\n" not in line), min_size=1),
    st.data(),
)
def test_lines_come_whole_and_in_order_however_their_bytes_arrive(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\r\n" for line in lines)
    wanted, received = Wanted(LINES), bytearray()
    taken: list[bytes] = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        received += stream[:size]
        stream = stream[size:]
        while (line := wanted.take(received)) is not None:
            taken.append(line)
    assert taken == lines
    assert not received


@KINDS
def test_a_port_is_not_used_again_while_a_late_answer_may_still_come(kind: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with asyncio.timeout(10), instrument(kind, tmp_path) as other:
            loop = asyncio.get_running_loop()
            options = SerialOptions(port=other.port, timeout_s=0.2)
            line = await open_line(options)
            asking = asyncio.create_task(line.request(b"q\r\n", LINES))
            await other.was_asked(1)
            asked = loop.time()
            asking.cancel()
            await asyncio.wait((asking,))
            await line.close()
            with pytest.raises(LinkLostError, match="may still come"):
                await open_line(options)
            other.send(b"late\r\n")
            other.answer = lambda asked: asked + b"\r\n"
            while loop.time() < asked + 3 * 0.2 - 0.1:
                await asyncio.sleep(0.01)
            line = await open_line(options)
            assert loop.time() >= asked + 3 * 0.2 - 0.05
            assert await line.request(b"r\r\n", LINES) == b"r"
            await line.close()
            await (await open_line(options)).close()

    asyncio.run(main())
