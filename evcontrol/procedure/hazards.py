"""Hazardous phases for which a recipe does not say what is done when they fail or do not end."""

from __future__ import annotations

from collections.abc import Iterator

from evcontrol.procedure.phase import UnknownPhaseError, phase_type
from evcontrol.procedure.recipe import Recipe, Step
from evcontrol.yaml_source import Path as Place


def unhandled(recipe: Recipe) -> Iterator[tuple[Place, str]]:
    """The place of the first such phase, with all of them in words; nothing when there is none.

    A handler for ``failure`` or ``timeout`` of a phase itself, or of whatever it stands in, says it.
    """
    found = list(_unhandled(recipe.procedure))
    if found:
        names = ", ".join(dict.fromkeys(step.name for step in found))
        what = "is hazardous, and the recipe" if len(found) == 1 else "are hazardous, and the recipe"
        yield (
            found[0].place,
            f"{names} {what} does not say what is done on failure: write 'on:' with failure or timeout here or above, "
            "such as on: [{failure: yes, do: hold}]",
        )


def _unhandled(step: Step) -> Iterator[Step]:
    if any(handler.failure or handler.timeout for handler in step.handlers):
        return
    if step.phase and _hazardous(step.phase):
        yield step
    for below in step.steps:
        yield from _unhandled(below)


def _hazardous(phase: str) -> bool:
    try:
        return phase_type(phase).hazardous
    except UnknownPhaseError:
        return False
