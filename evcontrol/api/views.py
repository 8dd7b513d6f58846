"""The engine's rooms as messages: pure functions that look and change nothing."""

from __future__ import annotations

import math
from functools import cache
from importlib.metadata import version

import numpy as np

from evcontrol.access.people import Person
from evcontrol.alarms.alarms import AlarmState
from evcontrol.alarms.states import WAITING
from evcontrol.api.schema import (
    AlarmView,
    BatchSummary,
    BatchView,
    ElementView,
    InterlockView,
    LinkView,
    LoopView,
    OwnerView,
    PromptView,
    Reconciliation,
    ReconciliationItem,
    Snapshot,
    Status,
    TagView,
    UnitView,
    User,
    Writable,
)
from evcontrol.api.stream import Readings
from evcontrol.batch import reconcile
from evcontrol.control.loop import LoopMode, LoopState
from evcontrol.control.owner import Owner
from evcontrol.engine import Engine
from evcontrol.journal.replay import BatchView as Replayed
from evcontrol.journal.replay import standing
from evcontrol.procedure.run import BatchRun
from evcontrol.signals import Tag

RECENT_BATCHES = 20
"""So many ended batches are still shown beside those that run."""


def snapshot(engine: Engine) -> Snapshot:
    """Everything that a console shows, now."""
    whole = np.arange(len(engine.plant.tags), dtype=np.int32)
    return Snapshot(
        status=status(engine),
        tags=tags(engine),
        values=Readings(engine.image).delta(engine.clock.now(), whole),
        units=units(engine),
        owners=owners(engine),
        links=links(engine),
        loops=loops(engine),
        interlocks=interlocks(engine),
        alarms=alarms(engine),
        batches=[batch_summary(run) for run in shown_batches(engine)],
        prompts=prompts(engine),
    )


def status(engine: Engine) -> Status:
    """On which clock, at which speed, on what plant."""
    return Status(
        version=_version(),
        plant=engine.plant.name,
        plant_hash=engine.plant.hash,
        simulated=engine.plant.simulated,
        clock=engine.clock.kind.value,
        speed=engine.clock.speed,
    )


def tags(engine: Engine) -> list[TagView]:
    """All tags in the order of their indices."""
    return [_tag(tag, engine) for tag in engine.plant.tags]


def units(engine: Engine) -> list[UnitView]:
    """All units."""
    return [
        UnitView(
            unit=name,
            unit_class=spec.unit_class,
            mode=engine.gate.mode(name).value,
            batch=next((run.id for run in engine.batches.active(name)), ""),
            safe=engine.gate.is_safe_held(name),
        )
        for name, spec in engine.plant.units.items()
    ]


def owners(engine: Engine) -> list[OwnerView]:
    """Who may command each writable tag."""
    found = []
    for tag in engine.plant.writes:
        holder = engine.gate.holder(tag)
        owner = "" if holder.owner is Owner.NONE else holder.owner.value
        found.append(OwnerView(tag=tag, owner=owner, holder=holder.name))
    return found


def links(engine: Engine) -> list[LinkView]:
    """All connections."""
    return [
        LinkView(
            device=name,
            state=driver.link.state.value,
            reason=driver.link.reason,
            since=driver.link.since,
            reconnects=engine.links.reconnects(name),
            units=sorted({bound.tag.name.partition(".")[0] for bound in engine.plant.devices[name].points}),
        )
        for name, driver in engine.drivers.items()
    ]


def loops(engine: Engine) -> list[LoopView]:
    """All loops."""
    return [loop_view(state) for state in engine.loops.states()]


def loop_view(state: LoopState) -> LoopView:
    """One loop: ``manual`` when it is off."""
    spec = state.spec
    return LoopView(
        loop=spec.name,
        unit=spec.unit,
        mode="manual" if state.mode is LoopMode.OFF else "auto",
        pv=spec.pv,
        output=spec.drives,
        setpoint=state.setpoint,
        setpoint_low=spec.setpoint_low,
        setpoint_high=spec.setpoint_high,
        note=state.note,
        state=state.mode.value,
        working=state.working,
        value=state.output,
        limit_high=state.limit_high,
        saturated=state.saturated,
    )


def interlocks(engine: Engine) -> list[InterlockView]:
    """All interlocks."""
    return [
        InterlockView(
            interlock=state.spec.name,
            unit=state.spec.unit,
            tripped=state.tripped,
            latched=state.spec.latched,
            cause=state.cause,
            since=state.since,
            description=state.spec.description,
            consequence=state.spec.consequence,
            corrective_action=state.spec.corrective_action,
            bypassed_until=state.bypass.until if state.bypass is not None else 0,
            bypassed_by=state.bypass.by if state.bypass is not None else "",
            bypass_reason=state.bypass.reason if state.bypass is not None else "",
            passed=state.passed,
            bypass_longest=state.spec.bypass_longest_s,
        )
        for state in engine.interlocks.states()
    ]


def alarms(engine: Engine) -> list[AlarmView]:
    """The alarms that are neither normal nor suppressed by design."""
    return [alarm_view(state) for state in engine.alarms.standing()]


def alarm_view(alarm: AlarmState) -> AlarmView:
    """One alarm. Its text does not move with the values."""
    spec = alarm.spec
    return AlarmView(
        alarm=spec.name,
        unit=spec.unit,
        state=alarm.state.value,
        priority=spec.priority.value,
        acknowledged=alarm.state not in WAITING,
        since=alarm.since,
        text=spec.description,
        corrective_action=spec.corrective_action,
        until=alarm.until,
        first_out=alarm.first_out,
        shelve_longest=spec.shelve_longest_s,
        shelve_by=list(spec.shelve_roles),
        cause=spec.cause,
        consequence=spec.consequence,
        alarm_class=spec.alarm_class.value,
        severity=spec.severity.value,
        respond_within=spec.respond_within_s,
        group=spec.group,
        setpoint=alarm.setpoint,
        setpoint_unit=spec.setpoint_unit,
        setpoint_low=spec.setpoint_low,
        setpoint_high=spec.setpoint_high,
    )


def prompts(engine: Engine) -> list[PromptView]:
    """All questions that wait for a person."""
    return [prompt for run in engine.batches.runs.values() for prompt in batch_prompts(run)]


def shown_batches(engine: Engine) -> list[BatchRun]:
    """Every batch that runs, and the latest that have ended since the engine was started."""
    runs = list(engine.batches.runs.values())
    ended = [run for run in runs if run.ended][-RECENT_BATCHES:]
    return [run for run in runs if not run.ended or run in ended]


def batch_view(run: BatchRun) -> BatchView:
    """A batch as a tree."""
    elements = [
        ElementView(path=e.path, kind=e.kind, state=e.state, waiting=e.waiting, commands=e.commands)
        for e in run.elements()
    ]
    return BatchView(
        summary=batch_summary(run),
        elements=elements,
        prompts=batch_prompts(run),
        parameters=dict(run.control.parameters),
        single_step=run.stepping.single,
        frozen=run.frozen,
        breakpoints=sorted(run.stepping.breakpoints),
    )


def batch_summary(run: BatchRun) -> BatchSummary:
    """One line about a batch."""
    waiting = [f"{e.path or 'procedure'}: {e.waiting}" for e in run.elements() if e.waiting]
    return BatchSummary(
        batch=run.id,
        recipe=run.info.recipe_name,
        product=run.info.product,
        purpose=run.info.purpose,
        state=run.state.value,
        units=run.units,
        created=run.info.created,
        running=run.running(),
        waiting=waiting,
        reconciliation_due=run.reconciliation_due,
        kind=run.info.kind,
        recipe_state=run.info.recipe_state,
        revision=run.info.revision,
    )


def batch_prompts(run: BatchRun) -> list[PromptView]:
    """The open questions of a batch."""
    return [
        PromptView(
            prompt=p.id,
            batch=run.id,
            path=p.path,
            kind=p.kind.value,
            text=p.text,
            unit=p.unit,
            low=p.low,
            high=p.high,
            choices=list(p.choices),
            meaning=p.meaning,
            opened=p.opened,
        )
        for p in run.prompts()
    ]


def past_batch(past: Replayed) -> BatchView:
    """A batch that ended before the engine was started, as its journal tells it; nothing can be commanded."""
    elements = [
        ElementView(path=path, kind="", state=state, waiting="", commands=[])
        for path, state in sorted(past.states.items(), key=lambda item: _place(item[0], list(past.states)))
    ]
    return BatchView(summary=past_summary(past), elements=elements, prompts=[])


def _place(path: str, begun: list[str]) -> list[int]:
    """Where an element stands in the tree: below its parent, in the order in which they began (``begun``)."""
    parts = path.split("/") if path else []
    steps = ["/".join(parts[: depth + 1]) for depth in range(len(parts))]
    return [begun.index(step) if step in begun else len(begun) for step in steps]


def past_summary(past: Replayed) -> BatchSummary:
    """One line about such a batch."""
    kind, _ = standing(past.body)
    return BatchSummary(
        batch=past.batch,
        recipe=past.recipe["name"],
        product=past.body["product"],
        purpose=past.body["purpose"],
        state=past.state,
        units=list(past.body["units"].values()),
        created=past.created,
        running=[],
        waiting=[],
        reconciliation_due=False,
        kind=kind,
        recipe_state=past.recipe.get("state", ""),
        revision=past.revision,
    )


def reconciliation(shown: reconcile.Reconciliation, signed_by: str) -> Reconciliation:
    """What is to be signed, or was."""
    items = [ReconciliationItem(what=i.what, expected=i.expected, read=i.read, verdict=i.verdict) for i in shown.items]
    return Reconciliation(
        batch=shown.batch, items=items, outage_s=shown.outage_s, shown_hash=shown.shown_hash, signed_by=signed_by
    )


def user(person: Person) -> User:
    """A person, without anything that is secret."""
    return User(user=person.user, full_name=person.full_name, roles=list(person.roles), disabled=person.disabled)


def _tag(tag: Tag, engine: Engine) -> TagView:
    write = engine.plant.writes.get(tag.name)
    return TagView(
        name=tag.name,
        unit=tag.unit,
        kind=tag.kind.value,
        low=_number(tag.low),
        high=_number(tag.high),
        decimals=tag.decimals,
        description=tag.description,
        labels=list(tag.labels),
        writable=None if write is None else Writable(low=write.low, high=write.high),
    )


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


@cache
def _version() -> str:
    return version("evcontrol")
