"""The OPC UA driver on equipment in this process, in virtual time."""

from __future__ import annotations

import math

import pytest

from drivers.driver import BoundPoint, LinkState, Outcome
from drivers.mtsics import MtSicsOptions, MtSicsPoint
from drivers.opcua import OpcUaDriver
from drivers.opcua_options import OpcUaOptions
from drivers.opcua_session import in_process
from evcontrol.clock import LiveClock, VirtualClock, run_virtual
from evcontrol.quality import BAD_CONFIGURATION, BAD_NOT_CONNECTED, BAD_SENSOR_FAILURE, BAD_TIMEOUT, GOOD
from tests.drivers.build import link_is, tag
from tests.drivers.opcua_rig import URI, Equipment, NamedOpcUaDriver, nodes, opcua_driver, until, values_of, virtually

TYPES = {"TT": "Double", "SP": "Double", "MODE": "Int32", "REMOTE": "Boolean", "PATCH": "Guid"}
GUARD = {"HEARTBEAT": "UInt32", "WD_TIME": "Double", "STARTS": "UInt32"}
GUARDED = {"heartbeat": "BR.HEARTBEAT", "watchdog": {"node": "BR.WD_TIME", "seconds": 5}}
BAD_OUT_OF_RANGE = 0x803C_0000


def equipment() -> Equipment:
    return Equipment(TYPES | GUARD, TT=37.0, SP=20.0, MODE=1, REMOTE=True, HEARTBEAT=2**32 - 1, WD_TIME=60.0, STARTS=3)


def test_readings_have_value_quality_and_status_codes_are_kept() -> None:
    device = equipment()
    device.status |= {"SP": BAD_SENSOR_FAILURE, "MODE": 0x4093_0000}

    async def test(driver: NamedOpcUaDriver) -> None:
        result = await values_of(driver)
        assert result["TT"] == (37.0, GOOD)
        assert result["REMOTE"] == (1.0, GOOD)
        assert result["MODE"] == (1.0, 0x4093_0000)
        assert math.isnan(result["SP"][0])
        assert result["SP"][1] == BAD_SENSOR_FAILURE

    virtually(device, nodes("TT", "SP", "MODE", "REMOTE"), test)


def test_a_point_that_is_not_there_or_does_not_fit_is_bad_and_told_and_the_rest_works() -> None:
    async def test(driver: NamedOpcUaDriver) -> None:
        result = await values_of(driver)
        assert result["TT"] == (37.0, GOOD)
        assert {result[name][1] for name in ("NONE", "PATCH", "REMOTE")} == {BAD_CONFIGURATION}
        assert "NONE: there is no node BR.NONE" in driver.link.reason
        assert "PATCH: no tag has the type Guid" in driver.link.reason
        assert "REMOTE: a Boolean has no scale" in driver.link.reason
        assert (await driver.write({"NONE": 1.0}))["NONE"].outcome is Outcome.REJECTED

    points = nodes("TT", "NONE", "PATCH") | nodes("REMOTE", scale=2.0)
    virtually(equipment(), points, test)


def test_a_path_leads_to_the_variable_of_its_last_name() -> None:
    async def test(driver: NamedOpcUaDriver) -> None:
        assert await values_of(driver) == {"t": (37.0, GOOD)}

    virtually(equipment(), {"t": {"path": "BR/TT"}}, test)


def test_the_equipments_time_is_the_source_time_when_its_beginning_is_known() -> None:
    async def main(clock: VirtualClock) -> None:
        for epoch_s, source_t in ((1000.0, 1_012_000_000_000), (None, None)):
            driver = opcua_driver(clock, nodes("TT"), in_process(equipment(), epoch_s))
            await driver.start()
            await link_is(driver, LinkState.READY, 5)
            frame = await driver.read()
            assert frame.source_t is not None
            assert int(frame.source_t[0]) == (frame.t if source_t is None else source_t)
            await driver.stop()

    run_virtual(main)


def test_values_are_written_in_the_variables_types_and_read_back_at_once() -> None:
    device = equipment()

    async def test(driver: NamedOpcUaDriver) -> None:
        results = await driver.write({"SP": 33.5, "MODE": 2.0, "REMOTE": 0.0})
        assert {result.outcome for result in results.values()} == {Outcome.CONFIRMED}
        assert device.written == [("SP", 33.5), ("MODE", 2), ("REMOTE", False)]
        assert [type(value) for _, value in device.written] == [float, int, bool]
        assert (await values_of(driver))["SP"] == (33.5, GOOD)

    virtually(device, nodes("SP", "MODE", "REMOTE"), test)


@pytest.mark.parametrize(
    ("status", "outcome", "words"),
    [
        (BAD_OUT_OF_RANGE, Outcome.REJECTED, "the server answered: BadOutOfRange"),
        (0x803B_0000, Outcome.REJECTED, "the server answered: BadNotWritable"),
        (0x8FFF_0000, Outcome.REJECTED, "the server answered: 0x8FFF0000"),
        (0x800A_0000, Outcome.UNKNOWN, "the server answered: BadTimeout"),
        (0x8002_0000, Outcome.UNKNOWN, "the server answered: BadInternalError"),
        (0x8031_0000, Outcome.UNKNOWN, "the server answered: BadNoCommunication"),
        (0x808B_0000, Outcome.UNKNOWN, "the server answered: BadDeviceFailure"),
        (0x002E_0000, Outcome.UNKNOWN, "the server answered: GoodCompletesAsynchronously"),
        (0x4000_0000, Outcome.UNKNOWN, "the server answered: Uncertain"),
        (0x0030_0000, Outcome.CONFIRMED, ""),
    ],
)
def test_the_servers_status_decides_the_outcome(status: int, outcome: Outcome, words: str) -> None:
    device = equipment()
    device.answers["SP"] = status

    async def test(driver: NamedOpcUaDriver) -> None:
        results = await driver.write({"SP": 99.0, "TT": 1.0})
        assert (results["SP"].outcome, results["SP"].reason) == (outcome, words)
        assert results["TT"].outcome is Outcome.CONFIRMED
        assert (await values_of(driver))["SP"] == (20.0, GOOD)
        assert len(device.written) == 2

    virtually(device, nodes("SP", "TT"), test)


def test_one_value_that_cannot_be_sent_has_all_rejected_before_anything_is_sent() -> None:
    device = equipment()

    async def test(driver: NamedOpcUaDriver) -> None:
        results = await driver.write({"SP": 1.0, "MODE": 3e9})
        assert {result.outcome for result in results.values()} == {Outcome.REJECTED}
        assert "does not fit Int32" in results["MODE"].reason
        assert results["SP"].reason.startswith("not sent: MODE")
        assert device.written == []
        with pytest.raises(KeyError, match="no tag XY"):
            await driver.write({"XY": 1.0})

    virtually(device, nodes("SP", "MODE"), test)


def test_a_point_that_is_not_writable_is_the_callers_mistake() -> None:
    async def test(driver: NamedOpcUaDriver) -> None:
        with pytest.raises(KeyError, match="not writable"):
            await driver.write({"TT": 1.0})

    virtually(equipment(), nodes("TT", writable=False), test)


def test_after_an_unknown_outcome_nothing_more_is_sent() -> None:
    device = equipment()
    device.answers["SP"] = 0x800A_0000

    async def test(driver: NamedOpcUaDriver) -> None:
        results = await driver.write({"TT": 1.0, "SP": 2.0, "MODE": 1.0, "REMOTE": 1.0})
        outcomes = {tag: result.outcome for tag, result in results.items()}
        assert outcomes == {
            "TT": Outcome.CONFIRMED,
            "SP": Outcome.UNKNOWN,
            "MODE": Outcome.CONFIRMED,
            "REMOTE": Outcome.REJECTED,
        }
        assert "an earlier write is unknown" in results["REMOTE"].reason
        assert len(device.written) == 3

    virtually(device, nodes("TT", "SP", "MODE", "REMOTE"), test, max_nodes=3)


@pytest.mark.parametrize(
    ("fault", "quality"), [(ConnectionResetError("gone"), BAD_NOT_CONNECTED), (TimeoutError(), BAD_TIMEOUT)]
)
def test_equipment_that_fails_makes_everything_bad_and_comes_back(fault: OSError, quality: int) -> None:
    device = equipment()

    async def test(driver: NamedOpcUaDriver) -> None:
        await values_of(driver)
        device.fault = fault
        result = await values_of(driver)
        assert {q for _, q in result.values()} == {quality}
        assert all(math.isnan(value) for value, _ in result.values())
        written = await driver.write({"SP": 1.0})
        assert written["SP"].outcome is Outcome.REJECTED
        assert written["SP"].reason.startswith("not connected")
        assert device.written == []
        device.fault = None
        await until(driver, lambda now: now["SP"] == (20.0, GOOD), 5)

    virtually(device, nodes("TT", "SP"), test)


def test_a_write_that_the_equipment_does_not_answer_is_unknown_and_never_repeated() -> None:
    device = equipment()

    async def test(driver: NamedOpcUaDriver) -> None:
        device.fault = TimeoutError()
        assert (await driver.write({"SP": 1.0}))["SP"].outcome is Outcome.UNKNOWN
        device.fault = None
        await until(driver, lambda now: now["SP"] == (20.0, GOOD), 5)
        assert device.written == [("SP", 1.0)]

    virtually(device, nodes("SP"), test)


# -- the watchdog ------------------------------------------------------------------------------------------------------


def test_every_feeding_changes_the_heartbeat_from_where_it_is_also_over_its_end() -> None:
    device = equipment()

    async def test(driver: NamedOpcUaDriver) -> None:
        for beat in (0, 1, 2):
            assert await driver.feed_watchdog()
            assert device.values["HEARTBEAT"] == beat

    virtually(device, nodes("TT"), test, **GUARDED)


def test_the_watchdog_time_is_written_on_connect_unless_it_is_there() -> None:
    for before, written in ((60.0, [("WD_TIME", 5.0)]), (5.0, [])):
        device = equipment()
        device.values["WD_TIME"] = before

        async def test(driver: NamedOpcUaDriver, device: Equipment = device, written: object = written) -> None:
            assert device.written == written
            assert driver.link.reason == ""

        virtually(device, nodes("TT"), test, **GUARDED)


def test_a_watchdog_time_that_is_refused_is_told_fed_as_false_and_tried_again() -> None:
    device = equipment()
    device.answers["WD_TIME"] = 0x801F_0000

    async def test(driver: NamedOpcUaDriver) -> None:
        assert driver.link.reason == "watchdog time not set: BadUserAccessDenied"
        assert not await driver.feed_watchdog()
        device.answers.clear()
        assert await driver.feed_watchdog()
        assert device.values["WD_TIME"] == 5.0

    virtually(device, nodes("TT"), test, **GUARDED)


def test_feeding_fails_without_heartbeat_when_refused_and_without_link() -> None:
    device = equipment()

    async def unguarded(driver: NamedOpcUaDriver) -> None:
        assert not await driver.feed_watchdog()

    async def test(driver: NamedOpcUaDriver) -> None:
        device.answers["HEARTBEAT"] = BAD_OUT_OF_RANGE
        assert not await driver.feed_watchdog()
        device.answers.clear()
        device.fault = ConnectionResetError()
        assert not await driver.feed_watchdog()
        device.fault = None
        await link_is(driver, LinkState.READY, 5)
        assert await driver.feed_watchdog()

    virtually(device, nodes("TT"), unguarded)
    virtually(device, nodes("TT"), test, **GUARDED)


def test_a_heartbeat_that_is_not_there_or_cannot_be_counted_is_told() -> None:
    for node, words in (("BR.XY", "heartbeat: there is no node BR.XY"), ("BR.TT", "heartbeat: a Double cannot be")):

        async def test(driver: NamedOpcUaDriver, words: str = words) -> None:
            assert words in driver.link.reason
            assert not await driver.feed_watchdog()

        virtually(equipment(), nodes("TT"), test, heartbeat=node)


def test_a_device_that_restarted_is_noticed_and_given_its_watchdog_time_again() -> None:
    device = equipment()

    async def test(driver: NamedOpcUaDriver) -> None:
        await values_of(driver)
        device.values |= {"STARTS": 4, "WD_TIME": 60.0}
        await values_of(driver)
        await link_is(driver, LinkState.DISCONNECTED, 5, "restarted (start counter 3 to 4)")
        await link_is(driver, LinkState.READY, 5)
        assert driver.link.reason == "the device restarted (start counter 3 to 4)"
        assert device.values["WD_TIME"] == 5.0
        await values_of(driver)
        assert driver.link.state is LinkState.READY

    virtually(device, nodes("TT", "STARTS"), test, start_counter="STARTS", **GUARDED)


def test_a_start_counter_that_cannot_be_read_at_first_is_told_and_taken_up_later() -> None:
    device = equipment()
    device.status["STARTS"] = BAD_SENSOR_FAILURE

    async def test(driver: NamedOpcUaDriver) -> None:
        assert driver.link.reason == "start counter not readable: BadSensorFailure"
        device.status.clear()
        await values_of(driver)
        device.values["STARTS"] = 4
        await values_of(driver)
        await link_is(driver, LinkState.DISCONNECTED, 5, "start counter 3 to 4")

    virtually(device, nodes("STARTS"), test, start_counter="STARTS")


def test_a_start_counter_must_be_a_tag_of_the_device() -> None:
    async def main(clock: VirtualClock) -> None:
        with pytest.raises(ValueError, match="start_counter 'XY' is no tag"):
            opcua_driver(clock, nodes("TT"), start_counter="XY")

    run_virtual(main)


def test_options_and_points_of_another_driver_are_the_callers_mistake() -> None:
    options = OpcUaOptions(url="opc.tcp://h/", namespace=URI)
    with pytest.raises(TypeError, match="not OpcUaOptions"):
        OpcUaDriver("dev", MtSicsOptions(port="x"), [], LiveClock())
    point = MtSicsPoint.model_validate({"field": "weight"})
    with pytest.raises(TypeError, match="no OpcUaPoint"):
        OpcUaDriver("dev", options, [BoundPoint(tag(0, "t"), point)], LiveClock())
