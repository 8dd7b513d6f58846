"""What is seen on every view: the alarms' banner above, the engine's absence, and the status bar below."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QFrame, QHBoxLayout

from ui import theme, when, words
from ui.parts import Words, button
from ui.scene import Scene
from ui.theme import Tone

NOTE_MS = 8000
"""Real time for which a note stays in the status bar."""


class AlarmBanner(QFrame):
    """How many alarms wait for somebody, and the newest of them."""

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self.setObjectName("banner")
        self.setProperty("panel", True)
        self.scene = scene
        self.count = Words("banner.count", tone=Tone.DIM)
        self.newest = Words("banner.newest", elided=True)
        self.tripped = Words("banner.tripped", tone=Tone.BAD)
        self.show_alarms = button("Show alarms", "banner.show")
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 4, 6, 4)
        row.setSpacing(12)
        row.addWidget(self.count)
        row.addWidget(self.newest, 1)
        row.addWidget(self.tripped)
        row.addWidget(self.show_alarms)
        scene.ticked.connect(self.refresh)

    def refresh(self) -> None:
        """Draw what has changed."""
        picture, stale = self.scene.picture, not self.scene.live
        if picture is None:
            self.count.say("Alarms not known", Tone.DIM, stale)
            return
        waiting = [alarm for alarm in picture.alarms if not alarm.acknowledged]
        if waiting:
            worst = min(waiting, key=lambda alarm: words.rank(alarm.priority))
            newest = max(waiting, key=lambda alarm: alarm.since)
            symbol = words.priority(worst.priority)
            told = f"{symbol}   {words.count(len(waiting), 'unacknowledged alarm')}"
            self.count.say(told, words.priority_tone(worst.priority), stale)
            line = f"newest: {newest.alarm}: {newest.text}, {words.alarm_state(newest)}"
            self.newest.say(f"{line}, {when.time_of_day(newest.since)} UTC", Tone.PLAIN, stale)
        else:
            told = words.quiet_alarms(picture.alarms)
            self.count.say(told, Tone.PLAIN if picture.alarms else Tone.DIM, stale)
            self.newest.say("")
        tripped = [one.interlock for one in picture.interlocks if one.tripped]
        what = f"✕ {words.count(len(tripped), 'interlock')} tripped: {tripped[0]}" if tripped else ""
        bypassed = [one.interlock for one in picture.interlocks if one.bypassed_until]
        if bypassed:
            what = f"⚠ {words.count(len(bypassed), 'interlock')} BYPASSED: {bypassed[0]}   {what}".rstrip()
        forced = picture.forced()
        if forced:
            what = f"⚠ {words.count(len(forced), 'value')} FORCED: {forced[0]}   {what}".rstrip()
        self.tripped.say(what, Tone.BAD, stale)


class GoneStrip(QFrame):
    """Tells that what is shown is old, and how old."""

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self.setObjectName("gone")
        self.scene = scene
        self.setAutoFillBackground(True)
        colours = QPalette(self.palette())
        colours.setColor(QPalette.ColorRole.Window, theme.TEXT)
        self.setPalette(colours)
        self.text = Words("gone.text", tone=Tone.STRONG, size=1.1)
        self.why = Words("gone.why", elided=True)
        for label in (self.text, self.why):
            paint = QPalette(label.palette())
            paint.setColor(QPalette.ColorRole.WindowText, theme.FIELD)
            label.setPalette(paint)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 6, 12, 6)
        row.setSpacing(16)
        row.addWidget(self.text)
        row.addWidget(self.why, 1)
        scene.ticked.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Shown while the engine is gone."""
        self.setVisible(not self.scene.live)
        if self.scene.live:
            return
        if self.scene.last_seen:
            ago = when.duration(self.scene.silence_s())
            seen = f"last seen {self.scene.last_seen} UTC, {ago} ago"
            self.text.say(f"✕ ENGINE GONE: {seen}. Looking for it…", Tone.STRONG)
        else:
            self.text.say("✕ NO ENGINE YET. Looking for it…", Tone.STRONG)
        self.why.say(words.first_line(self.scene.why_gone))


class StatusBar(QFrame):
    """Plant, simulated mark, clock and speed, process time, connection, and who is signed on."""

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self.setObjectName("status")
        self.setProperty("panel", True)
        self.scene = scene
        self.simulated = Words("status.simulated")
        self.plant = Words("status.plant")
        self.clock = Words("status.clock")
        self.time = Words("status.time")
        self.connection = Words("status.connection")
        self.note = Words("status.note", tone=Tone.DIM, elided=True)
        self._note_over = QTimer(self, singleShot=True, interval=NOTE_MS)
        self._note_over.timeout.connect(lambda: self.note.say(""))
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 3, 10, 3)
        row.setSpacing(18)
        for part in (self.plant, self.simulated, self.clock, self.time):
            row.addWidget(part)
        row.addWidget(self.note, 1)
        row.addWidget(self.connection, 0, Qt.AlignmentFlag.AlignRight)
        scene.ticked.connect(self.refresh)
        scene.noted.connect(self.show_note)
        self.refresh()

    def show_note(self, text: str) -> None:
        """Show a line for a while."""
        self.note.say(text, Tone.PLAIN)
        self._note_over.start()

    def refresh(self) -> None:
        """Draw what has changed."""
        picture, stale = self.scene.picture, not self.scene.live
        if picture is None:
            self.connection.say("✕ not connected", Tone.BAD)
            return
        status = picture.status
        self.plant.say(status.plant, Tone.STRONG, stale)
        simulated = ("SIMULATED", Tone.RUNNING) if status.simulated else ("", Tone.PLAIN)
        self.simulated.say(*simulated, stale)
        speed = (
            f"{status.clock} clock, {status.speed:g} times real time"
            if status.speed != 1
            else f"{status.clock} clock, real speed"
        )
        self.clock.say(speed, Tone.PLAIN, stale)
        self.time.say(f"process time {when.moment(self.scene.now)} UTC", Tone.PLAIN, stale)
        told = "connected" if self.scene.live else f"✕ engine gone since {self.scene.last_seen} UTC"
        self.connection.say(told, Tone.PLAIN if self.scene.live else Tone.BAD)
