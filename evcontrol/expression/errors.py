"""Mistakes in expressions, and where they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class ExpressionError(ValueError):
    """An expression that cannot be used: what is wrong and what to write, and where.

    ``line`` and ``column`` count from 1 in the file that the expression stands in. ``more`` are the further mistakes in
    the same expression.
    """

    def __init__(self, message: str, line: int, column: int, more: tuple[ExpressionError, ...] = ()) -> None:
        super().__init__(f"{line}:{column}: {message}")
        self.message = message
        self.line = line
        self.column = column
        self.more = more


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong at which character of the text."""

    message: str
    at: int


class MistakeError(Exception):
    """Carries mistakes, one at least, out of parser and checker."""

    def __init__(self, message: str, at: int, more: tuple[Mistake, ...] = ()) -> None:
        super().__init__(message)
        self.mistakes = (Mistake(message, at), *more)


def expression_error(text: str, mistakes: Sequence[Mistake], line: int, column: int) -> ExpressionError:
    """The error for at least one mistake in ``text``, whose first character stands at ``line`` and ``column``."""
    in_order = sorted(mistakes, key=lambda mistake: mistake.at)
    errors = [_located(text, mistake, line, column) for mistake in in_order]
    first = errors[0]
    return ExpressionError(first.message, first.line, first.column, tuple(errors[1:]))


def _located(text: str, mistake: Mistake, line: int, column: int) -> ExpressionError:
    before = text[: mistake.at]
    newlines = before.count("\n")
    if newlines:
        return ExpressionError(mistake.message, line + newlines, len(before) - before.rindex("\n"))
    return ExpressionError(mistake.message, line, column + len(before))
