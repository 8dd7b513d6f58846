"""A large plant at 1 Hz: whatever goes wrong at one device, the others never miss a scan.

2,000 OPC UA tags on two servers, 500 Modbus points on two more, and 8 balances on serial lines, all of them processes
of their own. One device, behind a proxy, has every fault in turn; the engine is a whole one, with its journal and
history.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from drivers.driver import LinkState
from evcontrol.acquisition.scan import Scan
from evcontrol.clock import NS, LiveClock
from evcontrol.engine import Engine
from evcontrol.plant.link_tags import LinkTag, link_tag
from evcontrol.plant.load import parse_plant
from evcontrol.plant.model import Plant
from evcontrol.quality import is_bad
from tests.faultproxy import Fault, FaultProxy

ROOT = Path(__file__).parents[2]
OPC_TAGS, MODBUS_POINTS, LINES = 1000, 250, 7
SCAN_S = 1.0
TIMEOUT_S, OPC_TIMEOUT_S = 0.8, 2.5
"""A thousand subscriptions take a moment, on a machine with other work."""
BACK_S = 5.0
"""Within which a device must be back after a fault; with what a machine with other work may be late."""
SLACK_S = 3.0
START_S = 120.0
SILENT = {Fault.REFUSE, Fault.RESET, Fault.HALF_OPEN, Fault.BLACK_HOLE}
"""Faults during which nothing good can come."""


class Server:
    """A process that tells in one line where it listens."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self._process: asyncio.subprocess.Process | None = None
        self.where: Any = None

    async def __aenter__(self) -> Server:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, *self._arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(START_S):
            self.where = json.loads(await self._process.stdout.readline())
        return self

    async def lines(self) -> AsyncIterator[Any]:
        """What else it tells, as it comes."""
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            yield json.loads(line)

    async def __aexit__(self, *error: object) -> None:
        if self._process is None:
            return
        if self._process.returncode is None:
            self.go_on()
            self._process.kill()
        await self._process.communicate()

    def stop_in_its_tracks(self) -> None:
        """SIGSTOP: the kernel still accepts connections for it."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)


def opcua(port: int, *options: str) -> Server:
    return Server("tests/drivers/opcua_server.py", str(port), f"many={OPC_TAGS}", "every=3", *options)


def modbus(port: int) -> Server:
    return Server("-m", "tests.wire.plain_instruments", "modbus", str(port), str(MODBUS_POINTS))


def plant_text(opc: list[int], registers: list[int], lines: list[str]) -> str:
    """The plant file."""
    devices, tags = [], []
    for name, port in zip(("OPC1", "OPC2"), opc, strict=True):
        options = (
            f'{{url: "opc.tcp://127.0.0.1:{port}/plant", namespace: "urn:test:bioreactor", timeout_s: {OPC_TIMEOUT_S}}}'
        )
        devices.append(f"  {name}: {{driver: opc-ua, options: {options}}}")
        point = f"device: {name}, point: {{node: BR.V%d}}"
        tags += [f"  {name}.T{i}: {{{point % i}, low: 0, high: 1.0e+9}}" for i in range(OPC_TAGS)]
    for name, port in zip(("MB1", "MB2"), registers, strict=True):
        devices.append(
            f"  {name}: {{driver: modbus-tcp, options: {{host: 127.0.0.1, port: {port}, timeout_s: {TIMEOUT_S}}}}}"
        )
        point = f"device: {name}, point: {{table: input, address: %d, type: uint16}}"
        tags += [f"  {name}.T{i}: {{{point % i}, low: 0, high: 65535}}" for i in range(MODBUS_POINTS)]
    for i, line in enumerate(lines, 1):
        devices.append(f'  WT{i}: {{driver: mt-sics, options: {{port: "{line}", timeout_s: {TIMEOUT_S}}}}}')
        tags.append(f"  WT{i}.W: {{device: WT{i}, point: {{field: weight}}, unit: g, low: -10, high: 6000}}")
    unit = "  U: {class: test, content_tag: U.CONTENT, safe_states: {default: {}}, safe_within: 2 s}"
    content = "  U.CONTENT: {internal: true, kind: enum, labels: [empty]}"
    head = ["name: A large plant", f"scan: {SCAN_S} s", "wire_scan: 50 ms"]
    return "\n".join([*head, "devices:", *devices, "units:", unit, "tags:", *tags, content, ""])


@dataclass
class Drill:
    """The plant, its engine, and what every scan saw since :meth:`begin`."""

    plant: Plant
    engine: Engine
    proxies: dict[str, FaultProxy]
    servers: dict[str, Server]
    victim: str = ""
    stalls: list[tuple[float, float]] = field(default_factory=list)
    """When the machine stood still for another process, which has nothing else to do (monotonic s)."""
    missed: list[tuple[float, str]] = field(default_factory=list)
    scans: list[int] = field(default_factory=list)
    latest_ms: float = 0.0

    def begin(self, victim: str) -> None:
        """From now on only ``victim`` may miss a scan."""
        self.victim = victim
        self.missed.clear()
        self.scans.clear()
        self.latest_ms = 0.0
        self._late = {name: timing.late for name, timing in self.engine.scanner.timing.items()}
        self._overruns = self.engine.scanner.overruns

    def look(self, scan: Scan) -> None:
        """A stage of the scan: every other device is in it, with every reading good."""
        if not self.victim:
            return
        self.scans.append(scan.t)
        self.latest_ms = max(self.latest_ms, scan.late_ms)
        frames = {frame.group: frame for frame in scan.frames}
        for name in self.plant.devices:
            frame = frames.get(name)
            if name != self.victim and (frame is None or frame.quality.max() >= 0x4000_0000):
                words = f"{name} in scan {len(self.scans)}{'' if frame else ': no reading'}"
                self.missed.append((asyncio.get_running_loop().time(), words))

    def judge(self) -> None:
        """Nothing was missed, and the scan kept its time; what the machine did to everybody is not counted."""
        missed = [words for when, words in self.missed if not self._stalled(when)]
        assert missed == []
        assert self.engine.scanner.overruns == self._overruns
        late = {n: t.late - self._late[n] for n, t in self.engine.scanner.timing.items() if n != self.victim}
        assert sum(late.values()) <= len(self.missed), late
        steps = [round((b - a) / NS) for a, b in zip(self.scans, self.scans[1:], strict=False)]
        assert set(steps) == {round(SCAN_S)}

    def _stalled(self, when: float) -> bool:
        """Whether the machine stood still within the scan that ended then."""
        return any(begin <= when and end >= when - SCAN_S for begin, end in self.stalls)

    async def watch(self, canary: Server) -> None:
        """Note when the machine stands still."""
        async for begin, end in canary.lines():
            self.stalls.append((begin, end))

    def good(self, device: str) -> bool:
        """Whether every tag of a device is good now."""
        index = [point.tag.index for point in self.plant.devices[device].points]
        return bool((self.engine.image.quality[index] < 0x4000_0000).all())

    def all_bad(self, device: str) -> bool:
        """Whether every tag of a device is bad now."""
        index = [point.tag.index for point in self.plant.devices[device].points]
        return all(is_bad(int(quality)) for quality in self.engine.image.quality[index])

    async def until(self, there: Callable[[], bool], bound_s: float, what: str) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + bound_s
        while not there():
            assert loop.time() < end, f"{what}: not within {bound_s} s"
            await self.engine.scanner.next_scan()


@asynccontextmanager
async def drill(folder: Path) -> Any:
    """Servers, proxies and a whole engine that has seen every tag good."""
    async with AsyncExitStack() as stack:
        servers: dict[str, Server] = {
            "OPC1": opcua(0),
            "OPC2": opcua(0),
            "MB1": modbus(0),
            "MB2": modbus(0),
            "canary": Server("-m", "tests.wire.plain_instruments", "canary", "-", "-"),
            "WT": Server("-m", "tests.wire.plain_instruments", "balances", str(folder), str(LINES)),
        }
        stack.push_async_callback(_end, servers)
        for server in servers.values():
            await server.__aenter__()
        ports = {"OPC2": servers["OPC2"].where, "MB2": servers["MB2"].where["port"], "WT8": servers["WT"].where["port"]}
        proxies = {name: await stack.enter_async_context(FaultProxy(port)) for name, port in ports.items()}
        lines = [*servers["WT"].where["lines"], f"socket://127.0.0.1:{proxies['WT8'].port}"]
        text = plant_text(
            [servers["OPC1"].where, proxies["OPC2"].port], [servers["MB1"].where["port"], proxies["MB2"].port], lines
        )
        plant = parse_plant(text, "large.yaml")
        engine = Engine(plant, folder / "data", LiveClock())
        it = Drill(plant, engine, proxies, servers)
        watching = asyncio.create_task(it.watch(servers["canary"]))
        stack.callback(watching.cancel)
        engine.scanner.stages.append(it.look)
        await engine.start()
        stack.push_async_callback(engine.stop, "the drill ends")
        await it.until(lambda: all(it.good(name) for name in plant.devices), START_S, "every tag good")
        yield it


async def _end(servers: dict[str, Server]) -> None:
    """End them all, also those that took another's place."""
    for server in servers.values():
        await server.__aexit__()


async def through_the_proxy(it: Drill, fault: Fault, lasts_s: float) -> None:
    await it.proxies[it.victim].set(fault)
    if fault in SILENT:
        await it.until(lambda: it.all_bad(it.victim), SCAN_S + OPC_TIMEOUT_S + SLACK_S, f"{fault} is bad")
    await asyncio.sleep(lasts_s)
    await it.proxies[it.victim].set(Fault.NONE)


async def stopped(it: Drill, lasts_s: float) -> None:
    """SIGSTOP of the server: hung, and still accepting."""
    it.servers[it.victim].stop_in_its_tracks()
    await it.until(lambda: it.all_bad(it.victim), SCAN_S + OPC_TIMEOUT_S + SLACK_S, "SIGSTOP is bad")
    await asyncio.sleep(lasts_s)
    it.servers[it.victim].go_on()


async def restarted_with_another_order(it: Drill, lasts_s: float) -> None:
    """The server is killed, and comes back on its port with its namespaces in another order."""
    old = it.servers[it.victim]
    await old.__aexit__()
    await asyncio.sleep(lasts_s)
    new = it.servers[it.victim] = opcua(old.where, "swap")
    await new.__aenter__()


Story = Callable[[Drill, float], Awaitable[None]]


def stories(victim: str) -> Iterator[tuple[str, Story]]:
    """Every fault that a device of the drill can have, by name."""
    for fault in Fault:
        if fault is not Fault.NONE:
            yield fault.value, lambda it, lasts_s, fault=fault: through_the_proxy(it, fault, lasts_s)
    if victim != "WT8":  # its server is that of the other balances too
        yield "stopped", stopped
    if victim == "OPC2":
        yield "restarted", restarted_with_another_order


async def run(folder: Path, victim: str, lasts_s: float, *, each_is_back: bool) -> Drill:
    """Every fault in turn at one device."""
    async with drill(folder) as it:
        it.begin(victim)
        for name, story in stories(victim):
            await story(it, lasts_s)
            if each_is_back:
                await it.until(lambda: it.good(victim), BACK_S + SLACK_S, f"back after {name}")
        await it.until(lambda: it.good(victim), BACK_S + SLACK_S, "back at the end")
        it.judge()
        assert it.engine.drivers[victim].link.state is LinkState.READY
        assert it.engine.image.reading(link_tag(victim, LinkTag.RECONNECTS)).value >= 1
        for other in it.plant.devices.keys() - {victim}:
            assert it.engine.image.reading(link_tag(other, LinkTag.RECONNECTS)).value == 0
        return it


@pytest.mark.timeout(300)
def test_with_every_fault_at_one_device_the_others_never_miss_a_scan(tmp_path: Path) -> None:
    it = asyncio.run(run(tmp_path, "OPC2", 1.2, each_is_back=False))
    assert sum(len(device.points) for device in it.plant.devices.values()) == 2 * (OPC_TAGS + MODBUS_POINTS) + 8


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("victim", ["OPC2", "MB2", "WT8"])
def test_with_long_faults_the_others_never_miss_a_scan_and_the_device_is_back_after_each(
    tmp_path: Path, victim: str
) -> None:
    asyncio.run(run(tmp_path, victim, 8.0, each_is_back=True))
