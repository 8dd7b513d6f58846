"""How a password reaches a command: a prompt, standard input or ``EVCONTROL_PASSWORD``; never an argument."""

from __future__ import annotations

import getpass
import os
import sys
from typing import Annotated

import typer

from evcontrol.cli.fault import WRONG_USE, CliError

VARIABLE = "EVCONTROL_PASSWORD"

PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help=f"Read the password from standard input (or set {VARIABLE}).")
]


def password(from_stdin: bool, prompt: str, confirm: bool = False, variable: str = VARIABLE) -> str:
    """The password; CliError when there is none and nobody to ask, or when the repetition differs.

    ``variable`` is the one that is named to who gave none.
    """
    if from_stdin:
        secret = sys.stdin.readline().rstrip("\r\n")
    elif VARIABLE in os.environ:
        secret = os.environ[VARIABLE]
    elif sys.stdin.isatty():
        secret = getpass.getpass(f"{prompt}: ")
        if confirm and getpass.getpass("Once more: ") != secret:
            raise CliError("the two passwords differ")
    else:
        raise CliError(f"no password: use --password-stdin or set {variable}", status=WRONG_USE)
    if not secret:
        raise CliError("the password is empty", status=WRONG_USE)
    return secret
