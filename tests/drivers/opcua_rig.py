"""An OPC UA driver on equipment in this process (virtual time), or on a server that is a process of its own."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from drivers.driver import BoundPoint, LinkState
from drivers.opcua import OpcUaDriver
from drivers.opcua_options import OpcUaOptions
from drivers.opcua_points import OpcUaPoint
from drivers.opcua_session import in_process
from evcontrol.clock import Clock, LiveClock, VirtualClock, run_virtual
from evcontrol.signals import Frame, Tag, TagKind, TagTable
from tests.drivers.build import link_is
from tests.faultproxy import FaultProxy

URI = "urn:test:bioreactor"
TIMEOUT_S = 0.4
SCAN_S = 0.05
SLACK_S = 0.5
"""How late a machine with other work may be."""
BACK_S = 5.0
"""Within which a driver is back after a fault."""


def opcua_driver(
    clock: Clock, points: dict[str, dict[str, Any]], connect: Any = None, **options: Any
) -> NamedOpcUaDriver:
    """A driver of points by the name of their tag; ``labels`` and ``kind`` are the tag's."""
    tags = []
    models = []
    for i, (name, point) in enumerate(points.items()):
        labels, kind = point.pop("labels", ()), point.pop("kind", TagKind.ANALOG)
        tags.append(Tag(name, i, "", kind, 0, 1e6, labels=labels))
        models.append(OpcUaPoint.model_validate(point))
    table = TagTable(tags)
    given = {"url": "opc.tcp://127.0.0.1:1/", "namespace": URI, "timeout_s": TIMEOUT_S, "publishing_s": 0.05} | options
    bound = [BoundPoint(tag, model, table.code_of) for tag, model in zip(tags, models, strict=True)]
    driver = NamedOpcUaDriver("dev", OpcUaOptions.model_validate(given), bound, clock, connect=connect)
    driver.names, driver.table = list(points), table
    return driver


class NamedOpcUaDriver(OpcUaDriver):
    """Knows the names of its tags by index."""

    names: Sequence[str]
    table: TagTable


def nodes(*names: str, **more: Any) -> dict[str, dict[str, Any]]:
    """Writable points whose tags are named as the nodes of the tests' server and equipment."""
    return {name: {"node": f"BR.{name}", "writable": True} | more for name in names}


def readings(driver: NamedOpcUaDriver, frame: Frame) -> dict[str, tuple[float, int]]:
    """Value and quality by tag."""
    assert frame.source_t is not None
    rows = zip(frame.index, frame.value, frame.quality, strict=True)
    return {driver.names[index]: (float(value), int(quality)) for index, value, quality in rows}


async def values_of(driver: NamedOpcUaDriver) -> dict[str, tuple[float, int]]:
    return readings(driver, await driver.read())


async def until(
    driver: NamedOpcUaDriver, there: Callable[[dict[str, tuple[float, int]]], bool], within_s: float
) -> Any:
    """Scan until the readings are so; the readings."""
    result: dict[str, tuple[float, int]] = {}
    try:
        async with asyncio.timeout(within_s):
            while not there(result := await values_of(driver)):
                await asyncio.sleep(SCAN_S)
    except TimeoutError:
        raise AssertionError(f"not within {within_s:g} s: {driver.link} {result}") from None
    return result


# -- equipment in this process -----------------------------------------------------------------------------------------


@dataclass
class Variable:
    """A variable of :class:`Equipment`."""

    node_id: str
    browse_name: str
    data_type: str
    writable: bool = True


class Equipment:
    """What would be a server on the wire; values by name, ``status`` by name for those that are not Good."""

    def __init__(self, types: dict[str, str], **values: Any) -> None:
        self.types = types
        self.values = values
        self.status: dict[str, int] = {}
        self.answers: dict[str, int] = {}
        """Status codes of writes."""
        self.fault: OSError | None = None
        self.reads = 0
        self.written: list[tuple[str, Any]] = []

    def nodes(self) -> list[Variable]:
        self._ask()
        return [Variable(f"BR.{name}", name, kind) for name, kind in self.types.items()]

    def read(self, node_id: str) -> tuple[Any, int, float]:
        self._ask()
        self.reads += 1
        name = node_id.removeprefix("BR.")
        return self.values.get(name), self.status.get(name, 0), 12.0

    def write(self, node_id: str, value: Any) -> int:
        name = node_id.removeprefix("BR.")
        self.written.append((name, value))
        self._ask()
        status = self.answers.get(name, 0)
        if status == 0:
            self.values[name] = value
        return status

    def _ask(self) -> None:
        if self.fault is not None:
            raise self.fault


def virtually(
    equipment: Equipment,
    points: dict[str, dict[str, Any]],
    test: Callable[[NamedOpcUaDriver], Awaitable[None]],
    **options: Any,
) -> None:
    """Run ``test`` with a READY driver of equipment in this process."""

    async def main(clock: VirtualClock) -> None:
        driver = opcua_driver(clock, points, in_process(equipment), **options)
        await driver.start()
        await link_is(driver, LinkState.READY, 60)
        await test(driver)
        await driver.stop()

    run_virtual(main)


# -- a server of its own -----------------------------------------------------------------------------------------------


class ServerProcess:
    """A server as a process of its own, on a port that stays the same; use as a context manager."""

    command: ClassVar[Sequence[str]] = (sys.executable, str(Path(__file__).with_name("opcua_server.py")))
    environment: ClassVar[Mapping[str, str] | None] = None

    def __init__(self, *options: str) -> None:
        self.port = 0
        self.start(*options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self, *options: str) -> None:
        """Start it; returns when it listens."""
        self.process = subprocess.Popen(
            [*self.command, str(self.port), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self.environment,
        )
        self.port = self._answer()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.communicate()

    def hang(self) -> None:
        """SIGSTOP: its sockets stay open and say nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)

    def order(self, **order: Any) -> Any:
        """Have it do something; its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def writes(self, name: str) -> list[Any]:
        """What was written to a variable since the start."""
        return [value for written, value in self.order(writes=1) if written == name]

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())


async def use(
    port: int,
    points: dict[str, dict[str, Any]],
    test: Callable[[NamedOpcUaDriver], Awaitable[None]],
    *,
    ready: bool = True,
    within_s: float = 30,
    **options: Any,
) -> None:
    """Run ``test`` with a driver of a server on that port that is READY, unless told otherwise."""
    async with asyncio.timeout(within_s):
        driver = opcua_driver(LiveClock(), points, url=f"opc.tcp://127.0.0.1:{port}/plant", **options)
        await driver.start()
        try:
            if ready:
                await link_is(driver, LinkState.READY, BACK_S)
            await test(driver)
        finally:
            await driver.stop()


def on_server(
    server: ServerProcess,
    points: dict[str, dict[str, Any]],
    test: Callable[[NamedOpcUaDriver], Awaitable[None]],
    **options: Any,
) -> None:
    """Run ``test`` with a driver of a server (see :func:`use`)."""
    asyncio.run(use(server.port, points, test, **options))


def behind_proxy(
    server: ServerProcess,
    points: dict[str, dict[str, Any]],
    test: Callable[[NamedOpcUaDriver, FaultProxy], Awaitable[None]],
    **options: Any,
) -> None:
    """Run ``test`` with a driver of a server behind a fault proxy (see :func:`use`)."""

    async def main() -> None:
        async with FaultProxy(server.port, delay_s=2 * TIMEOUT_S) as proxy:
            await use(proxy.port, points, lambda driver: test(driver, proxy), **options)

    asyncio.run(main())
