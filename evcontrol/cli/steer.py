"""Steering a batch of a running engine: ``evcontrol batch freeze``, ``thaw``, steps, jumps and parameters."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated

import typer

from evcontrol.api.client import Client
from evcontrol.api.schema import BatchView
from evcontrol.cli.batch import Batch, WhyOption, said
from evcontrol.cli.connect import DEFAULT_DATA, AsUser, Data, signed_on, signing
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


def add_to(app: typer.Typer) -> None:
    """Add these commands to those of ``evcontrol batch``."""
    app.command()(freeze)
    app.command()(thaw)
    app.command("step-mode")(step_mode)
    app.command()(step)
    app.command()(jump)
    app.command("set-parameter")(set_parameter)
