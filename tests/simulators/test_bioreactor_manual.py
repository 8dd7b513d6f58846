"""The bioreactor's manual says what the bioreactor does."""

from typing import get_args

import pytest

from simulators.cultivation import Cultivation
from simulators.culture_faults import CultureFault
from simulators.devices import bioreactor
from simulators.devices.bioreactor import N2_MOST, O2_MOST, PROBES_WET, SENSORS, TRIP_DEGC, TRIP_HYSTERESIS
from simulators.devices.bioreactor_nodes import NAMESPACE, NODES, RETENTIVE, ROOT, WRITABLE, DataType, Status
from simulators.devices.station import CO2_PERCENT, GAS_ML_MIN
from simulators.devices.watchdog import WATCHDOG_SCANS
from simulators.ev_plant import EvPlant
from simulators.faults import Faults
from simulators.process.bioreactor import FULL
from simulators.process.culture import CultureParameters
from simulators.process.culture_vessel import HARM_FROM_DYN_PER_CM2, HollowFibre
from simulators.sampling import SampleKind
from simulators.serve import STEP_S
from simulators.wire.control import ControlServer
from tests.simulators.grow import node
from tests.simulators.manual import table, text

PAGE = "simulated-bioreactor.md"


def test_readings() -> None:
    told = [(name, kind, unit) for name, kind, unit, _ in table(PAGE, "Name", "Type", "Unit", "Meaning")]
    assert told == [(n.name, n.data_type.value, n.unit) for n in NODES.values() if not n.writable]


def test_setpoints() -> None:
    rows = table(PAGE, "Name", "Type", "Unit", "Range", "Default", "Safe", "Meaning")
    told = [(name, kind, unit, bounds, float(default), safe) for name, kind, unit, bounds, default, safe, _ in rows]
    assert told == [
        (
            n.name,
            n.data_type.value,
            n.unit,
            f"{n.low:.10g} .. {n.high:.10g}",
            float(n.default),
            "" if n.safe is None else str(n.safe),
        )
        for n in WRITABLE.values()
    ]


def test_what_outlives_a_loss_of_power() -> None:
    assert f"{', '.join(RETENTIVE[:-1])} and {RETENTIVE[-1]} outlive a loss of power" in text(PAGE)


def test_namespace_and_identifiers() -> None:
    assert f"Namespace `{NAMESPACE}`" in text(PAGE)
    assert f"children of the object `{ROOT}`" in text(PAGE)
    assert all(n.node_id == f"{ROOT}.{n.name}" for n in NODES.values())


def test_status_codes() -> None:
    told = [int(code, 16) for code, _, _ in table(PAGE, "Code", "Name", "When")]
    assert told == sorted(Status)


def test_status_codes_are_those_of_the_standard() -> None:
    from asyncua.ua.status_codes import get_name_and_doc

    for code, name, _ in table(PAGE, "Code", "Name", "When"):
        assert get_name_and_doc(int(code, 16))[0] == name


def test_node_comes_before_value_and_value_before_state() -> None:
    controller = Cultivation().controller
    controller.take_over()
    assert controller.write(node("TT"), 99.0) == Status.BAD_NOT_WRITABLE
    assert controller.write(node("TT_SP"), 99.0) == Status.BAD_OUT_OF_RANGE
    assert controller.write(node("TT_SP"), 37.0) == Status.BAD_USER_ACCESS_DENIED


def test_noise_and_cut_off() -> None:
    told = {name: (float(noise), float(cut)) for name, noise, cut in table(PAGE, "Name", "Noise", "Cut-off")}
    assert told == SENSORS


def test_figures_of_the_controller() -> None:
    page = text(PAGE)
    assert f"above {TRIP_DEGC:g} degC by a thermostat" in page
    assert f"on again below {TRIP_DEGC - TRIP_HYSTERESIS:g} degC" in page
    assert f"The gas is {GAS_ML_MIN:g} mL/min with {CO2_PERCENT:g} % CO2" in page
    assert f"up to {N2_MOST:g} %; above, O2 is added, up to {O2_MOST:g} %" in page
    assert page.count(f"below {PROBES_WET * 100:g} %") == 2
    assert f"it spills at {FULL * 100:g} %" in page
    assert STEP_S == 0.05
    assert WATCHDOG_SCANS == 3
    assert {name for name in dir(bioreactor) if name.startswith("TRIP_") and name != "TRIP_DEGC"} >= {
        row[0] for row in table(PAGE, "Trip", "When")
    }


def test_figures_of_the_culture() -> None:
    page, cells, fibres = text(PAGE), CultureParameters(), HollowFibre()
    assert f"{fibres.fibres:,} fibres of {fibres.radius_m * 1e3:g} mm radius" in page
    assert fibres.confluent_cells == pytest.approx(1.0e9, rel=0.06)
    assert fibres.stress(101.6, 0.0) == pytest.approx(1.5, rel=0.001)
    assert f"shear above {HARM_FROM_DYN_PER_CM2:g} dyn/cm2" in page
    assert f"{cells.glucose_pmol_per_cell_h:g} pmol/cell/h, up to {cells.hypoxic_glycolysis * 100:g} % more" in page
    assert f"{cells.lactate_per_glucose:g} lactate for each glucose" in page
    assert f"{cells.oxygen_fmol_per_cell_h:g} fmol/cell/h" in page
    assert f"{cells.evs_per_cell_h:g} /cell/h in normoxia at rest" in page
    assert f"up to {1 + cells.hypoxia_gain:g} times in hypoxia, up to {1 + cells.shear_gain:g} times with shear" in page
    assert f"{cells.ev_loss_per_h * 100:g} %/h are lost" in page


def test_data_types_are_all_used() -> None:
    assert {n.data_type for n in NODES.values()} == set(DataType)


def test_orders_of_the_testers_port() -> None:
    plant = EvPlant()
    control = ControlServer(plant, Faults(plant), lambda: None)
    told = {order for order, _, _ in table(PAGE, "Order", "Fields", "What happens")}
    message = str(control.answer(b"{}")["error"])
    known = set(message.split("one of ")[1].split(", "))
    assert told == known - {"faults", "begin", "end", "end_all", "change_permeate_vessel", "press_air", "take_sample"}
    assert f"Kinds of sample: {', '.join(SampleKind)}." in text(PAGE)


def test_fault_kinds_and_their_fields() -> None:
    models = get_args(get_args(CultureFault)[0])
    known = {get_args(model.model_fields["kind"].annotation)[0]: set(model.model_fields) - {"kind"} for model in models}
    told = {kind: fields for kind, fields, _ in table(PAGE, "Kind", "Fields", "What happens")}
    assert list(told) == list(known)
    for kind, fields in known.items():
        words = told[kind].replace("(by name)", "").replace("(raw, by name)", "").split("(")[0]
        assert {part.strip() for part in words.split(",")} - {""} == fields, kind
