"""Questions to people: each a card with what it asks, the limits, a comment, and a password where it is signed."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QButtonGroup,
    QFrame,
    QLineEdit,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from evcontrol.api.schema import PromptView
from ui import when, words
from ui.numbers import NumberError, NumberField
from ui.parts import ErrorLine, Words, button, column, heading, scrolled
from ui.scene import Scene
from ui.theme import Tone

SHOWN_NOTES = 3


class Prompts(QWidget):
    """All open questions of all batches. A card keeps what was typed until its question is closed."""

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self.setObjectName("prompts")
        self.scene = scene
        self.cards: dict[tuple[str, str], PromptCard] = {}
        self._heading = heading("Questions")
        self._none = Words("prompts.none", "No question is open.", Tone.DIM)
        self.notes = Words("prompts.notes", tone=Tone.DIM, size=0.9)
        self.notes.setWordWrap(True)
        self._stack = QVBoxLayout()
        self._stack.setContentsMargins(0, 0, 4, 0)
        self._stack.setSpacing(8)
        self._stack.addStretch(1)
        inside = QWidget()
        inside.setLayout(self._stack)
        area = scrolled(inside, "prompts.scroll")
        self.setLayout(column(self._heading, self._none, area, self.notes, stretch=2))
        scene.prompts_changed.connect(self.refresh)
        scene.session_changed.connect(self.refresh)
        scene.liveness.connect(lambda _: self.refresh())
        scene.noted.connect(lambda _: self.refresh())

    def refresh(self) -> None:
        """Cards for what is open; the others go."""
        picture = self.scene.picture
        prompts = [] if picture is None else sorted(picture.prompts, key=lambda prompt: prompt.opened)
        wanted = {(prompt.batch, prompt.prompt): prompt for prompt in prompts}
        for key in [key for key, card in self.cards.items() if wanted.get(key) != card.prompt]:
            card = self.cards.pop(key)
            self._stack.removeWidget(card)
            card.hide()
            card.deleteLater()
        for place, (key, prompt) in enumerate(wanted.items()):
            if key not in self.cards:
                self.cards[key] = PromptCard(self.scene, prompt)
                self._stack.insertWidget(place, self.cards[key])
        for card in self.cards.values():
            card.refresh()
        self._heading.setText(f"Questions ({len(prompts)})" if prompts else "Questions")
        self._none.setVisible(not prompts)
        self.notes.say("\n".join(list(self.scene.notes)[:SHOWN_NOTES]), Tone.DIM)
        self.notes.setVisible(bool(self.scene.notes))


class PromptCard(QFrame):
    """One question."""

    def __init__(self, scene: Scene, prompt: PromptView) -> None:
        super().__init__()
        self.scene = scene
        self.prompt = prompt
        self._busy = False
        name = f"prompt.{prompt.batch}.{prompt.prompt}"
        self.setObjectName(name)
        self.setProperty("panel", True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 8, 10, 10)
        layout.setSpacing(6)
        asked = Words(f"{name}.text", prompt.text, Tone.STRONG, size=1.05)
        asked.setWordWrap(True)
        where = f"{prompt.batch}  {words.step_name(prompt.path)}  ·  since {when.time_of_day(prompt.opened)} UTC"
        layout.addWidget(asked)
        layout.addWidget(Words(text=where, tone=Tone.DIM, size=0.9, elided=True))
        self.number = NumberField("prompt.value", prompt.unit, prompt.low, prompt.high)
        self.text = QLineEdit()
        self.text.setObjectName("prompt.value")
        self.choices = QButtonGroup(self)
        self._add_answer(layout)
        self.comment = QLineEdit()
        self.comment.setObjectName("prompt.comment")
        self.comment.setPlaceholderText("Comment (optional)")
        layout.addWidget(self.comment)
        self.password = QLineEdit()
        self.password.setObjectName("prompt.password")
        self.password.setEchoMode(QLineEdit.EchoMode.Password)
        self._signs = Words(f"{name}.signs", tone=Tone.PLAIN)
        self._signs.setWordWrap(True)
        layout.addWidget(self._signs)
        layout.addWidget(self.password)
        self._signs.setVisible(bool(prompt.meaning))
        self.password.setVisible(bool(prompt.meaning))
        self.send = button(self._verb(), "prompt.send")
        self.send.clicked.connect(self.answer)
        self.error = ErrorLine("prompt.error")
        layout.addWidget(self.error)
        layout.addWidget(self.send, 0, Qt.AlignmentFlag.AlignRight)
        for field in (self.number.field, self.text, self.comment, self.password):
            field.returnPressed.connect(self.answer)

    def refresh(self) -> None:
        """Whether it can be answered now, and by whom it would be signed."""
        why = self.scene.why_not("sign" if self.prompt.meaning else "operate") or self.scene.why_not("operate")
        self.send.setEnabled(not why and not self._busy)
        self.send.setToolTip(why)
        who = self.scene.session.full_name if self.scene.session is not None else "nobody yet: sign on first"
        self._signs.say(f"Signature of {who}: {self.prompt.meaning}", Tone.PLAIN, not self.scene.live)
        self.password.setPlaceholderText("Your password signs this answer")

    def answer(self) -> None:
        """Send the answer, if it is one."""
        if not self.send.isEnabled():
            return
        try:
            value = self._value()
        except NumberError as error:
            self.error.fail(str(error))
            return
        if self.prompt.meaning and not self.password.text():
            self.error.fail("the password is missing: this answer is a signature")
            self.password.setFocus()
            return
        self.error.clear()
        self._busy = True
        self.refresh()
        prompt, comment, password = self.prompt, self.comment.text(), self.password.text()
        self.scene.answering(prompt)
        self.scene.act(
            self,
            lambda client: client.answer(prompt.batch, prompt.prompt, value, comment, password),
            lambda _: self.scene.note(f"Answered: {prompt.text}"),
            self._refused,
        )

    def _refused(self, why: str) -> None:
        self._busy = False
        self.scene.not_answered(self.prompt)
        self.password.clear()
        self.error.fail(words.first_line(why))
        self.refresh()

    def _add_answer(self, layout: QVBoxLayout) -> None:
        match self.prompt.kind:
            case "number":
                layout.addWidget(self.number)
            case "text":
                layout.addWidget(self.text)
            case "choice":
                for place, choice in enumerate(self.prompt.choices):
                    one = QRadioButton(choice)
                    one.setObjectName(f"prompt.choice.{choice}")
                    self.choices.addButton(one, place)
                    layout.addWidget(one)
            case _:
                pass  # a confirmation needs no more than its button

    def _value(self) -> bool | float | str:
        match self.prompt.kind:
            case "number":
                return self.number.number()
            case "text":
                if not self.text.text().strip():
                    raise NumberError("nothing is entered")
                return self.text.text()
            case "choice":
                if self.choices.checkedId() < 0:
                    raise NumberError("choose one")
                return self.prompt.choices[self.choices.checkedId()]
            case _:
                return True

    def _verb(self) -> str:
        if self.prompt.meaning:
            return "Sign"
        return "Confirm" if self.prompt.kind == "confirm" else "Answer"
