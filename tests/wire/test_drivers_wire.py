"""The shipped plant's drivers on the simulated skid and balances: real sockets, real pseudo-terminals, real scans."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from drivers.driver import Driver, Link, LinkState, Outcome
from drivers.registry import driver_type
from evcontrol.acquisition.image import ProcessImage
from evcontrol.acquisition.scan import Scanner
from evcontrol.clock import LiveClock
from evcontrol.plant.load import parse_plant
from evcontrol.plant.model import Plant
from evcontrol.quality import BAD_CONFIGURATION, BAD_OUT_OF_RANGE, is_bad, is_good
from simulators.devices.skid_registers import INPUT
from simulators.faults import parse_fault
from simulators.plant import BALANCES
from simulators.serve import PlantServer
from tests.faultproxy import Fault, FaultProxy

SHIPPED = Path(__file__).parents[2] / "config" / "plants" / "tff.yaml"
SCAN_S = 0.05
TIMEOUT_S = 0.2
SLACK_S = 0.5
"""How late a machine with other work may be."""
SPEED = 5.0
SKID, RETENTATE, PERMEATE = "TFF201", "WT-RET", "WT-PERM"
WATCHDOG = {"address": 1, "scale": 0.1, "seconds": 5}
"""Another time than the controller's default of 10 s."""
WEIGHTS = {RETENTATE: "TFF201.WT_RET", PERMEATE: "TFF201.WT_PERM"}


def shipped_plant(endpoints: dict[str, Any]) -> Plant:
    text = SHIPPED.read_text(encoding="utf-8")
    fast = text.replace("\nscan: 1 s\n", f"\nscan: {SCAN_S} s\n")
    assert fast != text
    return parse_plant(fast, "tff.yaml", endpoints)


class Rig:
    """Simulators, a fault proxy before the skid, the plant's drivers and its scan."""

    def __init__(
        self,
        server: PlantServer,
        simulating: asyncio.Task[None],
        proxy: FaultProxy,
        options: dict[str, dict[str, Any]],
    ) -> None:
        self.server = server
        self.simulating = simulating
        self.proxy = proxy
        endpoints = server.endpoints()
        for name in endpoints["devices"]:
            endpoints["devices"][name] |= {"timeout_s": TIMEOUT_S} | options.get(name, {})
        endpoints["devices"][SKID] |= {"port": proxy.port, "watchdog": WATCHDOG}
        self.clock = LiveClock()
        self.plant = shipped_plant(endpoints)
        self.drivers: dict[str, Driver] = {
            name: driver_type(spec.driver)(name, spec.options, spec.points, self.clock)
            for name, spec in self.plant.devices.items()
        }
        self.links: dict[str, list[Link]] = {name: [] for name in self.drivers}
        self.image = ProcessImage(self.plant.tags, self.plant.internal)
        self.scanner = Scanner(self.plant, self.drivers, self.image, self.clock)
        self.feeding = True
        self.scanner.after.append(self._feed)
        self.scanner.on_failure = self._failed
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        for name, driver in self.drivers.items():
            driver.on_link = self.links[name].append
            await driver.start()
        self._task = asyncio.create_task(self.scanner.run())

    async def stop(self) -> None:
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        for driver in self.drivers.values():
            await driver.stop()

    def value(self, tag: str) -> float:
        return float(self.image.reading(tag)[0])

    def quality(self, tag: str) -> int:
        return int(self.image.reading(tag)[1])

    def tags_of(self, device: str) -> list[str]:
        return [bound.tag.name for bound in self.plant.devices[device].points]

    async def until(self, true: Callable[[], bool], within_s: float = 10.0) -> None:
        """Wait, from scan to scan."""
        try:
            async with asyncio.timeout(within_s):
                while not true():
                    await self.scanner.next_scan()
        except TimeoutError:
            readings = {tag: tuple(self.image.reading(tag)) for name in self.drivers for tag in self.tags_of(name)}
            links = {name: driver.link for name, driver in self.drivers.items()}
            raise AssertionError(f"not within {within_s:g} s: {links} {readings}") from None

    async def until_good(self, *devices: str) -> None:
        tags = [tag for device in devices or self.drivers for tag in self.tags_of(device)]
        await self.until(lambda: all(is_good(self.quality(tag)) for tag in tags))

    async def is_bad_in_time(self, device: str) -> None:
        """Every tag of the device is Bad within scan and time-out, and shows no number while it is."""
        tags = self.tags_of(device)
        await self.until(lambda: all(is_bad(self.quality(tag)) for tag in tags), within_s=SCAN_S + TIMEOUT_S + SLACK_S)
        assert all(math.isnan(self.value(tag)) for tag in tags)

    async def write(self, values: dict[str, float]) -> set[Outcome]:
        return {result.outcome for result in (await self.drivers[SKID].write(values)).values()}

    def begin(self, kind: str, **fields: Any) -> int:
        return self.server.faults.begin(parse_fault({"kind": kind} | fields))

    async def _feed(self) -> None:
        if self.feeding:
            await self.drivers[SKID].feed_watchdog()

    def _failed(self, name: str, error: Exception) -> None:
        raise AssertionError(name) from error


def on_plant(folder: Path, test: Callable[[Rig], Awaitable[None]], **options: dict[str, Any]) -> None:
    async def main() -> None:
        async with asyncio.timeout(30), AsyncExitStack() as stack:
            server = await stack.enter_async_context(PlantServer(folder, SPEED))
            simulating = asyncio.create_task(server.run())
            stack.callback(simulating.cancel)
            proxy = await stack.enter_async_context(FaultProxy(server.endpoints()["devices"][SKID]["port"]))
            renamed = {name.replace("_", "-"): given for name, given in options.items()}
            rig = Rig(server, simulating, proxy, renamed)
            stack.push_async_callback(rig.stop)
            await rig.start()
            await test(rig)

    asyncio.run(main())


def test_every_tag_of_the_plant_is_read_as_the_skid_and_the_balances_have_it(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.until_good()
        link = rig.server.plant.skid_link
        raw = link.read_input(0, 21)
        frame = await rig.drivers[SKID].read()
        read = {rig.plant.tags[int(i)].name: v for i, v in zip(frame.index, frame.value, strict=True)}
        # The skid moves on between the two: what stands still is compared exactly, what scatters within its scatter.
        for name in ("PT_FEED", "FT_FEED", "CT", "TT", "LT", "P101_SPEED", "PCV101_POS", "FQ_IN"):
            register = INPUT[name]
            shown = register.decode(raw[register.address : register.address + register.words])
            assert read[f"TFF201.{name}"] == pytest.approx(shown, rel=0.02, abs=0.2), name
        assert read["TFF201.STARTS"] == rig.server.plant.skid.starts
        assert read["TFF201.REMOTE"] == 1.0
        assert read["TFF201.XV102"] == read["TFF201.XV102_FB"] == 0.0
        truth = rig.server.plant.truth()
        assert rig.value("TFF201.WT_RET") == pytest.approx(truth["retentate_g"], abs=0.1)
        assert rig.value("TFF201.WT_PERM") == pytest.approx(truth["permeate_g"], abs=0.1)
        assert rig.drivers[RETENTATE].link.reason == f'serial number "{BALANCES[RETENTATE].serial}"'
        for bound in rig.plant.devices[SKID].points:
            assert bound.tag.low <= read[bound.tag.name] <= bound.tag.high, bound.tag.name

    on_plant(tmp_path, test)


def test_setpoints_arrive_are_read_back_and_move_the_plant(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.until_good()
        await rig.write({"TFF201.TRIP_RESET": 1.0})
        wanted = {
            "TFF201.INLET": 3.0,
            "TFF201.P102_SP": 123.4,
            "TFF201.FQ_IN_STOP": 12345.67,
            "TFF201.PCV101_SP": 50.25,
        }
        assert await rig.write(wanted) == {Outcome.CONFIRMED}
        await rig.until(lambda: all(rig.value(tag) == value for tag, value in wanted.items()))
        await rig.until(lambda: rig.value("TFF201.PCV101_POS") == pytest.approx(50.25, abs=0.1))
        await rig.until(lambda: rig.value("TFF201.INLET_ACT") == 3.0)
        await rig.until(lambda: rig.value("TFF201.FQ_IN") > 1.0)
        assert rig.server.plant.skid.totalised_ml > 1.0
        assert await rig.write({"TFF201.XV102": 1.0}) == {Outcome.CONFIRMED}
        await rig.until(lambda: rig.value("TFF201.XV102_FB") == 1.0)

    on_plant(tmp_path, test)


@pytest.mark.parametrize("fault", [Fault.HALF_OPEN, Fault.GARBAGE], ids=str)
def test_a_fault_of_the_network_is_bad_within_scan_and_time_out_alone_and_passes(tmp_path: Path, fault: Fault) -> None:
    async def test(rig: Rig) -> None:
        await rig.until_good()
        await rig.proxy.set(fault)
        await rig.is_bad_in_time(SKID)
        for _ in range(4):
            await rig.scanner.next_scan()
            assert all(is_bad(rig.quality(tag)) for tag in rig.tags_of(SKID))
            assert is_good(rig.quality("TFF201.WT_RET"))
        await rig.until(lambda: rig.drivers[SKID].link.state is LinkState.DISCONNECTED)
        await rig.proxy.set(Fault.NONE)
        await rig.until_good(SKID)
        assert rig.links[SKID][-1].state is LinkState.READY

    on_plant(tmp_path, test)


def test_a_silent_controller_is_bad_in_time_and_no_write_to_it_lands_later(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.until_good()
        await rig.write({"TFF201.TRIP_RESET": 1.0})
        rig.feeding = False
        fault = rig.begin("skid_silent")
        sent = len(rig.proxy.requests)
        assert await rig.write({"TFF201.P102_SP": 77.0}) <= {Outcome.UNKNOWN, Outcome.REJECTED}
        await rig.is_bad_in_time(SKID)
        rig.server.faults.end(fault)
        await rig.until_good(SKID)
        assert rig.value("TFF201.P102_SP") == 0.0
        writes = [request for request in rig.proxy.requests[sent:] if request[7] == 16 and request[9] == 3]
        assert len(writes) <= 1

    on_plant(tmp_path, test)


def test_the_skids_refusals_are_rejections_with_its_reason_and_change_nothing(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.until_good()
        result = await rig.drivers[SKID].write({"TFF201.P102_SP": 1500.0})
        assert result["TFF201.P102_SP"].outcome is Outcome.REJECTED
        assert "illegal value" in result["TFF201.P102_SP"].reason
        fault = rig.begin("local_takeover", setpoints={"P102": 500})
        await rig.until(lambda: rig.value("TFF201.REMOTE") == 0.0)
        result = await rig.drivers[SKID].write({"TFF201.P102_SP": 0.0})
        assert result["TFF201.P102_SP"].outcome is Outcome.REJECTED
        assert "device failure" in result["TFF201.P102_SP"].reason
        await rig.until(lambda: rig.value("TFF201.P102_SP") == 50.0)
        rig.server.faults.end(fault)
        await rig.until(lambda: rig.value("TFF201.REMOTE") == 1.0)

    on_plant(tmp_path, test)


def test_the_watchdog_has_the_plants_time_holds_while_fed_and_trips_in_silence(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.until_good()
        assert rig.server.plant.skid_link.read_holding(1, 1) == [50]
        await rig.until(lambda: rig.value("TFF201.WD_OK") == 1.0)
        await rig.write({"TFF201.TRIP_RESET": 1.0})
        start_s = rig.server.plant.time_s
        await rig.until(lambda: rig.server.plant.time_s > start_s + 6.0)
        assert rig.value("TFF201.TRIP_WATCHDOG") == 0.0
        await rig.proxy.set(Fault.BLACK_HOLE)
        await rig.until(lambda: rig.server.plant.skid.trips == 4)
        await rig.proxy.set(Fault.NONE)
        await rig.until(lambda: rig.value("TFF201.TRIP_WATCHDOG") == 1.0)

    on_plant(tmp_path, test)


def test_a_restarted_controller_gets_its_watchdog_time_again(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.until_good()
        rig.begin("skid_restart")
        assert rig.server.plant.skid_link.read_holding(1, 1) == [100]
        await rig.until(lambda: rig.server.plant.skid_link.read_holding(1, 1) == [50])
        await rig.until(lambda: rig.links[SKID][-1].state is LinkState.READY)
        assert "the device restarted (start counter 1 to 2)" in rig.links[SKID][-1].reason
        await rig.until_good(SKID)

    on_plant(tmp_path, test)


@pytest.mark.parametrize("balance", WEIGHTS)
def test_an_unplugged_balance_is_bad_in_time_alone_and_comes_back_when_plugged(tmp_path: Path, balance: str) -> None:
    other = next(name for name in WEIGHTS if name != balance)

    async def test(rig: Rig) -> None:
        await rig.until_good()
        fault = rig.begin("balance_unplugged", balance=balance)
        await rig.is_bad_in_time(balance)
        assert is_good(rig.quality(WEIGHTS[other]))
        assert is_good(rig.quality("TFF201.PT_FEED"))
        await rig.until(lambda: rig.drivers[balance].link.state is LinkState.DISCONNECTED)
        rig.begin("balance_load", balance=balance, grams=50.0)
        rig.server.faults.end(fault)
        await rig.until_good(balance)
        load = rig.server.plant.balances[balance]
        await rig.until(lambda: rig.value(WEIGHTS[balance]) == pytest.approx(load.net_g, abs=0.1))

    on_plant(tmp_path, test)


def test_overload_and_underload_are_bad_and_pass(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.until_good()
        for kind, fields in (("balance_overload", {}), ("balance_load", {"grams": -20000.0})):
            fault = rig.begin(kind, balance=RETENTATE, **fields)
            await rig.until(lambda: rig.quality(WEIGHTS[RETENTATE]) == BAD_OUT_OF_RANGE)
            assert rig.drivers[RETENTATE].link.state is LinkState.READY
            rig.server.faults.end(fault)
            await rig.until_good(RETENTATE)

    on_plant(tmp_path, test)


def test_a_balance_that_restarts_and_speaks_unasked_does_not_get_the_driver_out_of_step(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        rig.begin("balance_load", balance=PERMEATE, grams=500.0)
        await rig.until_good()
        await rig.until(lambda: rig.value(WEIGHTS[PERMEATE]) == pytest.approx(500.0, abs=0.1))
        rig.begin("balance_restart", balance=PERMEATE)
        await rig.until(lambda: is_good(rig.quality(WEIGHTS[PERMEATE])) and abs(rig.value(WEIGHTS[PERMEATE])) < 0.1)

    on_plant(tmp_path, test)


def test_swapped_balances_are_refused_when_the_plant_names_their_serial_numbers(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.until_good(SKID, PERMEATE)
        await rig.until(lambda: rig.quality(WEIGHTS[RETENTATE]) == BAD_CONFIGURATION)
        link = rig.drivers[RETENTATE].link
        assert link.state is LinkState.REFUSED
        assert BALANCES[RETENTATE].serial in link.reason

    on_plant(tmp_path, test, WT_RET={"serial_number": BALANCES[PERMEATE].serial})


def test_simulators_that_come_back_are_found_again_without_anybodys_help(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.until_good()
        weight = rig.value(WEIGHTS[RETENTATE])
        rig.simulating.cancel()
        await asyncio.wait((rig.simulating,))
        await rig.server.__aexit__(None, None, None)
        for device in rig.drivers:
            await rig.is_bad_in_time(device)
        async with PlantServer(tmp_path, SPEED) as again:
            running = asyncio.create_task(again.run())
            await rig.until_good()
            assert rig.value(WEIGHTS[RETENTATE]) == pytest.approx(weight, abs=0.1)
            assert "restarted" in rig.drivers[SKID].link.reason
            running.cancel()
            await asyncio.wait((running,))

    on_plant(tmp_path, test)
