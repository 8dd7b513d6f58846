"""Faults in their time and by command."""

import json
from pathlib import Path

import pytest

from simulators.devices.skid_registers import Holding
from simulators.fault_models import FaultError, LeakFault, SkidSilentFault, ValveStuckFault
from simulators.faults import Faults, TimedFault, load_faults, parse_fault, step
from simulators.plant import TffPlant
from tests.simulators.drive import fill, permeate, put, read, run

SILENT = SkidSilentFault(kind="skid_silent")


def begun(plant: TffPlant, **fault: object) -> Faults:
    faults = Faults(plant)
    faults.begin(parse_fault(fault))
    return faults


@pytest.mark.parametrize("dt", [0.05, 1.0, 7.0])
def test_timed_faults_come_and_go_at_their_time(dt: float) -> None:
    plant = TffPlant()
    faults = Faults(plant, [TimedFault(at_s=10.0, for_s=5.0, fault=SILENT)])
    silent = []
    for _ in range(round(21 / dt)):
        step(plant, faults, dt)
        silent.append((plant.time_s, plant.skid_link.silent))
    for t, was in silent:
        if abs(t - 10.0) > 1e-6 and abs(t - 15.0) > 1e-6:
            assert was == (10.0 < t < 15.0)
    assert faults.active == ()


def test_a_leak_that_begins_within_a_step_loses_from_its_moment() -> None:
    plant = TffPlant()
    fill(plant, 500.0)
    leak = LeakFault(kind="leak", line="retentate", rate_ml_per_s=0.5)
    faults = Faults(plant, [TimedFault(at_s=plant.time_s + 4.0, for_s=2.0, fault=leak)])
    step(plant, faults, 10.0)
    assert plant.process.ledger.leaked.volume_ml == pytest.approx(1.0, abs=1e-6)


def test_a_leak_ends_with_its_total() -> None:
    plant = TffPlant()
    fill(plant, 500.0)
    begun(plant, kind="leak", line="retentate", rate_ml_per_s=2.0, total_ml=7.0)
    plant.step(60.0)
    assert plant.process.ledger.leaked.volume_ml == pytest.approx(7.0, abs=1e-6)


def test_a_fault_ends_by_command_and_only_once() -> None:
    plant = TffPlant()
    faults = Faults(plant)
    number = faults.begin(SILENT)
    faults.end(number)
    assert not plant.skid_link.silent
    with pytest.raises(FaultError, match=f"no fault {number}"):
        faults.end(number)


def test_all_end_at_once() -> None:
    plant = TffPlant()
    faults = begun(plant, kind="balance_unplugged", balance="WT-RET")
    faults.begin(SILENT)
    faults.end_all()
    assert plant.balance_links["WT-RET"].plugged
    assert not plant.skid_link.silent
    assert faults.active == ()


def test_a_frozen_sensor_holds_and_comes_back() -> None:
    plant = TffPlant()
    fill(plant, 500.0)
    faults = begun(plant, kind="sensor_frozen", sensor="FT_FEED")
    put(plant, P101=1000.0)
    run(plant, 20.0)
    assert read(plant, "FT_FEED") == 0.0
    faults.end_all()
    run(plant, 1.0)
    assert read(plant, "FT_FEED") == pytest.approx(1000.0, abs=30.0)


def test_offset_and_drift() -> None:
    plant = TffPlant()
    offset = begun(plant, kind="sensor_offset", sensor="TT", offset=5.0)
    plant.step(1.0)
    assert read(plant, "TT") == pytest.approx(27.0, abs=0.1)
    offset.end_all()
    drift = begun(plant, kind="sensor_drift", sensor="TT", per_s=0.1)
    plant.step(50.0)
    assert read(plant, "TT") == pytest.approx(27.0, abs=0.1)
    drift.end_all()
    plant.step(1.0)
    assert read(plant, "TT") == pytest.approx(22.0, abs=0.1)


def test_noise_scatters_the_readings() -> None:
    plant = TffPlant()
    begun(plant, kind="sensor_noise", sensor="PT_FEED", deviation=1.0)
    readings = set()
    for _ in range(50):
        plant.step(0.05)
        readings.add(read(plant, "PT_FEED"))
    assert max(readings) - min(readings) > 1.0


def test_a_blockage_raises_the_pressure() -> None:
    plant = TffPlant()
    fill(plant, 500.0)
    put(plant, P101=1000.0)
    run(plant, 20.0)
    before = read(plant, "PT_RET")
    faults = begun(plant, kind="blockage", factor=10.0)
    run(plant, 10.0)
    assert read(plant, "PT_RET") > before + 1.0
    faults.end_all()
    run(plant, 10.0)
    assert read(plant, "PT_RET") == pytest.approx(before, abs=0.2)


def test_fouling_lowers_the_flux() -> None:
    plant = TffPlant()
    fill(plant, 900.0, "water")
    put(plant, P101=1000.0)
    permeate(plant, True)
    run(plant, 30.0)
    before = read(plant, "FT_PERM")
    begun(plant, kind="fouling", resistance_per_m=2e12)
    run(plant, 10.0)
    assert read(plant, "FT_PERM") < 0.6 * before


def test_a_stuck_valve_does_not_follow() -> None:
    plant = TffPlant()
    faults = begun(plant, kind="valve_stuck", valve="XV102")
    permeate(plant, True)
    run(plant, 5.0)
    assert plant.skid.read_discrete(0, 1) == [False]
    faults.end_all()
    run(plant, 2.0)
    assert plant.skid.read_discrete(0, 1) == [True]


def test_a_stuck_selector_does_not_turn() -> None:
    plant = TffPlant()
    faults = begun(plant, kind="valve_stuck", valve="INLET")
    put(plant, INLET=2)
    run(plant, 5.0)
    assert read(plant, "INLET_ACTUAL") == 0
    faults.end_all()
    run(plant, 2.0)
    assert read(plant, "INLET_ACTUAL") == 2


def test_a_pump_without_brake_overruns_its_stop() -> None:
    plant = TffPlant()
    begun(plant, kind="pump_coasts", pump="P102", seconds=4.0)
    fill(plant, 200.0)
    assert plant.skid.totalised_ml > 230.0


def test_a_takeover_sets_the_panel_and_hands_back() -> None:
    plant = TffPlant()
    fill(plant, 500.0)
    faults = begun(plant, kind="local_takeover", setpoints={"P101": 4000, "XV102": 1})
    run(plant, 10.0)
    assert not plant.skid.remote
    assert plant.skid.read_holding(Holding.P101, 1) == [4000]
    assert plant.skid.read_coils(0, 1) == [True]
    faults.end_all()
    assert plant.skid.remote


def test_balances_overload_load_and_restart() -> None:
    plant = TffPlant()
    link = plant.balance_links["WT-RET"]
    fill(plant, 500.0)
    faults = begun(plant, kind="balance_load", balance="WT-RET", grams=50.0)
    run(plant, 5.0)
    assert float(link.reply("SI")[0][4:14]) == pytest.approx(plant.process.retentate_g + 50.0, abs=0.1)
    faults.end_all()
    faults.begin(parse_fault({"kind": "balance_overload", "balance": "WT-RET"}))
    assert link.reply("SI") == ["S +"]
    faults.end_all()
    run(plant, 5.0)
    faults.begin(parse_fault({"kind": "balance_restart", "balance": "WT-RET"}))
    run(plant, 5.0)
    assert float(link.reply("SI")[0][4:14]) == pytest.approx(0.0, abs=0.1)


def test_a_skid_restart_is_counted() -> None:
    plant = TffPlant()
    starts = plant.skid.starts
    begun(plant, kind="skid_restart")
    assert plant.skid.starts == starts + 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"kind": "flood"}, "flood"),
        ({"kind": "leak", "line": "drain", "rate_ml_per_s": 1}, "line"),
        ({"kind": "leak", "line": "permeate", "rate_ml_per_s": -1}, "rate_ml_per_s"),
        ({"kind": "leak", "line": "permeate", "rate_ml_per_s": 1, "colour": "red"}, "colour"),
        ({"kind": "sensor_drift", "sensor": "TT", "per_s": float("nan")}, "per_s"),
        (None, "valid"),
        ([], "valid"),
    ],
)
def test_what_is_no_fault_is_told_in_one_line(fault: object, words: str) -> None:
    with pytest.raises(FaultError, match=words) as caught:
        parse_fault(fault)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "sensor_frozen", "sensor": "PT_MISSING"},
        {"kind": "balance_unplugged", "balance": "WT-X"},
        {"kind": "local_takeover", "setpoints": {"P101": 99999}},
        {"kind": "local_takeover", "setpoints": {"XV102": 2}},
    ],
)
def test_what_the_plant_cannot_have_is_refused_before_anything_happens(fault: dict[str, object]) -> None:
    plant = TffPlant()
    faults = Faults(plant)
    with pytest.raises(FaultError):
        faults.begin(parse_fault(fault))
    assert faults.active == ()
    assert plant.skid.remote


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- {at_s: 5}", "fault"),
        ("- {at_s: -1, fault: {kind: skid_silent}}", "at_s"),
        ("a: [", "faults.yaml"),
        ("just words", "faults.yaml"),
        ("- {at_s: 5, fault: {kind: sensor_frozen, sensor: XX}}", "XX"),
    ],
)
def test_a_wrong_fault_file_is_told_with_its_name(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "faults.yaml"
    file.write_text(text)
    with pytest.raises(FaultError, match=words) as caught:
        load_faults(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_fault_file_has_no_faults(tmp_path: Path) -> None:
    file = tmp_path / "faults.yaml"
    file.write_text("# nothing yet\n")
    assert load_faults(file) == []


def test_faults_outlive_the_simulators() -> None:
    plant = TffPlant()
    faults = Faults(plant, [TimedFault(at_s=0.0, fault=ValveStuckFault(kind="valve_stuck", valve="INLET"))])
    faults.begin(parse_fault({"kind": "leak", "line": "retentate", "rate_ml_per_s": 1.0, "total_ml": 100.0}))
    faults.begin(parse_fault({"kind": "fouling", "resistance_per_m": 1e12}))
    fill(plant, 300.0)
    step(plant, faults, 5.0)
    left = plant.process.retentate_leak.left_ml
    resistance = plant.process.membrane.resistance
    saved = json.loads(json.dumps([plant.state(), faults.state()]))

    back = TffPlant()
    back.restore(saved[0])
    again = Faults(back, [TimedFault(at_s=0.0, fault=ValveStuckFault(kind="valve_stuck", valve="INLET"))])
    again.restore(saved[1])
    assert back.process.inlet.stuck
    assert back.process.retentate_leak.left_ml == left
    assert back.process.membrane.resistance == resistance
    assert [a.number for a in again.active] == [a.number for a in faults.active]
    again.end_all()
    assert not back.process.inlet.stuck
