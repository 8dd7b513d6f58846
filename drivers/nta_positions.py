"""The table of positions that a ZetaView leaves beside a size file (``*_size_488_11pos.txt``).

The size file counts the tracks of the positions that were used together; the table says which these were, and why the
others were not. It names neither sample nor dilution, and is no export of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Final

from drivers.nta_acceptance import good_enough
from drivers.nta_result import Check, NtaExport, NtaFileError, Replicate
from drivers.nta_zetaview import PARTICLES_PER_FRAME
from drivers.nta_zetaview_text import EXPORT_AGAIN, number_of

BEGIN: Final = "Use\tPosition\t"
COLUMNS: Final = (
    "Use", "Position", "Av. No of Particles", "Conc. (p./mL)", "Orig. Conc. (p./cm^3)", "No. of Traces", "Removal",
)  # fmt: skip
USED: Final = "X"
PER_FRAME: Final = 0.06
"""Particles per frame are written with one decimal."""
CONCENTRATION: Final = 0.06
DILUTION: Final = 0.12
"""Concentrations are written with two digits: as shares of one, and of the ratio of two."""
_SUMMARY: Final = frozenset({"Mean", "St.Dev.", "Rel.St.Dev."})
_NAME: Final = re.compile(r"_\d+pos")


@dataclass(frozen=True, slots=True)
class Position:
    """One position in the cell: what it gave (particles/mL there and in the sample), and why it is not used."""

    name: str
    used: bool
    removal: str
    particles_per_frame: float
    concentration: float
    stock: float
    traces: int


def table_beside(path: Path) -> Path | None:
    """The table of a size file; None when there is none. OSError."""
    beside = (other for other in path.parent.iterdir() if other.name.startswith(path.stem))
    return next(
        (p for p in sorted(beside) if p.suffix == path.suffix and _NAME.fullmatch(p.stem[len(path.stem) :])), None
    )


def parse_positions(text: str, file: str) -> tuple[Position, ...]:
    """Read a table; NtaFileError when it is none or has no position that was used."""
    lines = text.replace("\r\n", "\n").split("\n")
    head = lines[0].split("\t")
    missing = [column for column in COLUMNS if head.count(column) != 1]
    if missing:
        raise NtaFileError(file, 1, f'not one column "{missing[0]}"', EXPORT_AGAIN)
    places = [head.index(column) for column in COLUMNS]
    found = []
    for number, line in enumerate(lines[1:], 2):
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) == len(head) and cells[places[1]] not in _SUMMARY:
            found.append(_position([cells[place] for place in places], file, number))
        elif line.strip() and len(cells) != len(head):
            raise NtaFileError(file, number, f"not {len(head)} columns", EXPORT_AGAIN)
    if not any(one.used for one in found):
        raise NtaFileError(file, 0, "no position was used", EXPORT_AGAIN)
    return tuple(found)


def with_positions(export: NtaExport, positions: Sequence[Position]) -> NtaExport:
    """The export with its positions as replicates, and whether both agree."""
    replicates = tuple(_replicate(one) for one in positions)
    told = [check for check in export.checks if check.contradiction]
    checks = (*told, _agreement(export, positions), *good_enough(replicates, PARTICLES_PER_FRAME, "position"))
    return replace(export, replicates=replicates, checks=checks)


def without_positions(export: NtaExport, reason: str) -> NtaExport:
    """The export with a check that says why its table could not be read."""
    return replace(export, checks=(*export.checks, Check("table of positions", False, reason, contradiction=False)))


def _position(cells: Sequence[str], file: str, line: int) -> Position:
    use, name, *values, removal = cells
    numbers = [number_of(value, "," in value) for value in values]
    if use not in (USED, "") or None in numbers or min(one or 0.0 for one in numbers) < 0.0:
        raise NtaFileError(file, line, "not the row of a position", EXPORT_AGAIN)
    per_frame, concentration, stock, traces = (one for one in numbers if one is not None)
    if traces != int(traces):
        raise NtaFileError(file, line, f"{traces:g} traces: not a whole number", EXPORT_AGAIN)
    return Position(name, use == USED, removal, per_frame, concentration, stock, int(traces))


def _replicate(one: Position) -> Replicate:
    why = f"removed by the instrument: {one.removal}" if one.removal else "not used by the instrument"
    return Replicate(
        name=f"position {one.name}",
        valid=one.used,
        reason="" if one.used else why,
        concentration=one.concentration if one.used else None,
        sizes=None,
        tracks=one.traces,
        completed_tracks=one.traces,
        particles_per_frame=one.particles_per_frame,
        bins=(),
    )


def _agreement(export: NtaExport, positions: Sequence[Position]) -> Check:
    """The positions that were used against the size file: the one place where its dilution is told twice."""
    used = [one for one in positions if one.used]
    (whole,) = export.replicates
    concentration, stock = mean(one.concentration for one in used), mean(one.stock for one in used)
    per_frame = mean(one.particles_per_frame for one in used)
    dilution = export.dilution
    wrong = (
        ("traces", sum(one.traces for one in used) != export.tracks),
        ("particles per frame", abs(per_frame - whole.particles_per_frame) > PER_FRAME),
        ("concentration", _differ(concentration, export.concentration_measured, CONCENTRATION)),
        ("dilution", dilution is not None and _differ(stock, concentration * dilution, DILUTION)),
    )
    other = next((name for name, differs in wrong if differs), "")
    words = (
        f"the {other} of the size file is not that of the positions that were used" if other else "those of the file"
    )
    return Check("table of positions", not other, words, contradiction=True)


def _differ(one: float, other: float, share: float) -> bool:
    return abs(one - other) > share * other
