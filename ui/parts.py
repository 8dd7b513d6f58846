"""Small parts that all views are built of."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPalette, QResizeEvent
from PySide6.QtWidgets import QFrame, QLabel, QLayout, QPushButton, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from evcontrol.api.picture import Picture
from ui import theme
from ui.scene import Scene
from ui.table import Table
from ui.theme import Tone


class Words(QLabel):
    """A text that is meant in some way; ``elided`` shortens it with dots rather than asking for room."""

    def __init__(
        self,
        name: str = "",
        text: str = "",
        tone: Tone = Tone.PLAIN,
        size: float = 1.0,
        elided: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self._size = size
        self._elided = elided
        self._said = ""
        self._look: tuple[Tone, bool] | None = None
        if elided:
            self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.say(text, tone)

    @property
    def said(self) -> str:
        """The whole text, however much of it is seen."""
        return self._said

    def say(self, text: str, tone: Tone = Tone.PLAIN, stale: bool = False) -> None:
        """Show a text; ``stale`` greys it."""
        if text != self._said:
            self._said = text
            self._fit()
        if (tone, stale) != self._look:
            self._look = (tone, stale)
            paper = theme.PAPER.get(tone)
            colours = QPalette(theme.palette(stale))
            if not stale:
                colours.setColor(QPalette.ColorRole.WindowText, theme.INK[tone])
            if paper is not None:
                colours.setColor(QPalette.ColorRole.Window, theme.blend(paper) if stale else paper)
                if stale:
                    colours.setColor(QPalette.ColorRole.WindowText, theme.DIM)
            self.setAutoFillBackground(paper is not None)
            self.setContentsMargins(*((6, 1, 6, 1) if paper is not None else (0, 0, 0, 0)))
            self.setPalette(colours)
            self.setFont(theme.sized(self.font(), 1.0, tone in theme.BOLD))
            font = self.font()
            font.setPointSizeF(10.0 * self._size)
            self.setFont(font)
            self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  (Qt's name)
        """Shorten the text anew."""
        super().resizeEvent(event)
        self._fit()

    def minimumSizeHint(self) -> QSize:  # noqa: N802  (Qt's name)
        """An elided text needs no width."""
        hint = super().minimumSizeHint()
        return QSize(10, hint.height()) if self._elided else hint

    def _fit(self) -> None:
        if not self._elided:
            self.setText(self._said)
            return
        inside = self.contentsRect().width()
        self.setText(self.fontMetrics().elidedText(self._said, Qt.TextElideMode.ElideRight, max(10, inside)))
        self.setToolTip(self._said if self.text() != self._said else "")


class ErrorLine(Words):
    """Where a refusal is told: one line beside what was tried, empty otherwise."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(name, "", Tone.BAD, parent=parent)
        self.setWordWrap(True)
        self.hide()

    def fail(self, text: str) -> None:
        """Tell what went wrong."""
        self.say(f"✕ {text}" if text else "", Tone.BAD)
        self.setVisible(bool(text))

    def succeed(self, text: str) -> None:
        """Tell that it was done."""
        self.say(f"✓ {text}" if text else "", Tone.DIM)
        self.setVisible(bool(text))

    def clear(self) -> None:
        """Say nothing."""
        self.fail("")


class View(QWidget):
    """One of the console's views; drawn anew only while it is seen."""

    title = ""

    def __init__(self, scene: Scene, name: str) -> None:
        super().__init__()
        self.scene = scene
        self.setObjectName(name)
        scene.ticked.connect(self._ticked)
        scene.liveness.connect(self._liveness)
        scene.session_changed.connect(self._ticked)

    @property
    def stale(self) -> bool:
        """Whether what is shown is old."""
        return not self.scene.live

    def draw(self, picture: Picture) -> None:
        """Draw what has changed; to be written by each view."""

    def refresh(self) -> None:
        """Draw what has changed, if there is anything."""
        if self.scene.picture is not None:
            self.draw(self.scene.picture)

    def shown(self) -> None:
        """The view was turned to."""
        self._grey()
        self.refresh()

    def _ticked(self) -> None:
        if self.isVisible():
            self.refresh()

    def _liveness(self) -> None:
        if self.isVisible():
            self._grey()

    def _grey(self) -> None:
        self.setPalette(theme.palette(stale=self.stale))
        for table in self.findChildren(Table):
            table.set_stale(self.stale)


def heading(text: str, size: float = 1.1) -> QLabel:
    """A heading within a view."""
    label = QLabel(text)
    label.setFont(theme.sized(label.font(), size, bold=True))
    return label


def panel(layout: QLayout, name: str = "", margin: int = 8) -> QFrame:
    """A framed area."""
    frame = QFrame()
    frame.setObjectName(name)
    frame.setProperty("panel", True)
    layout.setContentsMargins(margin, margin, margin, margin)
    frame.setLayout(layout)
    return frame


def scrolled(widget: QWidget, name: str) -> QScrollArea:
    """A widget that may be taller than its place."""
    area = QScrollArea()
    area.setObjectName(name)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(widget)
    area.viewport().setAutoFillBackground(False)
    widget.setAutoFillBackground(False)
    return area


def button(text: str, name: str, tip: str = "") -> QPushButton:
    """A push button; it does not become the default of a dialog by itself."""
    made = QPushButton(text)
    made.setObjectName(name)
    made.setToolTip(tip)
    made.setAutoDefault(False)
    return made


def column(*parts: QWidget | QLayout, spacing: int = 6, stretch: int | None = None) -> QVBoxLayout:
    """Parts one below the other; the one at place ``stretch`` takes what room is left."""
    layout = QVBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(spacing)
    for place, part in enumerate(parts):
        share = 1 if place == stretch else 0
        if isinstance(part, QWidget):
            layout.addWidget(part, share)
        else:
            layout.addLayout(part, share)
    return layout
