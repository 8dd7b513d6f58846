"""Moving analog bars (ISA-101): a value as a place in its range, seen at a glance."""

from __future__ import annotations

from typing import NamedTuple

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QBrush, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from ui import theme

_TRACK = 8.0
"""Height of the track."""
_POINTER = 5.0
"""Half the width of pointer and setpoint mark."""


class Scale(NamedTuple):
    """A value in its range; None is Bad. ``mark`` is the setpoint."""

    low: float
    high: float
    value: float | None
    mark: float | None = None

    def place(self, value: float) -> float:
        """Where a value lies: 0 at the low end, 1 at the high end, never outside."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))


def draw(painter: QPainter, rect: QRectF, scale: Scale, stale: bool) -> None:
    """Track, bar from zero (or the low end) to the value, pointer, and the setpoint's mark below."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    track = QRectF(rect.left(), rect.center().y() - _TRACK / 2, rect.width(), _TRACK)
    painter.fillRect(track, theme.TRACK)
    painter.setPen(QPen(theme.LINE, 1))
    painter.drawRect(track)
    if scale.value is None:
        painter.fillRect(track, QBrush(theme.STALE if stale else theme.BAD, Qt.BrushStyle.BDiagPattern))
    else:
        zero = track.left() + track.width() * scale.place(0.0)
        at = track.left() + track.width() * scale.place(scale.value)
        fill = theme.LINE if stale else theme.FILL
        painter.fillRect(QRectF(min(zero, at), track.top(), abs(at - zero), _TRACK), fill)
        painter.fillRect(QRectF(at - 1.5, track.top() - 3, 3, _TRACK + 6), theme.STALE if stale else theme.MARK)
    if scale.mark is not None:
        at = track.left() + track.width() * scale.place(scale.mark)
        top = track.bottom() + 1
        tip = [QPointF(at, top), QPointF(at - _POINTER, top + _POINTER), QPointF(at + _POINTER, top + _POINTER)]
        painter.setPen(QPen(theme.STALE if stale else theme.MARK, 1))
        painter.setBrush(theme.FIELD)
        painter.drawPolygon(QPolygonF(tip))
    painter.restore()


class Bar(QWidget):
    """A moving analog bar by itself."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scale: Scale | None = None
        self._stale = False
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    @property
    def scale(self) -> Scale | None:
        """What is shown."""
        return self._scale

    def show_value(self, scale: Scale | None, stale: bool) -> None:
        """Show a value in its range; None shows nothing."""
        if (scale, stale) != (self._scale, self._stale):
            self._scale, self._stale = scale, stale
            self.update()

    def sizeHint(self) -> QSize:  # noqa: N802  (Qt's name)
        """Small."""
        return QSize(120, 20)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802  (Qt's name)
        """Draw it."""
        if self._scale is not None:
            with QPainter(self) as painter:
                draw(painter, QRectF(self.rect()).adjusted(2, 1, -3, -3), self._scale, self._stale)
