"""What the demo says at its end: results, time, alarms, the liquid balance, and whether the record is whole."""

from __future__ import annotations

from pathlib import Path

from evcontrol.api.schema import BatchView, RecordVerdict, ReportMade
from evcontrol.batch.balance import Closure, liquid_balances, summary, worst
from evcontrol.batch.entries import BatchRecord, Result
from evcontrol.batch.record import read_record
from evcontrol.cli.output import print_table, say
from evcontrol.clock import NS
from evcontrol.history.reader import HistoryReader
from evcontrol.journal.events import Kind
from evcontrol.procedure.states import State


def print_summary(data: Path, view: BatchView, report: ReportMade, verdict: RecordVerdict) -> bool:
    """Print it from the record in ``data``; whether the batch is complete, its liquid accounted for and all intact."""
    record = read_record(data, view.summary.batch)
    balances = liquid_balances(record, HistoryReader(data / "history"))
    closure = worst(balances)
    lines = [
        ["Batch", f"{record.batch} {view.summary.state}: {record.product}"],
        ["Recipe", f"{record.recipe['name']} {record.recipe['version']}"],
        ["Process time", f"{(record.end - record.created) / NS / 60:.1f} min, {_equipment(record)}"],
        ["Alarms", str(_raised(record))],
        ["Interlock trips", str(sum(1 for event in record.interlocks if event.kind is Kind.INTERLOCK_TRIPPED))],
        ["Liquid balance", summary(balances)],
        ["Record", "intact" if verdict.intact else f"NOT intact: {'; '.join(verdict.faults)}"],
        ["Report", f"{report.file} (SHA-256 {report.sha256[:16]}...)"],
        ["Data", str(data)],
    ]
    say("")
    print_table(["Result", "Value", "Phase"], _results(record))
    say("")
    print_table(["Summary", ""], lines)
    return view.summary.state == State.COMPLETE and verdict.intact and closure in (Closure.CLOSES, None)


def _results(record: BatchRecord) -> list[list[str]]:
    return [[result.name, _shown(result), phase.name] for phase in record.phases() for result in phase.results]


def _shown(result: Result) -> str:
    value = f"{result.value:.6g}" if isinstance(result.value, float) else str(result.value)
    return f"{value} {result.unit}".rstrip()


def _equipment(record: BatchRecord) -> str:
    fastest = max((speed for _, speed, _ in record.speeds), default=1.0)
    return f"on simulated equipment at up to {fastest:g} times real time" if record.simulated else "on real equipment"


def _raised(record: BatchRecord) -> int:
    return sum(1 for event in record.alarms if event.body.get("new") == "unacknowledged")
