"""``evcontrol record``: batch records from the data directory, with or without a running engine."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, help="Verify, report and export batch records; no engine is needed.")
