"""Experiment summaries of each version, and everything that can be wrong with them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.nta_export import MAX_BYTES, NtaExport, NtaFileError, parse_export, read_export
from tests.drivers.nta_damage import mutated
from tests.drivers.nta_files import (
    as_32,
    as_33,
    as_excel,
    as_german_excel,
    failed,
    measurement,
    summary,
    with_other_weightings,
)

PLAIN = summary()
MANY = summary(measurement(videos=5, particles_per_ml=4e8, dilution=None, seed=3))


def parse(text: str, file: str = "a-ExperimentSummary.csv") -> NtaExport:
    return parse_export(text.encode("latin-1"), file)


def refusal(text: str) -> NtaFileError:
    with pytest.raises(NtaFileError) as caught:
        parse(text)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith("a-ExperimentSummary.csv")
    assert "; " in line
    return caught.value


def changed(pattern: str, to: str, text: str = PLAIN) -> str:
    new, count = re.subn(pattern, to, text, count=1, flags=re.MULTILINE)
    assert count == 1, pattern
    return new


# -- what a file says ------------------------------------------------------------------------------------------------


def test_what_a_summary_says() -> None:
    found = parse(PLAIN)
    assert (found.instrument, found.software) == ("NanoSight", "NTA 3.4 Build 3.4.003")
    assert (found.sample, found.captured_at) == ("S-000042", "2026-09-24T15:35:56")
    assert [one.valid for one in found.replicates] == [True] * 3
    assert found.replicates[0].name == "S-000042 2026-09-24 15-35-56"
    assert found.concentration_measured == pytest.approx(5e8, rel=0.15)
    assert found.concentration_stock == pytest.approx(1000 * found.concentration_measured)
    assert found.sizes.d10 < found.sizes.d50 < found.sizes.d90
    assert found.span == pytest.approx((found.sizes.d90 - found.sizes.d10) / found.sizes.d50)
    assert found.fraction_below_200 == pytest.approx(0.92, abs=0.02)
    assert found.tracks == sum(one.tracks for one in found.replicates) > 1000
    assert sum(found.distribution) == pytest.approx(found.concentration_measured, rel=0.005)
    assert all(check.passed for check in found.checks), found.checks
    assert found.warnings == ()
    assert found.trusted


LAYOUTS: dict[str, Callable[[str], str]] = {
    "3.2": as_32,
    "3.3": as_33,
    "all weightings": with_other_weightings,
    "Excel": as_excel,
    "Excel of 3.2": lambda text: as_excel(as_32(text)),
    "German Excel": as_german_excel,
    "German Excel of 3.2": lambda text: as_german_excel(as_32(text)),
    "semicolons": lambda text: text.replace(",", ";"),
    "CR LF": lambda text: text.replace("\n", "\r\n"),
    "CR": lambda text: text.replace("\n", "\r"),
}


@pytest.mark.parametrize(
    "layout",
    LAYOUTS.values(),
    ids=LAYOUTS.keys(),
)
def test_every_layout_says_the_same(layout: Callable[[str], str]) -> None:
    for text in (PLAIN, MANY):
        one, other = parse(text), parse(layout(text))
        assert not other.contradictions
        assert (other.sample, other.captured_at, other.dilution) == (one.sample, one.captured_at, one.dilution)
        assert other.concentration_measured == pytest.approx(one.concentration_measured, rel=1e-9)
        assert other.sizes == one.sizes
        assert other.distribution == one.distribution
        assert other.tracks == one.tracks


def test_a_summary_in_utf_8_with_a_mark_is_read() -> None:
    assert parse_export(b"\xef\xbb\xbf" + PLAIN.encode(), "a").sample == "S-000042"


def test_a_recorded_dilution_is_in_the_concentration_already() -> None:
    shown = parse(PLAIN)
    assert shown.dilution == 1000.0
    assert shown.concentration_stock == pytest.approx(shown.concentration_measured * 1000.0)
    column = re.search(r"^Concentration \(Particles / ml\),(\S+?),", PLAIN, re.MULTILINE)
    assert column is not None
    assert shown.replicates[0].concentration == pytest.approx(float(column[1]) / 1000.0)


def test_without_a_dilution_there_is_no_stock_whatever_the_names_say() -> None:
    found = parse(MANY.replace("S-000042", "MSC d200 1to200"))
    assert (found.dilution, found.concentration_stock) == (None, None)
    assert found.concentration_measured == pytest.approx(4e8, rel=0.15)


def test_a_failed_video_is_left_out_and_told() -> None:
    text = summary(failed(measurement(videos=4, dilution=None)))
    text = changed(r"^Total frames analysed,1498", "Total frames analysed,0", text)
    found = parse(text)
    assert [one.valid for one in found.replicates] == [False, True, True, True]
    assert found.replicates[0].reason == "no frame was analysed"
    assert found.replicates[0].concentration is None
    assert found.concentration_measured == pytest.approx(4 / 3 * (found.file_concentration or 0.0), rel=0.01)
    assert found.file_sizes is not None
    assert found.sizes.mean == pytest.approx(4 / 3 * found.file_sizes.mean, rel=0.01)
    assert not found.contradictions
    assert "counts the failed" in next(check.words for check in found.checks if check.name == "averages")
    assert "Completed Tracks: No Data (video 1)" in found.warnings


def test_a_video_without_data_counts_as_failed_also_with_frames() -> None:
    assert parse(summary(failed(measurement()))).replicates[0].reason == "no data"


def test_no_valid_video_is_refused() -> None:
    shown = measurement(videos=1)
    assert "every video failed" in str(refusal(summary(failed(shown))))


def test_one_video_has_no_variation() -> None:
    found = parse(summary(measurement(videos=1)))
    assert found.cv is None
    assert not found.contradictions
    assert [check.name for check in found.checks if not check.passed] == ["videos", "replicate CV"]


def test_too_few_particles_are_warned_of_and_not_trusted() -> None:
    found = parse(summary(measurement(particles_per_ml=1e7)))
    assert not found.trusted
    assert "Particles per frame: Too Low (all videos)" in found.warnings
    assert "Validity of concentration measurement: Unreliable (all videos)" in found.warnings


def test_a_warning_names_its_videos_once() -> None:
    text = PLAIN.replace("Noise level,No,No,No", "Noise level,No,High noise,High noise")
    assert parse(text).warnings == ("Noise level: High noise (videos 2, 3)",)


@pytest.mark.parametrize(
    ("told", "iso"),
    [
        ("15:35:56  24/09/2020", "2020-09-24T15:35:56"),
        ("1:05:06 4/9/2020", "2020-09-04T01:05:06"),
        ("15:35:56  09/24/2020", "15:35:56  09/24/2020"),
        ("24-Sep-20", "24-Sep-20"),
        ("", None),
    ],
)
def test_the_time_is_read_day_first_and_never_guessed(told: str, iso: str | None) -> None:
    assert parse(changed(r"^Time Captured,.*", f"Time Captured,{told},")).captured_at == iso


# -- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0.5,0,0\n1.5,0,0\n", "without its header"),
        ("Particle ID,Size/nm\n1,100\n", "list of particles"),
        (PLAIN.replace(",", "\t"), "saved with tabs"),
        (PLAIN.replace("\nMean,1", '\nMean,"1,1'), "not a number"),
        (as_german_excel(PLAIN).replace("\r\nMode;1", "\r\nMode;1.1"), "not a number"),
        (as_german_excel(PLAIN).replace("SD;", "SD;01. Dez;", 1), "not a number"),
        ("Original File:\tx\tProfile Voltage:\t+24V\nSoftware:\tZetaView (version 8)\n", "zeta profile"),
        ("Use\tPosition\tMean Int.\n", "table of positions"),
        ("a\0b\n", "not a text"),
        ("Dear all,\n", "not an export"),
        (PLAIN.replace("NTA 3.4 Build", "NTA 2.3 Build"), "not a version that is known"),
        (changed(r"^Dilution factor.*\n", ""), "no \"Dilution factor"),
        (changed(r"^(Dilution factor[^,]*),1.00e\+03", r"\1,1.00e+04"), "different dilutions"),
        (changed(r"^(Dilution factor[^,]*),1.00e\+03", r"\1,Not recorded"), "not a number"),
        (re.sub(r"1\.00e\+03", "0", PLAIN), "a dilution of 0"),
        (changed(r"^Mean,\d", "Mean,x"), "not a number"),
        (changed(r"^Mean,.*?,", "Mean,,"), "a number is missing"),
        (changed(r"^Mean,", "Mean,1e999,"), "not a number"),
        (changed(r"^Mean,", "Mean,-1,"), "below 0"),
        (changed(r"^SD,", "Mean,"), "a second \"Mean\""),
        (changed(r"^100\.5,.*\n", ""), "bins are not 1000"),
        (changed(r"^100\.5,", "101.5,"), "bins are not 1000"),
        (changed(r"^\[Settings\]", "[Results]"), "a second [Results]"),
        (changed(r"^(Filename:,[^,]*),[^,]*", r"\1,"), "a video without a name"),
        (changed(r"^(Filename:,.*)$", r"\1one more,"), "4 videos, but the averages"),
        (changed(r"^Completed tracks,(\d+)", r"Completed tracks,\1.5"), "not a whole number"),
        (changed(r"^Weighting,Number", "Weighting,Volume"), "by number is complete"),
        (changed(r"^Size distribution - Number", "Size distribution - Volume"), "volume is complete"),
        (changed(r" - With Percentiles", ""), "no list of percentiles"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_count_is_refused_with_place_and_remedy(text: str, words: str) -> None:
    assert words in str(refusal(text))


@pytest.mark.parametrize("name", re.findall(r"^\[.*?\]", PLAIN, re.MULTILINE))
def test_a_summary_without_one_of_its_sections_is_refused_unless_nothing_is_read_from_it(name: str) -> None:
    begin = PLAIN.index(f"\n{name}") + 1
    end = PLAIN.find("\n[", begin) + 1 or len(PLAIN)
    text = PLAIN[:begin] + PLAIN[end:]
    if name in ("[Conditions]", "[Exclusion Regions]"):
        assert figures(parse(text)) == figures(parse(PLAIN))
    else:
        assert name in str(refusal(text))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_a_summary_in_another_encoding_is_refused(encoding: str) -> None:
    with pytest.raises(NtaFileError, match="not a text in ISO 8859-1 or UTF-8"):
        parse_export(PLAIN.encode(encoding), "a")


def test_names_may_have_any_letter_of_the_encoding() -> None:
    text = PLAIN.replace("S-000042", "Überstand µ 1")
    assert parse(text).sample == "Überstand µ 1"
    assert parse_export(b"\xef\xbb\xbf" + text.encode(), "a").sample == "Überstand µ 1"


def test_the_line_of_a_mistake_is_told() -> None:
    text = changed(r"^D50,\d", "D50,?")
    line = text.split("\n").index(next(one for one in text.split("\n") if one.startswith("D50,"))) + 1
    assert refusal(text).line == line


def test_a_file_larger_than_any_export_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for size in (MAX_BYTES + 1, 500 * MAX_BYTES):  # sparse: nothing is on the disk
        with path.open("wb") as file:
            file.truncate(size)
        with pytest.raises(NtaFileError, match="more than 5 MB"):
            read_export(path)


def test_what_is_no_file_is_never_read(tmp_path: Path) -> None:
    with pytest.raises(NtaFileError, match="not a file that holds data"):
        read_export(tmp_path)
    with pytest.raises(NtaFileError, match="not a file that holds data"):
        read_export(Path("/dev/zero"))
    with pytest.raises(FileNotFoundError):
        read_export(tmp_path / "none.csv")


@pytest.mark.parametrize("text", [PLAIN, as_32(PLAIN), with_other_weightings(PLAIN)], ids=["3.4", "3.2", "weightings"])
def test_a_half_written_file_is_incomplete_at_every_length(text: str) -> None:
    data = text.encode("latin-1")
    last = data.rstrip(b",\n").rindex(b"\n100,") + 5
    for end in [*range(0, last, 4999), *range(last - 60, last, 7)]:
        with pytest.raises(NtaFileError) as caught:
            parse_export(data[:end], "a")
        assert caught.value.incomplete, (end, str(caught.value))


# -- a file that contradicts itself ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "check"),
    [
        (changed(r"^(Concentration \(Particles / ml\),\d\.)(\d)", r"\g<1>99"), "sum of bins"),
        (changed(r"^Mean,\d+\.\d", "Mean,99.9"), "mean"),
        (changed(r"^SD,\d+\.\d", "SD,99.9"), "SD"),
        (changed(r"^Mode,\d+\.\d", "Mode,99.9"), "mode"),
        (changed(r"^D50,\d+\.\d", "D50,99.9"), "percentiles"),
        (changed(r"^50,\d+\.\d", "50,99.9"), "percentiles"),
        (changed(r"^(D90(,[\d.]+){3}),[\d.]+", r"\1,9.9"), "averages"),
        (changed(r"^(D90(,[\d.]+){4}),[\d.]+", r"\1,9.9"), "standard errors"),
        (changed(r"^Valid Tracks,[\d.]+", "Valid Tracks,99999"), "track counts"),
        (changed(r"^Filename,S-000042", "Filename,S-000043"), "names"),
    ],
)
def test_a_number_that_was_changed_is_found(text: str, check: str) -> None:
    found = parse(text)
    assert check in [one.name for one in found.checks if not one.passed]
    assert any(words.startswith(f"{check}: ") for words in found.contradictions)


def test_two_columns_that_were_swapped_are_found() -> None:
    def swap(line: str) -> str:
        cells = line.split(",")
        return ",".join((cells[0], cells[2], cells[1], *cells[3:])) if re.match(r"\d+\.5,", line) else line

    assert parse("\n".join(map(swap, PLAIN.split("\n")))).contradictions


SOURCES = [PLAIN, MANY, as_32(PLAIN), as_excel(MANY), as_german_excel(PLAIN), with_other_weightings(PLAIN)]


def figures(found: NtaExport) -> list[float | None]:
    """What is told twice in a file, so that no change of one place goes unseen."""
    sizes = found.sizes
    return [
        found.dilution, found.concentration_measured, found.concentration_stock, sizes.mean, sizes.mode, sizes.sd,
        sizes.d10, sizes.d50, sizes.d90, found.fraction_below_200,
    ]  # fmt: skip


TRUE = [figures(parse(text)) for text in SOURCES]


@settings(max_examples=60, deadline=None)
@given(mutated(SOURCES, head=110, tail=110))
def test_no_other_exception_and_no_wrong_number_comes_of_a_damaged_file(case: tuple[int, bytes]) -> None:
    nothing_wrong_comes_of(*case)


@pytest.mark.full
@pytest.mark.timeout(900)
@settings(max_examples=1500, deadline=None)
@given(mutated(SOURCES, head=110, tail=110))
def test_the_same_of_many_more(case: tuple[int, bytes]) -> None:
    nothing_wrong_comes_of(*case)


def nothing_wrong_comes_of(which: int, data: bytes) -> None:
    try:
        found = parse_export(data, "a")
    except NtaFileError:
        return
    if found.contradictions:
        return
    for got, true in zip(figures(found), TRUE[which], strict=True):
        assert (got is None) is (true is None)
        if got is not None and true is not None:
            assert got == pytest.approx(true, rel=0.011, abs=0.25)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300) | st.text(alphabet=',;[]"\n\r0123456789.e+ab', max_size=300).map(str.encode))
def test_anything_at_all_is_refused_in_one_line(data: bytes) -> None:
    for start in (b"", b"NTA Experiment Summary File,\nCreated with NTA 3.4 Build 3.4.003,\n"):
        with pytest.raises(NtaFileError) as caught:
            parse_export(start + data, "a")
        assert "\n" not in str(caught.value)
