"""The bioreactor's controller: loops, commands, watchdog, trips, panel, restart."""

import json
import math

import pytest

from simulators.cultivation import Cultivation
from simulators.devices.bioreactor import TRIP_DEGC
from simulators.devices.bioreactor_nodes import NODES, DataType, DoMode, Status
from tests.simulators.grow import HOUR, feed, fill, node, put, read, run, write


@pytest.fixture(scope="module")
def grown() -> str:
    """The state of a vessel with medium at 37 degC and cells, as text."""
    plant = Cultivation()
    fill(plant)
    plant.process.inoculate(5.0e8)
    return json.dumps(plant.state())


@pytest.fixture
def plant(grown: str) -> Cultivation:
    plant = Cultivation()
    plant.restore(json.loads(grown))
    return plant


@pytest.mark.parametrize("step", [5.0, 72.0])
def test_temperature_and_ph_come_to_their_setpoints(step: float) -> None:
    plant = Cultivation()
    plant.nominal_step_s = step
    fill(plant)
    run(plant, 2.0 * HOUR, step)
    assert read(plant, "TT") == pytest.approx(37.0, abs=0.1)
    assert read(plant, "AT_PH") == pytest.approx(7.30, abs=0.02)
    write(plant, TT_SP=36.0, PH_SP=7.2)
    run(plant, 3.0 * HOUR, step)
    assert read(plant, "TT") == pytest.approx(36.0, abs=0.15)
    assert read(plant, "AT_PH") == pytest.approx(7.20, abs=0.02)


@pytest.mark.parametrize("step", [5.0, 72.0])
def test_oxygen_follows_its_ramp_and_stays(plant: Cultivation, step: float) -> None:
    plant.nominal_step_s = step
    feed(plant)
    put(plant, CIRC_SP=100.0)
    write(plant, DO_SP=2.0, DO_RATE=10.0, DOIC_MODE=DoMode.AUTO)
    start = read(plant, "AT_DO")
    run(plant, HOUR, step)
    assert read(plant, "DO_SP_WORK") == pytest.approx(start - 10.0, abs=0.3)
    assert read(plant, "AT_DO") == pytest.approx(read(plant, "DO_SP_WORK"), abs=0.3)
    run(plant, 2.0 * HOUR, step)
    readings = []
    for _ in range(30):
        run(plant, step, step)
        readings.append(read(plant, "AT_DO"))
    assert readings == pytest.approx([2.0] * 30, abs=0.15)
    assert read(plant, "N2_DEMAND") > 50.0
    gas = plant.process.gas
    assert gas.n2 == pytest.approx(2.0 * read(plant, "N2_DEMAND"), rel=1e-6)
    assert gas.total == pytest.approx(200.0)


def test_a_rate_of_zero_is_a_step(plant: Cultivation) -> None:
    feed(plant)
    write(plant, DO_SP=5.0, DO_RATE=0.0, DOIC_MODE=DoMode.AUTO)
    run(plant, 5.0)
    assert read(plant, "DO_SP_WORK") == 5.0


def test_above_air_oxygen_is_added(plant: Cultivation) -> None:
    feed(plant)
    put(plant, CIRC_SP=100.0)
    write(plant, DO_SP=20.9, DOIC_MODE=DoMode.AUTO)
    run(plant, 3.0 * HOUR, 10.0)
    assert read(plant, "AT_DO") == pytest.approx(20.9, abs=0.1)
    assert plant.process.gas.o2 > 0.0
    assert read(plant, "N2_DEMAND") == 0.0


def test_agitation_follows_its_setpoint(plant: Cultivation) -> None:
    write(plant, AGIT_SP=120.0)
    run(plant, 30.0)
    assert read(plant, "AGIT") == pytest.approx(120.0, abs=1.0)


def test_modes_off_leave_temperature_and_ph_alone(plant: Cultivation) -> None:
    write(plant, TIC_MODE=0, PHIC_MODE=0)
    base = plant.process.base_mm
    run(plant, 2.0 * HOUR, 10.0)
    assert read(plant, "TT") < 33.0
    assert plant.process.base_mm == base


def test_every_node_can_be_read_and_says_its_time(plant: Cultivation) -> None:
    plant.step(3.0)
    for name, described in NODES.items():
        value, status, time_s = plant.controller.read(node(name))
        assert status == Status.GOOD
        assert time_s == plant.time_s
        kind = {DataType.DOUBLE: float, DataType.BOOLEAN: bool}.get(described.data_type, int)
        assert type(value) is kind, name


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("NONE", 1.0, Status.BAD_NODE_ID_UNKNOWN),
        ("TT", 1.0, Status.BAD_NOT_WRITABLE),
        ("TT_SP", True, Status.BAD_TYPE_MISMATCH),
        ("TT_SP", math.nan, Status.BAD_TYPE_MISMATCH),
        ("TT_SP", "37", Status.BAD_TYPE_MISMATCH),
        ("DOIC_MODE", 1.0, Status.BAD_TYPE_MISMATCH),
        ("TRIP_RESET", 1, Status.BAD_TYPE_MISMATCH),
        ("TT_SP", 40.1, Status.BAD_OUT_OF_RANGE),
        ("TT_SP", math.inf, Status.BAD_OUT_OF_RANGE),
        ("DO_SP", 0.4, Status.BAD_OUT_OF_RANGE),
        ("DOIC_MODE", 3, Status.BAD_OUT_OF_RANGE),
        ("HEARTBEAT", -1, Status.BAD_OUT_OF_RANGE),
    ],
)
def test_what_cannot_be_written_is_refused_and_changes_nothing(
    plant: Cultivation, name: str, value: object, status: Status
) -> None:
    before = plant.controller.read(node(name))
    assert plant.controller.write(node(name), value) == status
    assert plant.controller.read(node(name)) == before


def test_local_refuses_every_write_and_stays_readable(plant: Cultivation) -> None:
    plant.controller.take_over(TT_SP=35.0, DOIC_MODE=2)
    plant.step(1.0)
    assert plant.controller.write(node("TT_SP"), 37.0) == Status.BAD_USER_ACCESS_DENIED
    assert plant.controller.write(node("HEARTBEAT"), 7) == Status.BAD_USER_ACCESS_DENIED
    assert plant.controller.write(node("TT_SP"), 99.0) == Status.BAD_OUT_OF_RANGE
    assert read(plant, "TT_SP") == 35.0
    assert read(plant, "DOIC_MODE") == 2
    assert not read(plant, "REMOTE")
    plant.controller.hand_back()
    plant.step(1.0)
    assert read(plant, "REMOTE")
    assert plant.controller.write(node("TT_SP"), 37.0) == Status.GOOD


def test_the_panel_knows_its_setpoints(plant: Cultivation) -> None:
    with pytest.raises(KeyError):
        plant.controller.take_over(TT=37.0)
    with pytest.raises(ValueError, match="not between"):
        plant.controller.take_over(TT_SP=99.0)
    assert plant.controller.remote


def trip_time(plant: Cultivation, step: float) -> float:
    feed(plant)
    begun = plant.time_s
    while not plant.controller.trips:
        plant.step(step)
        assert plant.time_s < begun + 3600.0
    return plant.time_s - begun


def test_watchdog_trips_after_its_time(plant: Cultivation) -> None:
    write(plant, WD_TIME=100.0)
    assert 100.0 <= trip_time(plant, 0.5) <= 100.5


@pytest.mark.parametrize("scan", [0.05, 6.0, 72.0])
def test_watchdog_is_never_shorter_than_three_scans(plant: Cultivation, scan: float) -> None:
    plant.nominal_step_s = scan
    write(plant, WD_TIME=1.0)
    at_least = max(1.0, 3.0 * scan)
    assert at_least - 1e-6 <= trip_time(plant, scan) <= at_least + scan + 1e-6


def test_the_watchdog_sleeps_until_it_is_fed_or_something_is_moved(plant: Cultivation) -> None:
    plant.step(HOUR)
    assert plant.controller.trips == 0
    write(plant, DO_SP=5.0)
    plant.step(61.0)
    assert read(plant, "TRIP_WATCHDOG")


def test_the_same_heartbeat_again_does_not_feed(plant: Cultivation) -> None:
    write(plant, HEARTBEAT=5)
    plant.step(40.0)
    write(plant, HEARTBEAT=5)
    assert read(plant, "WD_LEFT") == pytest.approx(20.0)


def test_two_hours_without_engine_keep_the_cells(plant: Cultivation) -> None:
    feed(plant)
    put(plant, CIRC_SP=100.0, MED_FROM=2, MED_SP=5.0, HARV_TO=2, HARV_SP=5.0)
    write(plant, DO_SP=2.0, DOIC_MODE=DoMode.AUTO)
    run(plant, HOUR, 10.0)
    assert read(plant, "AT_DO") == pytest.approx(2.0, abs=0.5)
    viability = plant.process.culture.viability
    for _ in range(720):
        plant.step(10.0)
    assert read(plant, "TRIP_WATCHDOG")
    assert read(plant, "SAFE")
    assert read(plant, "DOIC_MODE") == DoMode.AIR
    assert (read(plant, "TIC_MODE"), read(plant, "PHIC_MODE")) == (1, 1)
    assert read(plant, "TT") == pytest.approx(37.0, abs=0.1)
    assert read(plant, "AT_PH") == pytest.approx(7.3, abs=0.02)
    assert read(plant, "AGIT") == pytest.approx(60.0, abs=1.0)
    assert read(plant, "AT_DO") > 19.0
    assert plant.process.medium.flow == plant.process.harvest.flow == 0.0
    assert plant.process.culture.viability > viability - 0.01
    level = plant.process.level
    run(plant, 60.0)
    assert plant.process.level == level


def test_a_trip_refuses_what_leaves_the_safe_state_until_it_is_reset(plant: Cultivation) -> None:
    trip_time(plant, 10.0)
    assert plant.controller.write(node("DOIC_MODE"), DoMode.AUTO) == Status.BAD_INVALID_STATE
    assert plant.controller.write(node("TIC_MODE"), 0) == Status.BAD_INVALID_STATE
    assert plant.controller.write(node("TT_SP"), 36.5) == Status.GOOD
    assert plant.controller.write(node("DOIC_MODE"), DoMode.AIR) == Status.GOOD
    write(plant, TRIP_RESET=True)
    plant.step(1.0)
    assert not read(plant, "TRIP")
    assert not read(plant, "TRIP_RESET")
    write(plant, DOIC_MODE=DoMode.AUTO)


def test_a_heater_that_is_stuck_is_cut_by_the_thermostat_and_the_cells_live(plant: Cultivation) -> None:
    plant.controller.heater_stuck = True
    run(plant, 4.0 * HOUR, 10.0)
    assert read(plant, "TRIP_TEMP")
    assert 37.5 < plant.process.temperature_degc < TRIP_DEGC + 0.1
    assert plant.process.culture.viability > 0.94
    plant.controller.heater_stuck = False
    run(plant, HOUR, 10.0)
    assert read(plant, "TRIP_TEMP"), "it stays until somebody resets it"
    write(plant, TRIP_RESET=True)
    run(plant, 5.0)
    assert not read(plant, "TRIP_TEMP")
    assert read(plant, "TT") == pytest.approx(37.0, abs=0.2)


def test_a_probe_that_shows_too_little_does_not_deceive_the_thermostat(plant: Cultivation) -> None:
    plant.controller.sensors["TT"].offset = -5.0
    run(plant, 3.0 * HOUR, 10.0)
    assert read(plant, "TRIP_TEMP")
    assert plant.process.temperature_degc < TRIP_DEGC + 0.1


@pytest.mark.parametrize("probe", ["TT", "AT_PH", "AT_DO"])
def test_a_failed_probe_is_bad_and_its_loop_keeps_the_cells(plant: Cultivation, probe: str) -> None:
    feed(plant)
    write(plant, DO_SP=2.0, DOIC_MODE=DoMode.AUTO)
    run(plant, HOUR, 10.0)
    plant.controller.sensors[probe].failed = True
    run(plant, 2.0 * HOUR, 10.0)
    assert plant.controller.read(node(probe))[:2] == (None, Status.BAD_SENSOR_FAILURE)
    assert plant.process.temperature_degc == pytest.approx(37.0, abs=0.3)
    assert plant.process.ph == pytest.approx(7.3, abs=0.1)
    if probe == "AT_DO":
        assert plant.process.gas.n2 == 0.0


def test_probes_out_of_the_medium_are_uncertain() -> None:
    plant = Cultivation()
    assert plant.controller.read(node("AT_PH"))[1] == Status.UNCERTAIN_SENSOR
    assert plant.controller.read(node("LT"))[1] == Status.GOOD


def test_oxygen_falls_back_to_air_while_the_station_is_silent(plant: Cultivation) -> None:
    feed(plant)
    write(plant, DO_SP=2.0, DOIC_MODE=DoMode.AUTO)
    run(plant, HOUR, 10.0)
    assert read(plant, "STATION_OK")
    plant.gas_link.up = False
    run(plant, 10.0)
    assert not read(plant, "STATION_OK")
    assert plant.process.gas.n2 == 0.0
    run(plant, HOUR, 10.0)
    assert read(plant, "DO_SP_WORK") == pytest.approx(read(plant, "AT_DO"), abs=0.1)
    plant.gas_link.up = True
    write(plant, DO_RATE=5.0)
    run(plant, 0.5 * HOUR, 10.0)
    assert read(plant, "AT_DO") == pytest.approx(read(plant, "DO_SP_WORK"), abs=0.5), "it ramps anew, without a bump"


def test_a_medium_exchange_does_not_make_the_ramp_begin_anew(plant: Cultivation) -> None:
    feed(plant)
    put(plant, CIRC_SP=100.0)
    write(plant, DO_SP=2.0, DO_RATE=20.0, DOIC_MODE=DoMode.AUTO)
    run(plant, 2.0 * HOUR, 10.0)
    put(plant, HARV_TO=2, HARV_SP=400.0)
    run(plant, 160.0, 2.0)
    assert plant.process.level < 0.02
    put(plant, HARV_TO=0, MED_FROM=2, MED_SP=400.0)
    run(plant, 150.0, 2.0)
    put(plant, MED_FROM=0, MED_SP=0.0)
    assert read(plant, "DO_SP_WORK") == 2.0
    run(plant, 1200.0)
    assert read(plant, "AT_DO") == pytest.approx(2.0, abs=0.7)


def test_a_restart_brings_air_and_keeps_setpoints_and_cells(plant: Cultivation) -> None:
    feed(plant)
    write(plant, TT_SP=36.5, DO_SP=3.0, DOIC_MODE=DoMode.AUTO)
    put(plant, CIRC_SP=100.0)
    run(plant, 60.0)
    viable, starts = plant.process.culture.viable, plant.controller.starts
    back = Cultivation()
    back.restore(json.loads(json.dumps(plant.state())))
    assert back.controller.starts == starts + 1
    assert read(back, "DOIC_MODE") == DoMode.AIR
    assert (read(back, "TIC_MODE"), read(back, "PHIC_MODE")) == (1, 1)
    assert (read(back, "TT_SP"), read(back, "DO_SP")) == (36.5, 3.0)
    assert read(back, "SAFE")
    assert not read(back, "TRIP")
    assert back.process.culture.viable == viable
    back.step(HOUR)
    assert back.process.circulation.flow == pytest.approx(20.0)
    assert read(back, "TT") == pytest.approx(36.5, abs=0.1)


def test_noise_is_the_same_with_the_same_seed() -> None:
    one, two, other = Cultivation(seed=1), Cultivation(seed=1), Cultivation(seed=2)
    for plant in (one, two, other):
        plant.step(1.0)
    assert read(one, "TT") == read(two, "TT") != read(other, "TT")


def test_the_length_of_the_steps_does_not_change_the_outcome(grown: str) -> None:
    ends = []
    for step in (4.0, 12.0, 72.0):
        plant = Cultivation()
        plant.restore(json.loads(grown))
        feed(plant)
        put(plant, CIRC_SP=100.0)
        write(plant, DO_SP=2.0, DO_RATE=20.0, DOIC_MODE=DoMode.AUTO)
        plant.nominal_step_s = 72.0
        run(plant, 4.0 * HOUR, step)
        cells = plant.process.culture
        ends.append([cells.viable, plant.process.bags.vessel.evs, plant.process.glucose_mm])
    assert ends[1] == pytest.approx(ends[0], rel=0.01)
    assert ends[2] == pytest.approx(ends[0], rel=0.01)
