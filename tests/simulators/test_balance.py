"""The balance as its manual describes it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.devices.balance import PATIENCE_S, Balance, BalanceParameters

WEIGHT = re.compile(r"(S|T|TI|TA) ([SDA]) (.{10}) g")


class Pan:
    """Something on a balance."""

    def __init__(self, grams: float = 100.0, **parameters: float) -> None:
        self.grams = grams
        self.balance = Balance(lambda: self.grams, BalanceParameters(**parameters))  # type: ignore[arg-type]

    def ask(self, line: str) -> str:
        (answer,) = self.balance.reply(line)
        return answer

    def rest(self, seconds: float = 3.0) -> None:
        for _ in range(round(seconds / 0.05)):
            self.balance.step(0.05)

    def shake(self, seconds: float) -> list[str]:
        lines = []
        for i in range(round(seconds / 0.1)):
            self.grams += 5.0 if i % 2 else -5.0
            self.balance.step(0.1)
            lines += self.balance.stream()
        return lines


def grams(line: str) -> float:
    match = WEIGHT.fullmatch(line)
    assert match is not None, line
    return float(match[3])


def test_a_weight_at_rest_is_stable_and_ten_wide() -> None:
    pan = Pan(123.45)
    pan.rest()
    line = pan.ask("SI")
    assert line.startswith("S S     123.4")
    assert len(line) == len("S S     100.00 g")
    assert grams(line) == pytest.approx(123.45, abs=0.02)


def test_a_weight_in_motion_is_dynamic() -> None:
    pan = Pan()
    pan.rest()
    for _ in range(5):
        pan.grams += 2.0
        pan.balance.step(0.05)
    assert pan.ask("SI").startswith("S D ")


def test_long_steps_see_motion_too() -> None:
    pan = Pan()
    for _ in range(5):
        pan.grams += 2.0
        pan.balance.step(1.5)
    assert pan.ask("SI").startswith("S D ")


def test_a_weight_follows_its_load_and_then_is_stable() -> None:
    pan = Pan(0.0)
    pan.rest()
    pan.grams = 500.0
    pan.rest(5.0)
    assert grams(pan.ask("S")) == pytest.approx(500.0, abs=0.2)


@pytest.mark.parametrize(("load", "answer"), [(6000.05, "S S"), (6000.3, "S +"), (-199.0, "S S"), (-201.0, "S -")])
def test_overload_and_underload(load: float, answer: str) -> None:
    pan = Pan(load)
    pan.rest()
    assert pan.ask("SI")[:3] == answer


def test_forced_overload_hides_the_weight_of_every_command() -> None:
    pan = Pan()
    pan.rest()
    pan.balance.overloaded = True
    answers = [pan.ask(command) for command in ("S", "SI", "Z", "ZI", "T", "TI")]
    assert answers == ["S +", "S +", "Z +", "ZI +", "T +", "TI +"]


def test_a_stable_weight_is_waited_for() -> None:
    pan = Pan()
    pan.shake(2.0)
    assert pan.balance.reply("S") == []
    pan.rest()
    (line,) = pan.balance.stream()
    assert line.startswith("S S ")


@pytest.mark.parametrize("command", ["S", "T", "Z"])
def test_patience_ends(command: str) -> None:
    pan = Pan()
    pan.shake(2.0)
    pan.balance.reply(command)
    assert pan.shake(PATIENCE_S + 1.0) == [f"{command} I"]


def test_at_sign_cancels_what_is_waiting_and_keeps_tare() -> None:
    pan = Pan()
    pan.rest()
    pan.ask("T")
    pan.shake(2.0)
    pan.balance.reply("S")
    assert pan.ask("@") == 'I4 A "0000000001"'
    pan.rest()
    assert pan.balance.stream() == []
    assert pan.balance.tare_g == pytest.approx(100.0, abs=0.1)


def test_tare_and_its_memory() -> None:
    pan = Pan(250.0)
    pan.rest()
    assert grams(pan.ask("T")) == pytest.approx(250.0, abs=0.03)
    assert grams(pan.ask("SI")) == pytest.approx(0.0, abs=0.03)
    assert pan.ask("TA 12.34 g") == "TA A      12.34 g"
    assert grams(pan.ask("SI")) == pytest.approx(237.66, abs=0.03)
    assert pan.ask("TA 7000 g") == "TA L"
    assert pan.ask("TA 12.34 kg") == "TA L"
    assert pan.ask("TAC") == "TAC A"
    assert pan.ask("TA") == "TA A       0.00 g"


def test_zero_takes_the_tare_along() -> None:
    pan = Pan(30.0)
    pan.rest()
    assert pan.ask("Z") == "Z A"
    assert grams(pan.ask("SI")) == pytest.approx(0.0, abs=0.02)
    assert pan.balance.zero_g == pytest.approx(30.0, abs=0.02)


def test_repeated_weights_come_until_another_command() -> None:
    pan = Pan()
    pan.rest()
    pan.ask("SIR")
    lines = []
    for _ in range(40):
        pan.balance.step(0.05)
        lines += pan.balance.stream()
    assert 9 <= len(lines) <= 11
    pan.ask("SI")
    pan.rest()
    assert pan.balance.stream() == []


def test_weights_on_change_come_when_they_change() -> None:
    pan = Pan(noise_g=0.0)
    pan.rest()
    pan.ask("SR")
    pan.rest()
    assert pan.balance.stream() == []
    pan.grams = 200.0
    pan.rest(5.0)
    lines = pan.balance.stream()
    assert grams(lines[-1]) == 200.0
    assert all(line.startswith("S S ") for line in lines)


@pytest.mark.parametrize("line", ["", "X", "si", "S ", "SI now", "  SI", "I5"])
def test_unknown_lines_are_syntax_errors(line: str) -> None:
    pan = Pan()
    assert pan.ask(line) == "ES"


def test_damaged_lines_are_transmission_errors() -> None:
    assert Pan().ask("S\xffI") == "ET"


@given(st.text(st.characters(max_codepoint=255), max_size=200))
def test_any_line_is_answered_in_ascii(line: str) -> None:
    pan = Pan()
    pan.rest(1.5)
    for answer in pan.balance.reply(line):
        assert answer.isascii()
        assert answer.isprintable()


def test_without_power_a_loaded_balance_takes_its_load_for_zero() -> None:
    pan = Pan(400.0)
    pan.rest()
    pan.balance.restart()
    pan.rest()
    assert pan.balance.stream() == ['I4 A "0000000001"']
    assert grams(pan.ask("SI")) == pytest.approx(0.0, abs=0.03)


def test_memory_brings_zero_and_tare_back() -> None:
    pan = Pan(400.0)
    pan.rest()
    pan.ask("T")
    fresh = Pan(450.0)
    fresh.balance.restore(pan.balance.state())
    fresh.rest()
    assert grams(fresh.ask("SI")) == pytest.approx(50.0, abs=0.05)
