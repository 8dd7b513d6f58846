"""Exception handlers bound to the plant: what each watches for, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from evcontrol.expression import Condition, Symbol, compile_condition
from evcontrol.plant.model import Plant
from evcontrol.procedure.mistakes import Mistakes
from evcontrol.procedure.step import GO_ON, Handler, Step, Trigger
from evcontrol.units import parse_quantity
from evcontrol.yaml_source import nearest


@dataclass(frozen=True, slots=True)
class BoundHandler:
    """A handler with what it watches: a condition, an alarm of the plant, or a time (s); ``handler`` is as written."""

    handler: Handler
    condition: Condition | None = None
    alarm: str = ""
    timeout_s: float = inf


def bind_handlers(
    step: Step, plant: Plant, units: Mapping[str, str], scope: Mapping[str, Symbol], mistakes: Mistakes
) -> tuple[BoundHandler, ...]:
    """The handlers of a step; ``units`` by the recipe's names, ``scope`` what conditions may read."""
    binder = _Binder(plant, units, scope, mistakes)
    return tuple(binder.bound(handler) for handler in step.handlers)


class _Binder:
    def __init__(self, plant: Plant, units: Mapping[str, str], scope: Mapping[str, Symbol], mistakes: Mistakes) -> None:
        self._plant = plant
        self._units = units
        self._scope = scope
        self._mistakes = mistakes

    def bound(self, handler: Handler) -> BoundHandler:
        """A handler bound; what is wrong with it goes to the mistakes."""
        place = (*handler.place, handler.trigger.value)
        if handler.trigger is Trigger.PHASE_FAILURE and GO_ON in handler.choices and handler.argument:
            what = f"a phase that failed does not {GO_ON} by itself: a person restarts it; leave this choice away"
            self._mistakes.wrong((*handler.place, "choices"), what)
        match handler.trigger:
            case Trigger.ALARM:
                return BoundHandler(handler, alarm=self._alarm(handler))
            case Trigger.TIMEOUT:
                return BoundHandler(handler, timeout_s=self._time(handler))
            case Trigger.BAD_QUALITY | Trigger.WHEN:
                text = handler.text
                line, column = self._mistakes.start(place)
                if handler.trigger is Trigger.BAD_QUALITY:
                    text, column = f"bad({text})", column - len("bad(")
                with self._mistakes.at(place):
                    condition = compile_condition(text, self._scope, line=line, column=column)
                    if not condition.names:
                        self._mistakes.wrong(place, f"{text} reads no tag: it never changes")
                    return BoundHandler(handler, condition)
        return BoundHandler(handler)

    def _alarm(self, handler: Handler) -> str:
        unit, _, rest = handler.text.partition(".")
        name = f"{self._units.get(unit, unit)}.{rest}"
        if name not in self._plant.alarms:
            back = {theirs: ours for ours, theirs in self._units.items()}
            known = [
                f"{back.get(unit, unit)}.{rest}" for unit, _, rest in (a.partition(".") for a in self._plant.alarms)
            ]
            what = f"the plant has no alarm {handler.text!r}{nearest(handler.text, known)}"
            self._mistakes.wrong((*handler.place, "alarm"), what)
        return name

    def _time(self, handler: Handler) -> float:
        place = (*handler.place, "timeout")
        with self._mistakes.at(place):
            seconds = parse_quantity(handler.text, like="s").to("s")
            if not seconds > 0:
                self._mistakes.wrong(place, f"a timeout of {handler.text} is over before it begins")
            return seconds
        return inf
