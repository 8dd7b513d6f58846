"""Telegrams cut out of bytes, however these arrive and whatever noise stands between them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.connection import UnreadableError
from drivers.framing import (
    ACK,
    CR_LINES,
    DLE_FRAMES,
    LINES,
    NAK,
    STX_CR,
    EitherOf,
    FixedLength,
    Framing,
    SingleBytes,
)
from drivers.line import Wanted

MASTERFLEX = EitherOf((SingleBytes(ACK + NAK), STX_CR))


def telegrams(framing: Framing, data: bytes) -> list[bytes]:
    wanted, received = Wanted(framing), bytearray(data)
    taken = []
    while (telegram := wanted.take(received)) is not None:
        taken.append(telegram)
    return taken


@pytest.mark.parametrize(
    ("framing", "data", "expected"),
    [
        (LINES, b"a\r\nb\r\nc", [b"a", b"b"]),
        (LINES, b"a\rb\r\n", [b"a\rb"]),
        (CR_LINES, b"A +014.70\r?\r", [b"A +014.70", b"?"]),
        (STX_CR, b"noise\r\x02P01\r\x02P0", [b"P01"]),
        (STX_CR, b"\x02P0\x02P01E5\r", [b"P01E5"]),
        (DLE_FRAMES, b"..\x10\x02AZ,1\x10\x03\x10\x02AZ,2\x10\x03\x10\x02", [b"AZ,1", b"AZ,2"]),
        (DLE_FRAMES, b"\x10\x02AZ\x10\x02AZ,2\x10\x03", [b"AZ,2"]),
        (DLE_FRAMES, b"\x10\x03\x10\x02", []),
        (SingleBytes(ACK + NAK), b"x\x06\x15y", [ACK, NAK]),
        (FixedLength(3), b"abcdefg", [b"abc", b"def"]),
        (MASTERFLEX, b"\x06\x02P01\r\x15", [ACK, b"P01", NAK]),
        (MASTERFLEX, b"\x02P01\r\x06", [b"P01", ACK]),
    ],
)
def test_telegrams_are_cut_at_their_marks(framing: Framing, data: bytes, expected: list[bytes]) -> None:
    assert telegrams(framing, data) == expected


def test_unwanted_telegrams_are_passed_over_and_the_rest_is_kept() -> None:
    received = bytearray(b"2:x\r1:y\r1:z\r")
    assert Wanted(CR_LINES, lambda got: not got.startswith(b"1:")).take(received) == b"1:y"
    assert received == b"1:z\r"


def test_too_many_bytes_without_a_telegram_are_unreadable() -> None:
    assert Wanted(STX_CR, longest=8).take(bytearray(b"x" * 8)) is None
    with pytest.raises(UnreadableError, match="more than 8 bytes"):
        Wanted(STX_CR, longest=8).take(bytearray(b"x" * 9))


FRAMINGS = st.sampled_from([LINES, CR_LINES, STX_CR, DLE_FRAMES, FixedLength(5), MASTERFLEX])


@given(FRAMINGS, st.binary(max_size=120), st.data())
def test_the_telegrams_do_not_depend_on_how_the_bytes_arrive(
    framing: Framing, data: bytes, draw: st.DataObject
) -> None:
    wanted, received, taken, left = Wanted(framing), bytearray(), [], data
    while left:
        size = draw.draw(st.integers(1, len(left)))
        received += left[:size]
        left = left[size:]
        while (telegram := wanted.take(received)) is not None:
            taken.append(telegram)
    assert taken == telegrams(framing, data)


@given(FRAMINGS, st.binary(max_size=60))
def test_every_telegram_was_sent_and_uses_bytes_up(framing: Framing, data: bytes) -> None:
    found = framing.find(data)
    assert found is None or (found.telegram in data[: found.used] and 0 < found.used <= len(data))
