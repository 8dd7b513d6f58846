"""Alarms and interlocks: what stands, what to do about it, that somebody has seen it, and what is put aside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from PySide6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from evcontrol.api.client import Client
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
        self.comment.setPlaceholderText("Comment, or reason to shelve (the journal keeps it)")
        self.acknowledge = button("Acknowledge", "alarms.acknowledge")
        self.acknowledge.clicked.connect(self._acknowledge)
        self.minutes = QDoubleSpinBox()
        self.minutes.setObjectName("alarms.minutes")
        self.minutes.setRange(0.5, 10_000.0)
        self.minutes.setDecimals(1)
        self.minutes.setValue(10.0)
        self.minutes.setSuffix(" min")
        self.shelve = button("Shelve", "alarms.shelve")
        self.shelve.clicked.connect(self._shelve)
        self.unshelve = button("Unshelve", "alarms.unshelve")
        self.unshelve.clicked.connect(self._unshelve)
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
        layout.addLayout(_row(self.comment, self.acknowledge, self.minutes, self.shelve, self.unshelve))
        layout.addWidget(self.error)
        layout.addSpacing(8)
        layout.addWidget(heading("Interlocks"))
        layout.addWidget(self.interlocks, 2)
        layout.addLayout(_row(self.reason, self.reset))
        layout.addWidget(self.reset_error)
        for widget in (self.list, self.interlocks):
            widget.itemSelectionChanged.connect(self._ticked)
        self.reason.textChanged.connect(self._ticked)
        self.comment.textChanged.connect(self._ticked)

    def draw(self, picture: Picture) -> None:
        """Draw what has changed."""
        alarms = words.sorted_alarms(picture.alarms)
        self.list.show_rows([_alarm_row(alarm) for alarm in alarms])
        self.interlocks.show_rows([_interlock_row(one) for one in _sorted(picture.interlocks)])
        waiting = [alarm for alarm in alarms if not alarm.acknowledged]
        told = f"{len(alarms)}, of which {len(waiting)} unacknowledged" if alarms else "none"
        self._none.say(told, Tone.DIM, self.stale)
        chosen = next((alarm for alarm in alarms if alarm.alarm == self.list.selected()), None)
        self._action.say("" if chosen is None else words.about_alarm(chosen), Tone.PLAIN, self.stale)
        self._allow_acknowledge(chosen)
        self._allow_shelve(chosen)
        tripped = next((one for one in picture.interlocks if one.interlock == self.interlocks.selected()), None)
        self._allow_reset(tripped)

    def _allow_acknowledge(self, chosen: AlarmView | None) -> None:
        why = self.scene.why_not("acknowledge")
        if not why and (chosen is None or chosen.acknowledged):
            why = "Select an alarm that is not acknowledged"
        self.acknowledge.setEnabled(not why)
        self.acknowledge.setToolTip(why)

    def _allow_shelve(self, chosen: AlarmView | None) -> None:
        shelved = chosen is not None and chosen.state == "shelved"
        why = self.scene.why_not("shelve")
        if not why and chosen is None:
            why = "Select an alarm"
        elif not why and not self.comment.text().strip():
            why = "A reason is needed"
        not_shelved = why or ("" if shelved else "Select a shelved alarm")
        session = self.scene.session
        if not why and chosen is not None and session is not None:
            why = words.why_no_shelver(chosen, session.roles)
        if not why and chosen is not None and (shelved or not chosen.shelve_longest):
            why = "It is shelved already" if shelved else "The plant file does not allow to shelve this alarm"
        for push, reason in ((self.shelve, why), (self.unshelve, not_shelved)):
            push.setEnabled(not reason)
            push.setToolTip(reason)

    def _allow_reset(self, chosen: InterlockView | None) -> None:
        why = self.scene.why_not("reset")
        if not why and (chosen is None or not chosen.tripped):
            why = "Select a tripped interlock"
        if not why and not self.reason.text().strip():
            why = "A reason is needed"
        self.reset.setEnabled(not why)
        self.reset.setToolTip(why)

    def _acknowledge(self) -> None:
        comment = self.comment.text()
        self._act("acknowledged", lambda client, alarm: client.acknowledge(alarm, comment))

    def _shelve(self) -> None:
        seconds, reason = 60.0 * self.minutes.value(), self.comment.text()
        self._act("shelved", lambda client, alarm: client.shelve(alarm, seconds, reason))

    def _unshelve(self) -> None:
        reason = self.comment.text()
        self._act("is back", lambda client, alarm: client.unshelve(alarm, reason))

    def _act(self, what: str, work: Callable[[Client, str], Awaitable[None]]) -> None:
        alarm = self.list.selected()

        def done(_: None) -> None:
            self.comment.clear()
            self.error.succeed(f"{alarm} {what}")

        self.error.clear()
        self.scene.act(
            self, lambda client: work(client, alarm), done, lambda why: self.error.fail(words.first_line(why))
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


def _row(field: QLineEdit, *beside: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.addWidget(field, 1)
    for widget in beside:
        row.addWidget(widget)
    return row


def _alarm_row(alarm: AlarmView) -> Row:
    tone = words.priority_tone(alarm.priority) if not alarm.acknowledged else Tone.STRONG
    cells = (
        Cell(words.priority(alarm.priority), tone),
        Cell(_state(alarm), Tone.STRONG if not alarm.acknowledged else Tone.PLAIN),
        when.moment(alarm.since),
        alarm.alarm,
        alarm.text,
        alarm.corrective_action,
    )
    return Row(alarm.alarm, cells, "", f"{alarm.alarm}: {alarm.text}\n{words.about_alarm(alarm)}".strip())


def _state(alarm: AlarmView) -> str:
    state = words.alarm_state(alarm)
    if alarm.until:
        return f"{state} until {when.moment(alarm.until)}"
    return f"{state}, first out" if alarm.first_out else state


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
