"""Experiment summaries of NanoSight NTA 3.2, 3.3 and 3.4 (``*-ExperimentSummary.csv``).

Everything is found by its label: the rows move from version to version, and a spreadsheet program that saved the file
again pads the lines, drops exponents and changes their ends.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import mean
from typing import Final, NoReturn

from drivers.nta_checks import Stated, check
from drivers.nta_result import NtaExport, Replicate, Sizes
from drivers.nta_rows import EXPORT_AGAIN, Row, Sheet, read_sheet

TITLE: Final = "NTA Experiment Summary File"
VERSIONS: Final = ("3.2", "3.3", "3.4")
BINS: Final = 1000
"""Of 1 nm each, from 0."""
MOST_VIDEOS: Final = 200
MOST_INCLUDED: Final = 12
"""Distributions that a file may say it has: sizes and diffusion coefficients, each by number, surface and volume."""
AGAIN_COMPLETE: Final = "wait until it is written, or export it again"
_DETAILS: Final = "[Experiment Details]"
_SETTINGS: Final = "[Settings]"
_RESULTS: Final = "[Results]"
_WARNINGS: Final = "[Concentration Warnings]"
_INFORMATION: Final = "[Information]"
_INCLUDED: Final = "[Data Included]"
_SIZES: Final = "[Size Data]"
_DIFFUSION: Final = "[Diffusion Coefficient Data]"
_DILUTION: Final = "Dilution factor (concentrations adjusted for this factor)"
_BIN_LABEL: Final = "Bin centre (nm)"
_BIN_UNIT: Final = "Concentration (particles / ml)"
_NOTHING_WRONG: Final = frozenset({"", "OK", "No", "N/A"})
_NO_WARNING: Final = frozenset({"Vibration correction applied"})
_VALIDITY: Final = "Validity of concentration measurement"
_NOT_TRUSTED: Final = frozenset({"Unreliable", "Not Calibrated"})
_TIME: Final = re.compile(r"(\d{1,2}):(\d\d):(\d\d)\s+(\d{1,2})/(\d{1,2})/(\d{4})")


@dataclass(frozen=True, slots=True)
class _Block:
    """One distribution: its rows, from the one that names its weighting."""

    rows: list[Row]
    percentiles: bool


def parse_nanosight(text: str, file: str) -> NtaExport:
    """Read an experiment summary; NtaFileError when it is none, is not complete, or lacks what a count needs."""
    sheet = read_sheet(text, file)
    software = _software(sheet)
    block = _require_complete(sheet)
    return _Summary(sheet, software, block).read()


def _software(sheet: Sheet) -> str:
    created = next((row for row in sheet.sections[""] if row.label.startswith("Created with NTA ")), None)
    if created is None:
        sheet.refuse(0, "it does not say which version of NTA made it", AGAIN_COMPLETE, incomplete=len(sheet.rows) < 4)
    found = re.match(r"Created with (NTA (\d+\.\d+).*)", created.label)
    if found is None or found[2] not in VERSIONS:
        known = ", ".join(VERSIONS[:-1])
        sheet.refuse(
            created.line, f'"{created.label[:60]}" is not a version that is known here',
            f"export it with NTA {known} or {VERSIONS[-1]}",
        )  # fmt: skip
    return found[1]


def _require_complete(sheet: Sheet) -> _Block:
    """Find every distribution that the file says it has, up to its last row; returns the one weighted by number."""
    for name in (_DETAILS, _SETTINGS, _RESULTS, _WARNINGS, _INFORMATION, _INCLUDED, _SIZES):
        if name not in sheet.sections:
            sheet.refuse(0, f"there is no {name}", AGAIN_COMPLETE, incomplete=_SIZES not in sheet.sections)
    wanted = list(filter(None, (_included(row.label) for row in sheet.sections[_INCLUDED])))
    if len(wanted) > MOST_INCLUDED:
        sheet.refuse(sheet.sections[_INCLUDED][0].line, f"more than {MOST_INCLUDED} distributions", EXPORT_AGAIN)
    blocks = {}
    for section, weighting, percentiles in wanted:
        rows = _block(sheet, section, weighting)
        if not rows or not _ended(rows, percentiles, sized=section == _SIZES):
            what = "sizes" if section == _SIZES else "diffusion coefficients"
            problem = f"the file ends before its distribution of {what} by {weighting} is complete"
            sheet.refuse(len(sheet.rows), problem, AGAIN_COMPLETE, incomplete=True)
        blocks[section, weighting] = _Block(rows, percentiles)
    found = blocks.get((_SIZES, "number"))
    if found is None or not found.percentiles:
        what = "size distribution weighted by number" if found is None else "list of percentiles"
        sheet.refuse(sheet.sections[_INCLUDED][0].line, f"there is no {what}", "include it and export again")
    return found


def _included(line: str) -> tuple[str, str, bool] | None:
    """Section, weighting and whether percentiles follow, of one line of what is included; None for anything else."""
    parts = [part.strip().lower() for part in line.split(" - ")]
    section = {"size distribution": _SIZES, "diffusion distribution": _DIFFUSION}.get(parts[0])
    if section is None or len(parts) < 2 or not parts[1].endswith(" weighting"):
        return None
    return section, parts[1].removesuffix(" weighting"), "with percentiles" in parts


def _block(sheet: Sheet, section: str, weighting: str) -> list[Row]:
    """The rows from the one that names the weighting to the next such one; none when it is not there."""
    rows = sheet.sections.get(section, [])
    starts = [i for i, row in enumerate(rows) if row.label == "Weighting"]
    named = [i for i in starts if rows[i].end[:1] and rows[i].end[0].lower() == weighting]
    if len(named) > 1:
        sheet.refuse(rows[named[1]].line, f"a second distribution by {weighting}", EXPORT_AGAIN)
    if not named:
        return []
    return rows[named[0] : next((i for i in starts if i > named[0]), len(rows))]


def _ended(rows: Sequence[Row], percentiles: bool, sized: bool) -> bool:
    labels = [row.label for row in rows]
    if percentiles:
        return "Percentile" in labels and "100" in labels[labels.index("Percentile") :]
    last = f"{BINS - 0.5:g}"
    return last in labels if sized else "Graph Data" in labels


class _Summary:
    """One complete summary."""

    def __init__(self, sheet: Sheet, software: str, block: _Block) -> None:
        self._sheet = sheet
        self._software = software
        self._rows = block.rows
        self._names = self._video_names()
        self._count = len(self._names)
        self._dilution = self._read_dilution()
        self._centres, self._bins = self._read_bins()

    def read(self) -> NtaExport:
        """Every figure, checked."""
        replicates = self._replicates()
        valid = [one for one in replicates if one.valid]
        if not valid:
            self._refuse(self._results("Completed tracks"), "every video failed", "measure the sample again")
        average, error = self._stated(1), self._stated(2)
        counted = Stated(self._centres, self._percentiles(), self._names_again(), average, error)
        whole = len(valid) == len(replicates) and average is not None
        found = average if whole and average is not None else _average(valid)
        stock = None if self._dilution is None else found[0] * self._dilution
        return NtaExport(
            instrument="NanoSight",
            software=self._program(),
            sample=self._detail("Sample Name") or self._detail("Sample Description"),
            captured_at=_iso_time(self._detail("Time Captured")),
            replicates=replicates,
            dilution=self._dilution,
            concentration_measured=found[0],
            concentration_stock=stock,
            sizes=Sizes(*found[1:]),
            file_concentration=None if average is None else average[0],
            file_sizes=None if average is None else Sizes(*average[1:]),
            bin_centres=self._centres,
            distribution=tuple(sum(column) / len(valid) for column in zip(*(one.bins for one in valid), strict=True)),
            warnings=self._warnings(),
            checks=check(replicates, counted),
            trusted=self._trusted(replicates),
        )

    # -- who and when ------------------------------------------------------------------------------------------------

    def _video_names(self) -> tuple[str, ...]:
        """Names by the row that defines the columns; it must agree with where the averages stand."""
        row = self._sheet.row(_DETAILS, "Filename:")
        names = row.end
        if not names or not all(names):
            self._refuse(row, "a video without a name", EXPORT_AGAIN)
        if len(names) > MOST_VIDEOS:
            self._refuse(row, f"more than {MOST_VIDEOS} videos", EXPORT_AGAIN)
        head = self._sheet.sections[_RESULTS][0]
        if "Average" in head.cells and head.cells.index("Average") != len(names) + 1:
            problem = f"{len(names)} videos, but the averages stand in column {head.cells.index('Average') + 1}"
            self._refuse(head, problem, EXPORT_AGAIN)
        return names

    def _names_again(self) -> tuple[str, ...]:
        row = self._sheet.row(_SIZES, "Filename", self._rows)
        if len(row.end) < self._count or ("Average" in row.cells and row.cells.index("Average") != self._count + 1):
            self._refuse(row, f"not the {self._count} videos of the results", EXPORT_AGAIN)
        return row.end[: self._count]

    def _detail(self, label: str) -> str:
        row = self._sheet.find(_DETAILS, label)
        return " ".join(row.end[0].split("\t")) if row is not None and row.end else ""

    def _program(self) -> str:
        named = self._detail("Software Version")
        return named if named.startswith("NTA ") else self._software

    # -- figures -----------------------------------------------------------------------------------------------------

    def _read_dilution(self) -> float | None:
        """The factor by which the file's concentrations are multiplied already; None when it is not recorded."""
        row = self._results(_DILUTION)
        words = set(row.end[: self._count])
        if words == {"Not recorded"}:
            return None
        values = set(self._sheet.numbers(row, self._count))
        if len(values) > 1:
            self._refuse(row, "the videos have different dilutions", "export those of each dilution alone")
        value = values.pop()
        if value < 1.0:
            self._refuse(row, f"a dilution of {value:g}", "enter it as a factor of 1 or more, and export again")
        return value

    def _replicates(self) -> tuple[Replicate, ...]:
        count, sheet = self._count, self._sheet
        factor = self._dilution or 1.0
        concentration = sheet.numbers(self._results("Concentration (Particles / ml)"), count)
        frames = sheet.numbers(sheet.row(_SETTINGS, "Total frames analysed"), count)
        completed = self._whole(self._results("Completed tracks"))
        tracks = self._whole(sheet.row(_SIZES, "Valid Tracks", self._rows))
        per_frame = sheet.numbers(self._results("Particles per frame"), count)
        sizes = [sheet.numbers(sheet.row(_SIZES, label, self._rows), count) for label in _SIZE_LABELS]
        replicates = []
        for i, name in enumerate(self._names):
            reason = self._failure(i, frames[i])
            replicates.append(
                Replicate(
                    name=name,
                    valid=not reason,
                    reason=reason,
                    concentration=None if reason else concentration[i] / factor,
                    sizes=None if reason else Sizes(*(column[i] for column in sizes)),
                    tracks=0 if reason else tracks[i],
                    completed_tracks=completed[i],
                    particles_per_frame=per_frame[i],
                    bins=() if reason else tuple(row[i] / factor for row in self._bins),
                )
            )
        return tuple(replicates)

    def _failure(self, video: int, frames: float) -> str:
        """Why a video does not count; empty when it does."""
        if frames == 0.0:
            return "no frame was analysed"
        for section, label in ((_WARNINGS, "Completed Tracks"), (_DETAILS, "Processed")):
            row = self._sheet.find(section, label)
            word = row.end[video] if row is not None and video < len(row.end) else ""
            if word == "No Data":
                return "no data"
            if label == "Processed" and word not in ("", "Yes"):
                return "not processed"
        return ""

    def _read_bins(self) -> tuple[tuple[float, ...], list[tuple[float, ...]]]:
        """Middles of the bins, and for each the concentrations of the videos as written."""
        start = next((i for i, row in enumerate(self._rows) if row.label == _BIN_LABEL), None)
        if start is None:
            self._refuse(self._rows[0], f'there is no "{_BIN_LABEL}"', EXPORT_AGAIN)
        head = self._rows[start]
        if len(head.end) < self._count or set(head.end[: self._count]) != {_BIN_UNIT}:
            self._refuse(head, f"not {self._count} columns of {_BIN_UNIT}", EXPORT_AGAIN)
        end = next(i for i, row in enumerate(self._rows) if row.label == "Percentile")
        rows = [row for row in self._rows[start + 1 : end] if row.cells]
        centres = tuple(self._sheet.number(row, 0) for row in rows)
        even = all(abs(after - before - 1.0) < 1e-6 for before, after in pairwise(centres))
        if len(rows) != BINS or centres[0] != 0.5 or not even:
            self._refuse(head, f"its bins are not {BINS} of 1 nm", EXPORT_AGAIN)
        return centres, [self._sheet.numbers(row, self._count) for row in rows]

    def _percentiles(self) -> list[tuple[float, float, float]]:
        start = next(i for i, row in enumerate(self._rows) if row.label == "Percentile")
        rows = [self._sheet.row(_SIZES, label, self._rows[start:]) for label in ("10", "50", "90")]
        columns = zip(*(self._sheet.numbers(row, self._count) for row in rows), strict=True)
        return [(low, middle, high) for low, middle, high in columns]

    def _stated(self, column: int) -> tuple[float, ...] | None:
        """The averages (1) or their standard errors (2), concentration in the cell first; None when there are none."""
        head = self._sheet.sections[_RESULTS][0]
        if head.end[self._count + column - 1 : self._count + column] != (("Average", "Standard Error")[column - 1],):
            return None
        rows = [self._results("Concentration (Particles / ml)")]
        rows += [self._sheet.row(_SIZES, label, self._rows) for label in _SIZE_LABELS]
        values = [self._sheet.number(row, self._count + column) for row in rows]
        return (values[0] / (self._dilution or 1.0), *values[1:])

    def _results(self, label: str) -> Row:
        return self._sheet.row(_RESULTS, label)

    def _whole(self, row: Row) -> list[int]:
        """The numbers of a row that counts."""
        values = self._sheet.numbers(row, self._count)
        if any(value != int(value) for value in values):
            self._refuse(row, f"{row.label}: not a whole number", EXPORT_AGAIN)
        return [int(value) for value in values]

    # -- what the instrument thinks of it ----------------------------------------------------------------------------

    def _warnings(self) -> tuple[str, ...]:
        """Each warning once, with its videos counted from 1."""
        found: dict[tuple[str, str], list[int]] = {}
        for section in (_WARNINGS, _INFORMATION):
            for row in self._sheet.sections[section][1:]:
                for video, word in enumerate(row.end[: self._count], 1):
                    if word not in _NOTHING_WRONG and row.label not in _NO_WARNING:
                        videos = found.setdefault((row.label, word), [])
                        if video not in videos:
                            videos.append(video)
        return tuple(f"{label}: {word} ({self._which(videos)})" for (label, word), videos in found.items())

    def _which(self, videos: Sequence[int]) -> str:
        if len(videos) == self._count:
            return "all videos"
        return f"video{'s' if len(videos) > 1 else ''} {', '.join(map(str, videos))}"

    def _trusted(self, replicates: Sequence[Replicate]) -> bool:
        row = self._sheet.find(_WARNINGS, _VALIDITY)
        words = row.end if row is not None else ()
        return not any(one.valid and word in _NOT_TRUSTED for one, word in zip(replicates, words, strict=False))

    def _refuse(self, row: Row, problem: str, remedy: str) -> NoReturn:
        self._sheet.refuse(row.line, problem, remedy)


_SIZE_LABELS: Final = ("Mean", "Mode", "SD", "D10", "D50", "D90")


def _average(valid: Sequence[Replicate]) -> tuple[float, ...]:
    """Averages over videos, as the instrument forms them, of those that count."""
    sizes = [one.sizes for one in valid if one.sizes is not None]
    names = ("mean", "mode", "sd", "d10", "d50", "d90")
    return (
        mean(one.concentration or 0.0 for one in valid),
        *(mean(getattr(one, name) for one in sizes) for name in names),
    )


def _iso_time(text: str) -> str | None:
    """``15:35:56  24/09/2020`` (day first) as ISO 8601; anything else as it stands, None for nothing."""
    found = _TIME.fullmatch(text)
    if found is None:
        return text or None
    hour, minute, second, day, month, year = map(int, found.groups())
    try:
        return datetime(year, month, day, hour, minute, second).isoformat()  # noqa: DTZ001  (the instrument's own)
    except ValueError:
        return text
