"""The manuals of the simulated Sartorius balance and pressure monitor say what these do."""

from __future__ import annotations

import re

from simulators.devices.balance import Balance, BalanceParameters
from simulators.devices.bus import LineFault
from simulators.devices.pressure_monitor import NOISE_PSI, PORTS, PressureMonitor
from simulators.devices.sbi_balance import PRINT_S, SbiBalance
from simulators.instruments import PERIOD_S, PRESSURES_PSI, SERIAL, VESSEL_G
from tests.simulators.manual import REFERENCE, table, text

SARTORIUS = "simulated-sartorius.md"
MONITOR = "simulated-pressure-monitor.md"


def balance(load_g: float = 100.0) -> SbiBalance:
    return SbiBalance(Balance(lambda: load_g, BalanceParameters(noise_g=0.0, model="SIMSBI", serial=SERIAL)))


def test_every_command_of_the_balance_answers_as_told() -> None:
    answers = {
        "a weight line": rb"N     \+   100\.00 g  \r\n",
        "the model": rb" *SIMSBI *\r\n",
        "`SerNo.` and the serial number": rb"SerNo\. *SIM0000500 *\r\n",
        "the software": rb" *[0-9-]+ *\r\n",
        "none": rb"",
    }
    commands = table(SARTORIUS, "Command", "Answer", "Meaning")
    assert [command for command, _, _ in commands] == [f"ESC {c}" for c in ("P", "x1_", "x2_", "x3_", "T", "U", "V")]
    for command, answer, _ in commands:
        said = balance().hear(command.replace("ESC ", "\x1b").encode())
        assert re.fullmatch(answers[answer], said), command


def test_every_line_of_the_balance_is_the_one_that_is_told() -> None:
    told = [line.strip("`") for line, _ in table(SARTORIUS, "Line", "When")]
    loads = [balance(), balance(), balance(7000.0), balance(-300.0), balance()]
    moving = loads[1].cell
    moving.moved_g = 0.5
    moving.step(0.02)
    moving.moved_g = 0.0
    for _ in range(40):
        moving.step(0.02)
    loads[4].text = "Err 054"
    assert [one.hear(b"\x1bP").decode().removesuffix("\r\n") for one in loads] == told


def test_the_numbers_of_the_balance() -> None:
    page = text(SARTORIUS)
    assert f"{VESSEL_G * 0.8:.0f} to {VESSEL_G * 1.2:.0f} g, rising and falling in {PERIOD_S:.0f} s" in page
    assert f"else {SERIAL}" in page
    assert f"every {PRINT_S:g} s" in page
    assert all(f"(`{fault}`)" in page for fault in LineFault if fault is not LineFault.NONE)


def test_the_inputs_of_the_monitor() -> None:
    assert table(MONITOR, "Input", "Port", "Pressure") == [
        [f"P{i + 1}", f"{PORTS[i]:02d}", f"{psi:g} psi"] for i, psi in enumerate(PRESSURES_PSI)
    ]
    assert f"a noise of {NOISE_PSI:g} psi" in text(MONITOR)
    assert f"in {PERIOD_S:.0f} s" in text(MONITOR)


def test_the_packet_of_the_monitor_has_the_form_and_the_checksum_that_are_told() -> None:
    example = re.findall(r"^AZ.*$", (REFERENCE / MONITOR).read_text(encoding="utf-8"), re.MULTILINE)[0].encode()
    monitor = PressureMonitor([lambda: 0.5])
    said = monitor.hear(b"AZK")
    assert said.startswith(b"\x10\x02")
    assert said.endswith(b"\r\n\x10\x03")
    packet = said[2:-4]
    for one in (example, packet):
        assert (sum(one[2:-2]) + int(one[-2:], 16)) % 256 == 0
    assert [len(field) for field in packet.split(b",")] == [len(field) for field in example.split(b",")]
    assert {command for command, _, _ in table(MONITOR, "Command", "Answer", "Meaning")} == {"AZK", "AZI"}
