"""The Modbus TCP client against pymodbus's server, the simulators' server, and a server that answers wrongly."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from drivers.connection import LinkLostError, LinkRefusedError, UnreadableError
from drivers.modbus_client import ModbusClient, ModbusRefusedError, _Request, connect_tcp, in_process
from simulators.wire.modbus import ModbusServer, answer
from tests.drivers.build import Registers
from tests.faultproxy import Fault, FaultProxy


def bounded(test: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(10):
            await test()

    asyncio.run(main())


@asynccontextmanager
async def client_of(port: int, unit_id: int = 1) -> AsyncIterator[ModbusClient]:
    client = await connect_tcp("127.0.0.1", port, unit_id)
    try:
        yield client
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
            with pytest.raises(LinkLostError, match="closed the connection"):
                await asking
            assert await client.lost == "the device closed the connection"

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
            await connect_tcp("127.0.0.1", port, 1)

    bounded(test)


def test_what_cannot_be_a_host_is_refused() -> None:
    async def test() -> None:
        with pytest.raises(LinkRefusedError, match="cannot be the name of a host"):
            await connect_tcp("a..b", 502, 1)

    bounded(test)


def test_a_device_in_this_process_is_asked_refuses_and_is_lost() -> None:
    async def test() -> None:
        device = Registers({0: 1}, {0: True})
        client = await in_process(device)(None)
        assert list(await client.read_input(0, 1)) == list(await client.read_holding(0, 1)) == [1]
        assert list(await client.read_coils(0, 1)) == list(await client.read_discrete(0, 1)) == [True]
        await client.write_registers(0, [2])
        await client.write_coils(0, [0])
        assert (device.registers, device.coils) == ({0: 2}, {0: False})
        with pytest.raises(ModbusRefusedError):
            await client.read_input(1, 1)
        device.silent = True
        with pytest.raises(TimeoutError):
            await client.read_input(0, 1)
        await client.close()

    bounded(test)


def test_a_lost_device_and_a_mistake_in_this_process_are_told_apart() -> None:
    class Broken(Registers):
        def read_input(self, address: int, count: int) -> list[int]:
            raise OSError("gone") if address == 0 else ZeroDivisionError

    async def test() -> None:
        client = await in_process(Broken())(None)
        with pytest.raises(LinkLostError, match="gone"):
            await client.read_input(0, 1)
        with pytest.raises(ZeroDivisionError):
            await client.read_input(1, 1)

    bounded(test)


REQUESTS = st.one_of(
    st.builds(
        lambda function, address, count: struct.pack(">BHH", function, address, count),
        st.sampled_from([1, 2, 3, 4]),
        st.integers(0, 40),
        st.integers(1, 30),
    ),
    st.builds(
        lambda address, values: struct.pack(f">BHHB{len(values)}H", 16, address, len(values), 2 * len(values), *values),
        st.integers(0, 40),
        st.lists(st.integers(0, 65535), min_size=1, max_size=20),
    ),
    st.builds(
        lambda address, count: struct.pack(">BHHB", 15, address, count, (count + 7) // 8) + bytes((count + 7) // 8),
        st.integers(0, 40),
        st.integers(1, 20),
    ),
)


@given(st.integers(1, 65000), st.integers(0, 255), REQUESTS, st.data())
def test_every_beginning_of_the_right_answer_is_accepted_and_no_damaged_header_ever(
    transaction: int, unit: int, pdu: bytes, data: st.DataObject
) -> None:
    device = Registers({i: i for i in range(50)}, {i: bool(i % 3) for i in range(50)})
    request = _Request.of(frame(transaction, unit, pdu))
    answered = answer(device, pdu)
    assert answered is not None
    right = frame(transaction, unit, answered)
    for end in range(len(right) + 1):
        assert request.fault(right[:end]) == ""
        assert request.complete(right[:end]) == (end == len(right))
    where = data.draw(st.integers(0, 7))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != right[where]))
    damaged = right[:where] + bytes([other]) + right[where + 1 :]
    assert request.fault(damaged) or (where == 7 and other == right[7] ^ 0x80 and len(right) == 9)


@given(st.binary(max_size=300))
def test_no_bytes_raise_and_what_is_accepted_as_whole_is_addressed_right(data: bytes) -> None:
    request = _Request.of(frame(5, 1, b"\x03\x00\x00\x00\x02"))
    if not request.fault(data) and request.complete(data):
        assert data[:4] == b"\x00\x05\x00\x00"
        assert data[7:9] == b"\x03\x04" or data[7] == 0x83
