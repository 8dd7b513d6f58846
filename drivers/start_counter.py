"""Notices that a device was restarted, by a tag of it that goes up at each of its starts."""

from __future__ import annotations

import math
from collections.abc import Mapping

from evcontrol.quality import QualityArray, is_good
from evcontrol.signals import FloatArray


class StartCounter:
    """The counter as it was when the device was last taken up; ``position`` is that of its tag, None without one.

    ValueError when ``tag`` is no tag of the device.
    """

    def __init__(self, device: str, tag: str | None, position: Mapping[str, int]) -> None:
        if tag is not None and tag not in position:
            raise ValueError(f"device {device}: start_counter {tag!r} is no tag of this device")
        self.position = None if tag is None else position[tag]
        self._starts = math.nan

    def take_up(self, value: float) -> str:
        """The device is taken up; in words, whether it was started since the last time (empty when it was not)."""
        before, self._starts = self._starts, value
        return "" if math.isnan(before) or before == value else self._words(before, value)

    def watch(self, values: FloatArray, qualities: QualityArray) -> str:
        """Readings of all the device's points; in words, whether it was started since it was taken up."""
        if self.position is None or not is_good(int(qualities[self.position])):
            return ""
        value = float(values[self.position])
        if math.isnan(self._starts):  # could not be read when it was taken up
            self._starts = value
        return "" if value == self._starts else self._words(self._starts, value)

    def _words(self, before: float, now: float) -> str:
        return f"the device restarted (start counter {before:g} to {now:g})"
