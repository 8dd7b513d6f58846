"""The station's manual says what the station does."""

from simulators.cultivation import Cultivation
from simulators.devices import station_registers as registers
from simulators.devices.registers import Fault
from simulators.devices.station import CO2_PERCENT, FILTER_TEST_PSI, FILTER_TEST_S, GAS_ML_MIN, SENSORS
from simulators.devices.station_registers import (
    CIRC_BASE,
    HOLDING,
    INPUT,
    INPUT_WORDS,
    SETPOINTS,
    STOPS,
    FilterState,
    Holding,
)
from simulators.process.bioreactor import FULL, HARVEST_TO, MEDIA, BioreactorParameters
from simulators.wire.modbus import RequestError
from tests.simulators.manual import table, text

PAGE = "simulated-station.md"
HOLDING_HEAD = ("Address", "Name", "Scale", "Unit", "Range", "Default", "Safe", "Meaning")


def test_input_registers() -> None:
    rows = table(PAGE, "Address", "Name", "Format", "Scale", "Unit", "Meaning")
    told = [(int(a), name, form, float(scale), unit) for a, name, form, scale, unit, _ in rows]
    assert told == [(r.address, r.name, r.form.value, r.scale, r.unit) for r in INPUT.values()]


def test_the_input_table_has_no_holes() -> None:
    taken = [address for r in INPUT.values() for address in range(r.address, r.address + r.words)]
    assert taken == list(range(INPUT_WORDS))


def test_holding_registers() -> None:
    told = [
        (int(a), name, float(scale), unit, bounds, int(default), safe)
        for a, name, scale, unit, bounds, default, safe, _ in table(PAGE, *HOLDING_HEAD)
    ]
    assert told == [
        (w.value, w.name, s.scale, s.unit, f"{s.low} .. {s.high}", s.default, "" if s.safe is None else str(s.safe))
        for w, s in HOLDING.items()
    ]


def test_stops_lie_in_their_registers() -> None:
    for pump, stop in STOPS.items():
        assert stop.address == Holding[f"FQ_{pump}_STOP_HIGH"] == Holding[f"FQ_{pump}_STOP_LOW"] - 1
        assert (stop.form, stop.scale) == (INPUT[f"FQ_{pump}"].form, INPUT[f"FQ_{pump}"].scale)
    assert set(SETPOINTS) == {*STOPS, "CIRC"}


def test_selector_positions() -> None:
    meanings = {row[1]: row[-1] for row in table(PAGE, *HOLDING_HEAD)}
    assert f": {', '.join(MEDIA)};" in meanings["MED_FROM"]
    assert f": {', '.join(HARVEST_TO)};" in meanings["HARV_TO"]
    process = Cultivation().process
    assert process.med_from.travel_s == process.harv_to.travel_s == 1.0


def test_bits_of_status_and_trips() -> None:
    told = [(int(bit), name) for bit, name, _ in table(PAGE, "Bit", "Name", "Set while")]
    names = ["ST_REMOTE", "ST_WD_OK", "ST_TRIP", "ST_SAFE", "P_CIRC_RUN", "ST_LINK"]
    assert told == list(enumerate(names))
    bits = ("STATUS_REMOTE", "STATUS_WD_OK", "STATUS_TRIP", "STATUS_SAFE", "STATUS_CIRC_RUN", "STATUS_LINK")
    assert [getattr(registers, name) for name in bits] == [1 << bit for bit, _ in told]
    assert table(PAGE, "Bit", "Name", "Trip") == [["0", "ST_TRIP_WATCHDOG", "watchdog"]]
    assert registers.TRIP_WATCHDOG == 1


def test_noise_and_cut_off() -> None:
    told = {name: (float(noise), float(cut)) for name, noise, cut in table(PAGE, "Name", "Noise", "Cut-off")}
    assert told == SENSORS


def test_exception_codes() -> None:
    assert [int(code) for code, _, _ in table(PAGE, "Code", "Name", "When")] == sorted(
        {*RequestError, *Fault} - {RequestError.GATEWAY_PATH_UNAVAILABLE}
    )


def test_figures() -> None:
    page, p = text(PAGE), BioreactorParameters()
    assert f"of CIRC_SP, if it is above {CIRC_BASE}" in page
    assert f"no more than {CIRC_BASE * HOLDING[Holding.CIRC_SP].scale:g} mL/min" in page
    assert f"{GAS_ML_MIN:g} mL/min with {CO2_PERCENT:g} % CO2" in page
    assert f"for {FILTER_TEST_S / 60:g} min (FILT_STATE 1, PT_FILT {FILTER_TEST_PSI:g} psig)" in page
    assert f"An intact filter has {p.bubble_point_psi:g} psig" in page
    assert f"keeps {p.filter_ev_share * 100:g} % of the vesicles" in page
    assert f"at a vessel level of {FULL * 100:g} %" in page
    assert f"({p.residual_ml:g} mL stay in the fibres)" in page
    assert f"below {p.circulating_ml:g} mL in the vessel" in page
    assert [state.name.lower() for state in FilterState] == ["idle", "testing", "done"]
