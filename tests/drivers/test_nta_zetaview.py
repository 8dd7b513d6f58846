"""Size files of ZetaView: what they say, what is refused, and what is found when one was changed."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.nta_export import NtaExport, NtaFileError, parse_export
from tests.drivers.nta_damage import mutated
from tests.drivers.nta_files import as_805, measurement, positions, sizes

NAME = "20260924_0007_S-000042_size_488.txt"
PLAIN = sizes()
FEW = sizes(measurement(videos=1, particles_per_ml=3e7, seed=3))
SEPARATOR = "-1.000E+0\t-1.000E+0\t-1.000E+0\t-1.000E+0\t0.000E+0\n"
EMPTY = re.sub(r"Traces:\t\d+", "Traces:\t0", PLAIN[: PLAIN.index("\n2.500E+0") + 1] + SEPARATOR)


def parse(text: str) -> NtaExport:
    return parse_export(text.encode("latin-1"), NAME)


def refusal(text: str) -> NtaFileError:
    with pytest.raises(NtaFileError) as caught:
        parse(text)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(NAME)
    assert "; " in line
    return caught.value


def changed(pattern: str, to: str, text: str = PLAIN) -> str:
    new, count = re.subn(pattern, to, text, count=1, flags=re.MULTILINE)
    assert count == 1, pattern
    return new


# -- what a file says ------------------------------------------------------------------------------------------------


def test_what_a_size_file_says() -> None:
    found = parse(PLAIN)
    assert (found.instrument, found.software) == ("ZetaView", "8.06.01 SP1")
    assert (found.sample, found.captured_at) == ("S-000042", "2026-09-24T15:35:56")
    assert [(one.name, one.valid, one.reason) for one in found.replicates] == [("20260924_0007", True, "")]
    assert found.concentration_measured == pytest.approx(5e8, rel=0.15)
    assert found.tracks == sum(video.valid_tracks for video in measurement().videos)
    assert found.sizes.mode == pytest.approx(118.0, abs=10.0)
    assert found.fraction_below_200 == pytest.approx(0.92, abs=0.02)
    assert found.bin_centres[:2] == (2.5, 7.5)
    assert sum(found.distribution) == pytest.approx(found.concentration_measured)
    assert found.contradictions == ()
    assert found.trusted


def test_the_concentration_is_that_in_the_cell_and_the_dilution_is_still_to_be_applied() -> None:
    found = parse(PLAIN)
    assert found.dilution == 1000.0
    assert found.concentration_stock == pytest.approx(1000.0 * found.concentration_measured)
    assert sum(found.distribution) == pytest.approx(found.concentration_measured)


def test_only_the_linear_table_is_counted() -> None:
    rows = re.findall(r"^\d\.\d{3}E\+\d\t(\S+)", PLAIN, re.MULTILINE)
    assert len(rows) == 1400
    found = parse(PLAIN)
    assert sum(map(float, rows)) == pytest.approx(2 * found.tracks)
    assert len(found.distribution) == 1200


def test_numbers_are_weighted_by_particles_and_not_by_volume() -> None:
    found = parse(PLAIN)
    volume = re.search(r"Median Volume \(D50\):\t(\S+)", PLAIN)
    assert volume is not None
    assert found.sizes.d50 + 15.0 < float(volume[1])
    assert found.sizes.mean < float(volume[1])


def test_percentiles_are_counted_as_the_instrument_counts_its_median() -> None:
    found = parse(PLAIN)
    total, below = found.tracks, 0.0
    for line in PLAIN[PLAIN.index("\n2.500E+0") :].split("\n")[1:]:
        size, number, *_ = map(float, line.split("\t"))
        if below + number >= total / 2:
            assert found.sizes.d50 == pytest.approx(size - 5.0 + 5.0 * (total / 2 - below) / number, abs=1e-5)
            break
        below += number
    assert found.sizes.d10 < found.sizes.d50 < found.sizes.d90
    assert found.span == pytest.approx((found.sizes.d90 - found.sizes.d10) / found.sizes.d50)


@pytest.mark.parametrize(
    "layout", [as_805, lambda t: t.replace("\n", "\r\n"), lambda t: "\ufeff" + t], ids=["8.05", "CR LF", "UTF-8"]
)
def test_every_layout_says_the_same(layout: Callable[[str], str]) -> None:
    for text in (PLAIN, FEW):
        changed_ = layout(text)
        one = parse(text)
        other = parse_export(changed_.encode("utf-8" if changed_.startswith("\ufeff") else "latin-1"), NAME)
        assert not other.contradictions
        assert (other.sample, other.captured_at, other.dilution) == (one.sample, one.captured_at, one.dilution)
        assert other.concentration_measured == one.concentration_measured
        assert (other.sizes, other.tracks, other.distribution) == (one.sizes, one.tracks, one.distribution)


def test_without_a_dilution_there_is_no_stock_whatever_the_names_say() -> None:
    for text in (
        changed(r"\tDilution::\t\S+", "", PLAIN.replace("S-000042", "MSC 1to200")),
        changed(r"Dilution::\t\S+", "Dilution::\tNaN"),
    ):
        found = parse(text)
        assert (found.dilution, found.concentration_stock) == (None, None)


@pytest.mark.parametrize(
    ("old", "new", "warning", "trusted"),
    [
        ("Cell Check Result:\tVery Good", "Cell Check Result:\tBad", "Cell Check Result: Bad", True),
        ("1904-01-01 01:00:00", "2026-09-24 08:00:00", "Particle Drift Check Result: too high", True),
        ("Nothing", "Nothing", "Particle Drift Check Result: too high (it was never checked)", True),
        ("Scatter", "500.0", "Filter Wavelength nm: 500.0 (only particles that fluoresce are counted)", False),
        (
            "Factor:\t1.000000",
            "Factor:\t0.800000",
            "Concentration Correction Factor: 0.800000 (the file does not say whether its concentrations have it)",
            False,
        ),
    ],
)
def test_what_the_instrument_warns_of(old: str, new: str, warning: str, trusted: bool) -> None:
    found = parse(PLAIN.replace(old, new))
    assert warning in found.warnings
    assert found.trusted is trusted


@pytest.mark.parametrize(
    ("date", "time", "iso"),
    [
        ("2026-09-24", "15:35:56", "2026-09-24T15:35:56"),
        ("1904-01-01", "01:00:00", None),
        ("24.09.2026", "15:35", "24.09.2026 15:35"),
        ("", "", None),
    ],
)
def test_the_time_is_never_guessed(date: str, time: str, iso: str | None) -> None:
    text = changed(r"^Time:\t.*$", f"Time:\t{time}", changed(r"^Date:\t.*$", f"Date:\t{date}"))
    assert parse(text).captured_at == iso


def test_a_file_that_a_newer_version_analysed_says_so() -> None:
    text = changed(r"\(version 8.06.01 SP1\)", "(version 8.05.16 SP3)")
    assert parse(text).software == "8.05.16 SP3, analysed with 8.06.01 SP1"


# -- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (EMPTY, "an empty measurement: 0 traces"),
        (positions(), "a ZetaView table of positions"),
        (changed(r"Section:.*$", "Profile Voltage:\t+24.0V"), "a ZetaView zeta profile"),
        (changed("Size Distribution", "Profile"), "a ZetaView zeta profile"),
        (changed("Size Distribution", "Zeta"), 'the type of measurement is "Zeta"'),
        (changed(r"^Type of Measurement.*\n", ""), 'the type of measurement is ""'),
        (PLAIN.replace("8.06.01 SP1", "8.02.28"), "not a version that is known here"),
        (changed(r"\tAnalyze:\t8.06", "\tAnalyze:\t9.00"), "not a version that is known here"),
        (changed(r"^Software.*\n", ""), "not a version that is known here"),
        (changed(r"Dilution::\t\S+", "Dilution::\t0.000"), "a dilution of 0"),
        (changed(r"Dilution::\t\S+", "Dilution::\tmany"), '"many" is not a number'),
        (changed(r"Dilution::\t\S+", "Dilution::\t1000,0"), '"1000,0" is not a number'),
        (changed(r"^(Number of Traces:)\t\d+", r"\1\t"), "a number is missing"),
        (changed(r"^(Number of Traces:\t\d+)", r"\1.5"), "not a whole number"),
        (changed(r"^Median Number.*\n", ""), "Median Number (D50): a number is missing"),
        (changed(r"^Median Concentration", "Median Number"), 'a second "Median Number (D50)"'),
        (changed(r"^Sample:", "Sample:\tA\nSample:"), 'a second "Sample"'),
        (changed("Number\tConcentration", "Concentration\tNumber"), "the columns are not"),
        (changed(r"^1\.125E\+2\t.*\n", ""), "its bins are not 1200 of 5 nm"),
        (changed(r"^1\.125E\+2\t", "1.135E+2\t"), "its bins are not 1200 of 5 nm"),
        (changed(r"^5\.998E\+3\t.*\n", ""), "its bins are not 1200 of 5 nm"),
        (PLAIN.replace(SEPARATOR, ""), "its bins are not 1200 of 5 nm"),
        (changed(r"^6\.025E\+3\t.*\n", SEPARATOR), "a number below 0"),
        (PLAIN + "6.246E+3\t0\t0\t0\t0\n", "its second table has not 200 bins"),
        (PLAIN + "end\n", '"end" is not a row of 5 numbers'),
        (changed(r"^(1\.125E\+2)\t", r"\1\t0\t"), "is not a row of 5 numbers"),
        (changed(r"^(1\.125E\+2)\t\S+", r"\1\tNaN"), "is not a row of 5 numbers"),
        (changed(r"^(1\.125E\+2)\t\S+", r"\1\t1,000E+0"), "is not a row of 5 numbers"),
        (changed(r"^(1\.125E\+2)\t", r"\1\t-"), "a number below 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_count_is_refused_with_place_and_remedy(text: str, words: str) -> None:
    assert words in str(refusal(text))
    assert not refusal(text).incomplete


@pytest.mark.parametrize("text", [PLAIN, as_805(FEW)], ids=["8.06", "8.05"])
def test_a_half_written_file_is_incomplete_at_every_length(text: str) -> None:
    data = text.encode("latin-1")
    head = data.index(b"Size / nm") + 300
    for end in [*range(0, head, 37), *range(head, len(data) - 60, 9999), *range(len(data) - 60, len(data), 7)]:
        with pytest.raises(NtaFileError) as caught:
            parse_export(data[:end], NAME)
        assert caught.value.incomplete, (end, str(caught.value))
    lines = data.splitlines(keepends=True)
    for count in [*range(1, 60), *range(60, len(lines), 197), *range(len(lines) - 3, len(lines))]:
        with pytest.raises(NtaFileError) as caught:
            parse_export(b"".join(lines[:count]), NAME)
        assert caught.value.incomplete, (count, str(caught.value))


def test_a_profile_is_known_before_it_is_complete() -> None:
    head = "Original File:\tZ:\\a_prof_488.avi\tProfile Voltage:\t+24.000000V\r\n"
    error = refusal(head)
    assert "zeta profile" in str(error)
    assert not error.incomplete


# -- a file that contradicts itself ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "check"),
    [
        (changed(r"^(1\.125E\+2\t)\d", r"\g<1>9"), "bins"),
        (changed(r"^(1\.125E\+2\t\S+\t)\d", r"\g<1>9"), "bins"),
        (changed(r"^(1\.125E\+2\t\S+\t\S+\t)\d", r"\g<1>9"), "bins"),
        (changed(r"^(1\.125E\+2\t\S+\t\S+\t\S+\t)\d", r"\g<1>9"), "bins"),
        (changed(r"^(5\.998E\+3\t)0", r"\g<1>1"), "bins"),
        (changed(r"^(1\.111E\+2\t)\d", r"\g<1>9"), "both tables"),
        (changed(r"(Traces:\t)\d", r"\g<1>9"), "sum of bins"),
        (changed(r"(Number \(D50\):\t\d+)\.\d", r"\g<1>.9"), "medians"),
        (changed(r"(Concentration \(D50\):\t\d+)\.\d", r"\g<1>.9"), "medians"),
        (changed(r"(Volume \(D50\):\t)\d", r"\g<1>9"), "medians"),
        (changed(r"^(1\.125E\+2)\t.*$", r"\1\t0.000E+0\t0.000E+0\t0.000E+0\t0.000E+0"), "sum of bins"),
    ],
)
def test_a_number_that_was_changed_is_found(text: str, check: str) -> None:
    assert any(words.startswith(f"{check}: ") for words in parse(text).contradictions)


SOURCES = [PLAIN, FEW, as_805(PLAIN)]


def figures(found: NtaExport) -> list[float | None]:
    """What is told twice in a file. Its dilution, sample and time are told once: a change of them cannot be found."""
    shown = found.sizes
    return [
        found.concentration_measured, shown.mean, shown.mode, shown.sd, shown.d10, shown.d50, shown.d90,
        found.fraction_below_200, float(found.tracks),
    ]  # fmt: skip


TRUE = [figures(parse(text)) for text in SOURCES]


@settings(max_examples=60, deadline=None)
@given(mutated(SOURCES, head=60, tail=210))
def test_no_other_exception_and_no_wrong_number_comes_of_a_damaged_file(case: tuple[int, bytes]) -> None:
    nothing_wrong_comes_of(*case)


@pytest.mark.full
@pytest.mark.timeout(900)
@settings(max_examples=1500, deadline=None)
@given(mutated(SOURCES, head=60, tail=210))
def test_the_same_of_many_more(case: tuple[int, bytes]) -> None:
    nothing_wrong_comes_of(*case)


def nothing_wrong_comes_of(which: int, data: bytes) -> None:
    try:
        found = parse_export(data, NAME)
    except NtaFileError:
        return
    if not found.contradictions:
        assert figures(found) == pytest.approx(TRUE[which], rel=1e-3)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300) | st.text(alphabet="\t:;-\n\r0123456789.,E+ab", max_size=300).map(str.encode))
def test_anything_at_all_is_refused_in_one_line(data: bytes) -> None:
    for start in ("Original File:\t", PLAIN[: PLAIN.index("Size / nm")], PLAIN[: PLAIN.index("\n2.500E+0") + 1]):
        with pytest.raises(NtaFileError) as caught:
            parse_export(start.encode() + data, NAME)
        assert "\n" not in str(caught.value)
