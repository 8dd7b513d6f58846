"""Signing on: name, password, and the station that the journal keeps with everything done here."""

from __future__ import annotations

from PySide6.QtWidgets import QDialog, QDialogButtonBox, QFormLayout, QLineEdit, QVBoxLayout, QWidget

from evcontrol.api.schema import Session
from ui import words
from ui.parts import ErrorLine, Words
from ui.scene import Scene
from ui.theme import Tone


class SignOnDialog(QDialog):
    """Stays open until the engine has let somebody in."""

    def __init__(self, scene: Scene, station: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.scene = scene
        self.setObjectName("sign_on")
        self.setWindowTitle("Sign on")
        self.setMinimumWidth(380)
        self.user = QLineEdit()
        self.user.setObjectName("sign_on.user")
        self.password = QLineEdit()
        self.password.setObjectName("sign_on.password")
        self.password.setEchoMode(QLineEdit.EchoMode.Password)
        self.station = QLineEdit(station)
        self.station.setObjectName("sign_on.station")
        self.error = ErrorLine("sign_on.error")
        kinds = QDialogButtonBox.StandardButton
        self.buttons = QDialogButtonBox(kinds.Ok | kinds.Cancel)
        self.ok = self.buttons.button(kinds.Ok)
        self.ok.setText("Sign on")
        self.ok.setObjectName("sign_on.ok")
        self.buttons.accepted.connect(self._send)
        self.buttons.rejected.connect(self.reject)
        self.finished.connect(lambda _: self.deleteLater())
        form = QFormLayout()
        form.addRow("User", self.user)
        form.addRow("Password", self.password)
        form.addRow("Station", self.station)
        layout = QVBoxLayout(self)
        layout.addWidget(Words(text="Watching needs no name; every action does.", tone=Tone.DIM))
        layout.addLayout(form)
        layout.addWidget(self.error)
        layout.addWidget(self.buttons)

    def _send(self) -> None:
        who = (self.user.text().strip(), self.password.text(), self.station.text().strip())
        if not all(who):
            self.error.fail("user, password and station are needed")
            return
        self.error.clear()
        self.ok.setEnabled(False)
        self.scene.link.sign_on(self, who, self._done, self._refused)

    def _done(self, session: Session) -> None:
        self.scene.noted.emit(f"{session.full_name} signed on at {session.station}")
        self.accept()

    def _refused(self, why: str) -> None:
        self.ok.setEnabled(True)
        self.password.clear()
        self.password.setFocus()
        self.error.fail(words.first_line(why))
