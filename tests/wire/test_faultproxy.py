"""The fault proxies do to what passes what they say they do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
import serial

from tests.faultproxy import Fault, FaultProxy, SerialFaultProxy

SENT = b"0123456789"
SILENT_S = 0.1

RECEIVED = {
    Fault.NONE: SENT,
    Fault.ONE_BYTE: SENT,
    Fault.HALF: b"01234",
    Fault.CUT: b"01234",
    Fault.GARBAGE: bytes(byte ^ 0xA5 for byte in SENT),
    Fault.CORRUPT: b"\xb01234\xb56789",
    Fault.REORDER: b"5678901234",
    Fault.DOUBLED: SENT + SENT,
    Fault.SLOW: SENT,
    Fault.HALF_OPEN: b"",
    Fault.BLACK_HOLE: b"",
}


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(100):
        writer.write(data)
    writer.close()


def with_echo(test: Callable[[int], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(20), await asyncio.start_server(echo, "127.0.0.1", 0) as server:
            await test(server.sockets[0].getsockname()[1])

    asyncio.run(main())


async def received(reader: asyncio.StreamReader, wanted: bytes) -> bytes:
    """As many bytes as are wanted, and what else comes soon after."""
    got = await reader.readexactly(len(wanted))
    try:
        async with asyncio.timeout(SILENT_S):
            return got + await reader.read(100)
    except TimeoutError:
        return got


@pytest.mark.parametrize("fault", RECEIVED, ids=str)
def test_a_fault_does_to_an_answer_what_it_says(fault: Fault) -> None:
    async def test(port: int) -> None:
        async with FaultProxy(port, delay_s=0.05) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            await proxy.set(fault)
            writer.write(SENT)
            assert await received(reader, RECEIVED[fault]) == RECEIVED[fault]
            assert reader.at_eof() is (fault is Fault.CUT)
            assert proxy.requests == [SENT]
            writer.close()

    with_echo(test)


def test_refused_and_reset_connections_end_and_are_possible_again_afterwards() -> None:
    async def test(port: int) -> None:
        async with FaultProxy(port) as proxy:
            for fault in (Fault.REFUSE, Fault.RESET):
                reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
                writer.write(SENT)
                await reader.readexactly(len(SENT))
                await proxy.set(fault)
                with pytest.raises(ConnectionResetError):
                    await reader.read(100)
                if fault is Fault.REFUSE:
                    with pytest.raises(ConnectionRefusedError):
                        await asyncio.open_connection("127.0.0.1", proxy.port)
                await proxy.set(Fault.NONE)

    with_echo(test)


async def read_from(port: serial.Serial, count: int) -> bytes:
    got = b""
    while len(got) < count:
        got += port.read(100)
        await asyncio.sleep(0.002)
    return got


async def until_gone(port: serial.Serial) -> None:
    with suppress(serial.SerialException):
        while True:
            port.read(100)
            await asyncio.sleep(0.002)


@pytest.mark.parametrize("fault", [Fault.NONE, Fault.ONE_BYTE, Fault.CORRUPT, Fault.REORDER, Fault.DOUBLED], ids=str)
def test_a_serial_line_has_the_same_faults(fault: Fault, tmp_path: Path) -> None:
    async def test(port: int) -> None:
        async with SerialFaultProxy(port, tmp_path / "line") as proxy:
            with serial.Serial(str(proxy.path), timeout=0) as line:
                await proxy.set(fault)
                line.write(SENT)
                assert await read_from(line, len(RECEIVED[fault])) == RECEIVED[fault]

    with_echo(test)


@pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.RESET, Fault.CUT], ids=str)
def test_a_line_that_is_pulled_is_gone_for_who_has_it_open_and_can_be_opened_again(
    fault: Fault, tmp_path: Path
) -> None:
    async def test(port: int) -> None:
        async with SerialFaultProxy(port, tmp_path / "line") as proxy:
            with serial.Serial(str(proxy.path), timeout=0) as line:
                line.write(SENT)
                await read_from(line, len(SENT))
                await proxy.set(fault)
                if fault is Fault.CUT:
                    line.write(SENT)
                await until_gone(line)
            assert proxy.path.is_symlink() is (fault is not Fault.REFUSE)
            await proxy.set(Fault.NONE)
            with serial.Serial(str(proxy.path), timeout=0) as line:
                line.write(SENT)
                assert await read_from(line, len(SENT)) == SENT

    with_echo(test)
