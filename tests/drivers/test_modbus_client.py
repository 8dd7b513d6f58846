"""The Modbus TCP client against pymodbus's server, the simulators' server, and a server that answers wrongly."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from drivers.connection import LinkLostError, LinkRefusedError, SilentError, UnreadableError
from drivers.modbus_client import ModbusClient, TcpModbusClient, connect_tcp, in_process
from drivers.modbus_points import Table
from drivers.modbus_telegram import ModbusRefusedError, Request
from simulators.wire.modbus import ModbusServer, answer
from tests.drivers.build import Registers
from tests.faultproxy import Fault, FaultProxy

LONG_S = 30.0


def bounded(test: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(10):
            await test()

    asyncio.run(main())


class Asking:
    """A client by the names of its functions, for one unit."""

    def __init__(self, client: ModbusClient, unit: int) -> None:
        self.client = client
        self.lost = client.lost
        self._unit = unit

    async def read_input(self, address: int, count: int) -> list[int]:
        return await self._registers(Table.INPUT, address, count)

    async def read_holding(self, address: int, count: int) -> list[int]:
        return await self._registers(Table.HOLDING, address, count)

    async def read_coils(self, address: int, count: int) -> list[bool]:
        return await self._bits(Table.COIL, address, count)

    async def read_discrete(self, address: int, count: int) -> list[bool]:
        return await self._bits(Table.DISCRETE, address, count)

    async def write_registers(self, address: int, values: list[int]) -> None:
        assert await self.client.ask(Request.writing(self._unit, Table.HOLDING, address, values), LONG_S) == b""

    async def write_coils(self, address: int, values: list[int]) -> None:
        assert await self.client.ask(Request.writing(self._unit, Table.COIL, address, values), LONG_S) == b""

    async def close(self) -> None:
        await self.client.close()

    async def _registers(self, table: Table, address: int, count: int) -> list[int]:
        return list(struct.unpack(f">{count}H", await self._read(table, address, count)))

    async def _bits(self, table: Table, address: int, count: int) -> list[bool]:
        data = await self._read(table, address, count)
        assert len(data) == (count + 7) // 8
        return [bool(data[i // 8] >> i % 8 & 1) for i in range(count)]

    async def _read(self, table: Table, address: int, count: int) -> bytes:
        return await self.client.ask(Request.reading(self._unit, table, address, count), LONG_S)


@asynccontextmanager
async def client_of(port: int, unit_id: int = 1) -> AsyncIterator[Asking]:
    client = await connect_tcp("127.0.0.1", port)
    try:
        yield Asking(client, unit_id)
    finally:
        await client.close()


@asynccontextmanager
async def pymodbus_server() -> AsyncIterator[int]:
    blocks = (
        [SimData(0, count=16, values=[True, False, True] + [False] * 13, datatype=DataType.BITS)],
        [SimData(0, count=16, values=[False, True, True] + [False] * 13, datatype=DataType.BITS)],
        [SimData(0, values=[10, 11, 12, 13], datatype=DataType.REGISTERS)],
        [SimData(0, values=[20, 21, 22, 65535], datatype=DataType.REGISTERS)],
    )
    server = ModbusTcpServer(SimDevice(7, simdata=blocks), address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    try:
        yield server.transport.sockets[0].getsockname()[1]
    finally:
        await server.shutdown()


@asynccontextmanager
async def simulated(device: Registers) -> AsyncIterator[int]:
    server = ModbusServer(device)
    await server.start()
    try:
        yield server.port
    finally:
        await server.stop()


class RawServer(asyncio.Protocol):
    """Answers each telegram with whatever ``reply`` makes of it."""

    def __init__(self, reply: Callable[[bytes], bytes], end: asyncio.Future[str]) -> None:
        self._reply = reply
        self._end = end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if reply := self._reply(data):
            self._transport.write(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._end.done():
            self._end.set_result("reset" if isinstance(exc, ConnectionResetError) else "closed")


@asynccontextmanager
async def raw_server(reply: Callable[[bytes], bytes]) -> AsyncIterator[tuple[int, asyncio.Future[str]]]:
    loop = asyncio.get_running_loop()
    end: asyncio.Future[str] = loop.create_future()
    server = await loop.create_server(lambda: RawServer(reply, end), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], end
    finally:
        server.close()
        await server.wait_closed()


def test_every_function_works_with_the_server_of_pymodbus() -> None:
    async def test() -> None:
        async with pymodbus_server() as port, client_of(port, 7) as client:
            assert list(await client.read_coils(0, 3)) == [True, False, True]
            assert list(await client.read_discrete(1, 2)) == [True, True]
            assert list(await client.read_holding(0, 4)) == [10, 11, 12, 13]
            assert list(await client.read_input(2, 2)) == [22, 65535]
            await client.write_registers(1, [7, 8])
            assert list(await client.read_holding(0, 4)) == [10, 7, 8, 13]
            await client.write_coils(1, [1, 0])
            assert list(await client.read_coils(0, 3)) == [True, True, False]
            with pytest.raises(ModbusRefusedError) as refused:
                await client.read_holding(3, 2)
            assert refused.value.code == 2

    bounded(test)


def test_every_function_works_with_the_simulators_server() -> None:
    async def test() -> None:
        device = Registers(dict.fromkeys(range(200), 5), dict.fromkeys(range(2000), True))
        async with simulated(device) as port, client_of(port) as client:
            assert list(await client.read_holding(0, 125)) == [5] * 125
            assert list(await client.read_input(0, 1)) == [5]
            assert list(await client.read_coils(0, 2000)) == [True] * 2000
            assert list(await client.read_discrete(3, 11)) == [True] * 11
            await client.write_registers(0, [9] * 123)
            await client.write_coils(0, [0] * 9)
            assert device.registers[122] == 9
            assert not device.coils[8]

    bounded(test)


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 99])
def test_every_exception_code_is_a_refusal_and_the_connection_lives(code: int) -> None:
    async def test() -> None:
        device = Registers({0: 1})
        device.refuse_reads = device.refuse_writes = code
        async with simulated(device) as port, client_of(port) as client:
            for ask in (client.read_holding(0, 1), client.write_registers(0, [1]), client.write_coils(0, [1])):
                with pytest.raises(ModbusRefusedError) as refused:
                    await ask
                assert refused.value.code == code
            device.refuse_reads = None
            assert list(await client.read_holding(0, 1)) == [1]
            assert not client.lost.done()

    bounded(test)


def frame(transaction: int, unit: int, pdu: bytes, *, protocol: int = 0, length: int | None = None) -> bytes:
    return struct.pack(">HHHB", transaction, protocol, len(pdu) + 1 if length is None else length, unit) + pdu


GOOD_READ = b"\x03\x04\x00\x01\x00\x02"
GOOD_WRITE = b"\x10\x00\x00\x00\x02"
WRONG: dict[str, Callable[[int, int], bytes]] = {
    "another transaction": lambda t, pdu: frame(t + 1, 1, pdu),
    "transaction 0": lambda t, pdu: frame(0, 1, pdu),
    "another protocol": lambda t, pdu: frame(t, 1, pdu, protocol=1),
    "another unit": lambda t, pdu: frame(t, 2, pdu),
    "another function": lambda t, pdu: frame(t, 1, b"\x04" + pdu[1:]),
    "an exception of another function": lambda t, _: frame(t, 1, b"\x84\x02"),
    "an exception that is too long": lambda t, pdu: frame(t, 1, bytes([pdu[0] | 0x80]) + b"\x02\x00"),
    "no length": lambda t, pdu: frame(t, 1, pdu, length=0),
    "a length of the unit alone": lambda t, pdu: frame(t, 1, pdu, length=1),
    "a length that is too short": lambda t, pdu: frame(t, 1, pdu, length=len(pdu)),
    "a length that is too long": lambda t, pdu: frame(t, 1, pdu, length=len(pdu) + 2),
    "fewer registers": lambda t, _: frame(t, 1, b"\x03\x02\x00\x01"),
    "more registers": lambda t, _: frame(t, 1, b"\x03\x06\x00\x01\x00\x02\x00\x03"),
    "the answer twice": lambda t, pdu: frame(t, 1, pdu) * 2,
    "garbage": lambda _t, _pdu: b"HTTP/1.1 400 Bad Request\r\n\r\n",
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("write", [False, True], ids=["read", "write"])
def test_an_answer_that_does_not_fit_its_request_is_never_used(name: str, write: bool) -> None:
    good = GOOD_WRITE if write else GOOD_READ

    async def test() -> None:
        async with (
            raw_server(lambda data: WRONG[name](int.from_bytes(data[:2], "big"), good)) as (port, _),
            client_of(port) as client,
        ):
            with pytest.raises(UnreadableError, match="unreadable answer"):
                await (client.write_registers(0, [1, 2]) if write else client.read_holding(0, 2))
            assert client.lost.done()
            with pytest.raises(LinkLostError):
                await client.read_holding(0, 2)

    bounded(test)


@pytest.mark.parametrize("pdu", [b"\x10\x00\x01\x00\x02", b"\x10\x00\x00\x00\x01"])
def test_a_write_that_was_acknowledged_elsewhere_is_not_acknowledged(pdu: bytes) -> None:
    async def test() -> None:
        async with (
            raw_server(lambda data: frame(int.from_bytes(data[:2], "big"), 1, pdu)) as (port, _),
            client_of(port) as client,
        ):
            with pytest.raises(UnreadableError, match="does not fit the request"):
                await client.write_registers(0, [1, 2])

    bounded(test)


@pytest.mark.parametrize("cut", range(1, 13))
def test_half_an_answer_is_no_answer_and_closing_then_resets_the_connection(cut: int) -> None:
    async def test() -> None:
        whole: list[bytes] = []

        def reply(data: bytes) -> bytes:
            whole.append(frame(int.from_bytes(data[:2], "big"), 1, GOOD_READ))
            return whole[0][:cut]

        async with raw_server(reply) as (port, end), client_of(port) as client:
            asking = asyncio.create_task(client.read_holding(0, 2))
            done, _ = await asyncio.wait((asking,), timeout=0.02)
            assert not done
            # As the connection does it after the time-out: the request must not reach the device later.
            asking.cancel()
            await asyncio.wait((asking,))
            await client.close()
            assert await end == "reset"

    bounded(test)


def test_an_answer_may_come_byte_by_byte() -> None:
    async def test() -> None:
        async with simulated(Registers({0: 1, 1: 2})) as target, FaultProxy(target) as proxy:
            await proxy.set(Fault.ONE_BYTE)
            async with client_of(proxy.port) as client:
                assert list(await client.read_holding(0, 2)) == [1, 2]
                await client.write_registers(0, [3])

    bounded(test)


def test_what_nobody_asked_for_ends_the_connection() -> None:
    async def test() -> None:
        class Talks(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                assert isinstance(transport, asyncio.Transport)
                transport.write(frame(1, 1, GOOD_READ))

        server = await asyncio.get_running_loop().create_server(Talks, "127.0.0.1", 0)
        async with client_of(server.sockets[0].getsockname()[1]) as client:
            assert "nobody asked for" in await client.lost
        server.close()
        await server.wait_closed()

    bounded(test)


def test_a_device_that_closes_is_lost_in_words_and_so_is_the_request_under_way() -> None:
    async def test() -> None:
        device = Registers({0: 1})
        device.silent = True
        async with simulated(device) as target, FaultProxy(target) as proxy, client_of(proxy.port) as client:
            asking = asyncio.create_task(client.write_registers(0, [1]))
            while not device.writes:
                await asyncio.sleep(0)
            await proxy.set(Fault.REFUSE)
            with pytest.raises(LinkLostError, match=r"closed the connection|reset by peer") as lost:
                await asking
            assert await client.lost == str(lost.value)

    bounded(test)


def test_closing_with_nothing_under_way_is_no_reset() -> None:
    async def test() -> None:
        async with raw_server(lambda data: frame(int.from_bytes(data[:2], "big"), 1, GOOD_READ)) as (port, end):
            async with client_of(port) as client:
                await client.read_holding(0, 2)
            assert await end == "closed"

    bounded(test)


def test_where_nobody_listens_the_system_says_so() -> None:
    async def test() -> None:
        async with simulated(Registers()) as port:
            pass
        with pytest.raises(ConnectionRefusedError):
            await connect_tcp("127.0.0.1", port)

    bounded(test)


def test_what_cannot_be_a_host_is_refused() -> None:
    async def test() -> None:
        with pytest.raises(LinkRefusedError, match="cannot be the name of a host"):
            await connect_tcp("a..b", 502)

    bounded(test)


def test_a_device_in_this_process_is_asked_refuses_and_is_lost() -> None:
    async def test() -> None:
        device = Registers({0: 1}, {0: True})
        client = Asking(await in_process(device)(None), 1)
        assert list(await client.read_input(0, 1)) == list(await client.read_holding(0, 1)) == [1]
        assert list(await client.read_coils(0, 1)) == list(await client.read_discrete(0, 1)) == [True]
        await client.write_registers(0, [2])
        await client.write_coils(0, [0])
        assert (device.registers, device.coils) == ({0: 2}, {0: False})
        with pytest.raises(ModbusRefusedError):
            await client.read_input(1, 1)
        device.silent = True
        with pytest.raises(SilentError):
            await client.read_input(0, 1)
        await client.close()

    bounded(test)


def test_a_lost_device_and_a_mistake_in_this_process_are_told_apart() -> None:
    class Broken(Registers):
        def read_input(self, address: int, count: int) -> list[int]:
            raise OSError("gone") if address == 0 else ZeroDivisionError

    async def test() -> None:
        client = Asking(await in_process(Broken())(None), 1)
        with pytest.raises(LinkLostError, match="gone"):
            await client.read_input(0, 1)
        with pytest.raises(ZeroDivisionError):
            await client.read_input(1, 1)

    bounded(test)


class Recording(asyncio.Transport):
    """Takes what is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += bytes(data)


REQUESTS = st.one_of(
    st.builds(
        Request.reading,
        st.integers(0, 255),
        st.sampled_from(Table),
        st.integers(0, 19),
        st.integers(1, 30),
    ),
    st.builds(
        Request.writing,
        st.integers(0, 255),
        st.just(Table.HOLDING),
        st.integers(0, 19),
        st.lists(st.integers(0, 65535), min_size=1, max_size=20),
    ),
    st.builds(
        Request.writing,
        st.integers(0, 255),
        st.just(Table.COIL),
        st.integers(0, 19),
        st.lists(st.integers(0, 1), min_size=1, max_size=20),
    ),
)


def given_bytes(request: Request, pieces: Callable[[bytes], list[bytes]]) -> bytes | Exception | None:
    """What a client makes of an answer that comes in these pieces; None when it goes on waiting."""

    async def main() -> bytes | Exception | None:
        client, transport = TcpModbusClient(), Recording()
        client.connection_made(transport)
        asking = asyncio.create_task(client.ask(request, LONG_S))
        await asyncio.sleep(0)
        for piece in pieces(transport.sent):
            client.data_received(piece)
        for _ in range(3):
            await asyncio.sleep(0)
        if not asking.done():
            asking.cancel()
            await asyncio.wait((asking,))
            return None
        error = asking.exception()
        return error if isinstance(error, Exception) else asking.result()

    return asyncio.run(main())


def answered(request: Request, sent: bytes) -> bytes:
    device = Registers({i: 7 * i for i in range(50)}, {i: bool(i % 3) for i in range(50)})
    pdu = answer(device, sent[7:])
    assert pdu is not None
    return frame(int.from_bytes(sent[:2], "big"), request.unit, pdu)


@settings(deadline=None)
@given(REQUESTS, st.data())
def test_the_right_answer_is_taken_in_any_pieces_and_one_with_a_damaged_header_never(
    request: Request, data: st.DataObject
) -> None:
    def cut(sent: bytes) -> list[bytes]:
        right = answered(request, sent)
        where = data.draw(st.integers(0, len(right)))
        return [right[:where], right[where:]]

    def damaged(sent: bytes) -> list[bytes]:
        right = answered(request, sent)
        where = data.draw(st.integers(0, 7))
        other = data.draw(st.integers(0, 255).filter(lambda byte: byte != right[where]))
        return [right[:where] + bytes([other]) + right[where + 1 :]]

    right = given_bytes(request, cut)
    if request.values is not None:
        assert right == b""
    elif request.table in (Table.HOLDING, Table.INPUT):
        span = range(request.address, request.address + request.count)
        assert right == struct.pack(f">{request.count}H", *(7 * i for i in span))
    else:
        assert isinstance(right, bytes)
        assert len(right) == (request.count + 7) // 8
    assert isinstance(given_bytes(request, damaged), UnreadableError | None)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=4))
def test_no_bytes_raise_anything_else_and_what_is_taken_is_addressed_right(pieces: list[bytes]) -> None:
    result = given_bytes(Request.reading(1, Table.HOLDING, 0, 2), lambda _: pieces)
    assert isinstance(result, bytes | UnreadableError | ModbusRefusedError | None)
    if isinstance(result, bytes):
        assert b"".join(pieces).startswith(b"\x00\x01\x00\x00\x00\x07\x01\x03\x04" + result)


def test_a_late_answer_is_thrown_away_and_the_next_units_is_taken() -> None:
    first, second = Request.reading(1, Table.HOLDING, 0, 2), Request.reading(2, Table.HOLDING, 0, 2)

    async def test() -> None:
        client, transport = TcpModbusClient(), Recording()
        client.connection_made(transport)
        late = asyncio.create_task(client.ask(first, LONG_S))
        await asyncio.sleep(0)
        client.data_received(frame(1, 1, b"\x03\x04\x00", length=7))  # the answer stops in the middle
        late.cancel()
        await asyncio.wait((late,))
        asking = asyncio.create_task(client.ask(second, LONG_S))
        await asyncio.sleep(0)
        client.data_received(b"\x01\x00\x02")
        client.data_received(frame(2, 2, b"\x03\x04\x00\x09\x00\x08"))
        assert await asking == b"\x00\x09\x00\x08"
        assert not client.lost.done()

    bounded(test)


def test_a_late_answer_from_the_wrong_unit_ends_the_connection() -> None:
    async def test() -> None:
        client = TcpModbusClient()
        client.connection_made(Recording())
        late = asyncio.create_task(client.ask(Request.reading(1, Table.HOLDING, 0, 2), LONG_S))
        await asyncio.sleep(0)
        late.cancel()
        await asyncio.wait((late,))
        client.data_received(frame(1, 2, GOOD_READ))
        assert "from unit 2" in await client.lost

    bounded(test)


def test_a_device_that_says_nothing_is_silent_after_its_time_and_what_it_says_then_is_thrown_away() -> None:
    request = Request.reading(1, Table.HOLDING, 0, 2)

    async def test() -> None:
        client = TcpModbusClient()
        client.connection_made(Recording())
        with pytest.raises(SilentError, match=r"no answer within 0\.05 s"):
            await client.ask(request, 0.05)
        asking = asyncio.create_task(client.ask(request, LONG_S))
        await asyncio.sleep(0)
        client.data_received(frame(1, 1, b"\x03\x04\x00\x01\x00\x01"))
        client.data_received(frame(2, 1, b"\x03\x04\x00\x02\x00\x02"))
        assert await asking == b"\x00\x02\x00\x02"

    bounded(test)
