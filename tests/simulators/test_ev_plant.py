"""The equipment of a whole EV batch without a wire."""

import json
import math
import time

import pytest

from simulators.devices import skid_registers
from simulators.ev_plant import DEVICES, EvPlant
from simulators.plant import TffPlant
from simulators.sampling import BEADS, DILUENT
from tests.simulators import drive
from tests.simulators.grow import HOUR, feed, put, stop_at, write

SCAN = 72.0


def beat(plant: EvPlant) -> None:
    feed(plant.cultivation)
    drive.feed(plant)


def run(plant: EvPlant, seconds: float, step: float = 12.0) -> None:
    for _ in range(round(seconds / step)):
        beat(plant)
        plant.step(step)


def started(viable: float = 5.0e8) -> EvPlant:
    """Cells in production medium, sheared, in hypoxia."""
    plant = EvPlant()
    plant.pace(SCAN)
    culture = plant.cultivation
    beat(plant)
    stop_at(culture, "MED", 1000.0)
    put(culture, MED_FROM=2, MED_SP=500.0)
    run(plant, 150.0)
    put(culture, MED_FROM=0, CIRC_SP=100.0)
    run(plant, 2.0 * HOUR)
    plant.inoculate(viable)
    write(culture, DO_SP=2.0, DOIC_MODE=2)
    return plant


@pytest.fixture(scope="module")
def harvested() -> EvPlant:
    """A day later: collected and clarified."""
    plant = started()
    run(plant, 24.0 * HOUR, SCAN)
    culture = plant.cultivation
    put(culture, HARV_TO=2, HARV_SP=400.0)
    run(plant, 300.0)
    put(culture, HARV_TO=0, CLAR_SP=400.0, MED_FROM=2)
    stop_at(culture, "MED", 2000.0)
    put(culture, MED_SP=400.0)
    run(plant, 300.0)
    put(culture, MED_FROM=0)
    return plant


def assert_balanced(plant: EvPlant) -> None:
    for name, share in plant.truth()["imbalance"].items():
        assert abs(share) < 1e-9, name


def test_the_skid_has_no_feed_but_what_was_clarified(harvested: EvPlant) -> None:
    assert EvPlant().process.ledger.feed.volume_ml == 0.0
    truth = harvested.truth()
    assert truth["liquids"]["feed"]["volume_ml"] == pytest.approx(990.0, abs=0.1)
    assert truth["liquids"]["feed"]["evs"] > 1e12
    assert_balanced(harvested)


def test_the_skid_draws_from_the_clarified_container_and_the_load_cell_sees_it(harvested: EvPlant) -> None:
    plant = EvPlant()
    plant.restore(json.loads(json.dumps(harvested.state())))
    plant.pace(0.5)
    before = plant.process.ledger.feed.volume_ml
    drive.fill(plant, 300.0)
    assert plant.process.ledger.retentate.volume_ml == pytest.approx(300.0, abs=0.2)
    assert plant.cultivation.process.clarified().volume_ml == pytest.approx(before - 300.0, abs=0.2)
    weight = plant.station_link.read_input(22, 2)
    assert skid_registers.Register(22, "", skid_registers.Form.FLOAT32_CDAB).decode(weight) == pytest.approx(
        (before - 300.0) * 0.998, abs=1.0
    )
    assert_balanced(plant)


def test_the_state_survives_json_with_cells_and_liquids(harvested: EvPlant) -> None:
    back = EvPlant()
    back.restore(json.loads(json.dumps(harvested.state())))
    was, now = harvested.truth(), back.truth()
    for name in ("liquids", "membrane", "imbalance", "time_s", "totalised_ml"):
        assert now[name] == was[name], name
    for name in ("liquids", "cells", "glucose_mm", "filtered_evs"):
        assert now["BR101"][name] == was["BR101"][name], name
    assert now["BR101"]["controller"]["starts"] == was["BR101"]["controller"]["starts"] + 1
    assert back.sample_of("pool") == harvested.sample_of("pool")


def test_truth_is_plain_and_finite(harvested: EvPlant) -> None:
    again = json.loads(json.dumps(harvested.truth(), allow_nan=False))
    assert again["BR101"]["cells"]["viable"] > 5.0e8
    assert again["BR101"]["cells"]["viability"] > 0.9


def test_samples_tell_what_is_in_the_containers_also_after_they_were_emptied(harvested: EvPlant) -> None:
    feed_liquid = harvested.process.ledger.feed
    assert harvested.cultivation.process.bags.pool.volume_ml < 0.5
    clarified, pool = harvested.sample_of("clarified"), harvested.sample_of("pool")
    assert clarified.particles_per_ml == pytest.approx(feed_liquid.evs / feed_liquid.volume_ml)
    assert clarified.particles_per_ml == pytest.approx(0.95 * pool.particles_per_ml, rel=1e-6)
    assert harvested.sample_of("medium").particles_per_ml == pytest.approx(2.0e7)
    assert harvested.sample_of("beads") == BEADS
    assert harvested.sample_of("product") == DILUENT
    with pytest.raises(ValueError, match="soup"):
        harvested.sample_of("soup")


def test_hands_formulate_and_filter_the_product() -> None:
    plant = EvPlant()
    with pytest.raises(ValueError, match="no product"):
        plant.formulate(20.0)
    plant.process.ledger.product.add(plant.process.ledger.water.take(50.0))
    plant.formulate(20.0)
    assert plant.truth()["formulated_g"] == pytest.approx(70.0 * 0.998)
    plant.sterile_filter()
    assert plant.truth()["filtered_g"] == pytest.approx(68.0 * 0.998)
    plant.step(1.0)
    assert_balanced(plant)
    assert plant.sample_of("concentrate").particles_per_ml == 0.0


def test_silence_is_noticed_by_the_other_controller() -> None:
    plant = started()
    run(plant, HOUR)
    assert plant.cultivation.process.gas.n2 > 0.0
    plant.station_link.silent = True
    plant.step(1.0)
    assert plant.bioreactor_link.read("BR101.STATION_OK")[0] is False
    assert plant.cultivation.process.gas.n2 == 0.0
    with pytest.raises(TimeoutError):
        plant.station_link.read_input(0, 1)
    plant.bioreactor_link.silent = True
    for call in (
        plant.bioreactor_link.nodes,
        lambda: plant.bioreactor_link.read("BR101.TT"),
        lambda: plant.bioreactor_link.write("BR101.TT_SP", 37.0),
    ):
        with pytest.raises(TimeoutError):
            call()


def test_a_counter_that_is_plugged_in_lives_with_the_plant() -> None:
    class Counting:
        def __init__(self) -> None:
            self.time_s = 0.0

        def step(self, dt_s: float) -> None:
            self.time_s += dt_s

        def state(self) -> dict[str, float]:
            return {"time_s": self.time_s}

        def restore(self, state: dict[str, float]) -> None:
            self.time_s = state["time_s"]

    plant, back = EvPlant(), EvPlant()
    plant.counter, back.counter = Counting(), Counting()
    plant.step(5.0)
    back.restore(json.loads(json.dumps(plant.state())))
    assert back.counter.time_s == 5.0


def test_nodes_of_the_link_are_those_of_the_device() -> None:
    nodes = EvPlant().bioreactor_link.nodes()
    assert nodes[0] == ("BR101.TT", "TT", "Double", False)
    assert {n.data_type for n in nodes} == {"Double", "Int32", "UInt32", "Boolean"}
    assert len({n.node_id for n in nodes}) == len(nodes)


def test_devices_of_both_plants() -> None:
    assert TffPlant().devices.items() < DEVICES.items()
    assert list(EvPlant().modbus_links) == ["TFF201", "BR101-ST"]


def test_an_idle_skid_comes_to_rest_in_one_step_as_in_many() -> None:
    ends = []
    for step in (0.25, 72.0):
        plant = TffPlant()
        drive.fill(plant, 500.0)
        plant.process.temperature_degc = 30.0
        plant.process.retentate_leak.rate_ml_per_s, plant.process.retentate_leak.left_ml = 0.01, 100.0
        for _ in range(round(1440.0 / step)):
            plant.step(step)
        ends.append([plant.process.retentate_g, plant.process.temperature_degc, plant.process.p_feed])
    assert ends[1] == pytest.approx(ends[0], rel=1e-3)


def test_an_idle_skid_trips_its_watchdog_in_a_long_step() -> None:
    plant = TffPlant()
    drive.put(plant, PCV101=50.0)
    drive.run(plant, 30.0)
    plant.step(72.0)
    assert plant.skid.trips
    assert plant.process.retentate_valve.position == 1.0


@pytest.mark.parametrize("sheared", [True, False])
def test_a_step_of_72_seconds_is_quick(sheared: bool) -> None:
    """It takes 1 ms here; at 1440 times real speed there are 50 ms for it, with all that the wires need."""
    plant = started() if sheared else EvPlant()
    run(plant, 20.0 * SCAN, SCAN)
    quickest = math.inf
    for _ in range(5):
        begun = time.process_time()
        run(plant, 20.0 * SCAN, SCAN)
        quickest = min(quickest, (time.process_time() - begun) / 20.0)
    assert quickest < 10e-3
