"""What the engine's own refusals become as answers: a status code, and what to do about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response

from evcontrol.access.people import AccessError
from evcontrol.acquisition.forced import ForceRefusedError
from evcontrol.api.aside import AsideError
from evcontrol.api.problem import problem_response
from evcontrol.control.gate import CommandRefusedError
from evcontrol.control.interlocks import BypassRefusedError, ResetRefusedError
from evcontrol.history.reader import HistoryError, UnknownTagError
from evcontrol.journal.store import JournalUnavailableError
from evcontrol.procedure.life_cycle import LifeCycleError
from evcontrol.procedure.prompts import AnswerError
from evcontrol.procedure.start import StartRefusedError
from evcontrol.procedure.states import IllegalCommandError
from evcontrol.procedure.stepping import SteeringError
from evcontrol.yaml_source import SourceError

_REFUSALS: tuple[tuple[type[Exception], int, str], ...] = (
    (AccessError, 403, ""),
    (CommandRefusedError, 409, ""),
    (ResetRefusedError, 409, ""),
    (BypassRefusedError, 409, ""),
    (ForceRefusedError, 409, ""),
    (StartRefusedError, 409, "Remove what stands against it, then try again."),
    (IllegalCommandError, 409, ""),
    (AnswerError, 409, ""),
    (SteeringError, 409, ""),
    (LifeCycleError, 409, ""),
    (
        SourceError,
        422,
        "Correct the recipe or the parameters; `evcontrol check` needs no engine.",
    ),
    (UnknownTagError, 404, "`evcontrol history query` and GET /api/snapshot list the tags."),
    (HistoryError, 500, ""),
    (AsideError, 500, "Details are in log/engine.log."),
    (JournalUnavailableError, 503, "Nothing was done: make room on the disk of the data directory, then try again."),
)


def install_refusals(app: FastAPI) -> None:
    """Make the engine's refusals problem objects."""
    for kind, status, remedy in _REFUSALS:
        app.add_exception_handler(kind, _answer(status, remedy))


def _answer(status: int, remedy: str) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(_: Request, error: Exception) -> Response:
        return problem_response(status, str(error), remedy)

    return answer
