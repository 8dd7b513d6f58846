"""The balances' manual says what the balances do."""

import re

from simulators.devices import balance as code
from simulators.devices.balance import PATIENCE_S, REPEAT_S, STABLE_DIGITS, Balance
from simulators.plant import BALANCES
from simulators.process.liquid import DENSITY_G_PER_ML
from simulators.wire.serial_line import MAX_LINE
from tests.simulators.manual import REFERENCE, table, text

PAGE = "simulated-balance.md"
COMMANDS = table(PAGE, "Command", "Level", "Answer", "Meaning")


def balance() -> Balance:
    one = Balance(lambda: 100.0, BALANCES["WT-RET"])
    for _ in range(60):
        one.step(0.05)
    return one


def test_the_balances() -> None:
    told = [
        (a, b, c, d, e)
        for a, _, b, c, d, e in table(PAGE, "Balance", "Under", "Capacity", "Readability", "Model", "Serial number")
    ]
    assert told == [
        (name, f"{p.capacity_g:.0f} g", f"{p.readability_g} g", p.model, p.serial) for name, p in BALANCES.items()
    ]


def test_every_command_is_in_i0_and_in_the_manual() -> None:
    listed = balance().reply("I0")
    fields = [re.fullmatch(r'I0 ([AB]) ([01]) "([^"]+)"', line) for line in listed]
    assert all(fields)
    assert [m[1] for m in fields if m] == ["B"] * (len(listed) - 1) + ["A"]
    assert [(m[3], m[2]) for m in fields if m] == [(name, level) for name, level, _, _ in COMMANDS]


def test_every_command_answers_as_the_manual_says() -> None:
    for name, _, told, _ in COMMANDS:
        answers = balance().reply(name)
        first = told.replace("as SI", "S S <weight> or S D <weight>").split(" ... ")[0]
        patterns = [re.escape(form).replace("<weight>", r"[ 0-9.\-]{10} g") for form in first.split(" or ")]
        assert any(re.fullmatch(pattern, answers[0]) for pattern in patterns), (name, answers[0], told)


def test_example_of_a_weight() -> None:
    assert balance().reply("TA 100 g") == ["TA A     100.00 g"]
    assert "`S S     100.00 g`" in (REFERENCE / PAGE).read_text(encoding="utf-8")


def test_numbers() -> None:
    page = text(PAGE)
    parameters = BALANCES["WT-RET"]
    assert (
        f"within {STABLE_DIGITS} digits ({STABLE_DIGITS * parameters.readability_g:g} g) over the last second" in page
    )
    assert code.STABLE_OVER_S == 1.0
    assert f"within {PATIENCE_S:.0f} s (no stable weight)" in page
    assert f"every {REPEAT_S:g} s" in page
    assert f"lower than {parameters.underload_g:.0f} g" in page
    assert f"More than {MAX_LINE} bytes without CR LF" in page
    assert f"{DENSITY_G_PER_ML} g/mL" in page
