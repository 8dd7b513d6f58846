"""The simulated Sartorius balance prints what its manual says."""

from __future__ import annotations

import pytest

from simulators.devices.balance import Balance, BalanceParameters
from simulators.devices.bus import Bus, LineFault
from simulators.devices.sbi_balance import PRINT_S, SbiBalance, SbiSettings, cut_sbi

QUIET = BalanceParameters(noise_g=0.0, serial="SIM0006001", model="SIMBAL 6")


def balance(load_g: float = 100.0, **settings: object) -> SbiBalance:
    return SbiBalance(Balance(lambda: load_g, QUIET), SbiSettings(**settings))  # type: ignore[arg-type]


def test_a_line_of_22_characters_has_its_id_and_one_of_16_has_none() -> None:
    assert balance().hear(b"\x1bP") == b"N     +   100.00 g  \r\n"
    assert balance(long=False).hear(b"\x1bP") == b"+   100.00 g  \r\n"
    assert balance(-3.5).hear(b"\x1bP") == b"N     -     3.50 g  \r\n"


@pytest.mark.parametrize(
    ("unit", "line"), [("kg", b"+  0.10000 kg "), ("mg", b"+   100000 mg "), ("lb", b"+  0.22046 lb ")]
)
def test_the_weight_is_shown_in_the_unit_that_is_set(unit: str, line: bytes) -> None:
    assert balance(unit=unit, long=False).hear(b"\x1bP") == line + b"\r\n"


def test_a_weight_in_motion_has_no_unit() -> None:
    load = [100.0]
    one = SbiBalance(Balance(lambda: load[0], QUIET))
    load[0] = 200.0
    for _ in range(5):
        one.cell.step(0.1)
    line = one.hear(b"\x1bP")
    assert len(line) == 22
    assert line[17:20] == b"   "
    for _ in range(100):
        one.cell.step(0.1)
    assert one.hear(b"\x1bP") == b"N     +   200.00 g  \r\n"


@pytest.mark.parametrize(("load", "text"), [(7000.0, b"High"), (-300.0, b"Low")])
def test_beyond_its_range_it_says_so(load: float, text: bytes) -> None:
    line = balance(load).hear(b"\x1bP")
    assert (line.split(), len(line)) == ([b"Stat", text], 22)
    assert len(balance(load, long=False).hear(b"\x1bP")) == 16


def test_a_text_stands_instead_of_the_weight() -> None:
    one = balance()
    one.text = "Err 054"
    assert one.hear(b"\x1bP").split() == [b"Stat", b"Err", b"054"]


def test_it_tells_model_number_and_software() -> None:
    one = balance()
    assert one.hear(b"\x1bx1_").split() == [b"SIMBAL", b"6"]
    assert one.hear(b"\x1bx2_") == b"SerNo.  SIM0006001  \r\n"
    assert one.hear(b"\x1bx3_").split() == [b"00-39-21"]


@pytest.mark.parametrize("command", [b"\x1bT", b"\x1bU", b"\x1bV"])
def test_tare_and_zero_are_carried_out_without_a_word(command: bytes) -> None:
    one = balance()
    assert one.hear(command) == b""
    assert one.hear(b"\x1bP") == b"N     +     0.00 g  \r\n"


def test_what_it_does_not_know_it_passes_over() -> None:
    assert balance().hear(b"\x1bq9_") == b""


def test_it_prints_by_itself_when_that_is_set() -> None:
    one = balance(auto_print=True)
    assert one.stream() == b""
    one.step(PRINT_S)
    assert one.stream() == b"N     +   100.00 g  \r\n"
    assert one.stream() == b""


def test_on_some_models_a_print_command_switches_that_on_and_off() -> None:
    one = balance(toggles=True)
    assert one.hear(b"\x1bP") == b"N     +   100.00 g  \r\n"
    one.step(PRINT_S)
    assert one.stream() == b"N     +   100.00 g  \r\n"
    assert one.hear(b"\x1bP") == b""
    one.step(PRINT_S)
    assert one.stream() == b""


def test_commands_may_have_their_end_or_not_and_noise_before_them() -> None:
    bus = Bus([balance()], cut_sbi)
    said = bus.hear(b"noise\x1bx2_\x1bP\r\n\x1bx") + bus.hear(b"3_\r\n")
    assert said.count(b"\r\n") == 3
    assert bus.heard == [b"\x1bx2_", b"\x1bP", b"\x1bx3_"]


@pytest.mark.parametrize(
    ("fault", "arrives"),
    [
        (LineFault.SILENT, b""),
        (LineFault.DEAF, b""),
        (LineFault.HALF, b"N     +   1"),
        (LineFault.MERGED, b"N     +   100.00 g  \rN     +   100.00 g  \r\n"),
    ],
)
def test_the_line_may_be_at_fault(fault: LineFault, arrives: bytes) -> None:
    bus = Bus([balance()], cut_sbi)
    bus.fault = fault
    assert bus.hear(b"\x1bP") == arrives
    assert bus.told(b"N     +   100.00 g  \r\n") == arrives
