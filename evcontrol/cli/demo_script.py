"""The demo's script: which answers its operator gives, what the display shows, and how long phases usually take."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, FiniteFloat
from ruamel.yaml import YAML

from evcontrol.api.schema import PromptView
from evcontrol.procedure.prompts import Prompt

SCRIPT = Path(__file__).with_name("demo_script.yaml")


def _pattern(text: str) -> str:
    re.compile(text)
    return text


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ScriptedAnswer(_Section):
    """The answer to the first prompt whose path or text ``when`` is found in, in the prompt's own unit.

    Either a ``value``, or the simulated ``truth`` of that name, which the operator measures. ``do`` is what is done at
    the simulated equipment before the answer is given.
    """

    when: Annotated[str, AfterValidator(_pattern)]
    value: bool | FiniteFloat | str = True
    truth: str = ""
    do: dict[str, FiniteFloat | str] = {}
    comment: str = ""


class Script(_Section):
    """What the demo needs to know beyond the API."""

    product: str
    purpose: str
    parameters: dict[str, str] = {}
    """What the demo's batch sets otherwise than the recipe, where the recipe has a parameter of that name."""
    answers: tuple[ScriptedAnswer, ...]
    key_tags: tuple[str, ...]
    minutes: dict[str, FiniteFloat]
    """Usual process minutes of a phase, by its path: only for the estimate of the time left."""


def load_script(path: Path = SCRIPT) -> Script:
    """The script that is shipped with the demo."""
    return Script.model_validate(YAML(typ="safe").load(path.read_text(encoding="utf-8")))


class AnswerFile(_Section):
    """A file that holds only answers."""

    answers: tuple[ScriptedAnswer, ...]


def load_answers(path: Path) -> tuple[ScriptedAnswer, ...]:
    """The answers in a file. Raises OSError, UnicodeDecodeError, YAMLError, pydantic's ValidationError."""
    return AnswerFile.model_validate(YAML(typ="safe").load(path.read_text(encoding="utf-8"))).answers


def answer_to(prompt: PromptView | Prompt, script: Script) -> ScriptedAnswer:
    """What the demo's operator answers; LookupError for a question that nobody foresaw.

    Without an entry in the script a confirmation is given, and of choices the first is taken.
    """
    for entry in script.answers:
        if re.search(entry.when, f"{prompt.path}: {prompt.text}", re.IGNORECASE):
            return entry
    if prompt.choices:
        return ScriptedAnswer(when="", value=prompt.choices[0])
    if not prompt.unit and prompt.low is None and prompt.high is None:
        return ScriptedAnswer(when="")
    raise LookupError(f"the demo has no answer to {prompt.text!r} ({prompt.path})")
