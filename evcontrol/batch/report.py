"""The batch report: one HTML file that needs nothing else, for the screen and for paper."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from evcontrol.batch.approval import TRAINING
from evcontrol.batch.balance import Closure, LiquidBalance, liquid_balances, summary, worst
from evcontrol.batch.entries import BatchRecord
from evcontrol.batch.markup import Markup, element, facts, join, page, paragraph, section, table, verdict
from evcontrol.batch.record import Verdict, check_record, read_record
from evcontrol.batch.report_course import alarms, commands, comparisons, machinery, questions, timeline
from evcontrol.batch.report_things import (
    mass_balance,
    people,
    recipe_texts,
    reconciliations,
    revisions,
    signatures,
    things,
)
from evcontrol.batch.report_worth import verdict_row, yield_and_size
from evcontrol.batch.trends import trends
from evcontrol.batch.wording import duration, moment, who
from evcontrol.batch.worth import Worth, worth
from evcontrol.history.reader import HistoryError, HistoryReader
from evcontrol.procedure.states import State

CLOSURES: Final = {
    Closure.CLOSES: verdict("closes", "good"),
    Closure.OPEN: verdict("FAILS", "bad"),
    Closure.INCONCLUSIVE: verdict("INCONCLUSIVE", "warn"),
    None: Markup("none"),
}
_STATE_CSS: Final = {State.COMPLETE.value: "good", State.STOPPED.value: "warn", State.ABORTED.value: "bad"}


def write_report(data: Path, batch: str, out: Path | None = None) -> Path:
    """Write the report of a batch from the data directory alone, and give its path.

    ``out`` is the file; without it, it is ``data/reports/<batch>.html``. Raises UnknownBatchError, OSError.
    """
    record = read_record(data, batch)
    path = data / "reports" / f"{record.batch}.html" if out is None else out
    text = report(record, check_record(data, record), HistoryReader(data / "history"))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def report(record: BatchRecord, found: Verdict, reader: HistoryReader) -> str:
    """The report as one HTML page; the same data gives the same page."""
    balances = liquid_balances(record, reader)
    evaluated = worth(record, reader)
    labels = _labels(reader)
    content = [
        element("h1", f"Batch report {record.batch}"),
        _banner(record),
        _mark(record),
        _head(record),
        _verdicts(record, found, balances, evaluated),
        _parameters(record),
        revisions(record),
        timeline(record),
        comparisons(record, reader),
        questions(record),
        alarms(record),
        section("Trends", trends(record, reader)),
        mass_balance(record, balances, CLOSURES),
        yield_and_size(evaluated),
        things(record),
        signatures(record),
        reconciliations(record),
        people(record, labels),
        machinery(record, labels),
        commands(record, labels),
        *recipe_texts(record),
        _seal(record, found),
    ]
    return page(f"Batch report {record.batch}", join(content))


def _labels(reader: HistoryReader) -> dict[str, tuple[str, ...]]:
    try:
        return {tag.name: tag.labels for tag in reader.tags() if tag.labels}
    except HistoryError:
        return {}


def _banner(record: BatchRecord) -> Markup:
    if not record.simulated:
        return Markup("")
    words = "SIMULATED: made on simulated equipment. It can never be released."
    unknown = "The journal does not say on what equipment this was made. It cannot be released."
    return paragraph(words if record.engines else unknown, "banner")


def _mark(record: BatchRecord) -> Markup:
    """On paper it stands on every page, beside the text: what is fixed is printed on each."""
    if record.kind != TRAINING:
        return Markup("")
    words = f"TRAINING, recipe {record.recipe.get('state', '')}: not for use in people"
    return join([paragraph(words, "banner"), element("div", f"{record.batch}: {words}", "mark")])


def _head(record: BatchRecord) -> Markup:
    recipe = record.recipe
    ended = moment(record.ended) if record.ended is not None else f"not ended (last event {moment(record.last_t)})"
    rows: list[tuple[str, Any]] = [
        ("Batch", record.batch),
        ("Product", record.product),
        ("Purpose", record.purpose),
        ("Recipe", f"{recipe.get('name', '')}, version {recipe.get('version', 'not known')}"),
        ("Recipe file and SHA-256", join([recipe.get("file", ""), element("code", recipe.get("hash", ""))], " ")),
        ("Created", f"{moment(record.created)} by {who(record, record.creator)}"),
        ("Ended", ended),
        ("Duration", duration(record.end - record.created)),
        ("Kind", f"{record.kind or 'not known'}; the recipe was {record.recipe.get('state') or 'of unknown state'}"),
        ("Units", ", ".join(f"{name} = {unit}" for name, unit in record.units.items())),
        ("Equipment", "simulated" if record.simulated else "real"),
    ]
    if record.engines:
        run = record.engines[0]
        rows += [
            ("Plant", run.plant),
            ("SHA-256 of the plant file", element("code", run.plant_hash)),
            ("Clock and speed", f"{run.clock}; {_speeds(record)}"),
            ("Engine", f"evcontrol {run.version}"),
        ]
    if record.own:
        rows.append(("Machine's time when created", moment(record.own[0].wall)))
    return join([facts(rows), paragraph("All times are process time, UTC, unless said otherwise.", "note")])


def _speeds(record: BatchRecord) -> str:
    speeds = sorted({run.speed for run in record.engines} | {speed for _, speed, _ in record.speeds})
    return "process seconds per real second: " + ", ".join(f"{speed:g}" for speed in speeds)


def _verdicts(record: BatchRecord, found: Verdict, balances: list[LiquidBalance], evaluated: Worth | None) -> Markup:
    intact = verdict("intact", "good") if found.intact else verdict("NOT INTACT", "bad")
    checked = f"{found.events} events in the journal of the plant; its chain of hashes was checked"
    rows: list[tuple[str, Any]] = [
        ("State", verdict(record.state, _STATE_CSS.get(record.state, "warn"))),
        ("Balance check", join([CLOSURES[worst(balances)], summary(balances)], " ")),
        *verdict_row(evaluated),
        ("Record", join([intact, checked], " ")),
        ("Gaps in the readings", f"{len(found.gaps)} noted" if found.gaps else "none"),
    ]
    faults = element("ul", join(element("li", fault) for fault in found.faults)) if found.faults else Markup("")
    return section("Verdicts", facts(rows), faults)


def _parameters(record: BatchRecord) -> Markup:
    rows = [
        (p.name, p.value, "CHANGED" if p.changed else "", p.recipe_value, _limits(p.low, p.high), p.description)
        for p in record.parameters
    ]
    css = ["changed" if p.changed else "" for p in record.parameters]
    head = ("Parameter", "Value", "Changed", "In the recipe", "Limits", "Description")
    return section("Recipe and parameters", table(head, rows, css, "The recipe has no parameters."))


def _limits(low: str, high: str) -> str:
    return f"{low or 'no limit'} to {high or 'no limit'}" if low or high else ""


def _seal(record: BatchRecord, found: Verdict) -> Markup:
    seq, head = record.head
    rows: list[tuple[str, Any]] = [
        ("Events of this batch", len(record.own)),
        ("Head of the journal", join([f"before event {seq}: ", element("code", head)])),
        ("Record", "intact" if found.intact else "NOT INTACT"),
    ]
    note = (
        "The chain of hashes of the journal passes through this head. Kept apart from the data, it proves later that "
        "nothing before it was changed, added or cut off. Readings are not in the chain."
    )
    return section("Seal", facts(rows), paragraph(note, "note"))
