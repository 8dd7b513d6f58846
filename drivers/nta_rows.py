"""The rows of a NanoSight summary: sections, labels and numbers, each with its line for whoever has to look."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NoReturn

from drivers.nta_result import NtaFileError

EXPORT_AGAIN: Final = "export it again as an experiment summary"
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")
_WITH_COMMA: Final = re.compile(r"[+-]?[0-9]+,[0-9]+([eE][+-]?[0-9]+)?")
_COMMA: Final = str.maketrans(",.", ".,")
"""Points become commas besides, which no number has."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line: its number from 1, and its cells without the spaces around them and the empty ones at its end."""

    line: int
    cells: tuple[str, ...]

    @property
    def label(self) -> str:
        """The first cell; empty for an empty line."""
        return self.cells[0] if self.cells else ""

    @property
    def end(self) -> tuple[str, ...]:
        """The cells behind the label."""
        return self.cells[1:]


@dataclass(slots=True)
class Sheet:
    """A file as sections in their order: the name in brackets (empty for what comes before the first) and its rows.

    The first row of a section is the one with its name.
    """

    file: str
    rows: list[Row]
    comma: bool = False
    """Whether its numbers have decimal commas; one with a point is none then."""
    sections: dict[str, list[Row]] = field(default_factory=dict)

    def section(self, name: str) -> list[Row]:
        """The rows of a section; NtaFileError when there is none."""
        if name not in self.sections:
            self.refuse(0, f"there is no {name}", EXPORT_AGAIN)
        return self.sections[name]

    def row(self, section: str, label: str, rows: Sequence[Row] | None = None) -> Row:
        """The one row of a section (or of some of its rows) with a label; NtaFileError when there is none or two."""
        found = self.find(section, label, rows)
        if found is None:
            self.refuse(0, f'there is no "{label}" in {section}', EXPORT_AGAIN)
        return found

    def find(self, section: str, label: str, rows: Sequence[Row] | None = None) -> Row | None:
        """As :meth:`row`; None when there is none."""
        found = [row for row in (self.section(section) if rows is None else rows) if row.label == label]
        if len(found) > 1:
            self.refuse(found[1].line, f'a second "{label}" in {section}', EXPORT_AGAIN)
        return found[0] if found else None

    def refuse(self, line: int, problem: str, remedy: str, *, incomplete: bool = False) -> NoReturn:
        """Raise the NtaFileError."""
        raise NtaFileError(self.file, line, problem, remedy, incomplete=incomplete)

    def number(self, row: Row, column: int) -> float:
        """The number in a cell (0 is the label's); NtaFileError when it is none."""
        text = row.cells[column] if column < len(row.cells) else ""
        told = text.translate(_COMMA) if self.comma else text
        value = float(told) if _NUMBER.fullmatch(told) else math.nan
        if not math.isfinite(value):
            what = f'"{text[:40]}" is not a number' if text else "a number is missing"
            self.refuse(row.line, f"{row.label[:40]}, column {column + 1}: {what}", EXPORT_AGAIN)
        return value

    def numbers(self, row: Row, count: int) -> tuple[float, ...]:
        """The numbers of so many columns behind the label, none below 0."""
        values = tuple(self.number(row, column) for column in range(1, count + 1))
        if min(values, default=0.0) < 0.0:
            self.refuse(row.line, f"{row.label[:40]}: a number below 0", EXPORT_AGAIN)
        return values


def read_sheet(text: str, file: str) -> Sheet:
    """Take a file apart; NtaFileError when a section comes twice, or a line is none of a table.

    A spreadsheet program of a country with decimal commas parts the cells by semicolons; so does this.
    """
    part = ";" if ";" in text.partition("\n")[0] else ","
    rows = []
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        try:
            cells = [cell.strip() for cell in next(csv.reader([line], delimiter=part), [])]
        except csv.Error as error:
            raise NtaFileError(file, number, f"not a line of a table ({error})", EXPORT_AGAIN) from None
        while cells and not cells[-1]:
            cells.pop()
        rows.append(Row(number, tuple(cells)))
    comma = part == ";" and any(_WITH_COMMA.fullmatch(cell) for row in rows for cell in row.cells)
    sheet = Sheet(file, rows, comma, {"": []})
    name = ""
    for row in rows:
        if row.label.startswith("[") and row.label.endswith("]"):
            name = row.label
            if name in sheet.sections:
                sheet.refuse(row.line, f"a second {name}", EXPORT_AGAIN)
            sheet.sections[name] = []
        sheet.sections[name].append(row)
    return sheet
