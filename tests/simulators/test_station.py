"""The gas and pump station's controller."""

import json
import math

import pytest

from simulators.cultivation import Cultivation
from simulators.devices.bioreactor_nodes import DoMode
from simulators.devices.registers import Fault, ModbusFault
from simulators.devices.station import FEEDS
from simulators.devices.station_registers import (
    HOLDING,
    STATUS_CIRC_RUN,
    STATUS_LINK,
    STATUS_REMOTE,
    STATUS_SAFE,
    STATUS_TRIP,
    STATUS_WD_OK,
    TRIP_WATCHDOG,
    FilterState,
    Holding,
)
from tests.simulators.grow import HOUR, feed, fill, node, put, read, run, station_read, stop_at, write


def status(plant: Cultivation) -> int:
    return int(station_read(plant, "STATUS"))


def holding(plant: Cultivation, name: str) -> float:
    which = Holding[name]
    return plant.station.read_holding(which, 1)[0] * HOLDING[which].scale


def refused(plant: Cultivation, name: str, raw: int, code: Fault) -> None:
    before = plant.station.read_holding(0, len(Holding))
    with pytest.raises(ModbusFault) as caught:
        plant.station.write_holding(Holding[name], [raw])
    assert caught.value.code == code
    assert plant.station.read_holding(0, len(Holding)) == before


@pytest.mark.parametrize("step", [0.5, 7.0, 72.0])
@pytest.mark.parametrize("flow", [37.0, 500.0])
def test_pumps_stop_exactly_at_their_totaliser(step: float, flow: float) -> None:
    plant = Cultivation()
    plant.nominal_step_s = 72.0
    for ml in (123.4, 456.7):
        stop_at(plant, "MED", ml)
        put(plant, MED_FROM=1, MED_SP=flow)
        run(plant, 456.7 / flow * 60.0 + 2.0 * step + 10.0, step)
        assert plant.station.totalised_ml("MED") == pytest.approx(ml, abs=1e-3)
        assert station_read(plant, "FQ_MED") == pytest.approx(ml, abs=0.011)
        assert holding(plant, "MED_SP") == 0.0
        assert plant.process.volume_ml == pytest.approx(ml, abs=1e-3)


def test_each_pump_has_its_own_stop() -> None:
    plant = Cultivation()
    fill(plant)
    for pump, ml in (("MED", 1100.0), ("HARV", 300.0), ("CLAR", 250.0)):
        stop_at(plant, pump, ml)
    put(plant, HARV_TO=2, HARV_SP=200.0)
    run(plant, 120.0)
    put(plant, HARV_TO=0, MED_FROM=2, MED_SP=100.0, CLAR_SP=150.0)
    run(plant, 180.0)
    totals = [plant.station.totalised_ml(pump) for pump in ("MED", "HARV", "CLAR")]
    assert totals == pytest.approx([1100.0, 300.0, 250.0], abs=1e-3)
    assert plant.process.bags.pool.volume_ml == pytest.approx(50.0, abs=1e-3)
    assert station_read(plant, "WT_CLAR") == pytest.approx(250.0 * 0.998, abs=0.6)
    assert station_read(plant, "WT_POOL") == pytest.approx(50.0 * 0.998, abs=0.6)
    assert station_read(plant, "WT_VESSEL") == pytest.approx(800.0 * 0.998, abs=0.6)
    assert station_read(plant, "WT_MEDX") == pytest.approx(9000.0 * 0.998, abs=1.2)
    assert station_read(plant, "WT_MEDP") == pytest.approx(9900.0 * 0.998, abs=1.2)


@pytest.mark.parametrize("step", [1.0, 72.0])
def test_a_full_vessel_stops_the_medium(step: float) -> None:
    plant = Cultivation()
    plant.nominal_step_s = 72.0
    put(plant, MED_FROM=1, MED_SP=500.0)
    run(plant, 432.0, step)
    assert plant.process.level == pytest.approx(1.10, abs=1e-5)
    assert holding(plant, "MED_SP") == 0.0
    assert plant.process.bags.lost.volume_ml < 0.01


def test_an_empty_vessel_an_empty_pool_and_an_empty_bag_stop_their_pumps() -> None:
    plant = Cultivation()
    fill(plant, 300.0)
    put(plant, HARV_TO=2, HARV_SP=500.0)
    run(plant, 60.0)
    assert holding(plant, "HARV_SP") == 0.0
    assert plant.process.volume_ml == pytest.approx(10.0)
    put(plant, CLAR_SP=500.0)
    run(plant, 60.0)
    assert holding(plant, "CLAR_SP") == 0.0
    plant.process.bags.production.take(9_950.0)
    put(plant, MED_FROM=2, MED_SP=500.0)
    run(plant, 60.0)
    assert holding(plant, "MED_SP") == 0.0
    assert plant.process.volume_ml == pytest.approx(60.0)


def test_a_pump_against_a_shut_selector_moves_nothing() -> None:
    plant = Cultivation()
    put(plant, MED_SP=100.0)
    run(plant, 60.0)
    assert station_read(plant, "FT_MED") == 0.0
    assert plant.station.totalised_ml("MED") == 0.0


def test_the_gas_is_two_hundred_with_five_percent_carbon_dioxide() -> None:
    plant = Cultivation()
    plant.step(1.0)
    flows = {name: station_read(plant, name) for name in ("F_AIR", "F_N2", "F_CO2", "F_O2")}
    assert flows["F_AIR"] == pytest.approx(190.0, abs=1.0)
    assert flows["F_CO2"] == pytest.approx(10.0, abs=0.2)
    assert flows["F_N2"] == flows["F_O2"] == 0.0


def test_an_empty_bottle_gives_no_gas() -> None:
    plant = Cultivation()
    plant.station.empty_gases.add("co2")
    plant.step(1.0)
    assert station_read(plant, "F_CO2") == 0.0
    assert plant.process.gas.air == pytest.approx(190.0)


def test_nitrogen_needs_a_fed_station() -> None:
    plant = Cultivation()
    fill(plant)
    write(plant, DO_SP=2.0, DOIC_MODE=DoMode.AUTO)
    run(plant, 600.0)
    assert plant.process.gas.n2 > 0.0
    plant.station.power_up()
    for _ in range(5):
        beat, _, _ = plant.controller.read(node("HEARTBEAT"))
        plant.controller.write(node("HEARTBEAT"), int(beat or 0) + 1)
        plant.step(5.0)
    assert plant.process.gas.n2 == 0.0
    feed(plant)
    plant.step(5.0)
    assert plant.process.gas.n2 > 0.0


def test_watchdog_trip_stops_feeds_and_keeps_air_and_a_base_flow() -> None:
    plant = Cultivation()
    fill(plant)
    write(plant, WD_TIME=36000.0, DO_SP=2.0, DOIC_MODE=DoMode.AUTO)
    put(plant, WATCHDOG=30.0, CIRC_SP=120.0, MED_FROM=2, MED_SP=1.0, HARV_TO=1, HARV_SP=1.0)
    run(plant, 600.0)
    assert not status(plant) & STATUS_SAFE
    assert status(plant) & STATUS_CIRC_RUN
    for _ in range(8):
        plant.step(5.0)
    assert plant.station.trips == TRIP_WATCHDOG
    assert [plant.station.read_holding(which, 1) for which in FEEDS] == [[0]] * len(FEEDS)
    plant.step(5.0)
    assert status(plant) == STATUS_REMOTE | STATUS_TRIP | STATUS_SAFE | STATUS_CIRC_RUN | STATUS_LINK
    assert station_read(plant, "FT_CIRC") == pytest.approx(20.0, abs=1.0)
    gas = plant.process.gas
    assert (gas.n2, gas.o2, gas.co2) == (0.0, 0.0, 10.0)
    assert gas.air == pytest.approx(190.0)
    assert read(plant, "TRIP") == 0.0, "the controller's own watchdog has longer"


@pytest.mark.parametrize("running", [True, False])
def test_a_restart_keeps_a_base_flow_only_if_it_was_running(running: bool) -> None:
    plant = Cultivation()
    fill(plant)
    put(plant, CIRC_SP=100.0 if running else 0.0)
    run(plant, 10.0)
    starts, total = plant.station.starts, plant.station.totalised_ml("MED")
    back = Cultivation()
    back.restore(json.loads(json.dumps(plant.state())))
    back.step(5.0)
    assert station_read(back, "FT_CIRC") == pytest.approx(20.0 if running else 0.0, abs=1.0)
    assert station_read(back, "ST_STARTS") == starts + 1
    assert station_read(back, "FQ_MED") == pytest.approx(total, abs=0.011)
    assert status(back) & STATUS_SAFE
    assert not status(back) & (STATUS_TRIP | STATUS_WD_OK)


def test_a_trip_refuses_what_moves_and_takes_what_is_safe() -> None:
    plant = Cultivation()
    fill(plant)
    put(plant, WATCHDOG=10.0, CIRC_SP=100.0)
    run(plant, 5.0)
    plant.step(20.0)
    for name, raw in (("MED_SP", 1), ("HARV_TO", 1), ("CIRC_SP", 2001), ("FILT_TEST", 1)):
        refused(plant, name, raw, Fault.DEVICE_FAILURE)
    put(plant, MED_SP=0.0, CIRC_SP=10.0)
    put(plant, ST_TRIP_RESET=1)
    plant.step(1.0)
    assert plant.station.trips == 0
    assert holding(plant, "ST_TRIP_RESET") == 0.0
    put(plant, CIRC_SP=100.0)


@pytest.mark.parametrize("scan", [0.05, 6.0, 72.0])
def test_watchdog_is_never_shorter_than_three_scans(scan: float) -> None:
    plant = Cultivation()
    plant.nominal_step_s = scan
    put(plant, WATCHDOG=1.0)
    feed(plant)
    while not plant.station.trips:
        plant.step(scan)
    at_least = max(1.0, 3.0 * scan)
    assert at_least - 1e-6 <= plant.time_s <= at_least + scan + 1e-6


def test_a_tripped_controller_shuts_the_feeds_and_nothing_else() -> None:
    plant = Cultivation()
    fill(plant)
    write(plant, WD_TIME=20.0)
    put(plant, CIRC_SP=100.0, MED_FROM=2, MED_SP=1.0, HARV_TO=1, HARV_SP=1.0)
    for beat in range(10):
        plant.station.write_holding(Holding.HEARTBEAT, [1000 + beat])
        plant.step(5.0)
    assert read(plant, "TRIP_WATCHDOG")
    assert plant.station.trips == 0
    assert [plant.station.read_holding(which, 1) for which in FEEDS] == [[0]] * len(FEEDS)
    assert station_read(plant, "FT_CIRC") == pytest.approx(100.0, abs=1.0)
    refused(plant, "MED_SP", 100, Fault.DEVICE_FAILURE)
    write(plant, TRIP_RESET=True)
    run(plant, 5.0)
    put(plant, MED_SP=1.0)


def test_local_refuses_every_write() -> None:
    plant = Cultivation()
    fill(plant)
    plant.station.take_over(CIRC_SP=5000)
    for name in ("MED_SP", "HEARTBEAT", "WATCHDOG"):
        refused(plant, name, 10, Fault.DEVICE_FAILURE)
    plant.step(HOUR)
    assert plant.station.trips == 0, "the watchdog stands still"
    assert not status(plant) & STATUS_REMOTE
    assert station_read(plant, "FT_CIRC") == pytest.approx(50.0, abs=1.0)
    plant.station.hand_back()
    put(plant, CIRC_SP=20.0)
    with pytest.raises(KeyError):
        plant.station.take_over(PUMP=1)
    with pytest.raises(ModbusFault):
        plant.station.take_over(CIRC_SP=40001)


def test_several_registers_are_written_together_or_not_at_all() -> None:
    plant = Cultivation()
    with pytest.raises(ModbusFault) as caught:
        plant.station.write_holding(Holding.MED_SP, [100, 60000])
    assert caught.value.code == Fault.ILLEGAL_VALUE
    assert plant.station.read_holding(Holding.MED_SP, 2) == [0, 0]
    refused(plant, "MED_FROM", 3, Fault.ILLEGAL_VALUE)


def test_what_is_not_there_is_an_illegal_address() -> None:
    station = Cultivation().station
    for call in (
        lambda: station.read_input(34, 1),
        lambda: station.read_holding(16, 1),
        lambda: station.write_holding(15, [0, 0]),
        lambda: station.read_coils(0, 1),
        lambda: station.read_discrete(0, 1),
        lambda: station.write_coils(0, [True]),
    ):
        with pytest.raises(ModbusFault) as caught:
            call()
        assert caught.value.code == Fault.ILLEGAL_ADDRESS


@pytest.mark.parametrize(("broken", "psi"), [(False, 54.0), (True, 21.0)])
def test_the_filter_test_takes_three_minutes_and_tells_the_bubble_point(broken: bool, psi: float) -> None:
    plant = Cultivation()
    plant.process.filter_broken = broken
    assert station_read(plant, "FILT_STATE") == FilterState.IDLE
    put(plant, FILT_TEST=1)
    run(plant, 175.0)
    assert station_read(plant, "FILT_STATE") == FilterState.TESTING
    assert holding(plant, "FILT_TEST") == 0.0
    assert station_read(plant, "PT_FILT") == pytest.approx(40.0, abs=0.1)
    refused(plant, "CLAR_SP", 100, Fault.DEVICE_FAILURE)
    run(plant, 10.0)
    assert station_read(plant, "FILT_STATE") == FilterState.DONE
    assert station_read(plant, "FILT_BP") == pytest.approx(psi)


def test_the_filter_is_not_tested_while_its_pump_runs() -> None:
    plant = Cultivation()
    fill(plant)
    put(plant, HARV_TO=2, HARV_SP=200.0)
    run(plant, 60.0)
    put(plant, CLAR_SP=10.0)
    refused(plant, "FILT_TEST", 1, Fault.DEVICE_FAILURE)


def test_readings_scatter_as_the_manual_says_and_nothing_is_shown_at_rest() -> None:
    plant = Cultivation()
    fill(plant)
    put(plant, CIRC_SP=100.0)
    run(plant, 5.0)
    flows = []
    for _ in range(200):
        run(plant, 1.0, 1.0)
        flows.append(station_read(plant, "FT_CIRC"))
    mean = sum(flows) / len(flows)
    assert mean == pytest.approx(100.0, abs=0.1)
    assert math.sqrt(sum((f - mean) ** 2 for f in flows) / len(flows)) == pytest.approx(0.3, rel=0.3)
    assert station_read(plant, "FT_HARV") == 0.0
