"""MT-SICS telegrams: what is exactly right is a weight, and nothing else ever is."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from drivers.balance import Weight
from drivers.mtsics_telegram import is_identity, parse_serial_number, parse_weight
from evcontrol.quality import (
    BAD_CONFIGURATION,
    BAD_DECODING,
    BAD_OUT_OF_RANGE,
    BAD_WAITING_FOR_INITIAL,
    GOOD,
    GOOD_DYNAMIC,
    is_good,
)


def telegram(status: str, number: str, unit: str = "g") -> bytes:
    return f"S {status} {number:>10} {unit}".encode()


@pytest.mark.parametrize(
    ("line", "grams"),
    [
        (b"S S     100.00 g", "100.00"),
        (b"S S      -0.05 g", "-0.05"),
        (b"S S     +12.34 g", "12.34"),
        (b"S S          0 g", "0"),
        (b"S S    1.23456 kg", "1234.56"),
        (b"S S    1234.56 mg", "1.23456"),
        (b"S S 123456.789 g", "123456.789"),
    ],
)
def test_a_stable_weight_is_good_and_exact(line: bytes, grams: str) -> None:
    assert parse_weight(line) == Weight(GOOD, Decimal(grams), stable=True)


def test_a_weight_in_motion_is_good_and_says_so() -> None:
    assert parse_weight(b"S D     100.00 g") == Weight(GOOD_DYNAMIC, Decimal(100), stable=False)


@pytest.mark.parametrize(
    ("line", "quality", "words"),
    [
        (b"S +", BAD_OUT_OF_RANGE, "overload"),
        (b"S -", BAD_OUT_OF_RANGE, "underload"),
        (b"SI +", BAD_OUT_OF_RANGE, "overload"),
        (b"S I", BAD_WAITING_FOR_INITIAL, "cannot weigh now"),
        (b"ES", BAD_CONFIGURATION, "does not know the command"),
        (b"ET", BAD_DECODING, "damaged"),
        (b"EL", BAD_CONFIGURATION, "cannot carry out"),
        (b"S S     100.00 lb", BAD_CONFIGURATION, "shows lb"),
        (b"S S      50.00 %", BAD_CONFIGURATION, "shows %"),
    ],
)
def test_every_other_answer_has_its_reason_and_no_weight(line: bytes, quality: int, words: str) -> None:
    weight = parse_weight(line)
    assert (weight.quality, weight.grams) == (quality, None)
    assert words in weight.reason


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"S",
        b"S S",
        b"S S 100.00 g",
        b"S S      100.00 g",
        b"S S     100.00",
        b"S S     100.0",
        b"S S    100.00 g",
        b"S S     100.00  g",
        b"S S     100.00 g ",
        b" S S     100.00 g",
        b"s s     100.00 g",
        b"S S     100,00 g",
        b"S S     1e2    g",
        b"S S        .50 g",
        b"S S       100. g",
        b"S S -   100.00 g",
        b"S S   1 00.00  g",
        b"S S        nan g",
        b"S X     100.00 g",
        b"SD      100.00 g",
        b"S S     100.00 gS S     100.00 g",
        b"S S     1\xb20.00 g",
        b"S S     100.00 g\r",
        b"S S     100.00 g\x00",
        b'I4 A "SIM"',
    ],
)
def test_a_line_that_is_not_exactly_right_is_no_weight(line: bytes) -> None:
    weight = parse_weight(line)
    assert (weight.quality, weight.grams) == (BAD_DECODING, None)


@given(
    st.sampled_from("SD"),
    st.decimals(Decimal("-99999"), Decimal("99999"), places=3, allow_nan=False, allow_infinity=False),
    st.integers(0, 3),
    st.sampled_from([("g", Decimal(1)), ("kg", Decimal(1000)), ("mg", Decimal("0.001"))]),
)
def test_every_weight_that_a_balance_can_send_is_read_exactly(
    status: str, number: Decimal, places: int, unit: tuple[str, Decimal]
) -> None:
    shown = f"{number:.{places}f}"
    weight = parse_weight(telegram(status, shown, unit[0]))
    assert weight.grams == Decimal(shown) * unit[1]
    assert weight.stable == (status == "S")
    assert is_good(weight.quality)


@given(st.binary(max_size=40))
def test_no_bytes_raise_and_only_good_ones_have_grams(line: bytes) -> None:
    weight = parse_weight(line)
    assert (weight.grams is not None) == is_good(weight.quality)
    assert bool(weight.reason) == (weight.grams is None)


@given(st.data())
def test_a_weight_with_one_byte_lost_or_added_is_never_another_weight(data: st.DataObject) -> None:
    line = telegram(data.draw(st.sampled_from("SD")), f"{data.draw(st.integers(-999999, 999999)) / 100:.2f}")
    where = data.draw(st.integers(0, len(line) - 1))
    if data.draw(st.booleans()):
        damaged = line[:where] + line[where + 1 :]
    else:
        damaged = line[:where] + bytes([data.draw(st.integers(0, 255))]) + line[where:]
    # A byte into the unit can make another unit of it; nothing else can be taken for a weight.
    assume(not damaged.endswith((b" kg", b" mg")))
    assert parse_weight(damaged).grams is None


def test_only_an_answer_to_the_question_is_an_identity() -> None:
    assert is_identity(b'I4 A "SIM"')
    assert is_identity(b"I4 I")
    assert not is_identity(b"S S     100.00 g")


@pytest.mark.parametrize(
    ("line", "number"),
    [
        (b'I4 A "SIM0006001"', "SIM0006001"),
        (b'I4 A ""', ""),
        (b'I4 A "B 12/3"', "B 12/3"),
        (b"I4 I", None),
        (b'I4 A "SIM', None),
        (b'I4 A SIM"', None),
        (b'I4 A "SI"M"', None),
        (b'I4 A "S\xffM"', None),
        (b'I4 B "SIM"', None),
        (b"ES", None),
    ],
)
def test_a_serial_number_is_what_stands_between_the_quotes(line: bytes, number: str | None) -> None:
    assert parse_serial_number(line) == number


@given(st.binary(max_size=40))
def test_no_bytes_raise_as_an_identity(line: bytes) -> None:
    number = parse_serial_number(line)
    assert number is None or f'I4 A "{number}"'.encode() == line
