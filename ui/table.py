"""A table or tree of texts that is kept up to date in place: what is selected, open or scrolled to stays so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, Qt
from PySide6.QtGui import QBrush, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTreeWidget,
    QTreeWidgetItem,
    QWidget,
)

from ui import bar, theme
from ui.theme import Tone

_TONE = Qt.ItemDataRole.UserRole
_KEY = Qt.ItemDataRole.UserRole + 1
_SCALE = Qt.ItemDataRole.UserRole + 2


class Cell(NamedTuple):
    """A text, how it is meant, and instead of a text a value in its range."""

    text: str = ""
    tone: Tone = Tone.PLAIN
    scale: bar.Scale | None = None


class Row(NamedTuple):
    """One line; ``key`` names it, ``parent`` is the key of the line that it stands below."""

    key: str
    cells: tuple[str | Cell, ...]
    parent: str = ""
    tip: str = ""


class Column(NamedTuple):
    """A heading, its width in letters (0 = what is left), and whether it holds numbers."""

    heading: str
    width: int
    numeric: bool = False


class Table(QTreeWidget):
    """Lines of texts by key."""

    def __init__(self, name: str, columns: Sequence[Column], parent: QWidget | None = None, tree: bool = False) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.stale = False
        self._columns = columns
        self._items: dict[str, QTreeWidgetItem] = {}
        self._shape: list[tuple[str, str]] = []
        self._shown: dict[str, Row] = {}
        self.setColumnCount(len(columns))
        self.setHeaderLabels([column.heading for column in columns])
        self.setRootIsDecorated(tree)
        self.setUniformRowHeights(True)
        self.setIndentation(16)
        self.setAllColumnsShowFocus(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setItemDelegate(_Delegate(self))
        header = self.header()
        header.setStretchLastSection(False)
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        letter = self.fontMetrics().averageCharWidth()
        for place, column in enumerate(columns):
            if column.width:
                header.setSectionResizeMode(place, QHeaderView.ResizeMode.Interactive)
                header.resizeSection(place, column.width * letter + 12)
            else:
                header.setSectionResizeMode(place, QHeaderView.ResizeMode.Stretch)
            if column.numeric:
                right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                self.headerItem().setTextAlignment(place, right)

    def show_rows(self, rows: Sequence[Row]) -> None:
        """Show these lines; those that are there already are only changed where they differ."""
        shape = [(row.key, row.parent) for row in rows]
        if shape != self._shape:
            self._rebuild(rows, shape)
        for row in rows:
            if self._shown.get(row.key) != row:
                self._shown[row.key] = row
                self._fill(self._items[row.key], row)

    def set_stale(self, stale: bool) -> None:
        """Grey everything, since it is old."""
        if stale != self.stale:
            self.stale = stale
            self.viewport().update()

    def selected(self) -> str:
        """The key of the selected line; empty when there is none."""
        items = self.selectedItems()
        return str(items[0].data(0, _KEY)) if items else ""

    def select(self, key: str) -> None:
        """Select a line, if it is there."""
        if key in self._items:
            self.setCurrentItem(self._items[key])

    def reveal(self, key: str) -> None:
        """Scroll to a line."""
        if key in self._items:
            self.scrollToItem(self._items[key])

    def keys(self) -> list[str]:
        """The keys of all lines in their order."""
        return [key for key, _ in self._shape]

    def text_of(self, key: str, column: int) -> str:
        """What a line says in one column."""
        return self._items[key].text(column)

    def _rebuild(self, rows: Sequence[Row], shape: list[tuple[str, str]]) -> None:
        selected = self.selected()
        closed = {key for key, item in self._items.items() if item.childCount() and not item.isExpanded()}
        place = self.verticalScrollBar().value()
        self.blockSignals(True)
        self.clear()
        self._items, self._shown, self._shape = {}, {}, shape
        for row in rows:
            item = QTreeWidgetItem(self._items.get(row.parent) or self.invisibleRootItem())
            item.setData(0, _KEY, row.key)
            for number, column in enumerate(self._columns):
                if column.numeric:
                    item.setTextAlignment(number, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            item.setFirstColumnSpanned(len(row.cells) == 1)
            self._items[row.key] = item
        for key, item in self._items.items():
            item.setExpanded(key not in closed)
        self.select(selected)
        self.blockSignals(False)
        self.verticalScrollBar().setValue(place)
        if self.selected() != selected:
            self.itemSelectionChanged.emit()

    def _fill(self, item: QTreeWidgetItem, row: Row) -> None:
        for column, cell in enumerate(row.cells):
            text, tone, scale = cell if isinstance(cell, Cell) else (cell, Tone.PLAIN, None)
            if item.text(column) != text:
                item.setText(column, text)
            if item.data(column, _TONE) is not tone:
                item.setData(column, _TONE, tone)
            if scale is not None or item.data(column, _SCALE) is not None:
                item.setData(column, _SCALE, scale)
            item.setToolTip(column, row.tip or text)


class _Delegate(QStyledItemDelegate):
    """Draws a cell in its tone, and a value in its range."""

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self._table = table

    def initStyleOption(  # noqa: N802  (Qt's name)
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        super().initStyleOption(option, index)
        tone = index.data(_TONE) or Tone.PLAIN
        ink, paper = theme.INK[tone], theme.PAPER.get(tone)
        if self._table.stale:
            ink = theme.STALE
            paper = None if paper is None else theme.PANEL
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        palette = option.palette
        for role in (palette.ColorRole.Text, palette.ColorRole.HighlightedText):
            palette.setColor(role, ink)
        option.palette = palette
        if paper is not None and not (selected and paper is theme.RUNNING):
            option.backgroundBrush = QBrush(paper)
            palette.setColor(palette.ColorRole.Highlight, paper)
            option.palette = palette
        option.font = theme.sized(option.font, 1.0, tone in theme.BOLD)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """The text, or the bar."""
        super().paint(painter, option, index)
        scale = index.data(_SCALE)
        if isinstance(scale, bar.Scale):
            rect = QRectF(option.rect).adjusted(6, 4, -6, -4)
            bar.draw(painter, rect, scale, self._table.stale)
