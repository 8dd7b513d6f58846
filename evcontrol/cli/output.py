"""What the commands print: tables for people, JSON for machines, messages on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


def say(line: str) -> None:
    """One line for a person."""
    print(line, flush=True)


def complain(line: str) -> None:
    """One line on standard error."""
    print(f"evcontrol: {line}", file=sys.stderr, flush=True)


def print_json(value: BaseModel | Sequence[BaseModel] | dict[str, Any] | list[Any]) -> None:
    """One JSON document."""
    print(json.dumps(_plain(value), indent=2, ensure_ascii=False), flush=True)


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]], whole: int = 0) -> None:
    """A plain table; cells are never taken for markup, and those of the first ``whole`` columns never folded."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, name in enumerate(head):
        table.add_column(name, overflow="fold", no_wrap=place < whole)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console(soft_wrap=False).print(table)


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value
