"""Export files of nanoparticle-tracking (NTA) instruments: which kind a file is, and what it says.

Read: experiment summaries of NanoSight NTA 3.2 to 3.4, and size files of ZetaView 8.05 and 8.06. Everything else is
refused by its name, with what to do.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Final

from drivers.connection import os_error_words
from drivers.nta_nanosight import TITLE, parse_nanosight
from drivers.nta_positions import parse_positions, table_beside, with_positions, without_positions
from drivers.nta_result import Check, NtaExport, NtaFileError, Replicate, Sizes
from drivers.nta_zetaview import BEGIN, INSTRUMENT, parse_zetaview, what_else

__all__ = ["MAX_BYTES", "Check", "NtaExport", "NtaFileError", "Replicate", "Sizes", "parse_export", "read_export"]

MAX_BYTES: Final = 5_000_000
MAX_LINES: Final = 50_000
MAX_CELLS: Final = 500_000
MAX_LINE: Final = 20_000
"""Bytes, lines, cells, and bytes in a line that no export comes near: more of them could hold up whoever reads."""
SUMMARY: Final = "export an experiment summary (*-ExperimentSummary.csv) instead"
SIZE_FILE: Final = "take the size file (*_size_488.txt) of the measurement"
KNOWN: Final = "give an experiment summary of NanoSight NTA or a size file of ZetaView"


def read_export(path: Path) -> NtaExport:
    """Read a file, and the table of positions beside it when it has one.

    NtaFileError when it is no usable export, OSError when it cannot be read.
    """
    export = parse_export(_data(path), path.name)
    table = table_beside(path) if export.instrument == INSTRUMENT else None
    if table is None:
        return export
    try:
        data = _data(table)
        _require_bounds(data, table.name)
        return with_positions(export, parse_positions(_text(data), table.name))
    except NtaFileError as error:
        return without_positions(export, str(error))
    except OSError as error:
        return without_positions(export, f"{table.name}: {os_error_words(error)}")


def parse_export(data: bytes, file: str) -> NtaExport:
    """Read what a file of that name holds; NtaFileError when it is no usable export."""
    _require_bounds(data, file)
    text = _text(data)
    first, line_end, _ = text.replace("\r", "\n").partition("\n")
    title = re.split("[,;]", first)[0].strip(' "')
    if title == TITLE:
        return parse_nanosight(text, file)
    other = what_else(text)
    if other is not None:
        raise NtaFileError(file, 1, other, SIZE_FILE)
    if first.startswith(BEGIN):
        return parse_zetaview(text, file)
    if not line_end and (TITLE.startswith(first) or BEGIN.startswith(first)):
        problem = "empty" if not data else "only its beginning is there"
        raise NtaFileError(file, 1, problem, "wait until it is written, or export it again", incomplete=True)
    raise NtaFileError(file, 1, *_refusal(text, first))


def _data(path: Path) -> bytes:
    """What is in a file, as far as it may be an export."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise NtaFileError(path.name, 0, "not a file that holds data", KNOWN)
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _text(data: bytes) -> str:
    return data.decode("utf-8-sig", "replace") if data.startswith(b"\xef\xbb\xbf") else data.decode("latin-1")


def _require_bounds(data: bytes, file: str) -> None:
    excess = ""
    if len(data) > MAX_BYTES:
        excess = f"more than {MAX_BYTES // 1_000_000} MB"
    elif data.count(b"\n") + data.count(b"\r") > 2 * MAX_LINES:  # an end may be both
        excess = f"more than {MAX_LINES} lines"
    elif sum(map(data.count, (b",", b";", b"\t"))) > MAX_CELLS:
        excess = f"more than {MAX_CELLS} cells"
    elif max(map(len, data.splitlines()), default=0) > MAX_LINE:
        excess = f"a line of more than {MAX_LINE} characters"
    if excess:
        raise NtaFileError(file, 0, f"{excess}, no export has so much", KNOWN)


def _refusal(text: str, first: str) -> tuple[str, str]:
    """What another file is, and what to do."""
    kinds = (
        ("\0" in text[:20_000], "not a text in ISO 8859-1 or UTF-8", "export it again, and save it as CSV"),
        (
            first.startswith(f"{TITLE}\t"),
            "an experiment summary that was saved with tabs",
            "take the file as it was exported",
        ),
        (
            first.startswith("0.5,"),
            "an experiment summary without its header: dilution and settings are not known",
            SUMMARY,
        ),
        ("Particle ID" in first, "a list of particles or tracks, not a summary", SUMMARY),
    )
    found = next(((words, remedy) for is_it, words, remedy in kinds if is_it), None)
    return found or ("not an export of an NTA instrument that is known here", KNOWN)
