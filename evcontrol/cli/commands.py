"""All commands, and how each ends: exit status 0 done, 1 what was checked is wrong, 2 wrong use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import typer

from evcontrol.api.client import ApiError, EngineGoneError
from evcontrol.api.endpoint import NoEngineError
from evcontrol.cli import (
    alarms,
    batch,
    browse,
    certificate,
    check,
    console,
    demo,
    dry_run,
    history,
    nta,
    plant,
    recipe,
    record,
    schema,
    serve,
    simulate,
    steer,
    user,
)
from evcontrol.cli.fault import DONE, WRONG, CliError
from evcontrol.cli.log import keep_details
from evcontrol.cli.output import complain
from evcontrol.yaml_source import SourceError

app = typer.Typer(
    name="evcontrol",
    help="Process control and data acquisition for making extracellular vesicles.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(demo.demo)
app.command()(simulate.simulate)
app.command()(serve.serve)
app.command()(console.console)
app.command()(check.check)
app.command("dry-run")(dry_run.dry_run)
app.command()(schema.schema)
app.command("browse")(browse.browse_server)
app.command()(nta.nta)
steer.add_to(batch.app)
app.add_typer(batch.app, name="batch")
app.add_typer(recipe.app, name="recipe")
app.add_typer(record.app, name="record")
app.add_typer(history.app, name="history")
app.add_typer(alarms.app, name="alarms")
app.add_typer(plant.app, name="plant")
app.add_typer(user.app, name="user")
app.add_typer(certificate.app, name="certificate")


def run(arguments: list[str]) -> int:
    """Run one command and return its exit status; whatever goes wrong is told in lines on standard error."""
    try:
        return app(arguments, prog_name="evcontrol", standalone_mode=False) or DONE
    except Exception as error:  # noqa: BLE001  (whatever it is, a person gets one line, and the details are kept)
        lines, status = _explained(error)
    for line in lines:
        complain(line)
    return status


def _explained(error: Exception) -> tuple[Sequence[str], int]:
    for kind, explain in _EXPECTED:
        if isinstance(error, kind):
            return explain(error)
    return [f"internal error ({type(error).__name__}); the details are in {keep_details(error)}"], WRONG


def _wrong_use(error: Any) -> tuple[Sequence[str], int]:
    """One line; none when the help was shown instead."""
    message = " ".join(error.format_message().split())
    return [message] if message else [], error.exit_code


def _os_error(error: OSError) -> tuple[Sequence[str], int]:
    where = f"{error.filename}: " if error.filename else ""
    return [f"{where}{error.strerror or error}"], WRONG


_EXPECTED: tuple[tuple[type[Exception], Callable[[Any], tuple[Sequence[str], int]]], ...] = (
    (CliError, lambda error: (error.lines, error.status)),
    (typer.Abort, lambda _: (["nothing done"], WRONG)),
    (typer.TyperException, _wrong_use),
    (SourceError, lambda error: (str(error).splitlines(), WRONG)),
    (ApiError, lambda error: (str(error).splitlines(), WRONG)),
    (EngineGoneError, lambda error: ([str(error)], WRONG)),
    (NoEngineError, lambda error: ([str(error)], WRONG)),
    (OSError, _os_error),
)
