"""What the console knows now: the picture of the plant, whether it is alive, and who is signed on."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

from PySide6.QtCore import QElapsedTimer, QObject, Qt, QTimer, Signal, Slot

from evcontrol.api.client import Client
from evcontrol.api.picture import Picture
from evcontrol.api.schema import Beat, Delta, PromptView, Session, Snapshot, StreamEvent
from ui import when
from ui.link import Link

T = TypeVar("T")

TICK_MS = 80
"""Real time between two repaints: never one for each reading."""
SILENT_MS = 700
"""After so much silence the engine counts as gone: it beats every 250 ms, and everything is to be grey within 1 s."""
NOTES = 6
"""So many notes about questions that closed are kept."""


class Scene(QObject):
    """The one source of all views. ``ticked`` asks them to draw themselves anew when something has changed."""

    ticked = Signal()
    renewed = Signal(object)
    """There is a new Picture, perhaps of another plant."""
    liveness = Signal(bool)
    session_changed = Signal()
    delta = Signal(object)
    prompts_changed = Signal()
    noted = Signal(str)

    def __init__(self, link: Link, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.link = link
        self.picture: Picture | None = None
        self.session: Session | None = None
        self.live = False
        self.why_gone = "looking for the engine"
        self.last_seen = ""
        self.now = 0
        """Process time as last heard, UTC ns."""
        self.notes: deque[str] = deque(maxlen=NOTES)
        self._heard = QElapsedTimer()
        self._connected = False
        self._dirty = False
        self._answered: set[tuple[str, str]] = set()
        queued = Qt.ConnectionType.QueuedConnection
        link.arrived.connect(self._arrived, queued)
        link.said.connect(self._said, queued)
        link.lost.connect(self._lost, queued)
        link.signed.connect(self._signed, queued)
        self._timer = QTimer(self, interval=TICK_MS)
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    # -- asking and acting -------------------------------------------------------------------------------------------

    def may(self, permission: str) -> bool:
        """Whether the signed-on person may do something of this kind now."""
        return self.live and self.session is not None and permission in self.session.permissions

    def why_not(self, permission: str) -> str:
        """Why :meth:`may` says no; empty when it says yes."""
        if not self.live:
            return "the engine is gone: nothing can be commanded"
        if self.session is None:
            return "sign on first"
        if permission not in self.session.permissions:
            return f"{self.session.user} ({', '.join(self.session.roles)}) lacks the permission to {permission}"
        return ""

    def read(
        self,
        owner: QObject,
        work: Callable[[Client], Awaitable[T]],
        done: Callable[[T], None],
        failed: Callable[[str], None],
    ) -> None:
        """Ask the engine for something; one of the two is called later."""
        self.link.read(owner, work, done, failed)

    def act(
        self,
        owner: QObject,
        work: Callable[[Client], Awaitable[T]],
        done: Callable[[T], None],
        failed: Callable[[str], None],
    ) -> None:
        """Do something in the name of the signed-on person; refused at once when the engine is gone."""
        if not self.live:
            failed("the engine is gone: nothing was sent")
            return
        self.link.act(owner, work, done, failed)

    def answering(self, prompt: PromptView) -> None:
        """Remember that a question is answered here, so that its closing is not told as somebody else's answer."""
        self._answered.add((prompt.batch, prompt.prompt))

    def not_answered(self, prompt: PromptView) -> None:
        """The answer was refused."""
        self._answered.discard((prompt.batch, prompt.prompt))

    def note(self, text: str) -> None:
        """Keep a line about what happened, and show it."""
        self.notes.appendleft(f"{when.wall_time()} UTC  {text}")
        self.noted.emit(text)

    def silence_s(self) -> float:
        """Real seconds since the engine was last heard."""
        return self._heard.elapsed() / 1000.0 if self._heard.isValid() else 0.0

    # -- what the link tells -----------------------------------------------------------------------------------------

    @Slot(object)
    def _arrived(self, snapshot: Snapshot) -> None:
        before = self.picture.prompts if self.picture is not None else []
        self.picture = picture = Picture(snapshot)
        self._connected = True
        self._hear(snapshot.values.t)
        self.renewed.emit(self.picture)
        self._prompts(before, picture.prompts)
        self._set_live(True)

    @Slot(object)
    def _said(self, message: Delta | StreamEvent | Beat) -> None:
        if self.picture is None:
            return
        if isinstance(message, Beat):
            self._hear(message.beat)
        else:
            before = self.picture.prompts
            self.picture.apply(message)
            self._hear(self.picture.t)
            if isinstance(message, Delta):
                self.delta.emit(message)
            elif before is not self.picture.prompts:
                self._prompts(before, self.picture.prompts)
        if self._connected and not self.live:
            self._set_live(True)

    @Slot(str)
    def _lost(self, why: str) -> None:
        self._connected = False
        self.why_gone = why
        self._dirty = True
        self._set_live(False)

    @Slot(object)
    def _signed(self, session: Session | None) -> None:
        self.session = session
        self._dirty = True
        self.session_changed.emit()

    def _hear(self, t: int) -> None:
        self.now = max(t, self.now) if self.live else t
        self._heard.start()
        self.last_seen = when.wall_time()
        self._dirty = True

    def _prompts(self, before: list[PromptView], now: list[PromptView]) -> None:
        still = {(prompt.batch, prompt.prompt) for prompt in now}
        for prompt in before:
            key = (prompt.batch, prompt.prompt)
            if key in still:
                continue
            if key in self._answered:
                self._answered.discard(key)
            else:
                self.note(f"No longer open: {prompt.text} (answered at another station, or withdrawn)")
        self._dirty = True
        self.prompts_changed.emit()

    def _set_live(self, live: bool) -> None:
        if live == self.live:
            return
        self.live = live
        self._dirty = True
        self.liveness.emit(live)
        self.ticked.emit()

    def _tick(self) -> None:
        if self.live and self._heard.elapsed() > SILENT_MS:
            self.why_gone = "the engine has fallen silent"
            self._set_live(False)
        if self._dirty or not self.live:
            self._dirty = False
            self.ticked.emit()
