"""Which readings tell something new, of the tags that are kept on change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from evcontrol.clock import NS
from evcontrol.history.layout import NOT_KEPT
from evcontrol.signals import Frame, TagTable


class OnChange:
    """Takes frames in order and leaves out what lies within a tag's deadband of what was kept last.

    The first reading of a tag is kept, and so is every change of quality, and one after the tag's longest interval.
    """

    def __init__(self, tags: TagTable) -> None:
        self._deadband = np.array([tag.deadband for tag in tags])
        self._longest = np.array([round(tag.max_interval_s * NS) for tag in tags], dtype=np.int64)
        self._any = bool(self._longest.any())
        self._value = np.full(len(tags), np.nan)
        self._quality = np.full(len(tags), NOT_KEPT, dtype=np.uint32)
        self._t = np.zeros(len(tags), dtype=np.int64)

    def thinned(self, frame: Frame) -> Frame:
        """The frame with code NOT_KEPT, and no value, for each reading that is left out."""
        if not self._any:
            return frame
        longest = self._longest[frame.index]
        if not longest.any():
            return frame
        before, q = self._value[frame.index], self._quality[frame.index]
        moved = np.abs(frame.value - before) > self._deadband[frame.index]
        came_or_went = np.isnan(frame.value) != np.isnan(before)
        waited = frame.t - self._t[frame.index]
        kept = (longest == 0) | moved | came_or_went | (q != frame.quality) | (waited >= longest) | (waited < 0)
        index = frame.index[kept]
        self._value[index], self._quality[index], self._t[index] = frame.value[kept], frame.quality[kept], frame.t
        if kept.all():
            return frame
        quality = np.where(kept, frame.quality, np.uint32(NOT_KEPT))
        return replace(frame, value=np.where(kept, frame.value, np.nan), quality=quality)
