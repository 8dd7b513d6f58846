"""The serial line over a real pseudo-terminal, opened with pyserial."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest
import serial

from simulators.plant import TffPlant
from simulators.wire.serial_line import MAX_LINE, SerialLine


def on_line(tmp_path: Path, talk: Callable[[SerialLine, TffPlant], Coroutine[None, None, None]]) -> None:
    async def main() -> None:
        plant = TffPlant()
        plant.step(2.0)
        line = SerialLine(tmp_path / "lines" / "WT-RET", plant.balance_links["WT-RET"].reply)
        line.plug()
        try:
            async with asyncio.timeout(20):
                await talk(line, plant)
        finally:
            line.unplug()

    asyncio.run(main())


def opened(line: SerialLine, **settings: object) -> serial.Serial:
    return serial.Serial(str(line.path), timeout=0, write_timeout=1, exclusive=True, **settings)  # type: ignore[arg-type]


async def lines(port: serial.Serial, count: int) -> list[str]:
    """Read so many lines; the balance runs in this very event loop."""
    got = b""
    while got.count(b"\r\n") < count:
        got += port.read(4096)
        await asyncio.sleep(0.002)
    return got.decode().split("\r\n")[:-1]


async def nothing(port: serial.Serial, seconds: float = 0.05) -> None:
    await asyncio.sleep(seconds)
    assert port.read(4096) == b""


def test_a_balance_answers_on_its_port(tmp_path: Path) -> None:
    async def talk(line: SerialLine, _: TffPlant) -> None:
        with opened(line) as port:
            port.write(b"I4\r\n")
            assert await lines(port, 1) == ['I4 A "SIM0006001"']
            port.write(b"SI\r\n")
            (weight,) = await lines(port, 1)
            assert weight.startswith("S S ")
            assert len(weight) == 16

    on_line(tmp_path, talk)


@pytest.mark.parametrize(
    "settings",
    [{"baudrate": 9600}, {"baudrate": 1200, "bytesize": 7, "parity": "O"}, {"baudrate": 19200, "stopbits": 2}],
)
def test_any_serial_settings_will_do(tmp_path: Path, settings: dict[str, object]) -> None:
    async def talk(line: SerialLine, _: TffPlant) -> None:
        with opened(line, **settings) as port:
            port.write(b"I4\r\n")
            assert await lines(port, 1) == ['I4 A "SIM0006001"']

    on_line(tmp_path, talk)


def test_nothing_is_echoed_and_bytes_pass_as_they_are(tmp_path: Path) -> None:
    async def talk(line: SerialLine, _: TffPlant) -> None:
        with opened(line) as port:
            port.write(b"S\x03I\x04\x11\x13\r\n\xff\xfe\r\n")
            assert await lines(port, 2) == ["ES", "ET"]

    on_line(tmp_path, talk)


def test_commands_may_come_in_pieces_or_many_at_once(tmp_path: Path) -> None:
    async def talk(line: SerialLine, _: TffPlant) -> None:
        with opened(line) as port:
            for byte in b"I4\r\n":
                port.write(bytes([byte]))
                await asyncio.sleep(0.002)
            assert await lines(port, 1) == ['I4 A "SIM0006001"']
            port.write(b"I4\r\nX\r\nI3\r\n")
            assert await lines(port, 3) == ['I4 A "SIM0006001"', "ES", 'I3 A "1.00 simulated"']

    on_line(tmp_path, talk)


def test_only_cr_lf_ends_a_line(tmp_path: Path) -> None:
    async def talk(line: SerialLine, _: TffPlant) -> None:
        with opened(line) as port:
            port.write(b"I4\nI4\r")
            await nothing(port)
            port.write(b"\n")
            assert await lines(port, 1) == ["ES"]

    on_line(tmp_path, talk)


def test_half_a_line_of_one_client_is_completed_by_the_next(tmp_path: Path) -> None:
    async def talk(line: SerialLine, _: TffPlant) -> None:
        with opened(line) as port:
            port.write(b"TA")
            await asyncio.sleep(0.02)
        with opened(line) as port:
            port.write(b"C\r\n")
            assert await lines(port, 1) == ["TAC A"]

    on_line(tmp_path, talk)


def test_clients_may_come_and_go(tmp_path: Path) -> None:
    async def talk(line: SerialLine, _: TffPlant) -> None:
        for _ in range(5):
            with opened(line) as port:
                port.write(b"I4\r\n")
                assert await lines(port, 1) == ['I4 A "SIM0006001"']

    on_line(tmp_path, talk)


def test_weights_that_nobody_reads_are_lost_and_block_nothing(tmp_path: Path) -> None:
    async def talk(line: SerialLine, _: TffPlant) -> None:
        for _ in range(2000):
            line.send(["S D     100.00 g"] * 5)
        with opened(line) as port:
            await asyncio.sleep(0.02)
            port.reset_input_buffer()
            port.write(b"I4\r\n")
            assert (await lines(port, 1))[-1] == 'I4 A "SIM0006001"'

    on_line(tmp_path, talk)


def test_an_endless_line_is_one_transmission_error(tmp_path: Path) -> None:
    async def talk(line: SerialLine, _: TffPlant) -> None:
        with opened(line) as port:
            for _ in range(20):
                port.write(b"X" * MAX_LINE)
                await asyncio.sleep(0.002)
            assert await lines(port, 1) == ["ET"]
            port.write(b"\r\nI4\r\n")
            assert await lines(port, 1) == ['I4 A "SIM0006001"']
            port.write(b"X" * (MAX_LINE + 1) + b"\r\nI4\r\n")
            assert await lines(port, 2) == ["ET", 'I4 A "SIM0006001"']

    on_line(tmp_path, talk)


def test_an_end_of_line_cut_in_two_ends_an_endless_line(tmp_path: Path) -> None:
    async def talk(line: SerialLine, _: TffPlant) -> None:
        with opened(line) as port:
            port.write(b"X" * 200 + b"\r")
            assert await lines(port, 1) == ["ET"]
            port.write(b"\nI4\r\n")
            assert await lines(port, 1) == ['I4 A "SIM0006001"']

    on_line(tmp_path, talk)


def test_a_pulled_cable_is_an_error_for_who_has_the_port_open(tmp_path: Path) -> None:
    async def talk(line: SerialLine, _: TffPlant) -> None:
        with opened(line) as port:
            line.unplug()
            assert not line.plugged
            with pytest.raises(OSError):  # noqa: PT011  (pyserial words it by platform)
                port.write(b"I4\r\n")
        with pytest.raises(serial.SerialException):
            opened(line)

    on_line(tmp_path, talk)


def test_a_cable_put_back_is_found_under_the_same_name(tmp_path: Path) -> None:
    async def talk(line: SerialLine, _: TffPlant) -> None:
        path = line.path
        line.unplug()
        line.unplug()
        line.plug()
        line.plug()
        assert line.path == path
        with opened(line) as port:
            port.write(b"I4\r\n")
            assert await lines(port, 1) == ['I4 A "SIM0006001"']

    on_line(tmp_path, talk)


def test_half_a_line_does_not_survive_a_pulled_cable(tmp_path: Path) -> None:
    async def talk(line: SerialLine, _: TffPlant) -> None:
        with opened(line) as port:
            port.write(b"TA")
            await asyncio.sleep(0.02)
        line.unplug()
        line.plug()
        with opened(line) as port:
            port.write(b"I4\r\n")
            assert await lines(port, 1) == ['I4 A "SIM0006001"']

    on_line(tmp_path, talk)


def test_an_unreached_instrument_is_silent(tmp_path: Path) -> None:
    async def talk(line: SerialLine, plant: TffPlant) -> None:
        plant.balance_links["WT-RET"].plugged = False
        with opened(line) as port:
            port.write(b"I4\r\n")
            await nothing(port)

    on_line(tmp_path, talk)


def test_a_link_that_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "lines").mkdir()
    (tmp_path / "lines" / "WT-RET").symlink_to("/dev/pts/99999")

    async def talk(line: SerialLine, _: TffPlant) -> None:
        with opened(line) as port:
            port.write(b"I4\r\n")
            assert await lines(port, 1) == ['I4 A "SIM0006001"']

    on_line(tmp_path, talk)
