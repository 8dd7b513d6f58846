"""The manuals of the pumps and gas controllers say what these do."""

from __future__ import annotations

import re

from simulators.devices.alicat import GASES, LAG_S, OVER_RANGE, ControllerParameters, MassFlowController
from simulators.devices.bus import MAX_COMMAND
from simulators.devices.masterflex import LinkablePump, State
from simulators.devices.masterflex_usb import UsbPump
from simulators.devices.watson_marlow import PULSES_PER_REV, WatsonMarlowPump
from tests.simulators.manual import REFERENCE, table, text

PUMPS, GAS = "simulated-pumps.md", "simulated-gas-controllers.md"


def test_every_question_to_a_watson_marlow_pump_is_answered_as_the_manual_says() -> None:
    one = WatsonMarlowPump(1)
    one.pulses, one.running = 123456789.0, True
    (status, answer), (pulses, _), (running, _) = table(PUMPS, "Question", "Answer")
    example = re.findall(r"`([^`]+)`", answer)[0]
    assert one.hear(status.encode()) == example.encode() + b"\r"
    assert one.hear(pulses.encode()) == b"123456789\r"
    assert one.hear(running.encode()) == b"1\r"


def test_every_command_of_a_watson_marlow_pump_does_something_and_says_nothing() -> None:
    for command, _ in table(PUMPS, "Command", "Meaning"):
        one = WatsonMarlowPump(1)
        one.rpm, one.pulses, one.running, one.clockwise = 50.0, 5.0, command == "1ST", command != "1RR"
        before = one.hear(b"1RS")
        assert one.hear(command.encode()) == b"", command
        assert one.hear(b"1RS") != before, command


def _answer_tables() -> list[list[list[str]]]:
    """Those with three columns, of the linkable pumps and of those with USB."""
    parts = (REFERENCE / PUMPS).read_text(encoding="utf-8").split("\n## ")
    tables = []
    for part in parts[2:4]:
        rows = re.findall(r"^\| (\S+) \| (.+?) \| (.+) \|$", part, re.MULTILINE)
        tables.append([list(row) for row in rows if row[0] not in ("Command", "State")])
    return tables


def test_every_command_of_a_linkable_pump_is_answered_as_the_manual_says() -> None:
    rows, _ = _answer_tables()
    assert len(rows) == 13
    for command, answer, _ in rows:
        one = LinkablePump()
        one.number, one.remote = 1, command not in ("P01I",)
        said = one.hear(b"\x02" + command.encode() + b"\r")
        assert said == (b"\x06" if answer == "ACK" else b"\x02" + answer.encode() + b"\r"), command
        one.remote, one.number = False, 1
        local = one.hear(b"\x02" + command.encode() + b"\r")
        assert (local == b"\x15") == (command not in [row[0] for row in rows[:7]]), command


def test_every_state_of_a_linkable_pump_is_told() -> None:
    told = {int(code): words.replace(" ", "_").upper() for code, words in table(PUMPS, "State", "Meaning")}
    assert told == {state.value: state.name for state in State}


def test_every_command_of_a_usb_pump_is_answered_as_the_manual_says() -> None:
    _, rows = _answer_tables()
    assert len(rows) == 11
    for command, answer, _ in rows:
        one = UsbPump(1)
        one.serial = True
        assert one.hear(command.encode()) == answer.encode() + b"\r\n", command


def test_every_command_of_a_controller_is_answered_as_the_manual_says() -> None:
    for command, answer, _ in table(GAS, "Command", "Answer", "Meaning"):
        said = MassFlowController("A").hear(command.encode())
        if answer == "data frame":
            assert said.startswith(b"A +014.70 +025.00 "), command
        else:
            assert said == answer.encode() + b"\r", command


def test_the_example_of_a_data_frame_and_the_words_are_those_of_the_code() -> None:
    one = MassFlowController("A")
    one.setpoint = one.flow = 2.004
    assert f"`{one.hear(b'A')[:-1].decode().replace('+02.003', '+02.004')}`" in text(GAS)
    one.flow, one.held, one.locked = 30.0, 30.0, True
    words = [word.decode() for word in one.hear(b"A").split()[7:]]
    assert words == sorted(word for word, _ in table(GAS, "Word", "Meaning"))


def test_every_source_is_told() -> None:
    for source, meaning in table(GAS, "Source", "The setpoint comes from"):
        one = MassFlowController("A", ControllerParameters(source=source))
        one.hear(b"AS 5.0")
        assert (one.setpoint == 0.0) == ("analog" in meaning)
        one.restart()
        assert (one.setpoint == 5.0) == ("is saved" in meaning)


def test_numbers() -> None:
    pumps, gas = text(PUMPS), text(GAS)
    for page in (pumps, gas):
        assert f"More than {MAX_COMMAND} bytes without an end" in page
    assert f"({PULSES_PER_REV} for a revolution)" in pumps
    assert f"time constant of {LAG_S:g} s" in gas
    assert f"above {OVER_RANGE * 100:.0f} % of full scale" in gas
    assert ", ".join(f"{name} ({number})" for number, name in GASES.items()) in gas
