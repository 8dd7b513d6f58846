"""The messages: what they refuse, and that a console can have them without the engine."""

import subprocess
import sys

import pytest
from pydantic import TypeAdapter, ValidationError

from evcontrol.api.schema import (
    AlarmsEvent,
    Answer,
    BatchCommand,
    Delta,
    SignOn,
    StreamEvent,
    TagCommand,
)

LOADED = """
import sys
import evcontrol.api.schema
rooms = [m for m in sys.modules if m.startswith("evcontrol.") and m not in ("evcontrol.api", "evcontrol.api.schema")]
print(sorted(rooms + [m for m in ("fastapi", "starlette", "numpy", "orjson", "uvicorn", "httpx") if m in sys.modules]))
"""


def test_importing_the_schema_loads_no_server_and_no_other_room() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_password_is_not_in_the_text_of_its_message() -> None:
    message = SignOn.model_validate({"user": "a", "password": "hush-hush", "station": "s"})
    assert "hush-hush" not in repr(message)
    assert "hush-hush" not in message.model_dump_json()


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999"])
def test_a_command_takes_only_finite_numbers(value: str) -> None:
    with pytest.raises(ValidationError):
        TagCommand.model_validate_json(f'{{"value": {value}, "reason": "test"}}')


def test_a_reason_of_blanks_is_no_reason() -> None:
    with pytest.raises(ValidationError):
        TagCommand(value=1.0, reason="   ")


def test_unknown_fields_and_commands_are_mistakes() -> None:
    with pytest.raises(ValidationError):
        BatchCommand.model_validate({"command": "hold", "reason": "x", "force": True})
    with pytest.raises(ValidationError):
        BatchCommand.model_validate({"command": "explode", "reason": "x"})


@pytest.mark.parametrize(("given_value", "kept"), [("true", True), ("4.5", 4.5), ('"buffer"', "buffer")])
def test_an_answer_keeps_the_kind_of_its_value(given_value: str, kept: object) -> None:
    value = Answer.model_validate_json(f'{{"value": {given_value}}}').value
    assert value == kept
    assert type(value) is type(kept)


def test_a_bad_reading_travels_as_null() -> None:
    delta = Delta.model_validate_json('{"t": 1, "i": [0, 1, 2], "v": [null, 2, "flush"], "q": [2147483648, 0, 0]}')
    assert delta.v == [None, 2.0, "flush"]


def test_events_are_told_apart_by_their_topic() -> None:
    event = TypeAdapter(Delta | StreamEvent).validate_json('{"topic": "alarms", "key": "", "body": []}')
    assert isinstance(event, AlarmsEvent)
