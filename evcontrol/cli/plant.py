"""``evcontrol plant``: documents from a plant file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from evcontrol.alarms import rationale
from evcontrol.cli.output import say
from evcontrol.plant import cause_effect
from evcontrol.plant.load import load_plant

app = typer.Typer(help="Documents from a plant file.", no_args_is_help=True)


class Format(StrEnum):
    """How the table is written."""

    MARKDOWN = "markdown"
    CSV = "csv"


@app.callback()
def plant() -> None:
    """Documents from a plant file."""


PlantPath = Annotated[Path, typer.Argument(metavar="PLANT", help="The plant file.")]
Form = Annotated[Format, typer.Option("--format", help="Markdown or CSV.")]
Out = Annotated[Path | None, typer.Option("--out", help="Write to this file.", show_default="the screen")]


@app.command("cause-and-effect")
def cause_and_effect(file: PlantPath, form: Form = Format.MARKDOWN, out: Out = None) -> None:
    """Show which interlock brings which actuator where."""
    spec = load_plant(file)
    text = cause_effect.as_markdown(spec) if form is Format.MARKDOWN else cause_effect.as_csv(spec)
    _show(text, out, f"{len(spec.interlocks)} interlocks")


@app.command()
def alarms(file: PlantPath, form: Form = Format.MARKDOWN, out: Out = None) -> None:
    """Show every alarm with what it looks at, how urgent it is, its cause, its consequence and what to do."""
    spec = load_plant(file)
    text = rationale.as_markdown(spec) if form is Format.MARKDOWN else rationale.as_csv(spec)
    _show(text, out, f"{len(spec.alarms)} alarms")


def _show(text: str, out: Path | None, told: str) -> None:
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
        say(f"{out}: {told}")
