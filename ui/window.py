"""The console's window: navigation on the left, banner above, the chosen view, status below."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtGui import QCloseEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QButtonGroup,
    QFrame,
    QHBoxLayout,
    QMainWindow,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from evcontrol.api.picture import Picture
from ui import readings, words
from ui.alarms import Alarms
from ui.banner import AlarmBanner, GoneStrip, StatusBar
from ui.batch import Batches
from ui.overview import Overview
from ui.parts import View, Words, button, column
from ui.scene import Scene
from ui.sign_on import SignOnDialog
from ui.theme import Tone
from ui.trends import Trends
from ui.unit import UnitPage

FIRST_SIZE = (1440, 900)
NAVIGATION_WIDTH = 176


class Console(QMainWindow):
    """One operator console. ``station`` is what signing on proposes, ``recipes`` where recipes are looked for."""

    def __init__(self, scene: Scene, station: str, recipes: Path | None = None) -> None:
        super().__init__()
        self.setObjectName("console")
        self.setWindowTitle("evcontrol")
        self.resize(*FIRST_SIZE)
        self.setMinimumSize(1024, 640)
        self.scene = scene
        self._station = station
        self.stack = QStackedWidget()
        self.stack.setObjectName("views")
        self.overview = Overview(scene, self.show_unit)
        self.batches = Batches(scene, recipes)
        self.trends = Trends(scene)
        self.alarms = Alarms(scene)
        self.units: dict[str, UnitPage] = {}
        self.banner = AlarmBanner(scene)
        self.gone = GoneStrip(scene)
        self.status = StatusBar(scene)
        self.banner.show_alarms.clicked.connect(lambda: self.show_view(self.alarms))
        self._group = QButtonGroup(self)
        self._buttons: dict[View, QPushButton] = {}
        self._navigation = QVBoxLayout()
        self._navigation.setContentsMargins(0, 8, 0, 8)
        self._navigation.setSpacing(2)
        self.person = Words("person", tone=Tone.PLAIN)
        self.person.setWordWrap(True)
        self.person.setMargin(8)
        self.sign = button("Sign on…", "sign", "Sign on or off")
        self.sign.clicked.connect(self._sign)
        self._lay_out()
        for view in (self.overview, self.batches, self.trends, self.alarms):
            self._add(view)
        self._number()
        self.show_view(self.overview)
        scene.ticked.connect(self._refresh)
        scene.renewed.connect(self._renew)
        scene.session_changed.connect(self._show_person)
        self._show_person()

    def show_view(self, view: View) -> None:
        """Turn to a view."""
        self.stack.setCurrentWidget(view)
        self._buttons[view].setChecked(True)
        if self.scene.picture is not None:
            view.shown()

    def show_unit(self, unit: str) -> None:
        """Turn to a unit's view."""
        if unit in self.units:
            self.show_view(self.units[unit])

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802  (Qt's name)
        """Sign off; the engine goes on."""
        self.scene.link.close()
        super().closeEvent(event)

    # -- layout ------------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        side = QFrame()
        side.setObjectName("navigation")
        side.setFixedWidth(NAVIGATION_WIDTH)
        holder = QVBoxLayout(side)
        holder.setContentsMargins(0, 0, 0, 8)
        holder.setSpacing(4)
        holder.addLayout(self._navigation)
        holder.addStretch(1)
        holder.addWidget(self.person)
        row = QHBoxLayout()
        row.setContentsMargins(8, 0, 8, 0)
        row.addWidget(self.sign)
        holder.addLayout(row)
        main = QWidget()
        inner = column(self.banner, self.stack, spacing=0, stretch=1)
        inner.setContentsMargins(0, 0, 0, 0)
        main.setLayout(inner)
        body = QHBoxLayout()
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(0)
        body.addWidget(side)
        body.addWidget(main, 1)
        whole = QWidget()
        whole.setLayout(column(self.gone, body, self.status, spacing=0, stretch=1))
        self.setCentralWidget(whole)

    def _add(self, view: View, after: View | None = None) -> None:
        push = button(view.title, f"navigation.{view.objectName()}")
        push.setProperty("view", True)
        push.setCheckable(True)
        push.clicked.connect(lambda: self.show_view(view))
        self._group.addButton(push)
        self._buttons[view] = push
        place = self._navigation.indexOf(self._buttons[after]) + 1 if after is not None else self._navigation.count()
        self._navigation.insertWidget(place, push)
        self.stack.addWidget(view)

    def _number(self) -> None:
        """Ctrl and a number turns to a view, in the order of the navigation."""
        for old in self.findChildren(QShortcut):
            old.setParent(None)
            old.deleteLater()
        order = sorted(self._buttons, key=lambda view: self._navigation.indexOf(self._buttons[view]))
        for place, view in enumerate(order[:9], start=1):
            short = QShortcut(QKeySequence(f"Ctrl+{place}"), self)
            short.activated.connect(lambda view=view: self.show_view(view))
            self._buttons[view].setToolTip(f"{view.title} (Ctrl+{place})")

    def _renew(self, picture: Picture) -> None:
        wanted = [unit.unit for unit in picture.units]
        if readings.of_unit(picture, readings.SYSTEM):
            wanted.append(readings.SYSTEM)
        if wanted != list(self.units):
            self._replace_units(wanted)
        view = self.stack.currentWidget()
        if isinstance(view, View):
            view.shown()

    def _replace_units(self, wanted: list[str]) -> None:
        for page in self.units.values():
            if self.stack.currentWidget() is page:
                self.show_view(self.overview)
            self.stack.removeWidget(page)
            push = self._buttons.pop(page)
            for gone in (push, page):
                gone.setParent(None)
                gone.deleteLater()
        self.units = {}
        after: View = self.overview
        for unit in wanted:
            page = UnitPage(self.scene, unit)
            self.units[unit] = page
            self._add(page, self.alarms if unit == readings.SYSTEM else after)
            after = page
        self._number()

    # -- what is shown -----------------------------------------------------------------------------------------------

    def _refresh(self) -> None:
        self.sign.setEnabled(self.scene.session is not None or bool(self.scene.live) or self.scene.picture is None)
        picture = self.scene.picture
        if picture is None:
            return
        self.setWindowTitle(f"{picture.status.plant} - evcontrol{' (simulated)' if picture.status.simulated else ''}")
        live = self.scene.live
        asked = len(picture.prompts) if live else 0
        due = live and any(view.summary.reconciliation_due for view in picture.batches.values())
        marks = [words.count(asked, "question")] if asked else []
        marks += ["to sign"] if due else []
        self._label(self.batches, ", ".join(marks))
        waiting = sum(not alarm.acknowledged for alarm in picture.alarms) if live else 0
        self._label(self.alarms, f"{waiting} new" if waiting else "")

    def _label(self, view: View, mark: str) -> None:
        text = f"{view.title}  ({mark})" if mark else view.title
        if self._buttons[view].text() != text:
            self._buttons[view].setText(text)
            font = self._buttons[view].font()
            font.setBold(bool(mark))
            self._buttons[view].setFont(font)

    def _show_person(self) -> None:
        session = self.scene.session
        if session is None:
            self.person.say("Nobody is signed on: watching only", Tone.DIM)
            self.sign.setText("Sign on…")
        else:
            self.person.say(f"{session.full_name}\n{', '.join(session.roles)}\nat {session.station}", Tone.PLAIN)
            self.sign.setText("Sign off")

    def _sign(self) -> None:
        if self.scene.session is not None:
            self.scene.link.sign_off()
        else:
            SignOnDialog(self.scene, self._station, self).open()
