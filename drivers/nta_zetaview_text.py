"""The lines of a ZetaView size file: the entries of its header, and the two tables of bins behind it.

Lines are parted by tabs. A line of the header holds one entry or several, each a name with a colon and what belongs to
it; the name is not always parted from it. Numbers have a point or a comma, all of a file the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NoReturn

from drivers.nta_result import NtaFileError

EXPORT_AGAIN: Final = "export it again"
WHEN_WRITTEN: Final = "wait until it is written, or export it again"
COLUMNS: Final = ("Size / nm", "Number", "Concentration / cm-3", "Volume / nm^3", "Area / nm^2")
LINEAR: Final = 1200
WIDTH_NM: Final = 5.0
"""The first table has bins of 5 nm from 0."""
LOGARITHMIC: Final = 200
"""The second has these, from 4.683 to 6025 nm, of the same particles."""
_FIRST_NM: Final = 4.683
_RATIO: Final = (6025.0 / _FIRST_NM) ** (1.0 / (LOGARITHMIC - 1))
_ROUNDED: Final = 6e-4
"""Numbers of the tables have four digits."""
MOST_ENTRIES: Final = 400
MOST_CELLS: Final = 20
"""Lines of a header, and cells in one; real ones have up to 91 and 6."""
_PART: Final = -1.0
"""The size in the row between the tables."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands behind a name in the header, and its line from 1."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Bin:
    """One row of a table: size (nm), particles, particles/mL, volume (nm^3) and area (nm^2), and its line."""

    line: int
    size: float
    number: float
    concentration: float
    volume: float
    area: float


@dataclass(slots=True)
class SizeFile:
    """A size file taken apart. ``header`` has the first entry of each name; ``again`` the names that came twice."""

    file: str
    header: dict[str, Entry] = field(default_factory=dict)
    again: dict[str, int] = field(default_factory=dict)
    rest: list[str] = field(default_factory=list)
    """The lines from the head of the first table on, or the unfinished last one."""
    before: int = 0
    """How many lines stand before these."""
    comma: bool = False
    linear: list[Bin] = field(default_factory=list)
    logarithmic: list[Bin] = field(default_factory=list)

    @property
    def has_table(self) -> bool:
        """Whether the head of the first table is there."""
        return len(self.rest) > 1

    def text(self, name: str) -> str:
        """What stands behind a name; empty when it is not there. NtaFileError when it is there twice."""
        if name in self.again:
            self.refuse(self.again[name], f'a second "{name}"', EXPORT_AGAIN)
        return self.header[name].text if name in self.header else ""

    def number(self, name: str) -> float:
        """The number behind a name; NtaFileError when there is none, or one below 0."""
        text = self.text(name)
        line = self.header[name].line if name in self.header else 0
        value = number_of(text, self.comma)
        if value is None or value < 0.0:
            what = f'"{text[:40]}" is not a number of 0 or more' if text else "a number is missing"
            self.refuse(line, f"{name}: {what}", EXPORT_AGAIN)
        return value

    def refuse(self, line: int, problem: str, remedy: str, *, incomplete: bool = False) -> NoReturn:
        """Raise the NtaFileError."""
        raise NtaFileError(self.file, line, problem, remedy, incomplete=incomplete)


def number_of(text: str, comma: bool) -> float | None:
    """A number with the file's decimal mark; None for anything else, also for NaN."""
    mark = "," if comma else r"\."
    if len(text) > 40 or re.fullmatch(rf"[+-]?[0-9]+({mark}[0-9]*)?([eE][+-]?[0-9]+)?", text) is None:
        return None
    value = float(text.replace(",", "."))
    return value if math.isfinite(value) else None


def read_header(text: str, file: str) -> SizeFile:
    """Take the header apart, as far as it is there."""
    found = SizeFile(file)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    start = next((i for i, line in enumerate(lines[:-1]) if line.split("\t")[0] == COLUMNS[0]), len(lines) - 1)
    for number, line in enumerate(lines[:start], 1):
        if number > MOST_ENTRIES or line.count("\t") > MOST_CELLS:
            found.refuse(number, "not a line of a header", EXPORT_AGAIN)
        _add_entries(found, number, line)
    found.rest = lines[start:]
    found.before = start
    return found


def read_tables(found: SizeFile) -> None:
    """Take the tables apart; NtaFileError when they are not there, not complete, or not as they should be.

    An empty measurement has no row but the one that parts the tables; both are empty then.
    """
    if not found.has_table:
        found.refuse(0, "there is no table of sizes", WHEN_WRITTEN, incomplete=True)
    if tuple(found.rest[0].split("\t")) != COLUMNS:
        found.refuse(found.before + 1, f"the columns are not {', '.join(COLUMNS)}", EXPORT_AGAIN)
    _read_rows(found, found.before + 1, found.rest[1:-1], partial=found.rest[-1] != "")


def _add_entries(found: SizeFile, number: int, line: str) -> None:
    """The entries of one line of the header."""
    cells = line.split("\t")
    if not cells[0].endswith(":") and ": " in cells[0]:  # "Conductivity: 35.000000" of 8.06.01
        name, _, value = cells[0].partition(": ")
        cells[:1] = [f"{name}:", value]
    name, told = "", [""]
    entries: list[tuple[str, list[str]]] = []
    for cell in cells:
        if cell.endswith(":"):
            name, told = cell.rstrip(":"), []
            entries.append((name, told))
        else:
            told.append(cell.strip())
    for name, told in entries:
        if name in found.header:
            found.again.setdefault(name, number)
        else:
            found.header[name] = Entry(number, told[0] if told else "")


def _read_rows(found: SizeFile, before: int, lines: Sequence[str], *, partial: bool) -> None:
    """``before`` is how many lines stand before these; ``partial`` whether a line without its end follows them."""
    found.comma = bool(lines) and "," in lines[0]
    tables = found.linear, found.logarithmic
    table = 0
    for number, line in enumerate(lines, before + 1):
        if line.strip() == "" and not any(map(str.strip, lines[number - before :])):
            break
        row = _row(found, number, line)
        if table == 0 and row.size == _PART:
            table = 1
            if found.linear and len(found.linear) < LINEAR:
                found.refuse(number, f"its bins are not {LINEAR} of {WIDTH_NM:g} nm", EXPORT_AGAIN)
            continue
        if min(row.size, row.number, row.concentration, row.volume, row.area) < 0.0:
            found.refuse(number, "a number below 0", EXPORT_AGAIN)
        tables[table].append(row)
        _require_place(found, table, row)
    whole = len(found.linear) == LINEAR and len(found.logarithmic) == LOGARITHMIC
    empty = table == 1 and not found.linear and not found.logarithmic
    if partial or not (whole or empty):
        problem = "its last line has no end" if whole else "the file ends before its tables are complete"
        found.refuse(before + len(lines), problem, WHEN_WRITTEN, incomplete=True)


def _row(found: SizeFile, number: int, line: str) -> Bin:
    values = [number_of(cell, found.comma) for cell in line.split("\t")]
    if len(values) != len(COLUMNS) or None in values:
        found.refuse(number, f'"{line[:60]}" is not a row of {len(COLUMNS)} numbers', EXPORT_AGAIN)
    size, count, concentration, volume, area = (value for value in values if value is not None)
    return Bin(number, size, count, concentration, volume, area)


def _require_place(found: SizeFile, table: int, row: Bin) -> None:
    """See that a row is the next one of its table."""
    rows = (found.linear, found.logarithmic)[table]
    if table == 0:
        right = len(rows) <= LINEAR and _near(row.size, WIDTH_NM * (len(rows) - 0.5), _ROUNDED)
        what = f"its bins are not {LINEAR} of {WIDTH_NM:g} nm"
    else:
        right = len(rows) <= LOGARITHMIC and _near(row.size, _FIRST_NM * _RATIO ** (len(rows) - 1), 2 * _ROUNDED)
        what = f"its second table has not {LOGARITHMIC} bins that grow evenly"
    if not right:
        found.refuse(row.line, what, EXPORT_AGAIN)


def _near(value: float, right: float, share: float) -> bool:
    return abs(value - right) <= share * right
