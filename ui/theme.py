"""How everything looks (ISA-101): quiet greys, a saturated colour for the abnormal alone and never without a word."""

from __future__ import annotations

from enum import Enum

from PySide6.QtGui import QColor, QFont, QPalette
from PySide6.QtWidgets import QApplication, QStyleFactory

BACKGROUND = QColor("#d6d8da")
PANEL = QColor("#e4e6e8")
FIELD = QColor("#f4f5f6")
LINE = QColor("#b2b6ba")
TEXT = QColor("#1f2428")
DIM = QColor("#565d63")
STALE = QColor("#8d9297")
VALUE = QColor("#12304d")
"""Values that move are dark blue, so that they stand out from the words around them."""
SELECTED = QColor("#b9c8d6")
RUNNING = QColor("#cbd9e6")
TRACK = QColor("#c3c7cb")
FILL = QColor("#7f8890")
MARK = QColor("#12304d")
BAD = QColor("#a3101f")
DOUBT = QColor("#7a5200")
GAP = QColor(120, 126, 132, 70)
"""Colours of the ordinary."""

CURVES = ("#1f5a8a", "#8a5a1f", "#3f7a4a", "#7a3f72", "#4a4f55", "#2f7f86", "#94702a", "#5b5fa8")
"""Colours of curves, each with its name beside it."""


class Tone(Enum):
    """How a text is meant; each has a colour, and the text says the same in words."""

    PLAIN = "plain"
    DIM = "dim"
    VALUE = "value"
    STRONG = "strong"
    RUNNING = "running"
    HALTED = "halted"
    BAD = "bad"
    DOUBT = "doubt"
    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


INK: dict[Tone, QColor] = {
    Tone.PLAIN: TEXT,
    Tone.DIM: DIM,
    Tone.VALUE: VALUE,
    Tone.STRONG: TEXT,
    Tone.RUNNING: TEXT,
    Tone.HALTED: BAD,
    Tone.BAD: BAD,
    Tone.DOUBT: DOUBT,
    Tone.CRITICAL: QColor("#ffffff"),
    Tone.HIGH: QColor("#1f1300"),
    Tone.MEDIUM: QColor("#201c00"),
    Tone.LOW: QColor("#ffffff"),
}
PAPER: dict[Tone, QColor] = {
    Tone.RUNNING: RUNNING,
    Tone.HALTED: RUNNING,
    Tone.CRITICAL: QColor("#c4122b"),
    Tone.HIGH: QColor("#ee8b1e"),
    Tone.MEDIUM: QColor("#ecd02f"),
    Tone.LOW: QColor("#7d5fa0"),
}
BOLD = frozenset({Tone.STRONG, Tone.RUNNING, Tone.HALTED, Tone.CRITICAL, Tone.HIGH, Tone.MEDIUM, Tone.LOW})

SHEET = f"""
QToolTip {{ color: {TEXT.name()}; background: {FIELD.name()}; border: 1px solid {LINE.name()}; padding: 3px; }}
#navigation {{ background: {PANEL.name()}; border-right: 1px solid {LINE.name()}; }}
#navigation QPushButton[view="true"] {{ border: none; border-left: 4px solid transparent; padding: 9px 12px;
    text-align: left; }}
#navigation QPushButton[view="true"]:hover {{ background: {SELECTED.lighter(110).name()}; }}
#navigation QPushButton[view="true"]:checked {{ background: {SELECTED.name()}; border-left-color: {MARK.name()}; }}
#navigation QPushButton[view="true"]:focus {{ text-decoration: underline; }}
QDialogButtonBox {{ dialogbuttonbox-buttons-have-icons: 0; }}
QFrame[panel="true"] {{ background: {PANEL.name()}; border: 1px solid {LINE.name()}; border-radius: 3px; }}
QTreeView {{ border: 1px solid {LINE.name()}; }}
QTreeView::item {{ padding: 2px 3px; }}
QHeaderView::section {{ background: {PANEL.name()}; border: none; border-bottom: 1px solid {LINE.name()};
    border-right: 1px solid {LINE.name()}; padding: 3px 5px; }}
QPushButton {{ padding: 4px 12px; }}
QLineEdit, QComboBox, QPlainTextEdit {{ padding: 3px 4px; }}
"""


def apply(app: QApplication) -> None:
    """Give the application its look, the same on every system."""
    app.setStyle(QStyleFactory.create("Fusion"))
    app.setPalette(palette())
    font = app.font()
    font.setPointSizeF(10.0)
    app.setFont(font)
    app.setStyleSheet(SHEET)


def palette(stale: bool = False) -> QPalette:
    """The colours of all widgets; ``stale`` greys every text."""
    text = STALE if stale else TEXT
    colours = QPalette(PANEL, BACKGROUND)
    for group in (QPalette.ColorGroup.Active, QPalette.ColorGroup.Inactive):
        for role in (QPalette.ColorRole.WindowText, QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText):
            colours.setColor(group, role, text)
        colours.setColor(group, QPalette.ColorRole.Base, FIELD)
        colours.setColor(group, QPalette.ColorRole.AlternateBase, PANEL)
        colours.setColor(group, QPalette.ColorRole.Highlight, SELECTED)
        colours.setColor(group, QPalette.ColorRole.HighlightedText, text)
        colours.setColor(group, QPalette.ColorRole.PlaceholderText, STALE)
    for role in (QPalette.ColorRole.WindowText, QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText):
        colours.setColor(QPalette.ColorGroup.Disabled, role, STALE)
    colours.setColor(QPalette.ColorGroup.Disabled, QPalette.ColorRole.Base, PANEL)
    return colours


def sized(font: QFont, by: float = 1.0, bold: bool = False) -> QFont:
    """A font so many times as large."""
    font = QFont(font)
    font.setPointSizeF(font.pointSizeF() * by)
    font.setBold(bold)
    return font


def blend(colour: QColor) -> QColor:
    """A colour as it looks when what it tells is old: its grey."""
    grey = 150 + round(0.25 * (colour.lightness() - 128))
    return QColor(grey, grey, grey)
