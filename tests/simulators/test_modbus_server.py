"""The Modbus TCP server over real sockets, asked by a bare pymodbus client and by raw bytes."""

import asyncio
import struct
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from simulators.plant import TffPlant
from simulators.wire.modbus import ModbusServer, answer
from tests.simulators.drive import fill

Talk = Callable[[AsyncModbusTcpClient, TffPlant], Awaitable[object]]


def with_client(talk: Talk, plant: TffPlant | None = None) -> None:
    plant = plant or TffPlant()

    async def main() -> None:
        server = ModbusServer(plant.skid_link)
        await server.start()
        client = AsyncModbusTcpClient("127.0.0.1", port=server.port, timeout=0.3, retries=0, reconnect_delay=0)
        try:
            assert await client.connect()
            await talk(client, plant)
        finally:
            client.close()
            await server.stop()

    asyncio.run(main())


async def code_of(call: Awaitable[ModbusPDU]) -> int:
    reply = await call
    assert reply.isError()
    return reply.exception_code


def test_every_read_function_answers_with_the_devices_values() -> None:
    plant = TffPlant()
    fill(plant, 500.0)

    async def talk(client: AsyncModbusTcpClient, plant: TffPlant) -> None:
        assert (await client.read_input_registers(0, count=21)).registers == plant.skid.read_input(0, 21)
        assert (await client.read_input_registers(14, count=2)).registers == plant.skid.read_input(14, 2)
        assert (await client.read_holding_registers(0, count=11)).registers == plant.skid.read_holding(0, 11)
        assert (await client.read_coils(0, count=1)).bits[:1] == [False]
        assert (await client.read_discrete_inputs(0, count=1)).bits[:1] == [False]

    with_client(talk, plant)


def test_every_write_function_reaches_the_device() -> None:
    async def talk(client: AsyncModbusTcpClient, plant: TffPlant) -> None:
        assert not (await client.write_register(2, 1234)).isError()
        assert not (await client.write_registers(7, [1, 2])).isError()
        assert plant.skid.read_holding(2, 1) == [1234]
        assert plant.skid.read_holding(7, 2) == [1, 2]
        assert not (await client.write_coil(0, True)).isError()
        assert plant.skid.read_coils(0, 1) == [True]
        assert not (await client.write_coils(0, [False])).isError()
        assert plant.skid.read_coils(0, 1) == [False]

    with_client(talk)


def test_exceptions() -> None:
    async def talk(client: AsyncModbusTcpClient, plant: TffPlant) -> None:
        assert await code_of(client.read_input_registers(0, count=22)) == 2
        assert await code_of(client.read_coils(1, count=1)) == 2
        assert await code_of(client.read_coils(0, count=2)) == 2
        assert await code_of(client.read_discrete_inputs(1, count=1)) == 2
        assert await code_of(client.write_coils(0, [True, True])) == 2
        assert await code_of(client.write_register(5, 6)) == 3
        assert await code_of(client.write_registers(10, [0, 0])) == 2
        plant.skid.take_over()
        assert await code_of(client.write_register(2, 0)) == 4
        assert await code_of(client.write_coil(0, False)) == 4
        assert await code_of(client.mask_write_register(address=2, and_mask=0, or_mask=1)) == 1

    with_client(talk)


def test_a_silent_skid_answers_nothing_and_then_goes_on() -> None:
    async def talk(client: AsyncModbusTcpClient, plant: TffPlant) -> None:
        plant.skid_link.silent = True
        with pytest.raises(ModbusException):
            await client.write_register(2, 500)
        plant.skid_link.silent = False
        await client.connect()
        assert (await client.read_holding_registers(2, count=1)).registers == [0]

    with_client(talk)


def raw(talk: Callable[[ModbusServer, TffPlant], Coroutine[None, None, None]]) -> None:
    async def main() -> None:
        plant = TffPlant()
        server = ModbusServer(plant.skid_link)
        await server.start()
        try:
            async with asyncio.timeout(20):
                await talk(server, plant)
        finally:
            await server.stop()

    asyncio.run(main())


def telegram(pdu: bytes, transaction: int = 1, unit: int = 1, protocol: int = 0) -> bytes:
    return struct.pack(">HHHB", transaction, protocol, len(pdu) + 1, unit) + pdu


async def connected(server: ModbusServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", server.port)


READ_ONE = bytes([3, 0, 1, 0, 1])
"""Holding register 1 (watchdog, default 100)."""
ONE = bytes([3, 2, 0, 100])


def test_requests_in_one_packet_are_answered_in_order() -> None:
    async def talk(server: ModbusServer, _: TffPlant) -> None:
        reader, writer = await connected(server)
        writer.write(b"".join(telegram(READ_ONE, n, unit=n) for n in range(1, 6)))
        for n in range(1, 6):
            assert await reader.readexactly(11) == telegram(ONE, n, unit=n)
        writer.close()

    raw(talk)


def test_a_request_in_single_bytes_is_answered() -> None:
    async def talk(server: ModbusServer, _: TffPlant) -> None:
        reader, writer = await connected(server)
        for byte in telegram(READ_ONE):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        assert await reader.readexactly(11) == telegram(ONE)
        writer.close()

    raw(talk)


def test_several_clients_each_get_their_own_answers() -> None:
    async def talk(server: ModbusServer, _: TffPlant) -> None:
        clients = [await connected(server) for _ in range(10)]
        for n, (_, writer) in enumerate(clients):
            writer.write(telegram(READ_ONE, n))
        for n, (reader, writer) in reversed(list(enumerate(clients))):
            assert await reader.readexactly(11) == telegram(ONE, n)
            writer.close()

    raw(talk)


@pytest.mark.parametrize(
    "bytes_sent",
    [
        telegram(READ_ONE, protocol=1),
        struct.pack(">HHHB", 1, 0, 1, 1),
        struct.pack(">HHHB", 1, 0, 0, 1),
        struct.pack(">HHHB", 1, 0, 255, 1),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_telegram_closes_only_that_connection(bytes_sent: bytes) -> None:
    async def talk(server: ModbusServer, _: TffPlant) -> None:
        good_reader, good_writer = await connected(server)
        reader, writer = await connected(server)
        writer.write(bytes_sent)
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        good_writer.write(telegram(READ_ONE))
        assert await good_reader.readexactly(11) == telegram(ONE)
        writer.close()
        good_writer.close()

    raw(talk)


def test_a_client_that_leaves_in_the_middle_disturbs_nobody() -> None:
    async def talk(server: ModbusServer, _: TffPlant) -> None:
        _, leaver = await connected(server)
        leaver.write(telegram(READ_ONE)[:8])
        await leaver.drain()
        leaver.transport.abort()
        reader, writer = await connected(server)
        writer.write(telegram(READ_ONE))
        assert await reader.readexactly(11) == telegram(ONE)
        writer.close()

    raw(talk)


def test_a_client_that_takes_no_answers_is_held_back() -> None:
    async def talk(server: ModbusServer, _: TffPlant) -> None:
        reader, writer = await connected(server)
        count = 60_000
        writer.write(telegram(READ_ONE) * count)
        await asyncio.sleep(0.05)
        received = 0
        while received < count * 11:
            received += len(await reader.read(1 << 16))
        assert received == count * 11
        writer.close()

    raw(talk)


@pytest.mark.parametrize(
    ("pdu", "code"),
    [
        (bytes([3, 0, 0, 0, 0]), 3),
        (bytes([3, 0, 0, 0, 126]), 3),
        (bytes([1, 0, 0, 7, 209]), 3),
        (bytes([4, 0, 0, 0]), 3),
        (bytes([4, 0, 0, 0, 1, 0]), 3),
        (bytes([5, 0, 0, 0, 1]), 3),
        (bytes([6, 0, 2, 0]), 3),
        (bytes([15, 0, 0, 0, 1, 2, 0, 0]), 3),
        (bytes([15, 0, 0, 0, 0, 0]), 3),
        (bytes([16, 0, 2, 0, 1, 2, 0]), 3),
        (bytes([16, 0, 2, 0, 2, 2, 0, 0]), 3),
        (bytes([16, 0, 2, 0, 0, 0]), 3),
        (bytes([7]), 1),
        (bytes([43, 14, 1, 0]), 1),
    ],
)
def test_malformed_requests_are_refused(pdu: bytes, code: int) -> None:
    assert answer(TffPlant().skid_link, pdu) == bytes([pdu[0] | 0x80, code])


@given(st.binary(min_size=1, max_size=253))
def test_any_request_is_answered_within_the_longest_telegram(pdu: bytes) -> None:
    reply = answer(TffPlant().skid_link, pdu)
    assert reply is not None
    assert reply[0] in (pdu[0], pdu[0] | 0x80)
    assert 2 <= len(reply) <= 253


def test_the_port_can_be_taken_again_after_a_stop() -> None:
    async def main() -> None:
        plant = TffPlant()
        first = ModbusServer(plant.skid_link)
        await first.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", first.port)
        await first.stop()
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
        again = ModbusServer(plant.skid_link)
        await again.start(port=first.port)
        assert again.port == first.port
        await again.stop()

    asyncio.run(main())
