"""Reading the tables of the simulators' manuals."""

from __future__ import annotations

from pathlib import Path

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def table(page: str, *head: str) -> list[list[str]]:
    """The cells of the one table with such a head on a page; ``-`` and empty cells are empty."""
    lines = (REFERENCE / page).read_text(encoding="utf-8").splitlines()
    starts = [i for i, line in enumerate(lines) if _cells(line) == list(head)]
    assert len(starts) == 1, f"{page} has {len(starts)} tables with the head {head}"
    rows = []
    for line in lines[starts[0] + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(["" if cell == "-" else cell for cell in _cells(line)])
    return rows


def text(page: str) -> str:
    """A page as one line."""
    return " ".join((REFERENCE / page).read_text(encoding="utf-8").split())


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
