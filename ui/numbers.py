"""Entering a number: empty until a person has typed it, with unit and limits beside it."""

from __future__ import annotations

import math

from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QWidget

from ui.parts import Words
from ui.theme import Tone


class NumberError(ValueError):
    """What was typed is not a number in the limits; the message says what would be."""


def parse(text: str, unit: str, low: float | None, high: float | None) -> float:
    """A number as people type it, with a point or a comma. Raises NumberError."""
    try:
        number = float(text.strip().replace(",", "."))
    except ValueError:
        raise NumberError(f"{text.strip() or 'nothing'} is not a number{f' in {unit}' if unit else ''}") from None
    if not math.isfinite(number):
        raise NumberError(f"{text.strip()} is not a number")
    if (low is not None and number < low) or (high is not None and number > high):
        raise NumberError(f"{number:g} {unit} is outside {limits(low, high, unit)}".replace("  ", " "))
    return number


def limits(low: float | None, high: float | None, unit: str) -> str:
    """Limits as a text; empty when there are none."""
    if low is None and high is None:
        return ""
    if low is None:
        return f"up to {high:g} {unit}".rstrip()
    if high is None:
        return f"from {low:g} {unit}".rstrip()
    return f"{low:g} to {high:g} {unit}".rstrip()


class NumberField(QWidget):
    """A field for a number with its unit, and the limits."""

    def __init__(self, name: str, unit: str, low: float | None, high: float | None) -> None:
        super().__init__()
        self._unit, self._low, self._high = unit, low, high
        self.field = QLineEdit()
        self.field.setObjectName(name)
        self.field.setMinimumWidth(110)
        self.setFocusProxy(self.field)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.field, 1)
        row.addWidget(Words(f"{name}.unit", unit))
        row.addWidget(Words(f"{name}.limits", limits(low, high, unit), Tone.DIM))

    def number(self) -> float:
        """What was typed. Raises NumberError."""
        return parse(self.field.text(), self._unit, self._low, self._high)
