"""The skid's manual says what the skid does."""

from pathlib import Path
from typing import get_args

import pytest
from ruamel.yaml import YAML

from simulators.devices import skid_registers as registers
from simulators.devices.registers import Fault, ModbusFault
from simulators.devices.skid import SENSORS
from simulators.devices.skid_registers import FQ_STOP, HOLDING, INPUT, INPUT_WORDS, Holding
from simulators.devices.watchdog import WATCHDOG_SCANS
from simulators.fault_models import Fault as FaultModel
from simulators.faults import TimedFault, load_faults
from simulators.plant import TffPlant
from simulators.process.actuators import Selector, Valve
from simulators.process.vessels import INLETS, OUTLETS
from simulators.serve import STEP_S
from simulators.wire.modbus import (
    MAX_BITS_READ,
    MAX_BITS_WRITTEN,
    MAX_WORDS_READ,
    MAX_WORDS_WRITTEN,
    Function,
    RequestError,
)
from tests.simulators.manual import table, text

PAGE = "simulated-skid.md"


def test_input_registers() -> None:
    rows = table(PAGE, "Address", "Name", "Format", "Scale", "Unit", "Meaning")
    told = [(int(a), name, form, float(scale), unit) for a, name, form, scale, unit, _ in rows]
    assert told == [(r.address, r.name, r.form.value, r.scale, r.unit) for r in INPUT.values()]


def test_the_input_table_has_no_holes() -> None:
    taken = [address for r in INPUT.values() for address in range(r.address, r.address + r.words)]
    assert taken == list(range(INPUT_WORDS))


def test_holding_registers() -> None:
    rows = table(PAGE, "Address", "Name", "Scale", "Unit", "Range", "Default", "Safe", "Meaning")
    told = [
        (int(a), name, float(scale), unit, bounds, int(default), safe)
        for a, name, scale, unit, bounds, default, safe, _ in rows
    ]
    assert told == [
        (w.value, w.name, s.scale, s.unit, f"{s.low} .. {s.high}", s.default, "" if s.safe is None else str(s.safe))
        for w, s in HOLDING.items()
    ]


def test_the_totaliser_stop_lies_in_its_two_registers() -> None:
    assert (FQ_STOP.address, FQ_STOP.words) == (Holding.FQ_STOP_HIGH, 2)
    assert FQ_STOP.form == INPUT["FQ_IN"].form
    assert FQ_STOP.scale == INPUT["FQ_IN"].scale


def test_selector_positions() -> None:
    meanings = {
        row[1]: row[-1]
        for row in table(PAGE, "Address", "Name", "Scale", "Unit", "Range", "Default", "Safe", "Meaning")
    }
    assert meanings["INLET"].startswith(f"Inlet selector: {', '.join(INLETS)};")
    assert all(name in meanings["OUTLET"] for name in OUTLETS)
    assert HOLDING[Holding.INLET].high == len(INLETS) - 1
    assert HOLDING[Holding.OUTLET].high == len(OUTLETS) - 1


def test_travel_times() -> None:
    process = TffPlant().process
    assert isinstance(process.retentate_valve, Valve)
    assert isinstance(process.inlet, Selector)
    assert process.retentate_valve.travel_s == 10.0
    assert process.permeate_valve.travel_s == process.inlet.travel_s == process.outlet.travel_s == 1.0
    assert "travels its whole way in 10 s" in text(PAGE)


def test_bits_of_status_and_trips() -> None:
    status = [int(bit) for bit, _ in table(PAGE, "Bit", "Set while")]
    names = ("STATUS_P101", "STATUS_P102", "STATUS_REMOTE", "STATUS_FED", "STATUS_TRIP", "STATUS_SAFE")
    assert [1 << bit for bit in status] == [getattr(registers, name) for name in names]
    trips = [(int(bit), name) for bit, name in table(PAGE, "Bit", "Trip")]
    assert trips == [(0, "feed pressure"), (1, "low level"), (2, "watchdog")]
    assert (registers.TRIP_PRESSURE, registers.TRIP_LEVEL, registers.TRIP_WATCHDOG) == (1, 2, 4)


def test_noise_and_cut_off() -> None:
    told = {name: (float(noise), float(cut)) for name, noise, cut in table(PAGE, "Name", "Noise", "Cut-off")}
    assert told == SENSORS


def test_functions_and_their_limits() -> None:
    told = {int(code): int(most) for _, code, most in table(PAGE, "Function", "Code", "Most in one request")}
    assert told == {
        Function.READ_COILS: MAX_BITS_READ,
        Function.READ_DISCRETE: MAX_BITS_READ,
        Function.READ_HOLDING: MAX_WORDS_READ,
        Function.READ_INPUT: MAX_WORDS_READ,
        Function.WRITE_COIL: 1,
        Function.WRITE_REGISTER: 1,
        Function.WRITE_COILS: MAX_BITS_WRITTEN,
        Function.WRITE_REGISTERS: MAX_WORDS_WRITTEN,
    }


def test_exception_codes() -> None:
    told = [int(code) for code, _, _ in table(PAGE, "Code", "Name", "When")]
    assert told == sorted({*RequestError, *Fault} - {RequestError.GATEWAY_PATH_UNAVAILABLE})


def test_address_comes_before_value_and_value_before_state() -> None:
    plant = TffPlant()
    plant.skid.take_over()
    for address, values, code in ((10, [5, 0], 2), (5, [9], 3), (5, [1], 4)):
        with pytest.raises(ModbusFault) as caught:
            plant.skid.write_holding(address, values)
        assert caught.value.code == code


def test_one_discrete_input_and_one_coil() -> None:
    assert [row[:2] for row in table(PAGE, "Address", "Name", "Meaning")] == [["0", "XV102_OPEN"]]
    assert [row[:3] for row in table(PAGE, "Address", "Name", "Safe", "Meaning")] == [["0", "XV102", "0"]]
    skid = TffPlant().skid
    assert (skid.read_coils(0, 1), skid.read_discrete(0, 1)) == ([False], [False])
    for read in (skid.read_coils, skid.read_discrete):
        with pytest.raises(ModbusFault):
            read(1, 1)


def test_controller_scan_and_floor_of_the_watchdog() -> None:
    assert STEP_S == 0.05
    assert WATCHDOG_SCANS == 3
    assert "three controller scans (3 x 50 ms at real speed" in text(PAGE)


def test_fault_kinds_and_their_fields() -> None:
    models = get_args(get_args(FaultModel)[0])
    known = {get_args(model.model_fields["kind"].annotation)[0]: set(model.model_fields) - {"kind"} for model in models}
    told = {kind: fields for kind, fields, _ in table(PAGE, "Kind", "Fields", "What happens")}
    assert list(told) == list(known)
    for kind, fields in known.items():
        assert {part.split("(")[0].strip() for part in _outside_brackets(told[kind])} - {""} == fields, kind


def _outside_brackets(cell: str) -> list[str]:
    parts, depth = [""], 0
    for character in cell:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def test_the_example_of_a_fault_file_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / PAGE).read_text(encoding="utf-8")
    example = page.split("```yaml\n")[1].split("```")[0]
    file = tmp_path / "faults.yaml"
    file.write_text(example, encoding="utf-8")
    assert len(load_faults(file)) == len(YAML(typ="safe").load(example))
    assert all(isinstance(timed, TimedFault) for timed in load_faults(file))
