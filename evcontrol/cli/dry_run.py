"""``evcontrol dry-run``: a recipe in virtual time, by the engine itself, against the models of the equipment."""

from __future__ import annotations

import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.status import Status
from ruamel.yaml.error import YAMLError

from evcontrol.access.session import Session
from evcontrol.batch.approval import TRAINING
from evcontrol.batch.report import write_report
from evcontrol.cli.demo_script import Script, ScriptedAnswer, answer_to, load_answers, load_script
from evcontrol.cli.fault import WRONG, WRONG_USE, CliError
from evcontrol.cli.output import AsJson, print_json, say
from evcontrol.cli.rehearsal import Rehearsal
from evcontrol.cli.rehearsed import Rehearsed, clock, print_rehearsed, print_side_by_side, rehearsed
from evcontrol.cli.settings import parameters_of
from evcontrol.cli.shipped import shipped
from evcontrol.clock import NS, LiveClock, VirtualClock, run_virtual
from evcontrol.journal.events import Origin
from evcontrol.procedure.phase import FASTEST
from evcontrol.procedure.prompts import Prompt, PromptKind
from evcontrol.procedure.recipe import parse_recipe
from evcontrol.procedure.run import BatchRun
from evcontrol.procedure.states import FINAL, State

OPERATOR = Origin.user("rehearsal", "dry-run")
LONGEST_H = 240.0
REDRAW_S = 0.2


def dry_run(
    recipe: Annotated[Path, typer.Argument(help="The recipe to rehearse.")],
    plant: Annotated[
        Path | None, typer.Option("--plant", help="The plant file.", show_default="that of the demo")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="A new directory for journal, readings and report.", show_default="nothing is kept"),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A parameter of the recipe, as NAME=VALUE with its unit.")
    ] = None,
    answers: Annotated[
        Path | None, typer.Option("--answers", help="A file of answers to questions, looked at before the usual ones.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option("--against", help="Another version of the recipe, to be compared.")
    ] = None,
    speed: Annotated[
        float, typer.Option("--speed", min=1, max=FASTEST, help="As on the wires: 1 is a scan for each of the plant.")
    ] = FASTEST,
    hours: Annotated[
        float, typer.Option("--hours", min=0.01, help="Process time after which a batch counts as endless.")
    ] = LONGEST_H,
    json: AsJson = False,
) -> None:
    """Rehearse a recipe: its course, alarms, material and yield, before anybody runs it."""
    if sys.platform == "win32":
        raise CliError("the models of the equipment need Linux or macOS", status=WRONG_USE)
    script = _script(answers)
    where = plant or shipped("plants/demo.yaml")
    with _directory(out) as data:
        found = [
            _rehearse(each, where, data / name, script, parameters_of(settings or []), speed, hours)
            for each, name in ((recipe, ""), *([] if against is None else [(against, "against")]))
        ]
    if json:
        print_json({"rehearsed": found[0].model_dump(mode="json", by_alias=True)}
                   | ({} if against is None else {"against": found[1].model_dump(mode="json")}))  # fmt: skip
    else:
        print_rehearsed(found[0])
        if against is not None:
            print_side_by_side(*found)
        if out is not None:
            say(f"journal, readings and report are in {out}")
    if any(one.state != State.COMPLETE for one in found):
        raise typer.Exit(WRONG)


def _rehearse(
    recipe: Path, plant: Path, data: Path, script: Script, given: dict[str, str], speed: float, hours: float
) -> Rehearsed:
    text = recipe.read_text(encoding="utf-8")
    known = parse_recipe(text, str(recipe)).parameters
    parameters = {name: value for name, value in given.items() if name in known}
    if odd := [name for name in given if name not in known]:
        raise CliError(f"{recipe} has no parameter {odd[0]!r}; it has {', '.join(known) or 'none'}", status=WRONG_USE)

    async def main(clock: VirtualClock) -> str:
        async with Rehearsal(plant, data, clock, speed=speed) as rehearsal:
            operator = Operator(rehearsal, script)
            return await operator.run(text, str(recipe), parameters, hours)

    data.mkdir(parents=True, exist_ok=True)
    batch = run_virtual(main)
    write_report(data, batch)
    return rehearsed(data, batch)


class Operator:
    """Starts the batch, answers what it asks, and watches until it has ended, is held, or does not end."""

    def __init__(self, rehearsal: Rehearsal, script: Script) -> None:
        self._rehearsal = rehearsal
        self._script = script
        self._password = secrets.token_urlsafe(18)
        self._session: Session | None = None

    async def run(self, recipe: str, name: str, parameters: dict[str, str], hours: float) -> str:
        """The batch's name."""
        engine = self._rehearsal.engine
        run = await engine.batches.start(recipe, name, parameters, "Rehearsal", "", OPERATOR, TRAINING)
        end = engine.clock.now() + round(hours * 3600 * NS)
        with _progress() as progress:
            while run.state not in FINAL and run.state is not State.HELD:
                await engine.scanner.next_scan()
                progress.show(run, (engine.clock.now() - run.info.created) / NS)
                for prompt in run.prompts():
                    await self._answer(run, prompt)
                if engine.clock.now() > end:
                    waiting = "; ".join(f"{e.path} waits for {e.waiting}" for e in run.elements() if e.waiting)
                    run.hold(f"not over after {hours:g} h: {waiting}")
        return run.id

    async def _answer(self, run: BatchRun, prompt: Prompt) -> None:
        answer = self._answer_to(prompt)
        value = self._rehearsal.measure(answer.truth) if answer.truth else answer.value
        if answer.do:
            try:
                self._rehearsal.hands(answer.do)
            except ValueError as error:
                raise CliError(f"{prompt.path}: {prompt.text}: the equipment does not allow it: {error}") from None
        engine = self._rehearsal.engine
        if prompt.meaning:
            session = await self._signed_on()
            await engine.batches.sign_answer(run.id, prompt.id, value, session, self._password, "", engine.people)
        else:
            await engine.batches.answer(run.id, prompt.id, value, OPERATOR, answer.comment)

    def _answer_to(self, prompt: Prompt) -> ScriptedAnswer:
        try:
            return answer_to(prompt, self._script)
        except LookupError:
            return _usual(prompt)

    async def _signed_on(self) -> Session:
        if self._session is None:
            engine = self._rehearsal.engine
            engine.people.add("rehearsal", "Rehearsal", ["supervisor"], self._password)
            self._session, _ = await engine.sessions.open("rehearsal", self._password, "dry-run")
        return self._session


def _usual(prompt: Prompt) -> ScriptedAnswer:
    """The middle of what is accepted, or the one limit that there is; CliError when nothing is known."""
    limits = [limit for limit in (prompt.low, prompt.high) if limit is not None]
    if prompt.kind is PromptKind.TEXT:
        return ScriptedAnswer(when="", value="rehearsed")
    if not limits:
        raise CliError(
            f"nobody knows what to answer to {prompt.text!r} ({prompt.path})",
            "give a file with --answers, such as: answers: [{when: 'words of the question', value: 1.5}]",
        )
    return ScriptedAnswer(when="", value=sum(limits) / len(limits))


def _script(answers: Path | None) -> Script:
    usual = load_script()
    if answers is None:
        return usual
    try:
        own = load_answers(answers)
    except (ValidationError, YAMLError, UnicodeDecodeError) as error:
        raise CliError(f"{answers}: not a file of answers ({_first(error)})") from None
    return usual.model_copy(update={"answers": (*own, *usual.answers)})


def _first(error: Exception) -> str:
    if isinstance(error, ValidationError):
        one = error.errors()[0]
        return f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}"
    return " ".join(str(error).split())


@contextmanager
def _directory(out: Path | None) -> Iterator[Path]:
    if out is None:
        with tempfile.TemporaryDirectory(prefix="evcontrol-dry-run-") as directory:
            yield Path(directory)
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CliError(f"--out {out}: not empty; a rehearsal needs a directory of its own", status=WRONG_USE)
    out.mkdir(parents=True, exist_ok=True)
    yield out


class _Progress:
    """One line on a terminal that tells how far the rehearsal has come."""

    def __init__(self, status: Status | None) -> None:
        self._status = status
        self._clock = LiveClock()
        self._shown = 0.0

    def show(self, run: BatchRun, process_s: float) -> None:
        """Tell it, not too often."""
        now = self._clock.monotonic()
        if self._status is None or now - self._shown < REDRAW_S:
            return
        self._shown = now
        self._status.update(f"{clock(process_s)} h  {', '.join(run.running())}")


@contextmanager
def _progress() -> Iterator[_Progress]:
    console: Any = Console(stderr=True)
    if not console.is_terminal:
        yield _Progress(None)
        return
    with console.status("starting") as status:
        yield _Progress(status)
