"""Questions: which answers they take, and that each is answered once."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcontrol.procedure.prompts import AnswerError, Prompt, PromptBoard, PromptKind


def prompt(kind: PromptKind, **fields: object) -> Prompt:
    return Prompt("p:1", "p", kind, "How much?", **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "value", "accepted"),
    [
        (prompt(PromptKind.CONFIRM), True, True),
        (prompt(PromptKind.CONFIRM), " Yes ", True),
        (prompt(PromptKind.NUMBER, unit="g", low=0.0, high=10.0), "9.5", 9.5),
        (prompt(PromptKind.NUMBER), -3, -3.0),
        (prompt(PromptKind.TEXT), "  clear ", "clear"),
        (prompt(PromptKind.CHOICE, choices=("a", "b")), "b", "b"),
    ],
)
def test_an_answer_that_fits_is_taken_in_its_type(asked: Prompt, value: bool | float | str, accepted: object) -> None:
    assert asked.accept(value) == accepted


@pytest.mark.parametrize(
    ("asked", "value", "words"),
    [
        (prompt(PromptKind.CONFIRM), False, "answered with yes"),
        (prompt(PromptKind.CONFIRM), "no", "answered with yes"),
        (prompt(PromptKind.NUMBER, unit="g", low=0.0, high=10.0), 11, r"11 g is outside 0\.\.10 g"),
        (prompt(PromptKind.NUMBER, unit="g"), "much", "not a number"),
        (prompt(PromptKind.NUMBER), float("nan"), "not a number"),
        (prompt(PromptKind.NUMBER), True, "not a number"),
        (prompt(PromptKind.TEXT), "   ", "needs a text"),
        (prompt(PromptKind.CHOICE, choices=("a", "b")), "c", "none of a, b"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused_in_words(asked: Prompt, value: bool | float | str, words: str) -> None:
    with pytest.raises(AnswerError, match=words):
        asked.accept(value)


@given(st.one_of(st.booleans(), st.floats(), st.text(max_size=20)))
def test_no_answer_escapes_as_anything_but_an_answer_error(value: bool | float | str) -> None:
    for kind in PromptKind:
        try:
            prompt(kind, low=0.0, high=5.0, choices=("a",)).accept(value)
        except AnswerError:
            continue


def test_a_question_is_open_until_it_is_answered_and_only_once() -> None:
    async def main() -> object:
        board = PromptBoard()
        asking = asyncio.create_task(board.ask(prompt(PromptKind.TEXT)))
        await asyncio.sleep(0)
        assert [p.id for p in board] == ["p:1"]
        board.answer("p:1", "clear")
        answer = await asking
        with pytest.raises(AnswerError, match="not open"):
            board.find("p:1")
        return answer

    assert asyncio.run(main()) == "clear"


def test_a_question_is_withdrawn_with_its_asker() -> None:
    async def main() -> int:
        board = PromptBoard()
        asking = asyncio.create_task(board.ask(prompt(PromptKind.CONFIRM)))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])
        return len(board)

    assert asyncio.run(main()) == 0
