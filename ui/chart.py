"""One chart of a trend: the curves of tags that have one unit in common, over a shared time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QBrush, QColor

from ui import theme
from ui.trace import Trace

MAX_SPANS = 40
"""So many Bad spans are shaded in one chart; of more, the latest."""
MOST_LINES = 14
"""A grid of more lines than that would be in the way of what it is for."""


class Chart:
    """Wraps a plot item; ``colours`` has the colour of each tag."""

    def __init__(self, plot: Any, unit: str, traces: Sequence[Trace], colours: dict[str, QColor], steps: bool) -> None:
        self._plot = plot
        self._traces = traces
        self._colours = colours
        self._grid = pg.PlotDataItem(connect="pairs", pen=pg.mkPen(theme.LINE.lighter(112), width=1))
        self._grid.setZValue(-20)
        self._regions: list[Any] = []
        self._curves: dict[str, Any] = {}
        plot.addItem(self._grid, ignoreBounds=True)
        plot.setMenuEnabled(False)
        plot.hideButtons()
        plot.setMouseEnabled(x=False, y=False)
        plot.setClipToView(not steps)
        plot.setDownsampling(auto=not steps, mode="peak")
        left = plot.getAxis("left")
        left.setLabel(unit or " ")
        left.setWidth(64)
        for trace in traces:
            curve = pg.PlotDataItem(connect="finite", stepMode="right" if steps else None, skipFiniteCheck=False)
            plot.addItem(curve)
            self._curves[trace.tag] = curve

    def draw(self, low: float, high: float, stale: bool) -> None:
        """Draw everything between two times (s, UTC)."""
        lows, highs = [], []
        for trace in self._traces:
            t, v = trace.points()
            curve = self._curves[trace.tag]
            curve.setPen(pg.mkPen(theme.STALE if stale else self._colours[trace.tag], width=1))
            curve.setData(t, v)
            seen = v[(t >= low) & (t <= high)]
            seen = seen[np.isfinite(seen)]
            if len(seen):
                lows.append(float(seen.min()))
                highs.append(float(seen.max()))
        self._plot.setXRange(low, high, padding=0)
        bottom, top = _padded(min(lows, default=0.0), max(highs, default=1.0))
        self._plot.setYRange(bottom, top, padding=0)
        self._draw_grid(low, high, bottom, top)
        self._shade(low, high)

    def _draw_grid(self, low: float, high: float, bottom: float, top: float) -> None:
        """Lines at the numbered ticks; the library's own grid costs several times as much."""
        xs: list[float] = []
        ys: list[float] = []
        for tick in _majors(self._plot.getAxis("left"), bottom, top, self._plot.vb.height()):
            xs += [low, high]
            ys += [tick, tick]
        for tick in _majors(self._plot.getAxis("bottom"), low, high, self._plot.vb.width()):
            xs += [tick, tick]
            ys += [bottom, top]
        self._grid.setData(np.array(xs), np.array(ys))

    def _shade(self, low: float, high: float) -> None:
        spans = [span for trace in self._traces for span in trace.bad_spans(low, high)][-MAX_SPANS:]
        while len(self._regions) < len(spans):
            region = pg.LinearRegionItem(movable=False, brush=QBrush(theme.GAP, Qt.BrushStyle.BDiagPattern))
            for line in region.lines:
                line.setPen(pg.mkPen(None))
            region.setZValue(-10)
            self._plot.addItem(region, ignoreBounds=True)
            self._regions.append(region)
        for place, region in enumerate(self._regions):
            region.setVisible(place < len(spans))
            if place < len(spans):
                region.setRegion(spans[place])

    @property
    def shaded(self) -> int:
        """How many Bad spans are shaded."""
        return sum(region.isVisible() for region in self._regions)


def _padded(low: float, high: float) -> tuple[float, float]:
    """Limits with some air around them, also where they are the same."""
    air = 0.06 * (high - low) or max(abs(high) * 0.02, 0.05)
    return low - air, high + air


def _majors(axis: Any, low: float, high: float, size: float) -> list[float]:
    """The ticks of an axis that have a number, as far as they are few.

    None before it was painted once, since a time axis knows no fonts until then.
    """
    if isinstance(axis, pg.DateAxisItem) and not hasattr(axis, "fontMetrics"):
        return []
    levels = axis.tickValues(low, high, max(size, 10.0))
    ticks = [float(tick) for tick in levels[0][1]] if levels else []
    finer = [float(tick) for tick in levels[1][1]] if len(levels) > 1 else []
    return ticks + finer if len(ticks) + len(finer) <= MOST_LINES else ticks
