"""Commands by hand: to a tag, a loop or a unit's mode, each with its reason."""

from __future__ import annotations

from PySide6.QtWidgets import QComboBox, QDialog, QDialogButtonBox, QFormLayout, QLineEdit, QVBoxLayout, QWidget

from evcontrol.api.schema import CommandReply, LoopChange, LoopView, TagView, UnitView
from ui import words
from ui.numbers import NumberError, NumberField
from ui.parts import ErrorLine, Words
from ui.scene import Scene
from ui.theme import Tone

MODES = ("automatic", "semi-automatic", "manual")


class ByHand(QDialog):
    """Something that a person asks for with a reason; it stays open until the engine has done it."""

    def __init__(self, scene: Scene, name: str, title: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.scene = scene
        self.setObjectName(name)
        self.setWindowTitle(title)
        self.setMinimumWidth(420)
        self.form = QFormLayout()
        self.reason = QLineEdit()
        self.reason.setObjectName(f"{name}.reason")
        self.reason.setPlaceholderText("why; the journal keeps it")
        self.error = ErrorLine(f"{name}.error")
        kinds = QDialogButtonBox.StandardButton
        self.buttons = QDialogButtonBox(kinds.Ok | kinds.Cancel)
        self.ok = self.buttons.button(kinds.Ok)
        self.ok.setObjectName(f"{name}.ok")
        self.buttons.accepted.connect(self._send)
        self.buttons.rejected.connect(self.reject)
        self.finished.connect(lambda _: self.deleteLater())
        layout = QVBoxLayout(self)
        layout.addWidget(Words(text=title, tone=Tone.STRONG))
        layout.addLayout(self.form)
        layout.addWidget(self.error)
        layout.addWidget(self.buttons)
        scene.liveness.connect(self._live)

    def send(self, reason: str) -> None:
        """Ask the engine; to be written by each kind."""
        raise NotImplementedError

    def refused(self, why: str) -> None:
        """Tell why it was not done."""
        self.ok.setEnabled(self.scene.live)
        self.error.fail(words.first_line(why))

    def _send(self) -> None:
        if not self.reason.text().strip():
            self.error.fail("a reason is needed")
            self.reason.setFocus()
            return
        self.error.clear()
        try:
            self.send(self.reason.text())
        except NumberError as error:
            self.error.fail(str(error))
        else:
            self.ok.setEnabled(False)

    def _live(self, live: bool) -> None:
        self.ok.setEnabled(live)
        if not live:
            self.error.fail("the engine is gone: nothing can be commanded")


class CommandDialog(ByHand):
    """A value for a tag."""

    def __init__(self, scene: Scene, tag: TagView, parent: QWidget) -> None:
        super().__init__(scene, "command", f"Command {tag.name}: {tag.description}", parent)
        self._tag = tag
        self._choice = QComboBox()
        self._choice.setObjectName("command.choice")
        self._choice.addItems([*tag.labels] or ["off", "on"])
        self._choice.setCurrentIndex(-1)
        low, high = (tag.writable.low, tag.writable.high) if tag.writable is not None else (tag.low, tag.high)
        self._number = NumberField("command.value", tag.unit, low, high)
        self._numeric = tag.kind in ("analog", "integer")
        self.form.addRow("Value", self._number if self._numeric else self._choice)
        self.form.addRow("Reason", self.reason)

    def send(self, reason: str) -> None:
        """Command the tag."""
        if not self._numeric and self._choice.currentIndex() < 0:
            raise NumberError("choose a value")
        value = self._number.number() if self._numeric else float(self._choice.currentIndex())
        name = self._tag.name
        self.scene.act(self, lambda client: client.command_tag(name, value, reason), self._replied, self.refused)

    def _replied(self, reply: CommandReply) -> None:
        if reply.outcome == "confirmed":
            self.scene.noted.emit(f"{reply.tag} confirmed")
            self.accept()
        else:
            self.refused(f"{reply.outcome}: {reply.reason}")


class LoopDialog(ByHand):
    """Mode and setpoint of a loop."""

    def __init__(self, scene: Scene, loop: LoopView, parent: QWidget) -> None:
        super().__init__(scene, "loop", f"Loop {loop.loop}", parent)
        self._loop = loop
        picture = scene.picture
        unit = picture.tags[loop.pv].unit if picture is not None and loop.pv in picture.tags else ""
        self._mode = QComboBox()
        self._mode.setObjectName("loop.mode")
        self._mode.addItems(["auto", "manual"])
        self._mode.setCurrentText(loop.mode)
        self._setpoint = NumberField("loop.setpoint", unit, loop.setpoint_low, loop.setpoint_high)
        self._mode.currentTextChanged.connect(lambda mode: self._setpoint.setEnabled(mode == "auto"))
        self.form.addRow("Mode", self._mode)
        self.form.addRow("Setpoint", self._setpoint)
        self.form.addRow("Reason", self.reason)

    def send(self, reason: str) -> None:
        """Change the loop."""
        auto = self._mode.currentText() == "auto"
        change = LoopChange(
            mode="auto" if auto else "manual", setpoint=self._setpoint.number() if auto else None, reason=reason
        )
        name = self._loop.loop
        self.scene.act(self, lambda client: client.change_loop(name, change), lambda _: self.accept(), self.refused)


class ModeDialog(ByHand):
    """Mode of a unit (ISA-88)."""

    def __init__(self, scene: Scene, unit: UnitView, parent: QWidget) -> None:
        super().__init__(scene, "mode", f"Mode of {unit.unit}", parent)
        self._unit = unit
        self._mode = QComboBox()
        self._mode.setObjectName("mode.mode")
        self._mode.addItems(MODES)
        self._mode.setCurrentText(unit.mode)
        self.form.addRow("Mode", self._mode)
        self.form.addRow("Reason", self.reason)

    def send(self, reason: str) -> None:
        """Change the mode."""
        unit, mode = self._unit.unit, self._mode.currentText()
        self.scene.act(
            self, lambda client: client.change_mode(unit, mode, reason), lambda _: self.accept(), self.refused
        )
