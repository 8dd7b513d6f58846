"""The one client of the API, for the command line and the console.

Trouble with the engine is an :class:`ApiError` (it answered with a problem) or an :class:`EngineGoneError` (it did not
answer). A request that changes something is never repeated by itself.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from types import NoneType, TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlencode

import httpx
from pydantic import TypeAdapter, ValidationError
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from evcontrol.api import endpoint
from evcontrol.api.bypass_schema import BypassRequest, CauseView
from evcontrol.api.recipe_schema import (
    RecipeDecision,
    RecipeSubmission,
    RecipeSummary,
    RecipeText,
    Requalification,
)
from evcontrol.api.schema import (
    Acknowledgement,
    Acknowledgements,
    AlarmFigures,
    AlarmView,
    Answer,
    BatchCommand,
    BatchSummary,
    BatchView,
    Beat,
    CommandReply,
    Delta,
    ForceRequest,
    InterlockView,
    LoopChange,
    LoopView,
    Message,
    ModeChange,
    NewPassword,
    NewUser,
    Problem,
    PromptView,
    Reconciliation,
    RecordVerdict,
    ReportMade,
    ServiceChange,
    Session,
    SetpointChange,
    Shelving,
    SignOn,
    SignReconciliation,
    Snapshot,
    StartBatch,
    StreamEvent,
    TagCommand,
    User,
    WithReason,
)
from evcontrol.api.series import Series, unpack_series
from evcontrol.api.steer_schema import (
    JumpRequest,
    ParameterChange,
    RevisionPlan,
    RevisionRequest,
    RevisionText,
    Step,
    SteppingChange,
)

T = TypeVar("T")

TIMEOUT_S = 30.0
"""Longest real time for one answer; commands that wait for a read-back stay well below it."""
LONG_TIMEOUT_S = 300.0
"""The same for reports and for the verification of records."""

CLOSE_S = 0.5
"""Longest real time for taking leave of a stream: the engine may be gone, and a console wants it back soon."""

_FRAME: TypeAdapter[Delta | StreamEvent | Beat] = TypeAdapter(Delta | StreamEvent | Beat)


class ApiError(Exception):
    """The engine refused a request; the text is its error and remedy."""

    def __init__(self, status: int, problem: Problem) -> None:
        between = "\n" if "\n" in problem.error else ". "
        super().__init__(f"{problem.error}{between}{problem.remedy}" if problem.remedy else problem.error)
        self.status = status
        self.problem = problem


class EngineGoneError(Exception):
    """The engine does not answer."""


class Client:
    """A connection to one engine; use it as an async context manager.

    ``token`` is the run token, which allows reading; :meth:`sign_on` replaces it by a session's.
    """

    def __init__(self, url: str, token: str = "") -> None:
        self._url = url
        self._run_token = token
        self._token = token
        self._http = httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, trust_env=False)

    @classmethod
    def of(cls, data: Path) -> Self:
        """A client of the engine that runs on this data directory; NoEngineError when there is none."""
        where, token = endpoint.find(data)
        return cls(where.url, token)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    # ------------------------------------------------------------------------------------------------------- people

    async def sign_on(self, user: str, password: str, station: str) -> Session:
        """Open a session; everything after is done in this person's name."""
        sign_on = SignOn.model_validate({"user": user, "password": password, "station": station})
        session = await self._call(Session, "POST", "/api/sessions", _with_secrets(sign_on))
        self._token = session.token
        return session

    async def sign_off(self) -> None:
        """Close the session."""
        await self._call(NoneType, "DELETE", "/api/sessions/current")
        self._token = self._run_token

    async def users(self) -> list[User]:
        """All people."""
        return await self._call(list[User], "GET", "/api/users")

    async def add_user(self, new: NewUser) -> User:
        """Add a person."""
        return await self._call(User, "POST", "/api/users", _with_secrets(new))

    async def disable_user(self, user: str, reason: str) -> User:
        """Take a person's access away."""
        return await self._call(User, "POST", _path("users", user, "disable"), WithReason(reason=reason))

    async def set_password(self, user: str, new: NewPassword) -> User:
        """Give a person a new password."""
        return await self._call(User, "POST", _path("users", user, "password"), _with_secrets(new))

    # ------------------------------------------------------------------------------------------------------ the plant

    async def snapshot(self) -> Snapshot:
        """Everything at this moment."""
        return await self._call(Snapshot, "GET", "/api/snapshot")

    async def command_tag(self, tag: str, value: float, reason: str) -> CommandReply:
        """Command a tag by hand; ``value`` in the tag's unit."""
        return await self._call(CommandReply, "POST", _path("tags", tag), TagCommand(value=value, reason=reason))

    async def hand_back(self, tag: str, reason: str) -> None:
        """Give a tag back to the loop or phase that it was taken from by a command by hand."""
        await self._call(NoneType, "POST", _path("tags", tag, "hand-back"), WithReason(reason=reason))

    async def force_tag(self, tag: str, value: float, duration_s: float, reason: str) -> None:
        """Put a value in place of what is read of a tag, for so many seconds of process time."""
        body = ForceRequest(value=value, duration_s=duration_s, reason=reason)
        await self._call(NoneType, "POST", _path("tags", tag, "force"), body)

    async def end_force(self, tag: str, reason: str) -> None:
        """Let the reading of a tag through again."""
        await self._call(NoneType, "POST", _path("tags", tag, "force", "end"), WithReason(reason=reason))

    async def change_loop(self, loop: str, change: LoopChange) -> LoopView:
        """Put a loop in automatic or manual."""
        return await self._call(LoopView, "POST", _path("loops", loop), change)

    async def change_mode(self, unit: str, mode: str, reason: str) -> None:
        """Change a unit's mode."""
        await self._call(NoneType, "POST", _path("units", unit, "mode"), ModeChange(mode=mode, reason=reason))

    async def alarms(self, *, every: bool = False) -> list[AlarmView]:
        """Alarms that are neither normal nor suppressed by design, or every one."""
        return await self._call(list[AlarmView], "GET", f"/api/alarms?all={str(every).lower()}")

    async def acknowledge(self, alarm: str, comment: str = "") -> None:
        """Acknowledge an alarm."""
        await self._call(NoneType, "POST", _path("alarms", alarm, "acknowledge"), Acknowledgement(comment=comment))

    async def acknowledge_all(self, alarms: Sequence[str], comment: str = "") -> list[str]:
        """Acknowledge several alarms; the names of those that were waiting for it."""
        body = Acknowledgements(alarms=list(alarms), comment=comment)
        return await self._call(list[str], "POST", "/api/alarms/acknowledge", body)

    async def alarm_figures(self, start: int | None = None, end: int | None = None) -> AlarmFigures:
        """How good the alarms were between two process times (UTC ns), by default in the last day."""
        times = {"start": start, "end": end}
        wanted = urlencode({name: t for name, t in times.items() if t is not None})
        return await self._call(AlarmFigures, "GET", f"/api/alarms/figures?{wanted}")

    async def shelve(self, alarm: str, duration_s: float, reason: str) -> None:
        """Put an alarm aside for so many seconds of process time."""
        await self._call(
            NoneType, "POST", _path("alarms", alarm, "shelve"), Shelving(duration_s=duration_s, reason=reason)
        )

    async def unshelve(self, alarm: str, reason: str) -> None:
        """Bring a shelved alarm back before its time."""
        await self._call(NoneType, "POST", _path("alarms", alarm, "unshelve"), WithReason(reason=reason))

    async def change_alarm_setpoint(self, alarm: str, setpoint: float, reason: str) -> AlarmView:
        """Change the setpoint of an alarm, in its unit and within the plant file's range."""
        body = SetpointChange(setpoint=setpoint, reason=reason)
        return await self._call(AlarmView, "POST", _path("alarms", alarm, "setpoint"), body)

    async def remove_alarm(self, alarm: str, reason: str, password: str) -> None:
        """Take an alarm out of service: a signature."""
        body = _with_secrets(ServiceChange.model_validate({"reason": reason, "password": password}))
        await self._call(NoneType, "POST", _path("alarms", alarm, "remove"), body)

    async def return_alarm(self, alarm: str, reason: str, password: str) -> None:
        """Put an alarm back in service: a signature."""
        body = _with_secrets(ServiceChange.model_validate({"reason": reason, "password": password}))
        await self._call(NoneType, "POST", _path("alarms", alarm, "return"), body)

    async def interlocks(self) -> list[InterlockView]:
        """All interlocks."""
        return await self._call(list[InterlockView], "GET", "/api/interlocks")

    async def reset_interlock(self, interlock: str, reason: str) -> None:
        """Reset an interlock whose cause is gone."""
        await self._call(NoneType, "POST", _path("interlocks", interlock, "reset"), WithReason(reason=reason))

    async def bypass_interlock(self, interlock: str, duration_s: float, reason: str, password: str) -> None:
        """Bypass an interlock for so many seconds of process time: a signature."""
        body = BypassRequest.model_validate({"duration_s": duration_s, "reason": reason, "password": password})
        await self._call(NoneType, "POST", _path("interlocks", interlock, "bypass"), _with_secrets(body))

    async def end_bypass(self, interlock: str, reason: str) -> None:
        """End a bypass before its time."""
        await self._call(NoneType, "POST", _path("interlocks", interlock, "bypass", "end"), WithReason(reason=reason))

    async def cause_and_effect(self) -> list[CauseView]:
        """Which interlock brings which actuator where."""
        return await self._call(list[CauseView], "GET", "/api/cause-and-effect")

    # -------------------------------------------------------------------------------------------------------- batches

    async def start_batch(self, start: StartBatch) -> BatchView:
        """Make a batch and start it."""
        return await self._call(BatchView, "POST", "/api/batches", start)

    async def recipes(self) -> list[RecipeSummary]:
        """Every version of a recipe that was handed in."""
        return await self._call(list[RecipeSummary], "GET", "/api/recipes")

    async def recipe(self, version: str) -> RecipeText:
        """One version with its text, by the first digits of its hash."""
        return await self._call(RecipeText, "GET", _path("recipes", version))

    async def submit_recipe(self, recipe: str, recipe_name: str, reason: str) -> RecipeSummary:
        """Hand a recipe in for review."""
        body = RecipeSubmission(recipe=recipe, recipe_name=recipe_name, reason=reason)
        return await self._call(RecipeSummary, "POST", "/api/recipes", body)

    async def decide_recipe(self, version: str, decision: str, reason: str, password: str) -> RecipeSummary:
        """Approve, reject or retire a version: a signature."""
        body = RecipeDecision.model_validate({"decision": decision, "reason": reason, "password": password})
        return await self._call(RecipeSummary, "POST", _path("recipes", version, "decision"), _with_secrets(body))

    async def requalified(self, product: str, reason: str, password: str) -> None:
        """A product was qualified again: a signature."""
        body = Requalification.model_validate({"product": product, "reason": reason, "password": password})
        await self._call(NoneType, "POST", "/api/requalifications", _with_secrets(body))

    async def batches(self) -> list[BatchSummary]:
        """All batches that the engine knows."""
        return await self._call(list[BatchSummary], "GET", "/api/batches")

    async def batch(self, batch: str) -> BatchView:
        """One batch as a tree."""
        return await self._call(BatchView, "GET", _path("batches", batch))

    async def command_batch(self, batch: str, command: BatchCommand) -> BatchView:
        """Command a batch or one of its elements."""
        return await self._call(BatchView, "POST", _path("batches", batch, "command"), command)

    async def freeze(self, batch: str, reason: str) -> BatchView:
        """Let everything stay as it is, and no phase go on."""
        return await self._call(BatchView, "POST", _path("batches", batch, "freeze"), WithReason(reason=reason))

    async def thaw(self, batch: str, reason: str) -> BatchView:
        """Let a frozen batch go on."""
        return await self._call(BatchView, "POST", _path("batches", batch, "thaw"), WithReason(reason=reason))

    async def change_stepping(self, batch: str, single: bool, breakpoints: Sequence[str], reason: str) -> BatchView:
        """Change single-step mode and breakpoints."""
        body = SteppingChange(single=single, breakpoints=tuple(breakpoints), reason=reason)
        return await self._call(BatchView, "POST", _path("batches", batch, "stepping"), body)

    async def step(self, batch: str, path: str) -> BatchView:
        """Let an element begin that stands at a step or a breakpoint."""
        return await self._call(BatchView, "POST", _path("batches", batch, "step"), Step(path=path))

    async def jump(self, batch: str, path: str, reason: str, password: str) -> BatchView:
        """Have a held batch go on with an element that has not begun: a signature."""
        body = JumpRequest.model_validate({"path": path, "reason": reason, "password": password})
        return await self._call(BatchView, "POST", _path("batches", batch, "jump"), _with_secrets(body))

    async def change_parameter(self, batch: str, name: str, value: str, reason: str, password: str) -> BatchView:
        """Change a live parameter of a batch: a signature."""
        body = ParameterChange.model_validate({"value": value, "reason": reason, "password": password})
        return await self._call(BatchView, "POST", _path("batches", batch, "parameters", name), _with_secrets(body))

    async def plan_revision(self, batch: str, recipe: str, recipe_name: str) -> RevisionPlan:
        """What going on with another recipe would change of a batch, and what stands against it."""
        body = RevisionText(recipe=recipe, recipe_name=recipe_name)
        return await self._call(RevisionPlan, "POST", _path("batches", batch, "revision", "plan"), body)

    async def revise(
        self, batch: str, recipe: str, recipe_name: str, shown_hash: str, reason: str, password: str
    ) -> BatchView:
        """Have a batch go on with another recipe in what has not begun: a signature."""
        body = RevisionRequest.model_validate(
            {
                "recipe": recipe, "recipe_name": recipe_name, "shown_hash": shown_hash,
                "reason": reason, "password": password,
            }
        )  # fmt: skip
        return await self._call(BatchView, "POST", _path("batches", batch, "revision"), _with_secrets(body))

    async def prompts(self) -> list[PromptView]:
        """Questions that wait for a person."""
        return await self._call(list[PromptView], "GET", "/api/prompts")

    async def answer(
        self, batch: str, prompt: str, value: bool | float | str, comment: str = "", password: str = ""
    ) -> None:
        """Answer a question; ``password`` signs the answer to one that has a meaning."""
        body = {"value": value, "comment": comment, "password": password or None}
        answer = _with_secrets(Answer.model_validate(body))
        await self._call(NoneType, "POST", _path("batches", batch, "prompts", prompt, "answer"), answer)

    async def reconciliation(self, batch: str) -> Reconciliation:
        """What is to be signed before the batch may be restarted."""
        return await self._call(Reconciliation, "GET", _path("batches", batch, "reconciliation"))

    async def sign_reconciliation(self, batch: str, shown_hash: str, password: str, comment: str = "") -> None:
        """Sign a reconciliation as it was shown."""
        body = {"shown_hash": shown_hash, "password": password, "comment": comment}
        signing = _with_secrets(SignReconciliation.model_validate(body))
        await self._call(NoneType, "POST", _path("batches", batch, "reconciliation", "sign"), signing)

    async def make_report(self, batch: str) -> ReportMade:
        """Write the batch's report on the engine's machine."""
        return await self._call(ReportMade, "POST", _path("batches", batch, "report"), timeout_s=LONG_TIMEOUT_S)

    async def verify_record(self, batch: str) -> RecordVerdict:
        """Whether the batch's record is intact."""
        return await self._call(RecordVerdict, "GET", _path("batches", batch, "verify"), timeout_s=LONG_TIMEOUT_S)

    # -------------------------------------------------------------------------------------------------------- history

    async def history(
        self, tags: list[str], start: int | None = None, end: int | None = None, buckets: int | None = None
    ) -> list[Series]:
        """Readings between two process times (UTC ns); with ``buckets`` the time-weighted means of so many parts."""
        query: dict[str, Any] = {"tag": tags, "start": start, "end": end, "buckets": buckets}
        query = {key: value for key, value in query.items() if value is not None}
        return unpack_series((await self._send("GET", "/api/history", params=query)).content)

    # --------------------------------------------------------------------------------------------------------- stream

    async def stream(self) -> AsyncGenerator[Delta | StreamEvent, None]:
        """Everything as it is now, then every change; EngineGoneError when the engine closes or goes."""
        async with aclosing(self.stream_with_beats()) as messages:
            async for message in messages:
                if not isinstance(message, Beat):
                    yield message

    async def stream_with_beats(self) -> AsyncGenerator[Delta | StreamEvent | Beat, None]:
        """The same with a sign of life several times a second, for whoever must notice an engine that is silent."""
        url = f"ws{self._url.removeprefix('http')}/api/stream"
        try:
            async with connect(
                url,
                additional_headers=self._headers,
                compression=None,
                proxy=None,
                max_size=None,
                close_timeout=CLOSE_S,
            ) as socket:
                async for message in socket:
                    yield _FRAME.validate_json(message)
        except (OSError, InvalidHandshake, ConnectionClosed) as error:
            raise EngineGoneError(f"the engine at {self._url} closed the stream ({_cause(error)})") from None
        raise EngineGoneError(f"the engine at {self._url} closed the stream")

    # -------------------------------------------------------------------------------------------------------- helpers

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    async def _call(
        self,
        answer: type[T],
        method: str,
        path: str,
        body: Message | Mapping[str, Any] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> T:
        content = body.model_dump(mode="json") if isinstance(body, Message) else body
        response = await self._send(method, path, json=content, timeout=timeout_s)
        return TypeAdapter(answer).validate_json(response.content or b"null")

    async def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            response = await self._http.request(method, path, headers=self._headers, **options)
        except httpx.TransportError as error:
            remedy = "it has ended, or cannot be reached; `evcontrol serve` starts one"
            raise EngineGoneError(f"no engine answers at {self._url} ({_cause(error)}): {remedy}") from None
        if response.status_code >= httpx.codes.BAD_REQUEST:
            raise ApiError(response.status_code, _problem(response))
        return response


def _path(*parts: str) -> str:
    return "/api/" + "/".join(quote(part, safe="") for part in parts)


def _with_secrets(message: Message) -> dict[str, Any]:
    """A message as JSON with its passwords in clear: only for the body of a request."""
    plain = message.model_dump(mode="json")
    for name in type(message).model_fields:
        value = getattr(message, name)
        if hasattr(value, "get_secret_value"):
            plain[name] = value.get_secret_value()
    return plain


def _problem(response: httpx.Response) -> Problem:
    try:
        return Problem.model_validate_json(response.content)
    except ValidationError:
        return Problem(error=f"the answer was {response.status_code} {response.reason_phrase}")


def _cause(error: Exception) -> str:
    return str(error) or type(error).__name__
