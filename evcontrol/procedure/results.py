"""Results of phases as names of the expression language: ``result.flush.nwp``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import nan

from evcontrol.expression import Reading, Symbol
from evcontrol.procedure.phase import UnknownPhaseError, phase_type
from evcontrol.procedure.step import Level, Step
from evcontrol.quality import BAD_WAITING_FOR_INITIAL, GOOD
from evcontrol.units import UnitError, parse

PREFIX = "result."


def results_of(step: Step) -> dict[str, Symbol]:
    """The numbers that a step surely has put down when it has run."""
    match step.level:
        case Level.PHASE:
            return _of_phase(step)
        case Level.CHOICE:
            every = [_of_steps(branch.steps) for branch in step.steps]
            first, *others = every or [{}]
            return {name: symbol for name, symbol in first.items() if all(name in other for other in others)}
        case Level.LOOP:
            return _of_steps(step.steps[:1])
        case _:
            return _of_steps(step.steps)


def reading(name: str, results: Iterable[tuple[str, str, float | str, str]]) -> Reading:
    """The last such result of a batch, given as (path, name, value, unit); Bad when there is none yet."""
    _, step, wanted = name.split(".")
    found = nan
    for path, result, value, _unit in results:
        if path.rpartition("/")[2] == step and _name(result) == wanted and not isinstance(value, str):
            found = float(value)
    return Reading(found, GOOD if found == found else BAD_WAITING_FOR_INITIAL)  # noqa: PLR0124  (NaN is not itself)


def _of_steps(steps: Iterable[Step]) -> dict[str, Symbol]:
    found: dict[str, Symbol] = {}
    for step in steps:
        found |= results_of(step)
    return found


def _of_phase(step: Step) -> dict[str, Symbol]:
    try:
        results = phase_type(step.phase).gives(step.arguments)
    except UnknownPhaseError:
        return {}
    names = {f"{PREFIX}{step.name}.{_name(result)}": unit for result, unit in results.items()}
    return {name: Symbol(name, unit) for name, unit in names.items() if _is_unit(unit)}


def _is_unit(text: str) -> bool:
    try:
        parse(text)
    except UnitError:
        return False  # told where the phase is checked
    return True


def _name(result: str) -> str:
    """A result's name as it is written in a condition."""
    return re.sub(r"\W+", "_", result.lower()).strip("_")
