"""``evcontrol record``: batch records from the data directory, with or without a running engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from evcontrol.batch.export import write_export
from evcontrol.batch.record import UnknownBatchError, verify_record
from evcontrol.batch.report import write_report
from evcontrol.cli.connect import DEFAULT_DATA, Data
from evcontrol.cli.fault import WRONG, CliError
from evcontrol.cli.output import AsJson, complain, print_json, say
from evcontrol.clock import iso
from evcontrol.history.reader import HistoryError

app = typer.Typer(no_args_is_help=True, help="Verify, report and export batch records; no engine is needed.")

Batch = Annotated[str, typer.Argument(help="The batch, such as B-0001.")]


@app.command()
def verify(batch: Batch, data: Data = DEFAULT_DATA, json: AsJson = False) -> None:
    """Check that nothing of a record was changed or lost; exit status 1 when it was."""
    with _one_line():
        verdict = verify_record(data, batch)
    if json:
        gaps = [{"from": iso(gap.start), "to": iso(gap.end), "reason": gap.reason} for gap in verdict.gaps]
        found = {"batch": batch, "intact": verdict.intact, "faults": verdict.faults, "gaps": gaps}
        print_json({**found, "events": verdict.events, "head": {"seq": verdict.head[0], "hash": verdict.head[1]}})
    else:
        for fault in verdict.faults:
            say(fault)
        for gap in verdict.gaps:
            say(f"no readings from {iso(gap.start)} to {iso(gap.end)}, as noted: {gap.reason}")
        whole = "is intact" if verdict.intact else "is NOT intact"
        say(f"the record of {batch} {whole}: {verdict.events} events, the last one hashes to {verdict.head[1]}")
    if not verdict.intact:
        raise typer.Exit(WRONG)


@app.command()
def report(
    batch: Batch,
    data: Data = DEFAULT_DATA,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The file to write.", show_default="DATA/reports/BATCH.html")
    ] = None,
) -> None:
    """Write a batch's report as one HTML file."""
    with _one_line():
        say(f"the report of {batch} is in {write_report(data, batch, out)}")
        if not verify_record(data, batch).intact:
            complain(f"the record of {batch} is NOT intact: `evcontrol record verify {batch}` and the report say where")


@app.command()
def export(
    batch: Batch,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write.")],
    data: Data = DEFAULT_DATA,
) -> None:
    """Write a batch's whole record, to be kept or to be checked elsewhere."""
    with _one_line():
        say(f"the record of {batch} is in {write_export(data, batch, out)}")


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except (UnknownBatchError, HistoryError) as error:
        raise CliError(str(error)) from None
