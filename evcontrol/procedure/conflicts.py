"""What steps that run at once, or are decided in one moment, must not do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from evcontrol.expression.errors import MistakeError
from evcontrol.expression.grammar import parse
from evcontrol.expression.syntax import Call, HeldFor, Node, children
from evcontrol.procedure.recipe import Step
from evcontrol.yaml_source import Path as Place


def needs_time(condition: str) -> str:
    """The part of a condition that only time makes true (``for``, ``rising``), in words; empty when there is none."""
    try:
        parts: list[Node] = [parse(condition)]
    except MistakeError:
        return ""
    while parts:
        node = parts.pop()
        if isinstance(node, HeldFor):
            return "for"
        if isinstance(node, Call) and node.function == "rising":
            return "rising()"
        parts += children(node)
    return ""


def shared_units(parallel: Step, commands: Callable[[Step], bool]) -> Iterator[tuple[Place, str]]:
    """Where two steps of a parallel command one unit, and where each would wait for what the other has.

    ``commands`` says whether a step commands its unit.
    """
    orders = {
        child.name: list(dict.fromkeys(s.unit for s in child.walk() if s.unit and commands(s)))
        for child in parallel.steps
    }
    users: dict[str, str] = {}
    told: set[frozenset[str]] = set()
    for child in parallel.steps:
        order = orders[child.name]
        for other in dict.fromkeys(users[unit] for unit in order if unit in users):
            crossed = _crossed(orders[other], order)
            if crossed:
                first, second = crossed
                yield (
                    child.place,
                    (
                        f"deadlock: {other!r} takes {first!r} and then {second!r}, {child.name!r} takes {second!r} and "
                        f"then {first!r}, and they run at once: put them one after another"
                    ),
                )
                told.add(frozenset(crossed))
        for unit in sorted(order):
            if unit in users and not any(unit in pair for pair in told):
                yield child.place, f"{users[unit]!r} and {child.name!r} both command {unit!r}, and they run at once"
            users.setdefault(unit, child.name)


def _crossed(one: list[str], other: list[str]) -> tuple[str, str] | None:
    """Two units that both take, in contrary order."""
    for number, first in enumerate(one):
        for second in one[number + 1 :]:
            if first in other and second in other and other.index(second) < other.index(first):
                return first, second
    return None
