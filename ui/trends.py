"""Trends: chosen tags over time, from the history and going on live; one chart for each unit of measure."""

from __future__ import annotations

from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QBrush, QColor, QIcon, QPixmap
from PySide6.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QSplitter,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from evcontrol.api.picture import Picture
from evcontrol.api.schema import Delta, TagView
from evcontrol.api.series import Series
from ui import theme, when, words
from ui.chart import Chart
from ui.parts import ErrorLine, View, Words, button, column, heading
from ui.scene import Scene
from ui.theme import Tone
from ui.trace import Trace

SPANS = (("5 min", 300), ("15 min", 900), ("1 h", 3600), ("6 h", 21_600), ("24 h", 86_400), ("7 d", 604_800))
"""What the span selector offers, s of process time."""
FIRST_SPAN_S = 900
BUCKETS = 600
"""Parts of time that the history is asked for: about one for each two pixels."""
MOST_TAGS = len(theme.CURVES)
FIRST_TAGS = 3
_ROLE = Qt.ItemDataRole.UserRole


class Trends(View):
    """The trend view."""

    title = "Trends"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene, "trends")
        self.span_s = FIRST_SPAN_S
        self.end_s: float | None = None
        """Where a look into the past ends; None while the trend is live."""
        self.traces: dict[str, Trace] = {}
        self.charts: list[Chart] = []
        self._colours: dict[str, QColor] = {}
        self._asked = 0
        self._plots = pg.GraphicsLayoutWidget()
        self._plots.setObjectName("trends.plots")
        self._plots.setBackground(theme.FIELD)
        self._plots.ci.layout.setContentsMargins(4, 6, 12, 4)
        self._filter = QLineEdit()
        self._filter.setObjectName("trends.filter")
        self._filter.setPlaceholderText("Find a tag")
        self._filter.setClearButtonEnabled(True)
        self._filter.textChanged.connect(self._find)
        self.choice = QListWidget()
        self.choice.setObjectName("trends.tags")
        self.choice.itemChanged.connect(self._chosen)
        self._legend = Words("trends.legend", tone=Tone.PLAIN)
        self._legend.setWordWrap(True)
        self.error = ErrorLine("trends.error")
        self._mode = Words("trends.mode", tone=Tone.DIM)
        side = QWidget()
        side.setLayout(column(heading("Tags"), self._filter, self.choice, stretch=2))
        main = QWidget()
        main.setLayout(column(self._span_row(), self.error, self._plots, self._legend, stretch=2))
        splitter = QSplitter(Qt.Orientation.Horizontal)
        splitter.setObjectName("trends.splitter")
        splitter.setChildrenCollapsible(False)
        splitter.addWidget(side)
        splitter.addWidget(main)
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([290, 960])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 10, 10, 10)
        layout.addWidget(splitter)
        scene.renewed.connect(self._renew)
        scene.delta.connect(self._record)
        scene.liveness.connect(self._break)

    def draw(self, picture: Picture) -> None:
        """Draw what has changed."""
        end = self.scene.now / 1e9 if self.end_s is None else self.end_s
        for chart in self.charts:
            chart.draw(end - self.span_s, end, self.stale)
        self._show_legend(picture)
        begin = when.moment(round((end - self.span_s) * 1e9))
        what = "live" if self.end_s is None and self.scene.live else "history"
        until = when.time_of_day(round(end * 1e9))
        self._mode.say(f"{what}, {begin} to {until} UTC", Tone.DIM, self.stale)
        self._forward.setEnabled(self.end_s is not None)

    def choose(self, *tags: str) -> None:
        """Show these tags and no others."""
        self.choice.blockSignals(True)
        for item in self._items():
            on = item.data(_ROLE) in tags
            item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
        self.choice.blockSignals(False)
        self._load()

    def set_span(self, seconds: int) -> None:
        """Show so many seconds of process time."""
        self.span_s = seconds
        for one in self._spans.buttons():
            one.setChecked(self._spans.id(one) == seconds)
        self._load()

    # -- layout ------------------------------------------------------------------------------------------------------

    def _span_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(4)
        self._spans = QButtonGroup(self)
        for text, seconds in SPANS:
            one = QToolButton()
            one.setObjectName(f"trends.span.{text}")
            one.setText(text)
            one.setCheckable(True)
            one.setChecked(seconds == self.span_s)
            one.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            self._spans.addButton(one, seconds)
            row.addWidget(one)
        self._spans.idClicked.connect(self.set_span)
        self._back = button("◀ Earlier", "trends.back", "Half a span back")
        self._forward = button("Later ▶", "trends.forward", "Half a span on")
        self.live_button = button("Live", "trends.live", "Follow the present")
        self._back.clicked.connect(lambda: self._move(-0.5))
        self._forward.clicked.connect(lambda: self._move(0.5))
        self.live_button.clicked.connect(self._go_live)
        row.addSpacing(12)
        for push in (self._back, self._forward, self.live_button):
            row.addWidget(push)
        row.addStretch(1)
        row.addWidget(self._mode)
        return row

    def _items(self) -> list[QListWidgetItem]:
        return [self.choice.item(row) for row in range(self.choice.count())]

    # -- choosing ----------------------------------------------------------------------------------------------------

    def _renew(self, picture: Picture) -> None:
        """A new picture: the same tags as before, or the first few of a plant that is new."""
        names = [tag.name for tag in picture.tags.values() if tag.kind != "text"]
        if names != [item.data(_ROLE) for item in self._items()]:
            chosen = set(self.traces) or set(_first_tags(picture))
            self.choice.blockSignals(True)
            self.choice.clear()
            for name in names:
                item = QListWidgetItem(name, self.choice)
                item.setData(_ROLE, name)
                item.setToolTip(picture.tags[name].description)
                item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
                item.setCheckState(Qt.CheckState.Checked if name in chosen else Qt.CheckState.Unchecked)
            self.choice.blockSignals(False)
        self._load()

    def _find(self, text: str) -> None:
        for item in self._items():
            item.setHidden(text.lower() not in f"{item.data(_ROLE)} {item.toolTip()}".lower())

    def _chosen(self, item: QListWidgetItem) -> None:
        chosen = [one for one in self._items() if one.checkState() is Qt.CheckState.Checked]
        if len(chosen) > MOST_TAGS:
            item.setCheckState(Qt.CheckState.Unchecked)
            self.error.fail(f"at most {MOST_TAGS} tags at a time")
            return
        self._load()

    def _move(self, spans: float) -> None:
        now = self.scene.now / 1e9
        end = (now if self.end_s is None else self.end_s) + spans * self.span_s
        self.end_s = None if end >= now else end
        self._load()

    def _go_live(self) -> None:
        self.end_s = None
        self._load()

    # -- data --------------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        """Begin anew with the chosen tags, and ask for their past."""
        picture = self.scene.picture
        if picture is None:
            return
        checked = [item for item in self._items() if item.checkState() is Qt.CheckState.Checked]
        tags = [str(item.data(_ROLE)) for item in checked]
        if set(tags) != set(self.traces):
            self._colours = {tag: QColor(theme.CURVES[place]) for place, tag in enumerate(tags)}
            self._mark_colours()
        self.traces = {tag: Trace(tag) for tag in tags}
        self._lay_out(picture, tags)
        self._asked += 1
        if not tags or self.scene.now == 0:
            return
        asked = self._asked
        end = self.scene.now if self.end_s is None else round(self.end_s * 1e9)
        start = end - self.span_s * 1_000_000_000

        def done(series: list[Series]) -> None:
            if asked == self._asked:
                self.error.clear()
                for one in series:
                    self.traces[one.tag].begin(one)
                self._ticked()

        def failed(why: str) -> None:
            if asked == self._asked:
                self.error.fail(words.first_line(why))

        self.scene.read(self, lambda client: client.history(tags, start, end, BUCKETS), done, failed)

    def _record(self, delta: Delta) -> None:
        picture = self.scene.picture
        if picture is None or self.end_s is not None:
            return
        for tag, trace in self.traces.items():
            trace.append(delta.t, picture.number(tag), picture.quality_text(tag).startswith("Bad"))

    def _break(self, live: bool) -> None:
        if not live:
            for trace in self.traces.values():
                trace.gap()

    # -- drawing -----------------------------------------------------------------------------------------------------

    def _lay_out(self, picture: Picture, tags: list[str]) -> None:
        groups: dict[tuple[str, bool], list[Trace]] = {}
        for tag in tags:
            if tag in picture.tags:
                groups.setdefault(_group(picture.tags[tag]), []).append(self.traces[tag])
        self._plots.clear()
        self.charts = []
        first: Any = None
        for row, ((unit, steps), traces) in enumerate(groups.items()):
            last = row == len(groups) - 1
            axis = pg.DateAxisItem(orientation="bottom", utcOffset=0)
            axis.setStyle(showValues=last)
            if not last:
                axis.setHeight(6)
            plot = self._plots.addPlot(row=row, col=0, axisItems={"bottom": axis})
            for side in ("left", "bottom"):
                plot.getAxis(side).setPen(pg.mkPen(theme.DIM))
                plot.getAxis(side).setTextPen(pg.mkPen(theme.TEXT))
            if first is None:
                first = plot
            else:
                plot.setXLink(first)
            self.charts.append(Chart(plot, unit, traces, self._colours, steps))

    def _mark_colours(self) -> None:
        self.choice.blockSignals(True)
        for item in self._items():
            colour = self._colours.get(item.data(_ROLE))
            pixels = QPixmap(14, 4)
            pixels.fill(colour if colour is not None else QColor(0, 0, 0, 0))
            item.setIcon(QIcon(pixels))
            item.setForeground(QBrush(theme.TEXT))
        self.choice.blockSignals(False)

    def _show_legend(self, picture: Picture) -> None:
        if not self.traces:
            self._legend.say("Choose tags on the left.", Tone.DIM)
            return
        shaded = "&nbsp;&nbsp;&nbsp;&nbsp; ▨ hatched: Bad" if any(chart.shaded for chart in self.charts) else ""
        parts = []
        for tag in self.traces:
            colour = (theme.STALE if self.stale else self._colours[tag]).name()
            now = f" {picture.text(tag)}" if self.end_s is None else ""
            parts.append(f'<span style="color:{colour}">━━</span> {tag}<b>{now}</b>')
        self._legend.setTextFormat(Qt.TextFormat.RichText)
        self._legend.say("&nbsp;&nbsp;&nbsp;&nbsp; ".join(parts) + shaded, Tone.PLAIN, self.stale)


def _group(tag: TagView) -> tuple[str, bool]:
    """Tags of one unit of measure share a chart; those that jump from state to state have one of their own."""
    steps = tag.kind in ("discrete", "enum")
    return ("state" if steps else tag.unit), steps


def _first_tags(picture: Picture) -> list[str]:
    controlled = [loop.pv for loop in picture.loops]
    measured = [tag.name for tag in picture.tags.values() if tag.kind == "analog" and tag.unit and tag.writable is None]
    return list(dict.fromkeys([*controlled, *measured]))[:FIRST_TAGS]
