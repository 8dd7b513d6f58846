"""The folders of the simulated NTA counter: worklists come in as files, exports go out piece by piece.

A worklist file moves on as its sample does (``taken/``, ``done/``, or ``rejected/`` with the reason beside it), so that
a killed instrument finds on the disk what it still owes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

from simulators.devices.nta_counter import KINDS, Measurement, NtaCounter, Worklist
from simulators.devices.nta_size_file import size_file, size_file_name, table_name, table_of_positions
from simulators.devices.nta_summary import experiment_summary, file_name

TAKEN: Final = "taken"
DONE: Final = "done"
REJECTED: Final = "rejected"
HEAD: Final = "Request,Sample,Kind,Dilution,Videos"
PIECES: Final = 8
"""In how many pieces an export is written; they end anywhere, as those of a program that buffers do."""
POLLS_PER_PIECE: Final = 4
MOST_VIDEOS: Final = 10
_NAME: Final = re.compile(r"worklist-(\d+)\.csv")


class Layout(StrEnum):
    """Whose exports the counter writes."""

    NANOSIGHT = "nanosight"
    ZETAVIEW = "zetaview"


class WorklistError(Exception):
    """A worklist that cannot be carried out; one line."""


class NtaFolder:
    """The folders of one counter. :meth:`poll` is called at each step of the wire."""

    def __init__(self, counter: NtaCounter, worklists: Path, exports: Path, layout: Layout = Layout.NANOSIGHT) -> None:
        self._counter = counter
        self._layout = layout
        self._worklists = worklists
        self._exports = exports
        self._pieces: list[bytes] = []
        self._path: Path | None = None
        self._pause = 0

    def open(self) -> None:
        """Make the folders, and measure again what was taken and is in nobody's memory. OSError."""
        for folder in (self._exports, *(self._worklists / name for name in (TAKEN, DONE, REJECTED))):
            folder.mkdir(parents=True, exist_ok=True)
        for path in _worklist_files(self._worklists / TAKEN):
            try:
                worklist = read_worklist(path)
            except WorklistError:
                continue
            if worklist.request not in self._counter.known:
                self._counter.submit(worklist)

    def poll(self) -> None:
        """Look for worklists, and write the next piece of an export. A folder that is not there is waited for."""
        try:
            self._take()
            self._write()
        except OSError:
            return

    def _take(self) -> None:
        for path in _worklist_files(self._worklists):
            try:
                worklist = read_worklist(path)
            except WorklistError as error:
                (self._worklists / REJECTED / f"{path.stem}.txt").write_text(f"{error}\n", encoding="utf-8")
                path.replace(self._worklists / REJECTED / path.name)
                continue
            path.replace(self._worklists / TAKEN / path.name)
            if worklist.request not in self._counter.known:
                self._counter.submit(worklist)

    def _write(self) -> None:
        """Begin an export, go on with it, or end it; with pauses."""
        path = self._path
        if path is None:
            measurement = self._counter.finished()
            if measurement is None:
                return
            path = self._path = self._begin(measurement)
        self._pause -= 1
        if self._pause > 0:
            return
        self._pause = POLLS_PER_PIECE
        if self._pieces:
            with path.open("ab") as file:
                file.write(self._pieces[0])
            del self._pieces[0]
        if not self._pieces:
            self._end()

    def _begin(self, measurement: Measurement) -> Path:
        """Put together what is written, and make the empty file; a table of positions is there before it."""
        if self._layout is Layout.NANOSIGHT:
            name, text = file_name(measurement), experiment_summary(measurement)
        else:
            name, text = size_file_name(measurement), size_file(measurement)
            table = self._exports / table_name(measurement)
            table.write_bytes(table_of_positions(measurement).encode("latin-1"))
        path = self._exports / name
        path.write_bytes(b"")
        self._pieces, self._pause = _pieces(text.encode("latin-1")), 0
        return path

    def _end(self) -> None:
        name = f"worklist-{self._counter.written().request}.csv"
        source = self._worklists / TAKEN / name
        if source.exists():
            source.replace(self._worklists / DONE / name)
        self._path = None


def read_worklist(path: Path) -> Worklist:
    """The worklist in a file; WorklistError when it is none that can be carried out."""
    lines = path.read_text(encoding="utf-8", errors="replace").split()
    if len(lines) != 2 or lines[0] != HEAD:
        raise WorklistError(f"not two lines, of which the first is {HEAD}")
    cells = lines[1].split(",")
    if len(cells) != 5:
        raise WorklistError(f"not five values: {lines[1]}")
    request, sample, kind, dilution, videos = cells
    named = _NAME.fullmatch(path.name)
    if named is None or request != named[1]:
        raise WorklistError(f"request {request} in {path.name}")
    if re.fullmatch(r"[A-Za-z0-9_-]{1,40}", sample) is None:
        raise WorklistError(f"{sample!r} is no name of a sample")
    if kind not in KINDS:
        raise WorklistError(f"{kind!r} is no kind of sample: {', '.join(KINDS)}")
    if re.fullmatch(r"\d{1,9}(\.\d+)?", dilution) is None or float(dilution) < 1.0:
        raise WorklistError(f"a dilution of {dilution}: 1 or more")
    if re.fullmatch(r"\d{1,2}", videos) is None or not 1 <= int(videos) <= MOST_VIDEOS:
        raise WorklistError(f"{videos} videos: 1 to {MOST_VIDEOS}")
    return Worklist(int(request), sample, kind, float(dilution), int(videos))


def _worklist_files(folder: Path) -> Sequence[Path]:
    """The worklists in a folder, in the order of their requests."""
    found = [(int(named[1]), path) for path in folder.iterdir() if (named := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found)]


def _pieces(data: bytes) -> list[bytes]:
    size = -(-len(data) // PIECES)
    return [data[i : i + size] for i in range(0, len(data), size)]
