"""What a rehearsed batch came to: its course, its alarms, its material and its yield, from its own record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from evcontrol.batch.balance import LiquidBalance, liquid_balances
from evcontrol.batch.balance import summary as balance_summary
from evcontrol.batch.entries import BatchRecord, ElementEntry
from evcontrol.batch.record import read_record
from evcontrol.batch.worth import summary as worth_summary
from evcontrol.batch.worth import worth
from evcontrol.cli.output import print_table, say
from evcontrol.clock import NS
from evcontrol.history.reader import HistoryReader
from evcontrol.journal.events import Kind
from evcontrol.procedure.states import State

_RAISED = "unacknowledged"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class StepTaken(_Frozen):
    """One element: when it began after the batch and how long it took (process seconds; None: not, or not yet)."""

    path: str
    kind: str
    began_s: float | None
    took_s: float | None
    state: str
    reason: str


class Told(_Frozen):
    """An alarm, trip or hold, and when after the batch began (process seconds)."""

    at_s: float
    what: str
    name: str
    text: str


class PhaseResult(_Frozen):
    """A result of a phase."""

    path: str
    name: str
    value: float | str | bool
    unit: str


class Material(_Frozen):
    """A mass of liquid on one side of a unit's balance, g."""

    unit: str
    what: str
    mass_g: float


class Rehearsed(_Frozen):
    """All of it."""

    recipe: str
    version: str
    hash: str
    parameters: dict[str, str]
    state: str
    reason: str
    process_s: float
    steps: tuple[StepTaken, ...]
    troubles: tuple[Told, ...]
    results: tuple[PhaseResult, ...]
    material: tuple[Material, ...]
    balance: str
    yield_: str


def rehearsed(data: Path, batch: str) -> Rehearsed:
    """Read it from the data directory of the rehearsal."""
    record, reader = read_record(data, batch), HistoryReader(data / "history")
    balances, evaluated = liquid_balances(record, reader), worth(record, reader)
    root = record.elements[""]
    return Rehearsed(
        recipe=record.recipe["name"],
        version=record.recipe["version"],
        hash=record.recipe["hash"],
        parameters={p.name: p.value for p in record.parameters},
        state=record.state,
        reason=root.changes[-1].reason if root.changes else "",
        process_s=(record.end - record.created) / NS,
        steps=tuple(_step(record, entry) for entry in record.elements.values() if entry.path),
        troubles=tuple(sorted(_troubles(record), key=lambda told: told.at_s)),
        results=tuple(PhaseResult(path=phase.path, name=r.name, value=r.value, unit=r.unit)
                      for phase in record.phases() for r in phase.results),
        material=tuple(m for balance in balances for m in _material(balance)),
        balance=balance_summary(balances),
        yield_="nothing was counted" if evaluated is None else worth_summary(evaluated),
    )  # fmt: skip


def print_rehearsed(found: Rehearsed) -> None:
    """Print it for a person."""
    say(f"{found.recipe} {found.version}: {found.state} after {clock(found.process_s)} h of process{_why(found)}")
    say("")
    print_table(
        ["Began", "Took", "State", "Step"],
        [[clock(s.began_s), clock(s.took_s), s.state, _indented(s)] for s in found.steps],
        whole=3,
    )
    if found.troubles:
        say("")
        print_table(["At", "", "", ""], [[clock(t.at_s), t.what, t.name, t.text] for t in found.troubles], whole=3)
    say("")
    print_table(["Value", "Result", "Phase"], [[shown(r.value, r.unit), r.name, r.path] for r in found.results])
    say("")
    rows = [[f"{m.unit} {m.what}", f"{m.mass_g:.1f} g"] for m in found.material]
    rows += [["Liquid balance", found.balance], ["Predicted yield", found.yield_], ["Alarms", str(_alarms(found))]]
    print_table(["Summary", ""], rows)


def print_side_by_side(one: Rehearsed, other: Rehearsed) -> None:
    """Print what differs between two rehearsals; lines that are the same are left out."""
    head = ["", f"{one.recipe} {one.version}", f"{other.recipe} {other.version}"]
    if head[1] == head[2]:
        head[1:] = [f"{text} ({found.hash[:8]})" for text, found in zip(head[1:], (one, other), strict=True)]
    left, right = _figures(one), _figures(other)
    names = list(dict.fromkeys([*left, *right]))
    rows = [[name, left.get(name, "-"), right.get(name, "-")] for name in names if left.get(name) != right.get(name)]
    say("")
    if rows:
        print_table(head, rows)
        say(f"{len(names) - len(rows)} of {len(names)} figures are the same")
    else:
        say("the two rehearsals do not differ in any step, result, alarm or amount")


def clock(seconds: float | None) -> str:
    """Process time as ``h:mm:ss``."""
    if seconds is None:
        return ""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def shown(value: float | str | bool, unit: str) -> str:
    """A result in words."""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return f"{text} {unit}".rstrip()


def _indented(step: StepTaken) -> str:
    above, _, name = step.path.rpartition("/")
    return f"{'  ' * (above.count('/') + bool(above))}{name}"


def _alarms(found: Rehearsed) -> int:
    return sum(1 for told in found.troubles if told.what == "alarm")


def _why(found: Rehearsed) -> str:
    return f" ({found.reason})" if found.reason and found.state != State.COMPLETE else ""


def _figures(found: Rehearsed) -> dict[str, str]:
    """Every figure by a name that is the same in two rehearsals."""
    figures = {"State": found.state, "Process time": clock(found.process_s)}
    figures |= {f"Parameter {name}": value for name, value in found.parameters.items()}
    figures |= {f"{step.path}: took": clock(step.took_s) or step.state for step in found.steps if step.kind == "phase"}
    figures |= {f"{r.path}: {r.name}": shown(r.value, r.unit) for r in found.results}
    figures |= {f"{m.unit} {m.what}": f"{m.mass_g:.1f} g" for m in found.material}
    for told in found.troubles:
        name = f"{told.what.capitalize()} {told.name}"
        figures[name] = f"{int(figures.get(name, '0')) + 1}"
    return figures | {"Predicted yield": found.yield_}


def _step(record: BatchRecord, entry: ElementEntry) -> StepTaken:
    began, ended = entry.started, entry.ended
    return StepTaken(
        path=entry.path,
        kind=entry.level,
        began_s=None if began is None else (began - record.created) / NS,
        took_s=None if began is None or ended is None else (ended - began) / NS,
        state=entry.state,
        reason=entry.changes[-1].reason if entry.changes else "",
    )


def _troubles(record: BatchRecord) -> Iterator[Told]:
    for event in record.alarms:
        if event.body.get("new") == _RAISED:
            yield _told(record, event.t, "alarm", str(event.body["alarm"]), str(event.body.get("text", "")))
    for event in record.interlocks:
        if event.kind is Kind.INTERLOCK_TRIPPED:
            yield _told(record, event.t, "trip", str(event.body["interlock"]), str(event.body.get("cause", "")))
    for entry in record.elements.values():
        for change in entry.changes:
            if change.new == State.HELD and not entry.path:
                yield _told(record, change.t, "hold", "batch", change.reason)


def _told(record: BatchRecord, t: int, what: str, name: str, text: str) -> Told:
    return Told(at_s=(t - record.created) / NS, what=what, name=name, text=text)


def _material(balance: LiquidBalance) -> Sequence[Material]:
    parts = (
        ("feed in", balance.feed_g),
        ("buffer in", balance.buffer_g),
        ("permeate out", balance.permeate_g),
        ("retentate out", balance.retentate_g),
        ("left in the circuit", balance.circuit_g),
        ("samples", balance.sampled_g or None),
    )
    return [Material(unit=balance.unit, what=what, mass_g=mass) for what, mass in parts if mass is not None]
