"""Many plain instruments as a process of their own, which tells where they are in one line and ends with its input.

``python -m tests.wire.plain_instruments modbus PORT COUNT`` is a Modbus server of so many input registers;
``python -m tests.wire.plain_instruments balances FOLDER COUNT`` are balances on pseudo-terminals, and one more on a TCP
port as behind a serial server; ``python -m tests.wire.plain_instruments canary - -`` tells whenever the machine let it
wait: one line with the begin and the end of that time (seconds of the system's monotonic clock).
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from simulators.devices.balance import Balance
from simulators.devices.registers import ModbusFault, window
from simulators.wire.modbus import ModbusServer
from simulators.wire.serial_line import CRLF, SerialLine

STEP_S = 0.1
CANARY_STEP_S, STALL_S = 0.01, 0.05


class Registers:
    """Input registers that count, so that no two scans read the same; there is nothing else."""

    def __init__(self, count: int) -> None:
        self._words = list(range(count))

    def step(self) -> None:
        self._words = [(word + 1) % 60_000 for word in self._words]

    def read_input(self, address: int, count: int) -> list[int]:
        return window(self._words, address, count)

    def read_holding(self, address: int, count: int) -> list[int]:
        raise ModbusFault(2)

    def read_coils(self, address: int, count: int) -> list[bool]:
        raise ModbusFault(2)

    def read_discrete(self, address: int, count: int) -> list[bool]:
        raise ModbusFault(2)

    def write_holding(self, address: int, values: Sequence[int]) -> None:
        raise ModbusFault(2)

    def write_coils(self, address: int, values: Sequence[bool]) -> None:
        raise ModbusFault(2)


async def modbus(port: int, count: int) -> None:
    registers = Registers(count)
    server = ModbusServer(registers)
    await server.start(port=port)
    await _serve({"port": server.port}, registers.step)


async def balances(folder: Path, count: int) -> None:
    pans = [Balance(lambda: 500.0, seed=str(i)) for i in range(count + 1)]
    lines = [SerialLine(folder / f"balance{i}", pan.reply) for i, pan in enumerate(pans[:count])]
    for line in lines:
        line.plug()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while asked := await reader.readuntil(CRLF):
                for answer in pans[count].reply(asked.decode("latin-1").strip()):
                    writer.write(answer.encode("latin-1") + CRLF)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    where = {"lines": [str(line.path) for line in lines], "port": server.sockets[0].getsockname()[1]}
    await _serve(where, lambda: [pan.step(STEP_S) for pan in pans])


async def canary() -> None:
    """No instrument: a witness of how busy the machine is."""
    loop = asyncio.get_running_loop()
    last = loop.time()

    def look() -> None:
        nonlocal last
        now = loop.time()
        if now - last > CANARY_STEP_S + STALL_S:
            print(json.dumps([last, now]), flush=True)  # noqa: T201
        last = now

    await _serve({}, look, CANARY_STEP_S)


async def _serve(where: dict[str, Any], step: Callable[[], object], every_s: float = STEP_S) -> None:
    """Tell where, and let time pass until the input ends."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    ended = asyncio.create_task(reader.read())
    print(json.dumps(where), flush=True)  # noqa: T201
    while not ended.done():
        await asyncio.wait((ended,), timeout=every_s)
        step()


if __name__ == "__main__":
    kind, where, number = sys.argv[1:4]
    if kind == "canary":
        asyncio.run(canary())
    else:
        asyncio.run(modbus(int(where), int(number)) if kind == "modbus" else balances(Path(where), int(number)))
