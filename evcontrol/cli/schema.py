"""``evcontrol schema``: what editors need to complete and check recipes and plant files."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from evcontrol.procedure.json_schemas import SCHEMAS


class Of(StrEnum):
    """Files that have a schema."""

    RECIPE = "recipe"
    PLANT = "plant"


def schema(of: Annotated[Of, typer.Argument(help="Of which files.")]) -> None:
    """Print the JSON Schema of recipes, with every installed phase, or of plant files."""
    typer.echo(json.dumps(SCHEMAS[of](), indent=1))
