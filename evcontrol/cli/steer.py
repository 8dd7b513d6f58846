"""Steering a batch of a running engine: ``evcontrol batch freeze``, ``thaw``, steps, jumps, parameters, revisions."""

from __future__ import annotations

from collections.abc import Awaitable
from pathlib import Path as FilePath
from typing import Annotated

import typer

from evcontrol.api.client import Client
from evcontrol.api.schema import BatchView
from evcontrol.cli.batch import Batch, WhyOption, confirm_signature, said
from evcontrol.cli.connect import DEFAULT_DATA, AsUser, Data, login_name, reading, signed_on, signing
from evcontrol.cli.fault import CliError
from evcontrol.cli.output import say
from evcontrol.cli.secret import PasswordStdin

Reason = Annotated[str, WhyOption]
Path = Annotated[str, typer.Argument(help="The element, by its place in the procedure.")]


def freeze(
    batch: Batch, reason: Reason, data: Data = DEFAULT_DATA, user: AsUser = "", password_stdin: PasswordStdin = False
) -> None:
    """Let everything stay as it is, pumps and loops included, and no phase go on."""
    why = said(reason)
    signed_on(data, user, password_stdin, lambda client: client.freeze(batch, why))
    say(f"batch {batch} is frozen: pumps and loops run on")


def thaw(
    batch: Batch, reason: Reason, data: Data = DEFAULT_DATA, user: AsUser = "", password_stdin: PasswordStdin = False
) -> None:
    """Let a frozen batch go on."""
    why = said(reason)
    signed_on(data, user, password_stdin, lambda client: client.thaw(batch, why))
    say(f"batch {batch} goes on")


def step_mode(
    batch: Batch,
    reason: Reason,
    single: Annotated[bool, typer.Option("--single", help="Have every phase wait for a step.")] = False,
    at: Annotated[list[str] | None, typer.Option("--at", help="A breakpoint, by its place in the procedure.")] = None,
    data: Data = DEFAULT_DATA,
    user: AsUser = "",
    password_stdin: PasswordStdin = False,
) -> None:
    """Have every phase, or some elements, wait for a step before they begin."""
    why, places = said(reason), at or []
    view = signed_on(data, user, password_stdin, lambda client: client.change_stepping(batch, single, places, why))
    mode = "single-step mode" if view.single_step else "no single-step mode"
    say(f"batch {view.summary.batch}: {mode}, breakpoints: {', '.join(view.breakpoints) or 'none'}")


def step(
    batch: Batch, path: Path, data: Data = DEFAULT_DATA, user: AsUser = "", password_stdin: PasswordStdin = False
) -> None:
    """Let an element begin that stands at a step or a breakpoint."""
    signed_on(data, user, password_stdin, lambda client: client.step(batch, path))
    say(f"{path} of batch {batch} may begin")


def jump(
    batch: Batch,
    path: Path,
    reason: Reason,
    data: Data = DEFAULT_DATA,
    user: AsUser = "",
    password_stdin: PasswordStdin = False,
) -> None:
    """Have a held batch go on with an element that has not begun, once it is restarted: a signature."""
    why = said(reason)
    signing(data, user, password_stdin, lambda client, secret: client.jump(batch, path, why, secret))
    say(f"batch {batch} goes on with {path} when it is restarted; what comes before it is not done")


def set_parameter(
    batch: Batch,
    name: Annotated[str, typer.Argument(help="The parameter of the recipe.")],
    value: Annotated[str, typer.Argument(help="The new value with its unit.")],
    reason: Reason,
    data: Data = DEFAULT_DATA,
    user: AsUser = "",
    password_stdin: PasswordStdin = False,
) -> None:
    """Change a parameter that the recipe calls live: a signature."""
    why = said(reason)

    def change(client: Client, secret: str) -> Awaitable[BatchView]:
        return client.change_parameter(batch, name, value, why, secret)

    view = signing(data, user, password_stdin, change)
    say(f"{name} of batch {view.summary.batch} is {view.parameters[name]}")


def revise(
    batch: Batch,
    recipe: Annotated[FilePath, typer.Argument(help="The recipe file to go on with.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; needed unless --plan is given.")] = "",
    plan: Annotated[bool, typer.Option("--plan", help="Only show what would change.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Sign without asking again.")] = False,
    data: Data = DEFAULT_DATA,
    user: AsUser = "",
    password_stdin: PasswordStdin = False,
) -> None:
    """Have a running batch go on with another recipe in what has not begun: a signature."""
    why = "" if plan else said(reason)
    text, name = recipe.read_text(encoding="utf-8"), recipe.name
    shown = reading(data, lambda client: client.plan_revision(batch, text, name))
    say(f"revision {shown.revision} of batch {batch}:")
    for change in shown.changes or ["nothing that recipes say: only comments or how it is written"]:
        say(f"  {change}")
    for obstacle in shown.obstacles:
        say(f"  not possible: {obstacle}")
    if shown.obstacles:
        raise CliError(f"batch {batch} cannot go on with {name}; it goes on as it was")
    if plan:
        return
    person = user or login_name()
    confirm_signature(yes, person)

    def make(client: Client, secret: str) -> Awaitable[BatchView]:
        return client.revise(batch, text, name, shown.shown_hash, why, secret)

    view = signing(data, person, password_stdin, make)
    say(f"batch {view.summary.batch} goes on with revision {view.summary.revision} in what has not begun")


def add_to(app: typer.Typer) -> None:
    """Add these commands to those of ``evcontrol batch``."""
    app.command()(freeze)
    app.command()(thaw)
    app.command("step-mode")(step_mode)
    app.command()(step)
    app.command()(jump)
    app.command("set-parameter")(set_parameter)
    app.command()(revise)
