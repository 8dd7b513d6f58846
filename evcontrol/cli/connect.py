"""How a command reaches a running engine: by its data directory, or by address; and as whom."""

from __future__ import annotations

import asyncio
import getpass
import platform
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from evcontrol.api.client import Client
from evcontrol.cli.secret import password

T = TypeVar("T")

DEFAULT_DATA = Path("evcontrol-data")

Data = Annotated[
    Path, typer.Option("--data", envvar="EVCONTROL_DATA", help="The data directory.", show_default="./evcontrol-data")
]
AsUser = Annotated[
    str, typer.Option("--user", envvar="EVCONTROL_USER", help="Who you are.", show_default="your login name")
]
InfluxFile = Annotated[
    Path | None,
    typer.Option("--influxdb", help="A file with the section 'influxdb', used instead of the plant's own."),
]


def login_name() -> str:
    """The name of the account that runs the command."""
    return getpass.getuser()


def station() -> str:
    """The name of this machine, as the journal keeps it."""
    return platform.node() or "unnamed"


def reading(data: Path, work: Callable[[Client], Awaitable[T]]) -> T:
    """Do ``work`` with a client that may only read."""

    async def run() -> T:
        async with Client.of(data) as client:
            return await work(client)

    return asyncio.run(run())


def signed_on(data: Path, user: str, from_stdin: bool, work: Callable[[Client], Awaitable[T]], secret: str = "") -> T:
    """Do ``work`` in the name of a person, who is signed on before and off after it."""
    name = user or login_name()

    async def run() -> T:
        async with Client.of(data) as client:
            await client.sign_on(name, secret or password(from_stdin, f"Password of {name}"), station())
            try:
                return await work(client)
            finally:
                await client.sign_off()

    return asyncio.run(run())


def signing(data: Path, user: str, from_stdin: bool, work: Callable[[Client, str], Awaitable[T]]) -> T:
    """Do ``work`` in the name of a person with the password, which is asked for once and signs as well."""
    name = user or login_name()
    secret = password(from_stdin, f"Password of {name}, which signs")
    return signed_on(data, name, from_stdin, lambda client: work(client, secret), secret)
