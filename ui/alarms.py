"""Alarms and interlocks: what stands, what to do about it, and that somebody has seen it."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout

from evcontrol.api.picture import Picture
from evcontrol.api.schema import AlarmView, InterlockView
from ui import when, words
from ui.parts import ErrorLine, View, Words, button, heading
from ui.scene import Scene
from ui.table import Cell, Column, Row, Table
from ui.theme import Tone


class Alarms(View):
    """The list of alarms with acknowledging, and the list of interlocks with resetting."""

    title = "Alarms"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene, "alarms")
        self.list = Table(
            "alarms.list",
            [
                Column("Priority", 15),
                Column("State", 27),
                Column("Since (UTC)", 23),
                Column("Alarm", 30),
                Column("What", 40),
                Column("What to do", 0),
            ],
        )
        self.comment = QLineEdit()
        self.comment.setObjectName("alarms.comment")
        self.comment.setPlaceholderText("Comment (the journal keeps it)")
        self.acknowledge = button("Acknowledge", "alarms.acknowledge")
        self.acknowledge.clicked.connect(self._acknowledge)
        self.error = ErrorLine("alarms.error")
        self.interlocks = Table(
            "alarms.interlocks",
            [
                Column("State", 27),
                Column("Since (UTC)", 23),
                Column("Interlock", 34),
                Column("Cause", 38),
                Column("What to do", 0),
            ],
        )
        self.reason = QLineEdit()
        self.reason.setObjectName("alarms.reason")
        self.reason.setPlaceholderText("Reason (needed for a reset)")
        self.reset = button("Reset interlock", "alarms.reset")
        self.reset.clicked.connect(self._reset)
        self.reset_error = ErrorLine("alarms.reset_error")
        self._none = Words("alarms.none", "", Tone.DIM)
        self._action = Words("alarms.action", "", Tone.PLAIN)
        self._action.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 10, 10, 10)
        layout.setSpacing(6)
        head = QHBoxLayout()
        head.addWidget(heading("Alarms"))
        head.addSpacing(10)
        head.addWidget(self._none, 1)
        layout.addLayout(head)
        layout.addWidget(self.list, 3)
        layout.addWidget(self._action)
        layout.addLayout(_row(self.comment, self.acknowledge))
        layout.addWidget(self.error)
        layout.addSpacing(8)
        layout.addWidget(heading("Interlocks"))
        layout.addWidget(self.interlocks, 2)
        layout.addLayout(_row(self.reason, self.reset))
        layout.addWidget(self.reset_error)
        for widget in (self.list, self.interlocks):
            widget.itemSelectionChanged.connect(self._ticked)
        self.reason.textChanged.connect(self._ticked)

    def draw(self, picture: Picture) -> None:
        """Draw what has changed."""
        alarms = words.sorted_alarms(picture.alarms)
        self.list.show_rows([_alarm_row(alarm) for alarm in alarms])
        self.interlocks.show_rows([_interlock_row(one) for one in _sorted(picture.interlocks)])
        waiting = [alarm for alarm in alarms if not alarm.acknowledged]
        told = f"{len(alarms)}, of which {len(waiting)} unacknowledged" if alarms else "none"
        self._none.say(told, Tone.DIM, self.stale)
        chosen = next((alarm for alarm in alarms if alarm.alarm == self.list.selected()), None)
        action = f"What to do: {chosen.corrective_action}" if chosen is not None and chosen.corrective_action else ""
        self._action.say(action, Tone.PLAIN, self.stale)
        self._allow_acknowledge(chosen)
        tripped = next((one for one in picture.interlocks if one.interlock == self.interlocks.selected()), None)
        self._allow_reset(tripped)

    def _allow_acknowledge(self, chosen: AlarmView | None) -> None:
        why = self.scene.why_not("acknowledge")
        if not why and (chosen is None or chosen.acknowledged):
            why = "Select an alarm that is not acknowledged"
        self.acknowledge.setEnabled(not why)
        self.acknowledge.setToolTip(why)

    def _allow_reset(self, chosen: InterlockView | None) -> None:
        why = self.scene.why_not("reset")
        if not why and (chosen is None or not chosen.tripped):
            why = "Select a tripped interlock"
        if not why and not self.reason.text().strip():
            why = "A reason is needed"
        self.reset.setEnabled(not why)
        self.reset.setToolTip(why)

    def _acknowledge(self) -> None:
        alarm, comment = self.list.selected(), self.comment.text()

        def done(_: None) -> None:
            self.comment.clear()
            self.error.succeed(f"{alarm} acknowledged")

        self.error.clear()
        self.scene.act(
            self,
            lambda client: client.acknowledge(alarm, comment),
            done,
            lambda why: self.error.fail(words.first_line(why)),
        )

    def _reset(self) -> None:
        interlock, reason = self.interlocks.selected(), self.reason.text()

        def done(_: None) -> None:
            self.reason.clear()
            self.reset_error.succeed(f"{interlock} reset")

        self.reset_error.clear()
        self.scene.act(
            self,
            lambda client: client.reset_interlock(interlock, reason),
            done,
            lambda why: self.reset_error.fail(words.first_line(why)),
        )


def _row(field: QLineEdit, push: QPushButton) -> QHBoxLayout:
    row = QHBoxLayout()
    row.addWidget(field, 1)
    row.addWidget(push)
    return row


def _alarm_row(alarm: AlarmView) -> Row:
    tone = words.priority_tone(alarm.priority) if not alarm.acknowledged else Tone.STRONG
    cells = (
        Cell(words.priority(alarm.priority), tone),
        Cell(words.alarm_state(alarm), Tone.STRONG if not alarm.acknowledged else Tone.PLAIN),
        when.moment(alarm.since),
        alarm.alarm,
        alarm.text,
        alarm.corrective_action,
    )
    return Row(alarm.alarm, cells, "", f"{alarm.alarm}: {alarm.text}\n{alarm.corrective_action}".strip())


def _sorted(interlocks: list[InterlockView]) -> list[InterlockView]:
    return sorted(interlocks, key=lambda one: (not one.tripped, -one.since if one.tripped else 0))


def _interlock_row(one: InterlockView) -> Row:
    cells = (
        Cell(words.interlock_state(one), Tone.BAD if one.tripped else Tone.DIM),
        when.moment(one.since) if one.tripped and one.since else "",
        Cell(one.interlock, Tone.STRONG if one.tripped else Tone.PLAIN),
        one.cause if one.tripped and one.cause else one.description,
        one.corrective_action,
    )
    return Row(one.interlock, cells, "", f"{one.description}\n{one.consequence}\n{one.corrective_action}".strip())
