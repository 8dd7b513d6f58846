"""Faults that a person can cause, and the exit statuses."""

from __future__ import annotations

from typing import Final

DONE: Final = 0
WRONG: Final = 1
"""What was checked is wrong, or what was asked for could not be done."""
WRONG_USE: Final = 2
INTERRUPTED: Final = 130
"""Ended by Ctrl-C, orderly (128 + SIGINT)."""


class CliError(Exception):
    """Ends the command with one clear line, or one for each mistake, and an exit status."""

    def __init__(self, *lines: str, status: int = WRONG) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines
        self.status = status
