"""``evcontrol check``: every mistake in plant and recipe files, with file, line and what to write instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated

import typer

from evcontrol.cli.fault import WRONG
from evcontrol.cli.output import AsJson, print_json, print_table, say
from evcontrol.cli.shipped import shipped
from evcontrol.plant.influx import read_section
from evcontrol.plant.load import load_plant, parse_plant
from evcontrol.plant.model import Plant
from evcontrol.plant.silence import WORDS, running_on, silences
from evcontrol.procedure.check import mistakes_of
from evcontrol.yaml_source import Document, Mistake, SourceError


def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Plant files and recipes.")],
    plant: Annotated[
        Path | None,
        typer.Option("--plant", help="The plant on which the recipes are to run.", show_default="the shipped one"),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show what every actuator does when the engine falls silent.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Check plants and recipes; exit status 1 when something is wrong."""
    found = {str(file): _mistakes(file, plant or shipped("plants/demo.yaml")) for file in files}
    mistakes = sorted({mistake for some in found.values() for mistake in some})
    if json:
        entries = [{"file": m.file, "line": m.line, "column": m.column, "what": m.what} for m in mistakes]
        print_json({"mistakes": entries} | ({"actuators": _as_entries(found)} if verbose else {}))
    else:
        for mistake in mistakes:
            say(str(mistake))
        for file, some in found.items():
            if not some:
                say(f"{file}: no mistakes")
                _tell_of_silence(Path(file), verbose)
    if mistakes:
        raise typer.Exit(WRONG)


def _tell_of_silence(file: Path, verbose: bool) -> None:
    """What a plant does without the engine: those that run on always, all of it when asked."""
    plant = _as_plant(file)
    if plant is None:
        return
    for tag in running_on(plant):
        say(f"{file}: {tag} runs on when the engine falls silent; phases where that is a hazard are refused")
    if verbose:
        rows = [(each.tag, each.device, WORDS[each.on_silence], each.watchdog) for each in silences(plant)]
        print_table(("Actuator", "Device", "When we fall silent", "Watchdog of the device"), rows, whole=3)


def _as_entries(found: Mapping[str, Sequence[Mistake]]) -> list[dict[str, str]]:
    plants = [(file, _as_plant(Path(file))) for file, some in found.items() if not some]
    return [
        {"file": file, "tag": s.tag, "device": s.device, "on_silence": s.on_silence.value, "watchdog": s.watchdog}
        for file, plant in plants
        if plant is not None
        for s in silences(plant)
    ]


def _as_plant(file: Path) -> Plant | None:
    """A file without mistakes as a plant; None when it is another kind of file."""
    text = file.read_text(encoding="utf-8")
    data = Document(text, str(file)).data
    return parse_plant(text, str(file)) if isinstance(data, dict) and "devices" in data else None


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
        if found := mistakes_of(text, str(file), _plant(plant)):
            raise SourceError(found)
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
