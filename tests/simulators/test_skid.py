"""The skid's controller as its manual describes it."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.devices.registers import Fault, ModbusFault
from simulators.devices.skid_registers import (
    DEFAULTS,
    HOLDING,
    STATUS_FED,
    STATUS_REMOTE,
    STATUS_SAFE,
    STATUS_TRIP,
    TRIP_LEVEL,
    TRIP_PRESSURE,
    TRIP_WATCHDOG,
    Holding,
)
from simulators.devices.watchdog import WATCHDOG_SCANS
from simulators.plant import TffPlant
from tests.simulators.drive import feed, fill, permeate, put, read, run, stop_at

SAFE_SETPOINTS = {which: spec.safe for which, spec in HOLDING.items() if spec.safe is not None}


def refusal(call: object, *arguments: object) -> Fault:
    with pytest.raises(ModbusFault) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value.code


def status(plant: TffPlant) -> int:
    return int(read(plant, "STATUS"))


# -- watchdog ------------------------------------------------------------------------------------------------------


def trip_time(plant: TffPlant, step: float) -> float:
    """Seconds from a feed until the watchdog has tripped."""
    feed(plant)
    start = plant.time_s
    while not plant.skid.trips & TRIP_WATCHDOG:
        plant.step(step)
        assert plant.time_s - start < 1000.0
    return plant.time_s - start


@pytest.mark.parametrize("step", [0.01, 0.05, 0.25])
@pytest.mark.parametrize("seconds", [1.0, 5.0, 10.0])
def test_watchdog_trips_at_its_time_and_not_before(seconds: float, step: float) -> None:
    plant = TffPlant()
    put(plant, WATCHDOG=seconds)
    assert seconds - 1e-6 <= trip_time(plant, step) <= seconds + step + 1e-6


@pytest.mark.parametrize("scan", [0.05, 0.5, 1.5, 6.0])
def test_watchdog_is_never_shorter_than_three_scans(scan: float) -> None:
    plant = TffPlant()
    plant.skid.watchdog.nominal_step_s = scan
    put(plant, WATCHDOG=1.0)
    at_least = max(1.0, WATCHDOG_SCANS * scan)
    assert at_least - 1e-6 <= trip_time(plant, scan) <= at_least + scan + 1e-6


def test_one_late_scan_does_not_trip_the_watchdog() -> None:
    plant = TffPlant()
    plant.skid.watchdog.nominal_step_s = 1.5
    put(plant, WATCHDOG=5.0)
    feed(plant)
    plant.step(60.0)
    assert plant.skid.trips == 0


def test_watchdog_trip_brings_everything_to_the_safe_state() -> None:
    plant = TffPlant()
    fill(plant, 800.0)
    put(plant, P101=1200.0, PCV101=30.0, INLET=3, P102=100.0)
    permeate(plant, True)
    run(plant, 30.0)
    assert not status(plant) & STATUS_SAFE
    plant.step(10.0)
    assert plant.skid.trips == TRIP_WATCHDOG
    for which, safe in SAFE_SETPOINTS.items():
        assert plant.skid.read_holding(which, 1) == [safe]
    plant.step(12.0)
    assert status(plant) & STATUS_SAFE
    assert status(plant) & STATUS_TRIP
    assert not status(plant) & STATUS_FED


def test_watchdog_is_not_armed_before_anything_was_moved_or_fed() -> None:
    plant = TffPlant()
    put(plant, WATCHDOG=1.0, P101=0.0, PCV101=100.0)
    permeate(plant, False)
    plant.step(100.0)
    assert plant.skid.trips == 0


def test_the_first_write_that_moves_something_arms_the_watchdog() -> None:
    plant = TffPlant()
    put(plant, P101=100.0)
    plant.step(11.0)
    assert plant.skid.trips & TRIP_WATCHDOG


def test_the_same_heartbeat_again_does_not_feed() -> None:
    plant = TffPlant()
    feed(plant)
    (beat,) = plant.skid.read_holding(0, 1)
    for _ in range(11):
        plant.skid.write_holding(0, [beat])
        plant.skid.read_input(0, 21)
        plant.step(1.0)
    assert plant.skid.trips == TRIP_WATCHDOG


def test_reset_clears_the_trip_feeds_the_watchdog_and_moves_nothing() -> None:
    plant = TffPlant()
    trip_time(plant, 0.1)
    plant.skid.write_holding(Holding.COMMAND, [1])
    plant.step(9.0)
    assert plant.skid.trips == 0
    assert plant.skid.read_holding(Holding.COMMAND, 1) == [0]
    assert plant.skid.safe


# -- pressure and level --------------------------------------------------------------------------------------------


def test_high_feed_pressure_trips_and_stops_the_pump() -> None:
    plant = TffPlant()
    fill(plant, 800.0)
    put(plant, P101=1200.0)
    run(plant, 20.0)
    plant.process.blockage = 500.0
    run(plant, 5.0)
    assert plant.skid.trips == TRIP_PRESSURE
    assert read(plant, "P101_SPEED") == 0.0


def test_pressure_trip_is_not_deceived_by_a_frozen_transmitter() -> None:
    plant = TffPlant()
    fill(plant, 800.0)
    put(plant, P101=1200.0)
    run(plant, 20.0)
    plant.skid.sensors["PT_FEED"].frozen = True
    plant.process.blockage = 500.0
    run(plant, 5.0)
    assert plant.skid.trips == TRIP_PRESSURE
    assert read(plant, "PT_FEED") < 10.0


def test_pressure_never_exceeds_the_trip_limit_by_much() -> None:
    plant = TffPlant()
    fill(plant, 800.0)
    put(plant, P101=1200.0, TRIP_LIMIT=15.0)
    run(plant, 20.0)
    permeate(plant, False)
    put(plant, PCV101=0.0)
    highest = 0.0
    for _ in range(400):
        feed(plant)
        plant.step(0.05)
        highest = max(highest, plant.process.p_feed / 6894.757)
    assert plant.skid.trips == TRIP_PRESSURE
    assert 15.0 < highest < 17.0


def test_low_level_trips_while_recirculating() -> None:
    plant = TffPlant()
    fill(plant, 80.0)
    put(plant, P101=1000.0)
    run(plant, 20.0)
    assert plant.skid.trips == TRIP_LEVEL


def test_low_level_does_not_trip_while_emptying_through_the_outlet() -> None:
    plant = TffPlant()
    fill(plant, 300.0)
    put(plant, OUTLET=1)
    run(plant, 2.0)
    put(plant, P101=1000.0)
    run(plant, 120.0)
    assert plant.skid.trips == 0
    assert plant.process.ledger.waste.volume_ml == pytest.approx(300.0 - 12.0, abs=0.5)


def test_nothing_moves_while_a_trip_is_active_but_towards_safety() -> None:
    plant = TffPlant()
    trip_time(plant, 0.1)
    assert refusal(plant.skid.write_holding, Holding.P101, [1]) is Fault.DEVICE_FAILURE
    assert refusal(plant.skid.write_coils, 0, [True]) is Fault.DEVICE_FAILURE
    for which, safe in SAFE_SETPOINTS.items():
        plant.skid.write_holding(which, [safe])
    plant.skid.write_coils(0, [False])
    feed(plant)


# -- totaliser -----------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0.2, 600.0), st.floats(10.0, 1000.0), st.sampled_from([0.05, 0.1, 0.37, 1.0, 1.5, 6.0]), st.integers(0, 3)
)
def test_totaliser_stops_within_a_tenth_of_a_millilitre(ml: float, flow: float, step: float, before: int) -> None:
    plant = TffPlant()
    put(plant, INLET=2)
    plant.step(2.0)
    for _ in range(before):
        feed(plant)
        put(plant, P102=300.0)
        plant.step(1.0)
        put(plant, P102=0.0)
        plant.step(1.0)
    stop = round(plant.skid.totalised_ml + ml, 2)
    stop_at(plant, stop)
    put(plant, P102=flow)
    run(plant, ml / flow * 60.0 + 8.0, step)
    assert plant.skid.trips == 0
    assert plant.skid.totalised_ml == pytest.approx(stop, abs=0.1)
    assert read(plant, "FQ_IN") == pytest.approx(stop, abs=0.1)
    assert plant.process.transfer_pump.speed == 0.0


def test_pump_does_not_start_beyond_the_stop() -> None:
    plant = TffPlant()
    fill(plant, 100.0, "water")
    stop_at(plant, 50.0)
    put(plant, INLET=2, P102=500.0)
    run(plant, 5.0)
    assert plant.skid.totalised_ml == pytest.approx(100.0, abs=0.1)
    assert plant.skid.read_holding(Holding.P102, 1) == [0]


def test_no_stop_means_no_stop() -> None:
    plant = TffPlant()
    put(plant, INLET=2, P102=600.0)
    run(plant, 60.0)
    assert plant.skid.totalised_ml > 500.0


# -- panel and power -----------------------------------------------------------------------------------------------


def test_on_local_every_write_is_refused_and_nothing_changes() -> None:
    plant = TffPlant()
    plant.skid.take_over(P101=5000)
    assert not status_after_scan(plant) & STATUS_REMOTE
    before = plant.skid.read_holding(0, len(DEFAULTS))
    for which in Holding:
        assert refusal(plant.skid.write_holding, which, [HOLDING[which].low]) is Fault.DEVICE_FAILURE
    assert refusal(plant.skid.write_coils, 0, [False]) is Fault.DEVICE_FAILURE
    assert plant.skid.read_holding(0, len(DEFAULTS)) == before


def status_after_scan(plant: TffPlant) -> int:
    plant.step(0.05)
    return status(plant)


def test_the_watchdog_stands_still_on_local_and_starts_anew_on_remote() -> None:
    plant = TffPlant()
    fill(plant, 500.0)
    put(plant, P101=600.0)
    plant.skid.take_over(P101=3000)
    plant.step(60.0)
    assert plant.skid.trips == 0
    plant.skid.hand_back()
    plant.step(9.0)
    assert plant.skid.trips == 0
    assert plant.skid.read_holding(Holding.P101, 1) == [3000]
    plant.step(2.0)
    assert plant.skid.trips == TRIP_WATCHDOG


def test_a_restart_is_safe_counts_and_keeps_the_totaliser() -> None:
    plant = TffPlant()
    fill(plant, 400.0)
    put(plant, P101=1000.0, WATCHDOG=5.0)
    run(plant, 10.0)
    starts, total = plant.skid.starts, plant.skid.totalised_ml
    plant.skid.power_up()
    assert plant.skid.safe
    assert plant.skid.starts == starts + 1
    assert plant.skid.totalised_ml == total
    assert plant.skid.read_holding(0, len(DEFAULTS)) == DEFAULTS


# -- telegrams that the table forbids ------------------------------------------------------------------------------


@given(st.integers(-5, 30), st.lists(st.integers(-10, 0x10010), max_size=14))
def test_a_refused_write_changes_nothing(address: int, values: list[int]) -> None:
    plant = TffPlant()
    before = plant.skid.read_holding(0, len(DEFAULTS))
    fits = address >= 0 and values and address + len(values) <= len(DEFAULTS)
    in_range = fits and all(
        HOLDING[Holding(address + i)].low <= v <= HOLDING[Holding(address + i)].high for i, v in enumerate(values)
    )
    if in_range:
        plant.skid.write_holding(address, values)
        assert plant.skid.read_holding(address, len(values)) == values
    else:
        expected = Fault.ILLEGAL_VALUE if fits else Fault.ILLEGAL_ADDRESS
        assert refusal(plant.skid.write_holding, address, values) is expected
        assert plant.skid.read_holding(0, len(DEFAULTS)) == before


@pytest.mark.parametrize(("address", "count"), [(0, 22), (21, 1), (20, 2), (-1, 1), (0, 0)])
def test_reading_outside_the_table_is_refused(address: int, count: int) -> None:
    assert refusal(TffPlant().skid.read_input, address, count) is Fault.ILLEGAL_ADDRESS


def test_the_same_seed_gives_the_same_noise() -> None:
    readings = []
    for seed in (1, 1, 2):
        plant = TffPlant(seed=seed)
        fill(plant, 300.0)
        readings.append(plant.skid.read_input(0, 21))
    assert readings[0] == readings[1] != readings[2]


def test_the_controller_does_not_disturb_the_random_numbers_of_others() -> None:
    random.seed(5)
    first = random.random()
    random.seed(5)
    TffPlant().step(1.0)
    assert random.random() == first
