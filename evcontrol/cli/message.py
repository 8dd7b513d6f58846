"""What a person gave, as a message to the engine; a wrong value is told by the name of its option."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import ValidationError

from evcontrol.api.schema import Message
from evcontrol.cli.fault import WRONG_USE, CliError

M = TypeVar("M", bound=Message)

_OPTIONS = {"full_name": "--name", "roles": "--role", "parameters": "--set", "user": "USER", "recipe": "RECIPE"}
"""The options, and arguments, that are not called as their fields."""


def message(kind: type[M], /, **fields: Any) -> M:
    """A message of that kind; CliError when a field has a value that it cannot have."""
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        field = str(fault["loc"][0]) if fault["loc"] else ""
        what = "is empty" if fault["type"] == "string_too_short" else fault["msg"]
        raise CliError(f"{_OPTIONS.get(field, f'--{field}')}: {what}", status=WRONG_USE) from None
