"""From the sections of a recipe file to the tree of its steps: kinds, nesting, loops unrolled, operations put in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from evcontrol.procedure.recipe_file import MOST_TURNS, HandlerSection, RecipeFile, StepSection
from evcontrol.procedure.step import GO_ON, Action, Handler, Level, Step, Trigger
from evcontrol.yaml_source import Document, Mistake, nearest
from evcontrol.yaml_source import Path as Place

MOST_STEPS: Final = 5000
"""Most steps of a procedure, all turns of its loops counted."""

_KINDS: Final = {
    "unit_procedure": Level.UNIT_PROCEDURE,
    "operation": Level.OPERATION,
    "parallel": Level.PARALLEL,
    "phase": Level.PHASE,
    "choice": Level.CHOICE,
    "branch": Level.BRANCH,
    "else": Level.BRANCH,
    "loop": Level.LOOP,
    "use": Level.OPERATION,
}
_FLOW: Final = frozenset({Level.PARALLEL, Level.CHOICE, Level.LOOP, Level.PHASE})
_INSIDE: Final = {
    Level.PROCEDURE: _FLOW | {Level.UNIT_PROCEDURE},
    Level.UNIT_PROCEDURE: _FLOW | {Level.OPERATION},
    Level.OPERATION: _FLOW,
    Level.PARALLEL: _FLOW | {Level.UNIT_PROCEDURE, Level.OPERATION},
}
"""Which elements may stand in which; branches and loops hold what may stand where they stand."""
_OWN_KEYS: Final = {
    "with": ("arguments", ("phase", "use")),
    "times": ("times", ("loop",)),
    "until": ("until", ("loop",)),
    "at_most": ("at_most", ("loop",)),
}
"""Keys that only some kinds take."""
_TRIGGERS: Final = ("alarm", "phase_failure", "timeout", "bad_quality", "when")
_ACTIONS: Final = ("do", "go_to", "ask")
_ANSWERS: Final = frozenset({GO_ON, Action.HOLD, Action.STOP, Action.ABORT})


class _TooManyStepsError(Exception):
    """The loops would make a procedure that nobody can follow."""


@dataclass(frozen=True, slots=True)
class _Here:
    """Where steps stand: above them in the tree, and what they inherit."""

    place: Place
    above: str
    unit: str
    within: Level
    """The nearest element above that is no branch and no loop."""
    parent: Level
    using: tuple[str, ...] = ()
    """The operations of the library that are being put in."""


class Structure:
    """The steps of one recipe file; ``mistakes`` are those found on the way."""

    def __init__(self, file: RecipeFile, document: Document) -> None:
        self.mistakes: list[Mistake] = []
        self._file = file
        self._document = document
        self._used: set[str] = set()
        self._count = 0

    def procedure(self) -> Step:
        """The whole procedure."""
        top = _Here(("procedure",), "", "", Level.PROCEDURE, Level.PROCEDURE)
        steps: tuple[Step, ...] = ()
        try:
            steps = tuple(self._steps(self._file.procedure, top))
        except _TooManyStepsError:
            self._wrong(("procedure",), f"with all turns of its loops the procedure has more than {MOST_STEPS} steps")
            return Step(Level.PROCEDURE, "", "", ("procedure",))
        if not self._file.procedure:
            self._wrong(("procedure",), "the procedure has no steps")
        for name in self._file.operations.keys() - self._used:
            self._wrong(("operations", name), f"operation {name!r} is never used")
        procedure = Step(Level.PROCEDURE, "", "", ("procedure",), steps=steps)
        self._check_targets(procedure, frozenset())
        return procedure

    def _steps(self, sections: list[StepSection], here: _Here) -> Iterator[Step]:
        names: set[str] = set()
        for number, section in enumerate(sections):
            place = (*here.place, number)
            step = self._step(section, replace(here, place=place))
            if step is None:
                continue
            if step.name in names:
                self._wrong(place, f"two steps here are called {step.name!r}: give one another name")
            names.add(step.name)
            yield step

    def _step(self, section: StepSection, here: _Here) -> Step | None:
        self._count += 1
        if self._count > MOST_STEPS:
            raise _TooManyStepsError
        kinds = [kind for kind in _KINDS if getattr(section, _field(kind)) is not None]
        if len(kinds) != 1:
            *most, last = _KINDS
            what = f"each step is one of {', '.join(most)} and {last}"
            self._wrong(here.place, f"{what}; this one is {' and '.join(kinds) or 'none of them'}")
            return None
        kind, level = kinds[0], _KINDS[kinds[0]]
        name = section.name or str(getattr(section, _field(kind)))
        self._check_place(level, name, here)
        self._check_shape(section, kind, here)
        path = f"{here.above}/{name}" if here.above else name
        unit = section.unit or here.unit
        within = here.within if level in (Level.CHOICE, Level.BRANCH, Level.LOOP) else level
        below = _Here((*here.place, "steps"), path, unit, within, level, here.using)
        return Step(
            level=level,
            name=name,
            path=path,
            place=here.place,
            unit=unit,
            phase=section.phase or "",
            when=section.when,
            arguments=section.arguments,
            steps=self._below(section, kind, below),
            use=section.use or "",
            times=section.times or "",
            until=section.until,
            handlers=tuple(self._handlers(section.on, (*here.place, "on"))),
        )

    def _below(self, section: StepSection, kind: str, here: _Here) -> tuple[Step, ...]:
        if kind == "use":
            return self._operation(str(section.use), here)
        if kind != "loop":
            steps = tuple(self._steps(section.steps, here))
            if kind == "choice":
                self._check_branches(section.steps, here.place)
            return steps
        return tuple(
            Step(
                level=Level.TURN,
                name=str(turn),
                path=f"{here.above}/{turn}",
                place=here.place[:-1],
                unit=here.unit,
                steps=tuple(self._steps(section.steps, replace(here, above=f"{here.above}/{turn}", parent=Level.TURN))),
            )
            for turn in range(1, (section.at_most or 1) + 1)
        )

    def _operation(self, name: str, here: _Here) -> tuple[Step, ...]:
        """The steps of an operation of the library, put in where it is used."""
        place = (*here.place[:-1], "use")
        operation = self._file.operations.get(name)
        if operation is None:
            known = self._file.operations
            what = f"the recipe's operations have no {name!r}{nearest(name, known)}"
            self._wrong(place, what)
            return ()
        if name in here.using:
            self._wrong(place, f"operation {name!r} uses itself ({' -> '.join((*here.using, name))})")
            return ()
        self._used.add(name)
        if not operation.steps:
            self._wrong(("operations", name, "steps"), f"operation {name!r} has no steps")
        inside = replace(here, place=("operations", name, "steps"), using=(*here.using, name))
        return tuple(self._steps(operation.steps, inside))

    def _check_place(self, level: Level, name: str, here: _Here) -> None:
        """Whether such an element may stand here."""
        if (here.parent is Level.CHOICE) != (level is Level.BRANCH):
            inside = "a choice holds branches and an else" if here.parent is Level.CHOICE else ""
            self._wrong(here.place, inside or "a branch or an else stands only in a choice")
        elif here.within is Level.PHASE:
            return  # it is told there that a phase has no steps
        elif level is not Level.BRANCH and level not in _INSIDE.get(here.within, frozenset()):
            if here.within is Level.PROCEDURE:
                self._wrong(here.place, f"{level} {name!r} stands outside a unit_procedure")
            else:
                self._wrong(here.place, f"{_a(level)} cannot stand inside {_a(here.within)}")

    def _check_shape(self, section: StepSection, kind: str, here: _Here) -> None:
        place, level = here.place, _KINDS[kind]
        if kind in ("phase", "use") and section.steps:
            self._wrong((*place, "steps"), f"{'a phase' if kind == 'phase' else 'a used operation'} has no steps")
        if kind not in ("phase", "use", "else") and not section.steps:
            self._wrong(place, f"this {level} has no steps")
        for key, (field, takers) in _OWN_KEYS.items():
            if getattr(section, field) and kind not in takers:
                words = " or ".join(_a(taker) if taker != "use" else "a used operation" for taker in takers)
                self._wrong((*place, key), f"only {words} takes '{key}:', not {_a(kind)}")
        if kind == "loop":
            self._check_loop(section, place)
        if kind == "branch" and not section.when:
            self._wrong(place, "a branch needs 'when:' with its condition; the one without is written as 'else:'")
        if kind == "else" and section.when:
            self._wrong((*place, "when"), "an else is taken when no branch is, and has no condition of its own")

    def _check_loop(self, section: StepSection, place: Place) -> None:
        if section.at_most is None:
            self._wrong(place, f"this loop has no bound: write 'at_most:' with its most turns (1 to {MOST_TURNS})")
        if not section.times and not section.until:
            self._wrong(place, "a loop needs 'times:' or 'until:'")
        if section.times and section.until:
            self._wrong((*place, "until"), "a loop has either 'times:' or 'until:', not both")

    def _check_branches(self, sections: list[StepSection], place: Place) -> None:
        """A choice says what is done in every case, and each of its branches can be taken."""
        if not sections:
            return
        if sections[-1].otherwise is None:
            what = "this choice has no else at its end: say what is done when no branch is taken (it may have no steps)"
            self._wrong(place[:-1], what)
        elif len(sections) == 1:
            self._wrong(place[:-1], "this choice has no branch")
        conditions: set[str] = set()
        for number, section in enumerate(sections):
            here = (*place, number)
            if section.otherwise is not None and number < len(sections) - 1:
                self._wrong((*place, number + 1), "this branch is never reached: it stands after the else")
            condition = " ".join(section.when.split())
            if condition and condition in conditions:
                self._wrong(here, "this branch is never reached: one before it has the same condition")
            conditions.add(condition)

    def _handlers(self, sections: list[HandlerSection], place: Place) -> Iterator[Handler]:
        for number, section in enumerate(sections):
            here = (*place, number)
            triggers = [key for key in _TRIGGERS if getattr(section, key)]
            actions = [key for key in _ACTIONS if getattr(section, key)]
            if len(triggers) != 1:
                self._wrong(here, f"an exception handler has one of {', '.join(_TRIGGERS)}{_has(triggers)}")
            if len(actions) != 1:
                self._wrong(here, f"an exception handler has one of {', '.join(_ACTIONS)}{_has(actions)}")
            if section.choices and actions != ["ask"]:
                self._wrong((*here, "choices"), "only an ask has choices")
            if len(triggers) != 1 or len(actions) != 1:
                continue
            written = getattr(section, triggers[0])
            yield Handler(
                trigger=Trigger(triggers[0]),
                text=written if isinstance(written, str) else "",
                action=Action(section.do or actions[0]),
                argument=section.go_to or section.ask or "",
                choices=tuple(section.choices) or ((GO_ON, "hold", "stop") if section.ask else ()),
                place=here,
            )

    def _check_targets(self, step: Step, later: frozenset[str]) -> None:
        """Whether every ``go_to`` leads to a step that comes later, in this group or one above."""
        for handler in step.handlers:
            targets = [handler.argument] if handler.action is Action.GO_TO else []
            targets += [choice for choice in handler.choices if choice not in _ANSWERS]
            for target in targets:
                if target not in later:
                    what = f"no step {target!r} comes later, here or in a group above{nearest(target, later)}"
                    self._wrong((*handler.place, "go_to" if handler.action is Action.GO_TO else "choices"), what)
        for number, below in enumerate(step.steps):
            follow = () if step.level in NOT_IN_TURN else step.steps[number + 1 :]
            self._check_targets(below, later | {one.name for one in follow})

    def _wrong(self, place: Place, what: str) -> None:
        self.mistakes.append(self._document.mistake(place, what))


NOT_IN_TURN: Final = frozenset({Level.PARALLEL, Level.CHOICE, Level.LOOP})
"""Groups whose steps do not simply follow each other."""


def _field(kind: str) -> str:
    return "otherwise" if kind == "else" else kind


def _a(word: str) -> str:
    words = word.replace("_", " ")
    return f"{'an' if words[0] in 'aeio' else 'a'} {words}"


def _has(keys: list[str]) -> str:
    return f"; this one has {' and '.join(keys) or 'none'}"
