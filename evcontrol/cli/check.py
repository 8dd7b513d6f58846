"""``evcontrol check``: every mistake in plant and recipe files, with file, line and what to write instead."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated

import typer

from evcontrol.cli.fault import WRONG
from evcontrol.cli.output import AsJson, print_json, say
from evcontrol.cli.shipped import shipped
from evcontrol.plant.influx import read_section
from evcontrol.plant.load import load_plant, parse_plant
from evcontrol.plant.model import Plant
from evcontrol.procedure.check import bind
from evcontrol.procedure.recipe import parse_recipe
from evcontrol.yaml_source import Document, Mistake, SourceError


def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Plant files and recipes.")],
    plant: Annotated[
        Path | None,
        typer.Option("--plant", help="The plant on which the recipes are to run.", show_default="the shipped one"),
    ] = None,
    json: AsJson = False,
) -> None:
    """Check plants and recipes; exit status 1 when something is wrong."""
    found = {str(file): _mistakes(file, plant or shipped("plants/demo.yaml")) for file in files}
    mistakes = sorted({mistake for some in found.values() for mistake in some})
    if json:
        entries = [{"file": m.file, "line": m.line, "column": m.column, "what": m.what} for m in mistakes]
        print_json({"mistakes": entries})
    else:
        for mistake in mistakes:
            say(str(mistake))
        for file, some in found.items():
            if not some:
                say(f"{file}: no mistakes")
    if mistakes:
        raise typer.Exit(WRONG)


def _mistakes(file: Path, plant: Path) -> list[Mistake]:
    try:
        _check(file, plant)
    except SourceError as error:
        return error.mistakes
    except UnicodeDecodeError:
        return [Mistake(str(file), 1, 1, "not UTF-8 text")]
    except OSError as error:
        return [Mistake(error.filename or str(file), 1, 1, error.strerror or str(error))]
    return []


def _check(file: Path, plant: Path) -> None:
    text = file.read_text(encoding="utf-8")
    data = Document(text, str(file)).data
    keys = data.keys() if isinstance(data, dict) else ()
    if "recipe" in keys:
        recipe = parse_recipe(text, str(file))
        bind(recipe, _plant(plant))
    elif "devices" in keys:
        parse_plant(text, str(file))
    elif list(keys) == ["influxdb"]:
        parse_plant(plant.read_text(encoding="utf-8"), str(plant), influxdb=read_section(file))
    else:
        what = "neither a recipe (top-level key 'recipe') nor a plant (top-level key 'devices')"
        raise SourceError([Mistake(str(file), 1, 1, what)])


@cache
def _plant(path: Path) -> Plant:
    return load_plant(path)
