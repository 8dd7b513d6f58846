"""What the conditions of all alarms come to each scan: whether each is present, and whether it applies at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from evcontrol.acquisition.image import ProcessImage
from evcontrol.alarms.conditions import Conditions
from evcontrol.alarms.kinds import (
    FALSE,
    NEVER,
    TRUE,
    UNKNOWN,
    BadQualities,
    BoolArray,
    Deviations,
    Discrepancies,
    KindOfAlarm,
    Limits,
    Look,
    Rates,
    Stale,
    States,
    TruthArray,
    Watchdogs,
)
from evcontrol.clock import NS
from evcontrol.expression import Condition, Symbol, compile_condition
from evcontrol.plant.alarm_specs import (
    AlarmSpec,
    AlarmTest,
    BadQualityTest,
    DeviationTest,
    DiscrepancyTest,
    ExpressionTest,
    LimitTest,
    OnBad,
    RateTest,
    StaleTest,
    StateTest,
    WatchdogTest,
)
from evcontrol.quality import UNCERTAIN
from evcontrol.signals import IndexArray, TagTable, TimeArray

_ARRAYS: Final[Mapping[type[AlarmTest], Callable[[Any, TagTable], KindOfAlarm]]] = {
    LimitTest: Limits,
    DeviationTest: Deviations,
    RateTest: Rates,
    DiscrepancyTest: Discrepancies,
    StateTest: States,
    BadQualityTest: BadQualities,
    StaleTest: Stale,
    WatchdogTest: Watchdogs,
}


class Watch:
    """Looks at the conditions of alarms, which it knows by their place in ``specs``.

    ``present`` tells, after the delays, whether the condition counts as present; ``applies`` whether the alarm means
    anything now. A reading that is not known stops the time that leads to clearing, but not the time that leads to
    raising, so that a sensor that comes and goes cannot silence an alarm.
    """

    def __init__(self, specs: Sequence[AlarmSpec], symbols: Mapping[str, Symbol], image: ProcessImage) -> None:
        self._image = image
        n = len(specs)
        self.present: BoolArray = np.zeros(n, dtype=bool)
        self.applies: BoolArray = np.ones(n, dtype=bool)
        whens = {row: spec.test.when for row, spec in enumerate(specs) if isinstance(spec.test, ExpressionTest)}
        self._whens = Conditions([compile_condition(when, symbols) for when in whens.values()], image)
        self._when_rows = np.array(list(whens), dtype=np.int32)
        self._when_of = {row: i for i, row in enumerate(whens)}
        self._kinds = _kinds(specs, image.tags)
        self._place = {row: (kind, i) for rows, kind in self._kinds for i, row in enumerate(rows.tolist())}
        whiles = sorted({spec.while_ for spec in specs if spec.while_})
        self._whiles = Conditions([compile_condition(text, symbols) for text in whiles], image, always=1)
        places = {text: i for i, text in enumerate(["", *whiles])}
        self._while_of = np.array([places[spec.while_] for spec in specs], dtype=np.int32)
        self._on = _ns([spec.on_delay_s for spec in specs])
        self._off = _ns([spec.off_delay_s for spec in specs])
        self._raises = np.array([spec.on_bad is OnBad.RAISE for spec in specs], dtype=bool)
        self._keeps = np.array([spec.on_bad is OnBad.NEVER_CLEAR for spec in specs], dtype=bool)
        self._was: TruthArray = np.zeros(n, dtype=np.int8)
        self._state: TruthArray = np.zeros(n, dtype=np.int8)
        self._looking: TruthArray = np.zeros(n, dtype=np.int8)
        self._pending = True
        """Whether a delay runs."""
        self._true_since = np.full(n, NEVER, dtype=np.int64)
        self._false_since = np.full(n, NEVER, dtype=np.int64)

    def update(self, t: int, real: int) -> bool:
        """Look at the readings of the scan at process time ``t``; ``real`` is a real time that only goes on (ns).

        Returns whether ``present`` or ``applies`` may have changed.
        """
        looking = self._whiles.update(self._image, t)[self._while_of]
        state = np.where(looking == FALSE, FALSE, self._look(t, real, looking == FALSE))
        same = np.array_equal(state, self._state) and np.array_equal(looking, self._looking)
        if same and not self._pending:
            return False
        self._state, self._looking = state, looking
        self.applies = np.where(looking == UNKNOWN, self.applies, looking == TRUE)
        state = self._with_bad(state)
        self._delay(np.where((looking == UNKNOWN) & (state == TRUE), UNKNOWN, state), t)
        return True

    def set_setpoint(self, row: int, setpoint: float) -> None:
        """Change the setpoint of an alarm that has one, from the next scan on."""
        kind, i = self._place[row]
        kind.setpoint[i] = setpoint

    def condition(self, row: int) -> Condition | None:
        """The condition of an alarm that is an expression; None for the others."""
        place = self._when_of.get(row)
        return None if place is None else self._whens.conditions[place]

    def restore(self, row: int, *, present: bool) -> None:
        """Take over whether an alarm was present before the engine was started."""
        self.present[row] = present
        self._pending = True

    def slope(self, row: int) -> float:
        """How fast the tag of a rate alarm changes, in the unit of its setpoint; NaN while that is not known."""
        kind, i = self._place[row]
        return float(kind.slope[i]) if isinstance(kind, Rates) else np.nan

    def _look(self, t: int, real: int, asleep: BoolArray) -> TruthArray:
        image = self._image
        look = Look(t, real, np.where(image.quality < UNCERTAIN, image.value, np.nan), image.quality, image.t)
        state = np.zeros(len(self.present), dtype=np.int8)
        for rows, kind in self._kinds:
            state[rows] = kind.update(look, asleep[rows])
        if len(self._when_rows):
            state[self._when_rows] = self._whens.update(image, t, asleep[self._when_rows])
        return state

    def _with_bad(self, state: TruthArray) -> TruthArray:
        counts = self._raises | (self._keeps & (self._was == TRUE))
        state = np.where((state == UNKNOWN) & counts, TRUE, state).astype(np.int8)
        self._was = np.where(state == UNKNOWN, self._was, state)
        return state

    def _delay(self, state: TruthArray, t: int) -> None:
        true, false = state == TRUE, state == FALSE
        begun = np.where(true & (self._true_since == NEVER), t, self._true_since)
        self._true_since = np.where(false, NEVER, begun)
        self._false_since = np.where(false, np.where(self._false_since == NEVER, t, self._false_since), NEVER)
        raised = true & (t - self._true_since >= self._on)
        cleared = false & (t - self._false_since >= self._off)
        self.present = (self.present | raised) & ~cleared
        self._pending = bool(((true & ~self.present) | (false & self.present)).any())


def _kinds(specs: Sequence[AlarmSpec], tags: TagTable) -> list[tuple[IndexArray, KindOfAlarm]]:
    """The alarms of each kind: their rows, and what looks at them. Rates have one for each length of their windows."""
    groups: dict[tuple[type[AlarmTest], float], list[int]] = {}
    for row, spec in enumerate(specs):
        over = spec.test.over_s if isinstance(spec.test, RateTest) else 0.0
        groups.setdefault((type(spec.test), over), []).append(row)
    return [
        (np.array(rows, dtype=np.int32), _ARRAYS[kind]([specs[row].test for row in rows], tags))
        for (kind, _), rows in groups.items()
        if kind in _ARRAYS
    ]


def _ns(seconds: Sequence[float]) -> TimeArray:
    return np.array([round(s * NS) for s in seconds], dtype=np.int64)
