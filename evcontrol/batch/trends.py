"""Trends as inline SVG: what was read, and blank where nothing Good was read; nothing is interpolated."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from evcontrol.batch.entries import BatchRecord
from evcontrol.batch.markup import Markup, element, join, paragraph, show
from evcontrol.clock import NS
from evcontrol.history.aggregate import Aggregate
from evcontrol.history.layout import Gap
from evcontrol.history.reader import HistoryError, HistoryReader
from evcontrol.quality import BAD
from evcontrol.signals import Tag

PARTS: Final = 900
"""Parts of the time; each is drawn as its mean within its lowest and highest reading."""

WIDTH, HEIGHT = 900, 210
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 20, 30
COLOURS: Final = ("#0b5cad", "#b54708", "#116329")


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart of a unit: tags of one quantity without the unit's name."""

    title: str
    tags: tuple[str, ...]


CHARTS: Final = (
    Chart("Weights", ("WT_RET", "WT_PERM")),
    Chart("Transmembrane pressure", ("TMP",)),
    Chart("Permeate flux", ("FLUX",)),
    Chart("Pressures", ("PT_FEED", "PT_RET", "PT_PERM")),
    Chart("Permeate conductivity", ("CT",)),
    Chart("Cross-flow", ("FT_FEED",)),
    Chart("Oxygen", ("AT_DO", "DO_SP_WORK")),
    Chart("pH", ("AT_PH",)),
    Chart("Glucose and lactate", ("AT_GLC", "AT_LAC")),
    Chart("Recirculation", ("FT_CIRC",)),
    Chart("Vessel, pool and clarified medium", ("WT_VESSEL", "WT_POOL", "WT_CLAR")),
)


@dataclass(slots=True)
class _Area:
    """From time and value to the place in the picture."""

    start: int
    end: int
    low: float
    high: float
    parts: list[str] = field(default_factory=list)

    def x(self, t: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (t - self.start) / (self.end - self.start)

    def y(self, value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (self.high - value) / (self.high - self.low)

    def add(self, markup: str) -> None:
        self.parts.append(markup)


def trends(record: BatchRecord, reader: HistoryReader) -> Markup:
    """The charts of every unit of a batch; a chart whose tags were never recorded is left out."""
    if record.end <= record.created:
        return paragraph("The batch has no duration yet.", "note")
    try:
        recorded = reader.tags()
    except HistoryError as error:
        return paragraph(f"The history cannot be read: {error}", "bad")
    known = {tag.name for tag in recorded}
    drawn = [_kept_on_change(record, recorded)]
    for unit in record.units.values():
        for chart in CHARTS:
            names = [f"{unit}.{tag}" for tag in chart.tags if f"{unit}.{tag}" in known]
            if names:
                drawn.append(_figure(record, reader, f"{chart.title} of {unit}", names))
    return join(drawn) if len(drawn) > 1 else paragraph("No readings of the units of this batch.", "note")


def _kept_on_change(record: BatchRecord, recorded: Iterable[Tag]) -> Markup:
    """Which tags of the batch's units were not kept at every scan."""
    words = [
        f"{tag.name} ({f'deadband {tag.deadband:g} {tag.unit}'.rstrip()}, at least every {tag.max_interval_s:g} s)"
        for tag in recorded
        if tag.max_interval_s and tag.name.partition(".")[0] in (*record.units.values(), "SYS")
    ]
    if not words:
        return paragraph("Every reading of every scan was kept, bit for bit.", "note")
    return paragraph(f"Kept on change, and no tags of the batch record: {', '.join(words)}.", "note")


def _figure(record: BatchRecord, reader: HistoryReader, title: str, names: Sequence[str]) -> Markup:
    try:
        series = reader.aggregate(names, record.created, record.end, PARTS)
    except HistoryError as error:
        return paragraph(f"{title}: {error}", "bad")
    for each in series.values():
        _blank(each, record)
    unit = next(iter(series.values())).unit
    low, high = _range(series.values())
    area = _Area(record.created, record.end, low, high)
    _draw_phases(area, record)
    for gap in record.gaps:
        _draw_gap(area, gap)
    _draw_axes(area, unit)
    for each, colour in zip(series.values(), COLOURS, strict=False):
        _draw_series(area, each, colour)
        _draw_bad(area, each)
    _draw_legend(area, title, list(series))
    picture = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{element("title", title)}{"".join(area.parts)}</svg>'
    return element("figure", Markup(picture))


def _blank(series: Aggregate, record: BatchRecord) -> None:
    """Leave blank what holds a Bad reading, or a noted gap: an average over it would show more than was read."""
    width = (record.end - record.created) / PARTS
    empty = series.q >= BAD
    for gap in record.gaps:
        empty |= (series.t + width > gap.start) & (series.t < gap.end)
    for values in (series.mean, series.low, series.high):
        values[empty] = np.nan


def _range(series: Iterable[Aggregate]) -> tuple[float, float]:
    values = [v for each in series for part in (each.low, each.high) for v in part[~np.isnan(part)].tolist()]
    low, high = min(values, default=0.0), max(values, default=1.0)
    low = min(low, 0.0) if low > -0.1 * abs(high) else low
    if high - low < 1e-9:
        high = low + 1.0
    return low, high + 0.05 * (high - low)


def _runs(values: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """Begin and end of each run of true values."""
    begin: int | None = None
    for i, value in enumerate([*values, False]):
        if value and begin is None:
            begin = i
        elif not value and begin is not None:
            yield begin, i
            begin = None


def _draw_series(area: _Area, series: Aggregate, colour: str) -> None:
    width = (area.end - area.start) / PARTS
    centre = [area.x(t + width / 2) for t in series.t.tolist()]
    for begin, end in _runs((~np.isnan(series.mean)).tolist()):
        span = range(begin, end)
        if end - begin == 1:
            area.add(f'<circle cx="{centre[begin]:.1f}" cy="{area.y(series.mean[begin]):.1f}" r="1" fill="{colour}"/>')
            continue
        above = [f"{centre[i]:.1f},{area.y(series.high[i]):.1f}" for i in span]
        below = [f"{centre[i]:.1f},{area.y(series.low[i]):.1f}" for i in reversed(span)]
        area.add(f'<polygon points="{" ".join(above + below)}" fill="{colour}" fill-opacity="0.25"/>')
        line = " ".join(f"{centre[i]:.1f},{area.y(series.mean[i]):.1f}" for i in span)
        area.add(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1"/>')


def _draw_bad(area: _Area, series: Aggregate) -> None:
    """A red mark under the time in which something Bad was read, or nothing."""
    y = HEIGHT - BOTTOM - 3
    for begin, end in _runs((series.q >= BAD).tolist()):
        left = area.x(int(series.t[begin]))
        right = area.x(int(series.t[end])) if end < PARTS else area.x(area.end)
        area.add(f'<rect x="{left:.1f}" y="{y}" width="{max(right - left, 1.0):.1f}" height="3" fill="#a40e26"/>')


def _draw_gap(area: _Area, gap: Gap) -> None:
    left, right = area.x(max(gap.start, area.start)), area.x(min(gap.end, area.end))
    area.add(
        f'<rect x="{left:.1f}" y="{TOP}" width="{max(right - left, 1.0):.1f}" height="{HEIGHT - TOP - BOTTOM}" '
        f'fill="#d0d7de"><title>{show(f"gap: {gap.reason}")}</title></rect>'
    )


def _draw_phases(area: _Area, record: BatchRecord) -> None:
    """A line where each phase began, with its name."""
    last = -math.inf
    for phase in sorted(record.phases(), key=lambda phase: phase.started or 0):
        if phase.started is None:
            continue
        x = area.x(phase.started)
        area.add(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#8c959f" '
                 f'stroke-width="0.5" stroke-dasharray="2 2"/>')  # fmt: skip
        if x - last > 9:
            area.add(f'<text x="{x + 2:.1f}" y="{TOP + 3}" font-size="7" fill="#57606a" '
                     f'transform="rotate(90 {x + 2:.1f} {TOP + 3})">{show(phase.name)}</text>')  # fmt: skip
            last = x


def _draw_axes(area: _Area, unit: str) -> None:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for value in _ticks(area.low, area.high, 5):
        y = area.y(value)
        area.add(f'<line x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#eaeef2" stroke-width="0.7"/>')
        area.add(f'<text x="{LEFT - 4}" y="{y + 3:.1f}" font-size="9" text-anchor="end">{value:g}</text>')
    minutes = (area.end - area.start) / NS / 60.0
    for minute in _ticks(0.0, minutes, 10):
        x = area.x(area.start + minute * 60.0 * NS)
        area.add(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 3}" stroke="#1b1f24"/>')
        area.add(f'<text x="{x:.1f}" y="{bottom + 13}" font-size="9" text-anchor="middle">{minute:g}</text>')
    area.add(f'<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="#1b1f24"/>')
    area.add(f'<text x="{right}" y="{bottom + 25}" font-size="9" text-anchor="end">min since the batch began</text>')
    area.add(f'<text x="{LEFT - 4}" y="{TOP - 7}" font-size="9" text-anchor="end">{show(unit)}</text>')


def _draw_legend(area: _Area, title: str, names: Sequence[str]) -> None:
    x = LEFT
    area.add(f'<text x="{x}" y="12" font-size="11" font-weight="bold">{show(title)}</text>')
    x += 30 + 7 * len(title)
    for name, colour in zip(names, COLOURS, strict=False):
        area.add(f'<rect x="{x}" y="5" width="12" height="3" fill="{colour}"/>')
        area.add(f'<text x="{x + 16}" y="11" font-size="9">{show(name)}</text>')
        x += 30 + 6 * len(name)


def _ticks(low: float, high: float, count: int) -> list[float]:
    """Round numbers that part a range."""
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1.0, 2.0, 5.0, 10.0) if power * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round((first + i) * step, 10) for i in range(int((high - first * step) / step + 1e-9) + 1)]
