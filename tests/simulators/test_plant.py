"""The whole plant without a wire."""

import json
import math
import time

import pytest

from simulators.devices.skid_registers import Holding
from simulators.plant import BALANCES, TffPlant
from tests.simulators.drive import fill, permeate, put, run


def weight(plant: TffPlant, name: str) -> float:
    (line,) = plant.balance_links[name].reply("SI")
    return float(line[4:14])


def test_balances_weigh_what_is_in_their_vessels() -> None:
    plant = TffPlant()
    fill(plant, 900.0)
    put(plant, P101=1200.0)
    permeate(plant, True)
    run(plant, 120.0)
    permeate(plant, False)
    put(plant, P101=0.0)
    run(plant, 10.0)
    assert weight(plant, "WT-RET") == pytest.approx(plant.process.retentate_g, abs=0.05)
    assert weight(plant, "WT-PERM") == pytest.approx(plant.process.permeate_g, abs=0.05)
    assert plant.process.permeate_g > 50.0
    hold_up = plant.process.ledger.hold_up.mass_g
    assert weight(plant, "WT-RET") + weight(plant, "WT-PERM") + hold_up == pytest.approx(900.0 * 0.998, abs=0.2)


def test_capacities() -> None:
    assert {name: p.capacity_g for name, p in BALANCES.items()} == {"WT-RET": 6000.0, "WT-PERM": 12000.0}


def test_the_state_survives_json_and_brings_liquids_and_memories_back() -> None:
    plant = TffPlant()
    fill(plant, 900.0)
    put(plant, P101=1200.0, PCV101=40.0)
    permeate(plant, True)
    run(plant, 200.0)
    plant.balances["WT-PERM"].reply("TA 5.00 g")
    plant.process.permeate_leak.rate_ml_per_s, plant.process.permeate_leak.left_ml = 0.1, 3.0
    state = json.loads(json.dumps(plant.state()))

    back = TffPlant()
    back.restore(state)
    assert back.truth()["liquids"] == plant.truth()["liquids"]
    assert back.truth()["membrane"] == plant.truth()["membrane"]
    assert back.truth()["imbalance"] == plant.truth()["imbalance"]
    assert back.time_s == plant.time_s
    assert back.skid.totalised_ml == plant.skid.totalised_ml
    assert back.skid.starts == plant.skid.starts + 1
    assert back.skid.safe
    assert back.skid.read_holding(Holding.P101, 1) == [0]
    assert weight(back, "WT-PERM") == pytest.approx(plant.process.permeate_g - 5.0, abs=0.05)
    assert back.process.permeate_leak == plant.process.permeate_leak


def test_a_state_of_another_shape_is_refused() -> None:
    state = TffPlant().state()
    del state["process"]["ledger"]["feed"]
    with pytest.raises(KeyError):
        TffPlant().restore(state)


def test_truth_is_plain_and_finite() -> None:
    plant = TffPlant()
    fill(plant, 300.0)
    again = json.loads(json.dumps(plant.truth(), allow_nan=False))
    assert again["liquids"]["retentate"]["volume_ml"] == pytest.approx(300.0, abs=0.1)
    assert math.isclose(again["totalised_ml"], 300.0, abs_tol=0.1)


def test_the_length_of_the_steps_does_not_change_the_outcome() -> None:
    ends = []
    for step in (0.05, 0.25, 1.0):
        plant = TffPlant()
        fill(plant, 900.0)
        put(plant, P101=1200.0, PCV101=40.0)
        permeate(plant, True)
        run(plant, 180.0, step)
        ends.append(plant.process.permeate_g)
    assert ends == pytest.approx([ends[0]] * 3, rel=0.005)


def test_a_silent_skid_times_out_and_an_unplugged_balance_is_gone() -> None:
    plant = TffPlant()
    plant.skid_link.silent = True
    with pytest.raises(TimeoutError):
        plant.skid_link.read_input(0, 1)
    with pytest.raises(TimeoutError):
        plant.skid_link.write_holding(Holding.P101, [100])
    assert plant.skid.read_holding(Holding.P101, 1) == [0]
    plant.balances["WT-RET"].reply("SIR")
    plant.balance_links["WT-RET"].plugged = False
    with pytest.raises(OSError, match="gone"):
        plant.balance_links["WT-RET"].reply("SI")
    plant.step(1.0)
    assert plant.balance_links["WT-RET"].stream() == []


def test_a_step_of_one_second_is_quick() -> None:
    """A bound of ten times what it takes here (0.15 ms), so that a busy machine does not fail it."""
    plant = TffPlant()
    fill(plant, 1500.0)
    put(plant, P101=1200.0, PCV101=40.0)
    permeate(plant, True)
    run(plant, 20.0)
    quickest = math.inf
    for _ in range(5):
        begun = time.process_time()
        run(plant, 20.0, 1.0)
        quickest = min(quickest, (time.process_time() - begun) / 20.0)
    assert quickest < 1.5e-3
