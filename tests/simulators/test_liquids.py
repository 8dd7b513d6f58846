"""Nothing comes from nowhere: the sums over every liquid close, whatever is done to the skid."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.devices.skid_registers import HOLDING, Holding
from simulators.plant import TffPlant
from simulators.process.liquid import Composition, Liquid, exchange
from simulators.process.tff import TffProcess
from tests.simulators.drive import feed, fill, permeate, put, run

CLOSE = 1e-9

setpoint = st.one_of(
    *(
        st.tuples(st.just(which), st.integers(spec.low, spec.high))
        for which, spec in HOLDING.items()
        if spec.safe is not None or which is Holding.COMMAND
    ),
    st.tuples(st.just("XV102"), st.booleans()),
    st.tuples(st.just("permeate_leak"), st.floats(0.01, 5)),
    st.tuples(st.just("retentate_leak"), st.floats(0.01, 5)),
    st.tuples(st.just("power_up"), st.none()),
    st.tuples(st.just("blockage"), st.floats(0.5, 200)),
)


def do(plant: TffPlant, what: object, value: object) -> None:
    plant.skid.write_holding(Holding.COMMAND, [1])
    plant.step(0.05)
    match what:
        case Holding():
            plant.skid.write_holding(what, [value])
        case "XV102":
            plant.skid.write_coils(0, [value])
        case "permeate_leak" | "retentate_leak":
            leak = getattr(plant.process, what)
            leak.rate_ml_per_s, leak.left_ml = value, 50.0
        case "power_up":
            plant.skid.power_up()
        case "blockage":
            plant.process.blockage = value


def assert_sound(plant: TffPlant) -> None:
    truth = plant.truth()
    for name, share in truth["imbalance"].items():
        assert abs(share) < CLOSE, name
    for place, amounts in truth["liquids"].items():
        for name, amount in amounts.items():
            assert amount >= -1e-6, (place, name)
            assert math.isfinite(amount), (place, name)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(setpoint, st.floats(0.01, 40.0)), min_size=1, max_size=25))
def test_sums_close_under_any_handling(doings: list[tuple[tuple[object, object], float]]) -> None:
    plant = TffPlant()
    fill(plant, 800.0)
    for (what, value), seconds in doings:
        do(plant, what, value)
        feed(plant)
        plant.step(seconds)
    assert_sound(plant)


def test_sums_close_over_a_whole_batch_with_leaks() -> None:
    plant = TffPlant()
    fill(plant, 1500.0)
    plant.process.permeate_leak.rate_ml_per_s, plant.process.permeate_leak.left_ml = 0.3, 35.0
    plant.process.retentate_leak.rate_ml_per_s, plant.process.retentate_leak.left_ml = 0.05, 12.0
    put(plant, P101=1200.0, PCV101=40.0)
    permeate(plant, True)
    run(plant, 300.0)
    put(plant, INLET=3, P102=190.0)
    run(plant, 600.0)
    permeate(plant, False)
    put(plant, P102=0.0, INLET=4, PCV101=100.0)
    fill(plant, 300.0, "caustic")
    run(plant, 600.0)
    put(plant, OUTLET=2)
    run(plant, 120.0)
    assert_sound(plant)
    assert abs(plant.process.ledger.leaked.volume_ml - 47.0) < 1e-6
    assert plant.process.ledger.product.volume_ml > 300.0


def test_a_leak_in_the_permeate_line_is_missing_on_the_balance_and_not_in_the_flow_meter() -> None:
    tight, leaky = TffPlant(), TffPlant()
    for plant in (tight, leaky):
        fill(plant, 1000.0)
        put(plant, P101=1200.0)
    leaky.process.permeate_leak.rate_ml_per_s, leaky.process.permeate_leak.left_ml = 0.5, 1e9
    for plant in (tight, leaky):
        permeate(plant, True)
        run(plant, 120.0)
    lost = leaky.process.ledger.leaked.volume_ml
    assert 50.0 < lost <= 60.0
    assert abs(tight.process.q_perm - leaky.process.q_perm) < 1e-6
    assert abs(tight.process.ledger.permeate.volume_ml - leaky.process.ledger.permeate.volume_ml - lost) < 1e-6


def test_an_overfilled_vessel_spills_and_the_sum_still_closes() -> None:
    plant = TffPlant()
    put(plant, INLET=2, P102=1000.0)
    run(plant, 400.0)
    assert plant.process.level <= 1.0
    assert plant.process.ledger.spilled.volume_ml > 1000.0
    assert_sound(plant)


def test_an_empty_stock_gives_no_more() -> None:
    plant = TffPlant()
    put(plant, INLET=1, P102=1000.0)
    run(plant, 200.0)
    assert plant.process.ledger.feed.volume_ml == 0.0
    assert abs(plant.skid.totalised_ml - 2000.0) < 1e-6


amount = st.floats(0.0, 1e4)
liquid = st.builds(
    Liquid.of, st.floats(0.01, 1e4), st.builds(Composition, amount, st.floats(0, 1e11), amount, st.floats(0, 1))
)


@given(liquid, st.floats(0, 2e4))
def test_taking_from_a_liquid_keeps_its_concentrations(one: Liquid, volume: float) -> None:
    before, protein = one.volume_ml, one.protein_mg
    concentration = one.protein_mg / one.volume_ml
    taken = one.take(volume)
    assert math.isclose(taken.volume_ml + one.volume_ml, before)
    assert math.isclose(taken.protein_mg + one.protein_mg, protein, abs_tol=1e-12)
    assert math.isclose(taken.protein_mg, concentration * taken.volume_ml, rel_tol=1e-9, abs_tol=1e-9)


@given(liquid, liquid, st.floats(0, 1))
def test_exchange_moves_solutes_and_no_volume(one: Liquid, other: Liquid, share: float) -> None:
    volumes, total = (one.volume_ml, other.volume_ml), one.evs + other.evs
    apart = one.evs / one.volume_ml - other.evs / other.volume_ml
    exchange(one, other, share)
    assert (one.volume_ml, other.volume_ml) == volumes
    assert math.isclose(one.evs + other.evs, total, rel_tol=1e-12)
    left = one.evs / one.volume_ml - other.evs / other.volume_ml
    scale = abs(apart) + total / min(volumes)
    assert abs(left - apart * (1.0 - share)) <= 1e-9 * scale


def test_power_off_leaves_every_liquid_where_it_is() -> None:
    process = TffProcess()
    before = process.ledger.state()
    process.power_off()
    assert process.ledger.state() == before
