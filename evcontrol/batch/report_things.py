"""Parts of the batch report: liquids and things, people and signatures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from evcontrol.batch.balance import LIMIT, Closure, Comparison, LiquidBalance
from evcontrol.batch.entries import BatchRecord
from evcontrol.batch.gather import deed_of
from evcontrol.batch.markup import Markup, element, join, paragraph, section, table
from evcontrol.batch.wording import Labels, about, listed, moment, who
from evcontrol.journal.events import Event

_AMOUNTS: Final = frozenset({"g", "mL", "x", "DV"})


def mass_balance(record: BatchRecord, balances: list[LiquidBalance], marks: Mapping[Closure | None, Markup]) -> Markup:
    """The liquid balance of each unit, and what the phases put down."""
    content = [_balance(balance, marks[balance.closure]) for balance in balances]
    amounts = [
        (phase.path, result.name, result.value, result.unit)
        for phase in record.phases()
        for result in phase.results
        if result.unit in _AMOUNTS
    ]
    return section(
        "Volumes and mass balance",
        *(content or [paragraph("The recipe loads no unit: there is nothing to balance.", "note")]),
        element("h3", "Put down by the phases"),
        table(("Element", "What", "Value", "Unit"), amounts),
    )


def things(record: BatchRecord) -> Markup:
    """What the batch used and made."""
    return section(
        "Module, containers, materials and samples",
        *_things("Membrane module", record.modules, "No module was installed."),
        *_things("Containers", record.containers, "No container was registered."),
        *_things("Materials", record.materials, "No material was received."),
        *_things("Samples", record.samples, "No sample was taken."),
    )


def revisions(record: BatchRecord) -> Markup:
    """What was changed of the batch's recipe while it ran; empty when nothing was."""
    rows = [
        (
            event.body["revision"],
            moment(event.t),
            who(record, event.actor),
            f"{event.body['recipe'].get('name', '')} {event.body['recipe'].get('version', '')}",
            element("code", event.body["recipe"].get("hash", "")),
            join([element("div", line) for line in event.body["differences"]]),
            event.body["reason"],
        )
        for event in record.revisions
    ]
    if not rows:
        return Markup("")
    head = ("No.", "When", "Who", "Recipe", "SHA-256", "What had not begun and was changed", "Why")
    return section("Revisions", table(head, rows))


def recipe_texts(record: BatchRecord) -> list[Markup]:
    """The text of the recipe, and of each revision."""
    title = "Text of the recipe" + (" at the start" if record.revisions else "")
    texts = [(title, record.recipe.get("text", ""))]
    texts += [(f"Text of revision {e.body['revision']}", e.body["recipe"].get("text", "")) for e in record.revisions]
    return [section(title, element("pre", text)) for title, text in texts]


def signatures(record: BatchRecord) -> Markup:
    """Signatures with printed name, meaning and time (21 CFR 11.50)."""
    rows = [
        (
            event.body["full_name"],
            event.body["user"],
            event.body["meaning"],
            moment(event.t),
            event.body["subject"],
            event.station,
            element("code", event.body["shown_hash"]),
            event.body.get("comment", ""),
        )
        for event in record.signatures
    ]
    head = ("Name", "User", "Meaning", "Time", "Signed", "Station", "SHA-256 of what was shown", "Comment")
    return section("Signatures", table(head, rows, none="Nothing was signed."))


def reconciliations(record: BatchRecord) -> Markup:
    """What was compared after each outage, and who signed it."""
    parts = [_reconciliation(record, event) for event in record.reconciliations]
    return section("Reconciliations after an outage", *(parts or [paragraph("None.", "note")]))


def people(record: BatchRecord, labels: Labels) -> Markup:
    """Who had a hand in it, and everything that they did."""
    persons = [
        (p.full_name or "not in this journal", p.user, ", ".join(f"{deed} ({n})" for deed, n in p.deeds.items()))
        for p in record.people.values()
    ]
    actions = [
        (moment(e.t), who(record, e.actor), e.station, deed_of(e), e.path, about(e, labels)) for e in record.actions
    ]
    return section(
        "Who did what",
        table(("Name", "User", "Did"), persons, none="No person had a hand in it."),
        table(("Time", "Who", "Station", "Did", "Element", "What"), actions),
    )


def _balance(balance: LiquidBalance, mark: Markup) -> Markup:
    total, feed = balance.total, balance.feed
    rows = [
        ("In", "feed, by the transfer totaliser", _figure(balance.feed_ml, "mL"), _figure(balance.feed_g, "g")),
        ("In", "buffer, by the transfer totaliser", _figure(balance.buffer_ml, "mL"), _figure(balance.buffer_g, "g")),
        ("Out", "gain of the permeate balance", "", _figure(balance.permeate_g, "g")),
        ("Out", "gain of the retentate balance", "", _figure(balance.retentate_g, "g")),
        ("Out", "taken up by the circuit", "", _figure(balance.circuit_g, "g")),
        ("Out", "samples of the retentate", "", _figure(balance.sampled_g, "g")),
        ("In less Out", _compared(total), "", _figure(total.difference_g if total else None, "g")),
        ("Feed", "by the retentate balance", "", _figure(feed.found_g if feed else None, "g")),
        (
            "Feed",
            f"totaliser less balance: {_compared(feed)}",
            "",
            _figure(feed.difference_g if feed else None, "g"),
        ),
    ]
    note = (
        f"From {moment(balance.start) or 'not begun'} (load begins) to {moment(balance.end) or 'not ended'} (the last "
        f"filtration of the product ends). It closes within {100.0 * LIMIT:g} % of In. What was transferred is weighed "
        "by the density of water at the temperature read."
    )
    return join(
        [
            element("h3", join([f"Liquid balance of {balance.unit}: ", mark])),
            element("ul", join(element("li", reason) for reason in balance.reasons)) if balance.reasons else Markup(""),
            paragraph(note, "note"),
            table(("Side", "What", "Volume", "Mass"), rows),
        ]
    )


def _figure(value: float | None, unit: str) -> str:
    return "not known" if value is None else f"{value:.1f} {unit}"


def _compared(comparison: Comparison | None) -> str:
    if comparison is None:
        return "not known"
    word = "within" if comparison.closure is Closure.CLOSES else "OUTSIDE"
    return f"{100.0 * comparison.share:+.2f} %, {word} {100.0 * LIMIT:g} %"


def _things(title: str, events: Iterable[Event], none: str) -> list[Markup]:
    rows = [(moment(event.t), event.path, listed(event.body)) for event in events]
    return [element("h3", title), table(("Time", "Element", "What"), rows, none=none)]


def _reconciliation(record: BatchRecord, event: Event) -> Markup:
    body = event.body
    signed = [s for s in record.signatures if s.body["shown_hash"] == body["hash"]]
    names = ", ".join(f"{s.body['full_name']} at {moment(s.t)}" for s in signed) or "NOBODY"
    rows = [tuple(item.get(key) for key in ("what", "expected", "read", "verdict")) for item in body["items"]]
    css = ["" if item.get("verdict") == "as expected" else "warn" for item in body["items"]]
    return join(
        [
            element("h3", f"{moment(event.t)}, after an outage of {body['outage_s']:g} s"),
            table(("What", "Expected", "Read", "Verdict"), rows, css),
            paragraph(join([f"Signed by {names}. Hash of what was shown: ", element("code", body["hash"])])),
        ]
    )
