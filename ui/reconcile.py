"""The reconciliation of a batch that outlived its engine: what was expected against what is read, to be signed."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QVBoxLayout

from evcontrol.api.schema import Reconciliation, ReconciliationItem
from ui import when, words
from ui.parts import ErrorLine, Words, button
from ui.scene import Scene
from ui.table import Cell, Column, Row, Table
from ui.theme import Tone

AGREES = frozenset({"as expected"})
"""Verdicts that nobody needs to look into."""


class ReconciliationPanel(QFrame):
    """Shown while the chosen batch has a reconciliation that waits for a signature."""

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self.scene = scene
        self.setObjectName("reconciliation")
        self.setProperty("panel", True)
        self.batch = ""
        self.shown: Reconciliation | None = None
        self._asking = False
        self._head = Words("reconciliation.head", tone=Tone.STRONG)
        self._head.setWordWrap(True)
        self.table = Table(
            "reconciliation.table",
            [Column("What", 20), Column("Expected", 16), Column("Read", 16), Column("Verdict", 0)],
        )
        self.table.setMinimumHeight(110)
        self.comment = QLineEdit()
        self.comment.setObjectName("reconciliation.comment")
        self.comment.setPlaceholderText("Comment (optional)")
        self.password = QLineEdit()
        self.password.setObjectName("reconciliation.password")
        self.password.setEchoMode(QLineEdit.EchoMode.Password)
        self.password.setPlaceholderText("Your password signs this")
        self.password.returnPressed.connect(self._sign)
        self.again = button("Read again", "reconciliation.again", "Compare with what is read now")
        self.again.clicked.connect(self._ask)
        self.sign = button("Sign", "reconciliation.sign")
        self.sign.clicked.connect(self._sign)
        self.error = ErrorLine("reconciliation.error")
        row = QHBoxLayout()
        row.addWidget(self.comment, 3)
        row.addWidget(self.password, 2)
        row.addWidget(self.again)
        row.addWidget(self.sign)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 8, 10, 8)
        layout.addWidget(self._head)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.error)
        layout.addLayout(row)
        self.password.textChanged.connect(self._allow)
        scene.session_changed.connect(self._allow)
        scene.liveness.connect(lambda _: self._allow())
        scene.renewed.connect(self._forget)
        self.hide()

    def follow(self, batch: str, due: bool) -> None:
        """Show the reconciliation of this batch while it is due."""
        self.setVisible(due)
        if not due or batch != self.batch:
            self.batch, self.shown = (batch, None) if due else ("", None)
        if due and self.shown is None and not self._asking and self.scene.live:
            self._ask()

    def _ask(self) -> None:
        batch = self.batch
        self._asking = True

        def done(shown: Reconciliation) -> None:
            self._asking = False
            if shown.batch == self.batch:
                self._show(shown)

        def failed(why: str) -> None:
            self._asking = False
            self.error.fail(words.first_line(why))

        self.scene.read(self, lambda client: client.reconciliation(batch), done, failed)

    def _show(self, shown: Reconciliation) -> None:
        self.shown = shown
        away = when.duration(shown.outage_s)
        who = f"; signed by {shown.signed_by}" if shown.signed_by else ""
        self._head.say(
            f"{shown.batch} was without its engine for {away} of process time: "
            f"look at what changed, and sign before it is restarted{who}",
            Tone.STRONG,
        )
        self.table.show_rows([_row(str(place), item) for place, item in enumerate(shown.items)])
        self._allow()

    def _forget(self) -> None:
        self.shown = None
        self._asking = False

    def _allow(self) -> None:
        why = self.scene.why_not("sign") or ("" if self.shown is not None else "Nothing is shown yet")
        why = why or ("" if self.password.text() else "Your password signs it")
        self.sign.setEnabled(not why)
        self.sign.setToolTip(why)
        self.again.setEnabled(self.scene.live)

    def _sign(self) -> None:
        if self.shown is None or not self.sign.isEnabled():
            return
        batch, shown_hash = self.shown.batch, self.shown.shown_hash
        password, comment = self.password.text(), self.comment.text()
        self.password.clear()
        self.error.clear()
        self.scene.act(
            self,
            lambda client: client.sign_reconciliation(batch, shown_hash, password, comment),
            lambda _: self.scene.note(f"Reconciliation of {batch} signed"),
            self._refused,
        )

    def _refused(self, why: str) -> None:
        self.error.fail(words.first_line(why))
        self._ask()


def _row(key: str, item: ReconciliationItem) -> Row:
    good = item.verdict.lower() in AGREES
    verdict = Cell(item.verdict if good else f"▲ {item.verdict}", Tone.PLAIN if good else Tone.BAD)
    return Row(key, (item.what, item.expected, item.read, verdict))
