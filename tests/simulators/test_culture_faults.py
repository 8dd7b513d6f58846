"""Faults of the bioreactor and its station."""

import json
from collections.abc import Callable
from dataclasses import asdict

import pytest

from simulators.devices.bioreactor_nodes import Status
from simulators.devices.station_registers import FilterState
from simulators.ev_plant import EvPlant
from simulators.fault_models import FaultError
from simulators.faults import Faults, TimedFault, parse_fault, step
from simulators.plant import TffPlant
from simulators.wire.control import ControlServer
from tests.simulators.grow import HOUR, fill, node, put, read, run, station_read


def begun(plant: EvPlant, **fault: object) -> Faults:
    faults = Faults(plant)
    faults.begin(parse_fault(fault))
    return faults


def test_a_failed_probe_is_bad_until_it_is_changed() -> None:
    plant = EvPlant()
    faults = begun(plant, kind="probe_failed", probe="TT")
    plant.step(1.0)
    assert plant.bioreactor_link.read(node("TT"))[1] == Status.BAD_SENSOR_FAILURE
    faults.end_all()
    plant.step(1.0)
    assert plant.bioreactor_link.read(node("TT"))[1] == Status.GOOD


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("BR101.PT_HEAD", lambda plant: read(plant.cultivation, "PT_HEAD")),
        ("BR101-ST.F_CO2", lambda plant: station_read(plant.cultivation, "F_CO2")),
    ],
)
def test_sensors_of_bioreactor_and_station_lie_as_those_of_the_skid_do(
    name: str, shown: Callable[[EvPlant], float]
) -> None:
    plant = EvPlant()
    plant.step(1.0)
    before = shown(plant)
    faults = begun(plant, kind="sensor_offset", sensor=name, offset=3.0)
    plant.step(1.0)
    assert shown(plant) == pytest.approx(before + 3.0, abs=0.5)
    faults.end_all()
    begun(plant, kind="sensor_frozen", sensor=name)
    frozen = shown(plant)
    plant.step(1.0)
    assert shown(plant) == frozen


def test_a_stuck_heater_trips_the_thermostat() -> None:
    plant = EvPlant()
    fill(plant.cultivation)
    faults = begun(plant, kind="heater_stuck")
    for _ in range(60):
        plant.step(120.0)
    assert read(plant.cultivation, "TRIP_TEMP")
    faults.end_all()
    assert not plant.cultivation.controller.heater_stuck


def test_a_leaking_vessel_loses_its_total() -> None:
    plant = EvPlant()
    fill(plant.cultivation)
    begun(plant, kind="vessel_leak", rate_ml_per_s=1.0, total_ml=40.0)
    plant.step(60.0)
    assert plant.cultivation.process.volume_ml == pytest.approx(960.0, abs=0.01)
    assert all(abs(share) < 1e-9 for share in plant.truth()["imbalance"].values())


def test_an_empty_bottle_and_a_new_one() -> None:
    plant = EvPlant()
    faults = begun(plant, kind="gas_empty", gas="co2")
    plant.step(1.0)
    assert plant.cultivation.process.gas.co2 == 0.0
    faults.end_all()
    plant.step(1.0)
    assert plant.cultivation.process.gas.co2 == 10.0


def test_a_stalled_pump_moves_nothing() -> None:
    plant = EvPlant()
    fill(plant.cultivation)
    faults = begun(plant, kind="pump_stalled", pump="CIRC")
    run(plant.cultivation, 10.0)
    assert station_read(plant.cultivation, "FT_CIRC") == 0.0
    faults.end_all()
    run(plant.cultivation, 10.0)
    assert station_read(plant.cultivation, "FT_CIRC") == pytest.approx(20.0, abs=2.0)


def test_a_damaged_filter_fails_its_test() -> None:
    plant = EvPlant()
    begun(plant, kind="filter_damaged")
    put(plant.cultivation, FILT_TEST=1)
    run(plant.cultivation, 200.0)
    assert station_read(plant.cultivation, "FILT_STATE") == FilterState.DONE
    assert station_read(plant.cultivation, "FILT_BP") < 50.0


def test_cells_die() -> None:
    plant = EvPlant()
    fill(plant.cultivation)
    plant.inoculate(1.0e8, 1.0)
    begun(plant, kind="cells_die", share=0.3)
    assert plant.cultivation.process.culture.viability == pytest.approx(0.7)


def test_controllers_fall_silent_and_restart() -> None:
    plant = EvPlant()
    starts = plant.cultivation.controller.starts, plant.cultivation.station.starts
    faults = begun(plant, kind="bioreactor_silent")
    faults.begin(parse_fault({"kind": "station_silent"}))
    assert plant.bioreactor_link.silent
    assert plant.station_link.silent
    faults.end_all()
    assert not plant.bioreactor_link.silent
    assert not plant.station_link.silent
    faults.begin(parse_fault({"kind": "bioreactor_restart"}))
    faults.begin(parse_fault({"kind": "station_restart"}))
    assert plant.cultivation.controller.starts == starts[0] + 1
    assert plant.cultivation.station.starts == starts[1] + 1


def test_takeovers_set_the_panels_and_hand_back() -> None:
    plant = EvPlant()
    fill(plant.cultivation)
    faults = begun(plant, kind="bioreactor_takeover", setpoints={"TT_SP": 35.0})
    faults.begin(parse_fault({"kind": "station_takeover", "setpoints": {"CIRC_SP": 5000}}))
    plant.step(5.0)
    assert plant.bioreactor_link.write(node("TT_SP"), 37.0) == Status.BAD_USER_ACCESS_DENIED
    assert read(plant.cultivation, "TT_SP") == 35.0
    assert station_read(plant.cultivation, "FT_CIRC") == pytest.approx(50.0, abs=2.0)
    faults.end_all()
    assert plant.cultivation.controller.remote
    assert plant.cultivation.station.remote


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "probe_failed", "probe": "AT_CO2"},
        {"kind": "bioreactor_takeover", "setpoints": {"TT": 37.0}},
        {"kind": "bioreactor_takeover", "setpoints": {"TT_SP": 99.0}},
        {"kind": "station_takeover", "setpoints": {"CIRC_SP": 99999}},
        {"kind": "sensor_frozen", "sensor": "BR101.XX"},
    ],
)
def test_what_the_plant_cannot_have_is_refused(fault: dict[str, object]) -> None:
    with pytest.raises(FaultError):
        Faults(EvPlant()).begin(parse_fault(fault))


@pytest.mark.parametrize("fault", [{"kind": "bioreactor_silent"}, {"kind": "sensor_frozen", "sensor": "BR101.TT"}])
def test_a_plant_without_bioreactor_has_none_of_its_faults(fault: dict[str, object]) -> None:
    parsed = parse_fault(fault)
    with pytest.raises(FaultError):
        Faults(TffPlant()).begin(parsed)
    with pytest.raises(FaultError):
        Faults(TffPlant(), [TimedFault(at_s=10.0, fault=parsed)])


def test_faults_outlive_the_simulators() -> None:
    plant = EvPlant()
    faults = Faults(plant)
    for fault in (
        {"kind": "probe_failed", "probe": "AT_DO"},
        {"kind": "gas_empty", "gas": "n2"},
        {"kind": "vessel_leak", "rate_ml_per_s": 0.1, "total_ml": 9.0},
        {"kind": "bioreactor_takeover", "setpoints": {}},
    ):
        faults.begin(parse_fault(fault))
    saved = json.loads(json.dumps([plant.state(), faults.state()]))
    back = EvPlant()
    back.restore(saved[0])
    again = Faults(back)
    again.restore(saved[1])
    culture = back.cultivation
    assert culture.controller.sensors["AT_DO"].failed
    assert culture.station.empty_gases == {"n2"}
    assert culture.process.leak.left_ml == 9.0
    assert not culture.controller.remote
    again.end_all()
    assert culture.station.empty_gases == set()
    assert culture.controller.remote


def test_a_timed_silence_comes_and_goes_at_its_time() -> None:
    plant = EvPlant()
    silent = parse_fault({"kind": "bioreactor_silent"})
    faults = Faults(plant, [TimedFault(at_s=100.0, for_s=50.0, fault=silent)])
    step(plant, faults, 120.0)
    assert plant.bioreactor_link.silent
    step(plant, faults, 72.0)
    assert not plant.bioreactor_link.silent


def ask(control: ControlServer, **request: object) -> dict[str, object]:
    return control.answer(json.dumps(request).encode() + b"\n")


def test_hands_at_the_control_port() -> None:
    plant = EvPlant()
    control = ControlServer(plant, Faults(plant), lambda: None)
    assert "no medium" in str(ask(control, do="inoculate", viable=2e8)["error"])
    fill(plant.cultivation)
    assert ask(control, do="inoculate", viable=2e8, viability=0.9) == {"ok": None}
    assert plant.cultivation.process.culture.viability == pytest.approx(0.9)
    assert "viable" in str(ask(control, do="inoculate")["error"])
    assert "viable" in str(ask(control, do="inoculate", viable="many")["error"])
    assert ask(control, do="sample", kind="beads")["ok"] == asdict(plant.sample_of("beads"))
    assert "soup" in str(ask(control, do="sample", kind="soup")["error"])
    assert "no product" in str(ask(control, do="formulate", volume_ml=20)["error"])
    assert "no formulated" in str(ask(control, do="sterile_filter")["error"])
    skid = TffPlant()
    assert "write" in str(ask(ControlServer(skid, Faults(skid), lambda: None), do="inoculate", viable=1e8)["error"])


def test_process_hours_pass_between_faults() -> None:
    plant = EvPlant()
    fill(plant.cultivation)
    plant.inoculate(3e8)
    faults = Faults(
        plant,
        [TimedFault(at_s=plant.time_s + HOUR, for_s=HOUR, fault=parse_fault({"kind": "gas_empty", "gas": "air"}))],
    )
    step(plant, faults, 3.0 * HOUR)
    assert faults.active == ()
    assert plant.cultivation.process.culture.viable > 0.0
