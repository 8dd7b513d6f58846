"""The mistakes of one recipe, gathered with their places in its file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from evcontrol.expression import ExpressionError
from evcontrol.units import UnitError
from evcontrol.yaml_source import Document, Mistake
from evcontrol.yaml_source import Path as Place


class Mistakes:
    """Mistakes in the order in which they were found."""

    def __init__(self, document: Document) -> None:
        self.found: list[Mistake] = []
        self._document = document

    def wrong(self, place: Place, what: str) -> None:
        """Put down a mistake."""
        self.found.append(self._document.mistake(place, what))

    def start(self, place: Place) -> tuple[int, int]:
        """Line and column at which the text at a place begins."""
        return self._document.place(place)

    @contextmanager
    def at(self, place: Place) -> Iterator[None]:
        """Mistakes of units and expressions become mistakes of the file."""
        try:
            yield
        except ExpressionError as error:
            for one in (error, *error.more):
                self.found.append(Mistake(self._document.file, one.line, one.column, one.message))
        except UnitError as error:
            self.wrong(place, str(error))
