"""``evcontrol user``: who may sign on, and with which roles.

While an engine runs on the data directory, it makes the changes in the name of a signed-on person. While none runs,
whoever owns the data directory makes them: so the first person gets in, and a lost password is replaced.
"""

from __future__ import annotations

import getpass
import os
import socket
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from evcontrol.access.permission import ROLES
from evcontrol.api import endpoint
from evcontrol.api.schema import NewPassword, NewUser, User
from evcontrol.cli.connect import DEFAULT_DATA, Data, login_name, signed_on
from evcontrol.cli.fault import WRONG_USE, CliError
from evcontrol.cli.message import message
from evcontrol.cli.output import AsJson, print_json, print_table, say
from evcontrol.cli.people import all_people, editing
from evcontrol.cli.secret import PasswordStdin, password

app = typer.Typer(no_args_is_help=True, help="Add, list and disable people, and set their passwords.")

NEW_VARIABLE = "EVCONTROL_NEW_PASSWORD"
CONNECT_S = 2.0
"""Real time in which an engine that runs accepts a connection."""

Name = Annotated[str, typer.Argument(metavar="USER", help="The name to sign on with.")]
By = Annotated[
    str,
    typer.Option(
        "--by",
        help="Who you are: always asked for your password. While no engine runs it may be left out, and the journal "
        "names the account that runs the command.",
        show_default="EVCONTROL_USER or your login name, while an engine runs",
    ),
]


@app.command()
def add(
    user: Name,
    full_name: Annotated[str, typer.Option("--name", help="The full name, as printed beside signatures.")],
    roles: Annotated[list[str], typer.Option("--role", help=f"A role, once for each: {', '.join(ROLES)}.")],
    data: Data = DEFAULT_DATA,
    by: By = "",
    password_stdin: PasswordStdin = False,
) -> None:
    """Add a person.

    The password is asked for, or is the last line with --password-stdin (before it comes that of --by), or
    EVCONTROL_NEW_PASSWORD (EVCONTROL_PASSWORD is that of --by).
    """
    if _engine_runs(data):
        me = _me(by)
        mine, new = _own(password_stdin, me), _new(password_stdin, user)
        wanted = message(NewUser, user=user, full_name=full_name, roles=roles, password=new)
        signed_on(data, me, password_stdin, lambda client: client.add_user(wanted), mine)
    else:
        mine = _own(password_stdin, by) if by else ""
        new = _new(password_stdin, user, only=not by)
        with editing(data) as editor:
            if by:
                editor.authorise(by, mine)
            editor.add(user, full_name, roles, new)
    say(f"{user} ({full_name}) was added: {', '.join(roles)}")


@app.command("list")
def list_users(data: Data = DEFAULT_DATA, json: AsJson = False) -> None:
    """List everybody who has, or once had, access."""
    people = [
        User(user=person.user, full_name=person.full_name, roles=list(person.roles), disabled=person.disabled)
        for person in all_people(data)
    ]
    if json:
        print_json(people)
    elif not people:
        say(f"nobody has access to {data} yet")
    else:
        rows = [[u.user, u.full_name, ", ".join(u.roles), "disabled" if u.disabled else ""] for u in people]
        print_table(["User", "Name", "Roles", "State"], rows)


@app.command()
def disable(
    user: Name,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; the journal keeps it.")],
    data: Data = DEFAULT_DATA,
    by: By = "",
    password_stdin: PasswordStdin = False,
) -> None:
    """Take a person's access away for good; the name is never given again."""
    if not reason.strip():
        raise CliError("--reason is empty: say why", status=WRONG_USE)
    if _engine_runs(data):
        me = _me(by)
        signed_on(data, me, password_stdin, lambda client: client.disable_user(user, reason))
    else:
        mine = _own(password_stdin, by) if by else ""
        with editing(data) as editor:
            if by:
                editor.authorise(by, mine)
            editor.disable(user, reason)
    say(f"{user} is disabled")


@app.command("password")
def set_password(
    user: Name,
    data: Data = DEFAULT_DATA,
    by: By = "",
    password_stdin: PasswordStdin = False,
) -> None:
    """Give a person, or yourself, a new password; a locked access is unlocked by that.

    The password is asked for, or is the last line with --password-stdin (before it comes that of --by), or
    EVCONTROL_NEW_PASSWORD (EVCONTROL_PASSWORD is that of --by).
    """
    if _engine_runs(data):
        me = _me(by)
        mine, new = _own(password_stdin, me), _new(password_stdin, user)
        own = user.casefold() == me.casefold()
        wanted = message(NewPassword, password=new, old=mine if own else None)
        signed_on(data, me, password_stdin, lambda client: client.set_password(user, wanted), mine)
    else:
        mine = _own(password_stdin, by) if by else ""
        new = _new(password_stdin, user, only=not by)
        with editing(data) as editor:
            if by:
                editor.authorise(by, mine, own=user)
            editor.set_password(user, new)
    say(f"{user} has a new password")


def _engine_runs(data: Path) -> bool:
    """Whether an engine runs and answers; one that was killed leaves its endpoint behind."""
    try:
        where, _ = endpoint.find(data)
    except endpoint.NoEngineError:
        return False
    address = urlsplit(where.url)
    try:
        with socket.create_connection((address.hostname or "", address.port or 80), CONNECT_S):
            return True
    except ConnectionRefusedError:
        return False
    except OSError as error:
        raise CliError(f"the engine at {where.url} cannot be reached: {error.strerror or error}") from None


def _me(by: str) -> str:
    return by or os.environ.get("EVCONTROL_USER", "") or login_name()


def _own(from_stdin: bool, me: str) -> str:
    return password(from_stdin, f"Password of {me}")


def _new(from_stdin: bool, user: str, only: bool = False) -> str:
    """The password to be set; ``only`` when no other is asked for, so that no two can be mixed up."""
    prompt = f"New password of {user}"
    if not from_stdin and NEW_VARIABLE in os.environ:
        return os.environ[NEW_VARIABLE]
    if from_stdin or only:
        return password(from_stdin, prompt, confirm=True, variable=NEW_VARIABLE)
    if not sys.stdin.isatty():
        raise CliError(f"no new password: use --password-stdin or set {NEW_VARIABLE}", status=WRONG_USE)
    secret = getpass.getpass(f"{prompt}: ")
    if getpass.getpass("Once more: ") != secret:
        raise CliError("the two passwords differ")
    return secret
