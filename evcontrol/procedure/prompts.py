"""Questions to people: asked by a phase, answered from any station."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class PromptKind(StrEnum):
    """What an answer may be."""

    CONFIRM = "confirm"
    NUMBER = "number"
    TEXT = "text"
    CHOICE = "choice"


Answer = bool | float | str


class AnswerError(ValueError):
    """An answer that does not fit its question; the message says what would."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """An open question; ``low`` and ``high`` in ``unit``; ``opened`` process time, UTC ns."""

    id: str
    path: str
    kind: PromptKind
    text: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    meaning: str = ""
    opened: int = 0

    def accept(self, value: Answer) -> Answer:
        """The answer in its proper type. Raises AnswerError with what would be accepted."""
        match self.kind:
            case PromptKind.CONFIRM:
                if value is True or str(value).strip().lower() in ("yes", "y", "true"):
                    return True
                raise AnswerError(f"{self.text} is answered with yes")
            case PromptKind.NUMBER:
                return self._number(value)
            case PromptKind.CHOICE:
                if str(value) in self.choices:
                    return str(value)
                raise AnswerError(f"{value!r} is none of {', '.join(self.choices)}")
            case PromptKind.TEXT:
                text = str(value).strip()
                if not text:
                    raise AnswerError(f"{self.text} needs a text")
                return text

    def _number(self, value: Answer) -> float:
        try:
            number = float(value) if not isinstance(value, bool) else math.nan
        except ValueError:
            number = math.nan
        low, high = self.low if self.low is not None else -math.inf, self.high if self.high is not None else math.inf
        if math.isnan(number) or math.isinf(number):
            raise AnswerError(f"{value!r} is not a number in {self.unit or 'plain numbers'}")
        if not low <= number <= high:
            raise AnswerError(f"{number:g} {self.unit} is outside {low:g}..{high:g} {self.unit}".replace("  ", " "))
        return number


class PromptBoard:
    """The open questions of one batch."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[Prompt, asyncio.Future[Answer]]] = {}

    def __iter__(self) -> Iterator[Prompt]:
        return iter([prompt for prompt, answer in self._open.values() if not answer.done()])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def find(self, prompt: str) -> Prompt:
        """An open question; AnswerError when it is not open (any more)."""
        if prompt not in self._open or self._open[prompt][1].done():
            raise AnswerError(f"question {prompt} is not open: it was answered, or its phase does not run")
        return self._open[prompt][0]

    async def ask(self, prompt: Prompt) -> Answer:
        """Open a question and wait for its answer; it is withdrawn when the asker is cancelled."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._open[prompt.id] = (prompt, answer)
        try:
            return await answer
        finally:
            del self._open[prompt.id]

    def answer(self, prompt: str, value: Answer) -> None:
        """Give the asker of an open question its answer, which the question has accepted."""
        self._open[prompt][1].set_result(value)
