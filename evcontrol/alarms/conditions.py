"""Expressions that are asked every scan, and worked out anew only when a reading that they use has changed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evcontrol.acquisition.image import ProcessImage
from evcontrol.alarms.kinds import TRUE, UNKNOWN, BoolArray, TruthArray
from evcontrol.expression import Condition


class Conditions:
    """Some conditions over the process image, one entry of the answer each, after ``always`` entries that are TRUE.

    One that depends on time, or on what was, is asked every scan, and begins anew while it is ``asleep``.
    """

    def __init__(self, conditions: Sequence[Condition], image: ProcessImage, always: int = 0) -> None:
        self.conditions = list(conditions)
        self._always = always
        self._states: TruthArray = np.full(always + len(conditions), TRUE, dtype=np.int8)
        self._timed = [place for place, condition in enumerate(conditions) if condition.remembers]
        self._plain = [place for place, condition in enumerate(conditions) if not condition.remembers]
        uses = [(place, name) for place in self._plain for name in sorted(conditions[place].names)]
        self._index = np.array([image.tags[name].index for _, name in uses], dtype=np.int32)
        self._of = np.array([place for place, _ in uses], dtype=np.int32)
        self._value = np.full(len(self._index), np.nan)
        self._quality = np.zeros(len(self._index), dtype=np.uint32)
        self._asked = False

    def update(self, image: ProcessImage, t: int, asleep: BoolArray | None = None) -> TruthArray:
        """TRUE, FALSE or UNKNOWN for each at process time ``t`` (ns)."""
        for place in self._changed(image) if self._asked else self._plain:
            self._ask(place, image, t)
        self._asked = True
        for place in self._timed:
            if asleep is not None and asleep[place]:
                self.conditions[place] = self.conditions[place].fresh()
            else:
                self._ask(place, image, t)
        return self._states

    def _ask(self, place: int, image: ProcessImage, t: int) -> None:
        found = self.conditions[place].update(image.resolve, t)
        self._states[self._always + place] = UNKNOWN if found is None else found

    def _changed(self, image: ProcessImage) -> list[int]:
        """Which of those that depend on readings alone have one that is not as it was."""
        value, quality = image.value[self._index], image.quality[self._index]
        same = (quality == self._quality) & ((value == self._value) | (np.isnan(value) & np.isnan(self._value)))
        self._value, self._quality = value, quality
        return [] if same.all() else sorted(set(self._of[~same].tolist()))
