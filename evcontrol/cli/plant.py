"""``evcontrol plant``: documents from a plant file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from evcontrol.cli.output import say
from evcontrol.plant.cause_effect import as_csv, as_markdown
from evcontrol.plant.load import load_plant

app = typer.Typer(help="Documents from a plant file.", no_args_is_help=True)


class Format(StrEnum):
    """How the table is written."""

    MARKDOWN = "markdown"
    CSV = "csv"


@app.callback()
def plant() -> None:
    """Documents from a plant file."""


@app.command("cause-and-effect")
def cause_and_effect(
    file: Annotated[Path, typer.Argument(metavar="PLANT", help="The plant file.")],
    form: Annotated[Format, typer.Option("--format", help="Markdown or CSV.")] = Format.MARKDOWN,
    out: Annotated[Path | None, typer.Option("--out", help="Write to this file.", show_default="the screen")] = None,
) -> None:
    """Show which interlock brings which actuator where."""
    spec = load_plant(file)
    text = as_markdown(spec) if form is Format.MARKDOWN else as_csv(spec)
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
        say(f"{out}: {len(spec.interlocks)} interlocks")
