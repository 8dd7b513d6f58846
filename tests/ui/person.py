"""A person at a console: everything is done with the widgets that are seen, found by their names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QLineEdit, QMessageBox, QRadioButton, QWidget
from pytestqt.qtbot import QtBot

from evcontrol.api.picture import Picture
from evcontrol.api.schema import BatchView, PromptView
from ui.link import Address
from ui.prompts import PromptCard
from ui.sign_on import SignOnDialog
from ui.start_batch import StartDialog
from ui.window import Console

W = TypeVar("W", bound=QWidget)

BOUND_MS = 30_000
"""Longest real time for anything that is waited for."""
ANSWERS: dict[str, str] = {
    "membrane module": "HF500-1600 SN-0001",
    "product container": "C-0001",
    "Number of filled containers": "12",
    "Volume in each": "1,5",
    "first container": "V-0001",
    "Storage place": "freezer 3",
    "Which side": "left",
}


class Person:
    """Works at one console."""

    def __init__(self, console: Console, bot: QtBot, password: str) -> None:
        self.console = console
        self.bot = bot
        self.password = password
        self.name = ""

    # -- seeing ------------------------------------------------------------------------------------------------------

    @property
    def picture(self) -> Picture:
        """What the console shows."""
        assert self.console.scene.picture is not None
        return self.console.scene.picture

    @property
    def batch(self) -> BatchView:
        """The batch that was started here last."""
        return self.picture.batches[self.name]

    @property
    def state(self) -> str:
        """The state of that batch; empty while the engine tells of none."""
        return self.batch.summary.state if self.name in self.picture.batches else ""

    def until(self, there: Callable[[], bool], bound_ms: int = BOUND_MS) -> None:
        """Wait, while the console works on."""
        self.bot.waitUntil(there, timeout=bound_ms)

    def until_live(self) -> None:
        """Wait for the engine."""
        self.until(lambda: self.console.scene.live)

    def until_state(self, *states: str) -> None:
        """Wait for that batch to be in one of these states."""
        self.until(lambda: self.state in states)

    def until_prompt(self, about: str) -> PromptView:
        """Wait for a question."""
        self.until(lambda: any(about in prompt.text for prompt in self.picture.prompts))
        return next(prompt for prompt in self.picture.prompts if about in prompt.text)

    def card(self, prompt: PromptView) -> PromptCard:
        """The card of a question."""
        key = (prompt.batch, prompt.prompt)
        self.until(lambda: key in self.console.batches.prompts.cards)
        return self.console.batches.prompts.cards[key]

    def shot(self, folder: Path, name: str) -> None:
        """Keep a picture of the console."""
        self.console.grab().save(str(folder / f"{name}.png"))

    # -- doing -------------------------------------------------------------------------------------------------------

    def widget(self, kind: type[W], name: str, inside: QWidget | None = None) -> W:
        """A widget by its name."""
        found = (inside or self.console).findChild(kind, name)
        assert found is not None, name
        return found

    def click(self, what: QAbstractButton) -> None:
        """Click it, as soon as it can be clicked."""
        self.until(what.isEnabled)
        self.bot.mouseClick(what, Qt.MouseButton.LeftButton)

    def type(self, field: QLineEdit, text: str) -> None:
        """Type into a field."""
        field.clear()
        self.bot.keyClicks(field, text)

    def go_to(self, view: str) -> None:
        """Turn to a view by its button."""
        self.click(self.widget(QAbstractButton, f"navigation.{view}"))

    def sign_on(self, user: str = "olivia") -> None:
        """Sign on with name and password."""
        self.click(self.console.sign)
        dialog = self.widget(SignOnDialog, "sign_on")
        self.type(dialog.user, user)
        self.type(dialog.password, self.password)
        self.click(dialog.ok)
        self.until(lambda: self.console.scene.session is not None)

    def start(self, recipe: Path, purpose: str = "a test") -> None:
        """Start a batch with the dialog."""
        before = self.picture.batches.keys() | set()
        self.go_to("batch")
        self.click(self.console.batches.start)
        dialog = self.widget(StartDialog, "start")
        dialog.file.setText(str(recipe))
        self.type(dialog.purpose, purpose)
        self.click(dialog.ok)
        self.until(lambda: bool(self.picture.batches.keys() - before))
        (self.name,) = self.picture.batches.keys() - before

    def answer(self, prompt: PromptView) -> None:
        """Answer a question, and sign the answer where it asks for that."""
        card = self.card(prompt)
        value = next((value for key, value in ANSWERS.items() if key in prompt.text), "")
        if prompt.kind == "number":
            self.type(card.number.field, value)
        elif prompt.kind == "text":
            self.type(card.text, value)
        elif prompt.kind == "choice":
            self.widget(QRadioButton, f"prompt.choice.{value}", card).setChecked(True)
        if prompt.meaning:
            self.type(card.password, self.password)
        self.click(card.send)
        self.until(lambda: prompt not in self.picture.prompts)

    def command(self, name: str, reason: str = "") -> None:
        """Give the chosen element a command."""
        batches = self.console.batches
        if reason:
            self.type(batches.reason, reason)
        self.click(batches.buttons[name])  # type: ignore[index]
        if name in ("stop", "abort"):
            box = self.widget(QMessageBox, "batch.sure")
            self.click(self.widget(QAbstractButton, "batch.sure.yes", box))


def at(data: Path) -> Address:
    """The engine on a data directory."""
    return Address(data=data)
