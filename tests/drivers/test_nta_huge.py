"""Files of any size and any content are refused soon: nobody waits for a parser."""

from __future__ import annotations

import time

import pytest

from drivers.nta_export import MAX_BYTES, MAX_LINE, MAX_LINES, NtaFileError, parse_export
from tests.drivers.nta_files import sizes, summary

SUMMARY, SIZES = summary().encode("latin-1"), sizes().encode("latin-1")
TITLE = b"NTA Experiment Summary File,\nCreated with NTA 3.4 Build 3.4.003,\n"
BEGIN = b"Original File:\tx\n"
MANY = 49_000
LONGEST_S = 20.0
"""On a busy computer; the slowest needs less than one second."""


def filled(start: bytes, line: bytes, lines: int = MANY) -> bytes:
    """As many such lines as a file may have, and no more bytes than it may have."""
    return start + line * min(lines, (MAX_BYTES - len(start)) // len(line))


CASES = {
    "nothing but bytes": b"\0" * MAX_BYTES,
    "empty lines": filled(TITLE, b"\n"),
    "commas": filled(TITLE, b"," * (MAX_LINE - 2) + b"\n"),
    "quotes": filled(TITLE, b'"' * (MAX_LINE - 2) + b"\n"),
    "tabs": filled(BEGIN, b"\t" * (MAX_LINE - 2) + b"\n"),
    "colons": filled(BEGIN, b"a:\t" * 6000 + b"\n"),
    "entries": filled(BEGIN, b"Sample: a\n"),
    "sections": filled(TITLE, b"[x]\n"),
    "distributions": SUMMARY.replace(
        b"[Data Included],\n", filled(b"[Data Included],\n", b"Size distribution - Number weighting\n", 24_000)
    ),
    "weightings": SUMMARY + filled(b"", b"Weighting,Number\n", 24_000),
    "videos": SUMMARY.replace(b"Filename:,", b"Filename:," + b"a," * 9000),
    "warnings": SUMMARY.replace(b"\nMean,", b"\nMean,x").replace(
        b"[Information]\n", b"[Information]\n" + b"Completed Tracks,<100,<100,<100\n" * 30_000
    ),
    "rows": filled(SIZES, b"6.025E+3\t0.000E+0\t0.000E+0\t0.000E+0\t0.000E+0\n"),
    "separators": filled(SIZES[: SIZES.index(b"2.500E+0")], b"-1.000E+0\t-1.000E+0\t-1.000E+0\t-1.000E+0\t0.000E+0\n"),
    "digits": SUMMARY.replace(b"\nMean,", b"\nMean," + b"9" * 19_000 + b","),
    "exponents": SIZES.replace(b"2.500E+0", b"2.500E+" + b"9" * 19_000, 1),
}


@pytest.mark.parametrize("data", CASES.values(), ids=CASES.keys())
def test_what_no_export_looks_like_is_refused_soon(data: bytes) -> None:
    began = time.perf_counter()
    with pytest.raises(NtaFileError) as caught:
        parse_export(data, "a")
    assert time.perf_counter() - began < LONGEST_S
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (SUMMARY + b"\0" * MAX_BYTES, "more than 5 MB"),
        (SUMMARY + b"\n" * (2 * MAX_LINES), "more than 50000 lines"),
        (SUMMARY + b"," * 9999 + (b"\n" + b"," * 9999) * 50, "more than 500000 cells"),
        (SUMMARY + b"," * (MAX_LINE + 1), "a line of more than 20000 characters"),
        (b"\xff\xd8\xff\xe0" * 1000, "not an export"),
        (bytes(range(256)) * 1000, "not a text"),
        (b"", "empty"),
    ],
)
def test_what_is_too_much_or_no_text_is_refused_in_one_line(data: bytes, words: str) -> None:
    with pytest.raises(NtaFileError, match=words) as caught:
        parse_export(data, "a")
    assert "\n" not in str(caught.value)
