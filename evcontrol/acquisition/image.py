"""The process image: the latest value, quality and times of every tag, as arrays."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from evcontrol.expression import Reading
from evcontrol.quality import BAD_WAITING_FOR_INITIAL, GOOD, QualityArray, is_bad
from evcontrol.signals import FloatArray, Frame, IndexArray, TagTable, TimeArray


class ProcessImage:
    """What the plant looks like now. Consumers read it; only the scanner applies frames to it.

    ``value`` is float64 in each tag's unit with NaN where Bad, ``quality`` OPC UA status codes, ``t`` the process time
    (UTC ns) of each tag's reading. Before its first reading a tag is Bad.
    """

    def __init__(self, tags: TagTable, internal: Iterable[str] = ()) -> None:
        n = len(tags)
        self.tags = tags
        self.value: FloatArray = np.full(n, np.nan)
        self.quality: QualityArray = np.full(n, BAD_WAITING_FOR_INITIAL, dtype=np.uint32)
        self.t: TimeArray = np.zeros(n, dtype=np.int64)
        # The same once more as plain numbers, since those who ask for one tag by name ask often.
        self._at = {tag.name: tag.index for tag in tags}
        self._readings = [Reading(np.nan, BAD_WAITING_FOR_INITIAL)] * n
        self._internal = {tags[name].index: (np.nan, BAD_WAITING_FOR_INITIAL) for name in sorted(internal)}
        self._internal_index = np.array(sorted(self._internal), dtype=np.int32)
        self._internal_changed: set[int] = set()

    def apply(self, frame: Frame) -> IndexArray:
        """Take a frame over and return the indices of the tags whose value or quality changed."""
        index = frame.index
        old_value, old_quality = self.value[index], self.quality[index]
        bad = frame.quality >= np.uint32(0x8000_0000)
        value = np.where(bad, np.nan, frame.value)
        self.value[index] = value
        self.quality[index] = frame.quality
        self.t[index] = frame.t
        same = (old_quality == frame.quality) & ((old_value == value) | (np.isnan(old_value) & np.isnan(value)))
        changed: IndexArray = index[~same]
        readings = self._readings
        new = zip(changed.tolist(), self.value[changed].tolist(), self.quality[changed].tolist(), strict=True)
        for i, v, q in new:
            readings[i] = Reading(v, q)
        return changed

    def put(self, index: int, reading: Reading) -> None:
        """Take over one tag that was worked out from others in this scan."""
        self.value[index], self.quality[index] = reading
        self._readings[index] = reading

    def reading(self, name: str) -> Reading:
        """Value and quality of a tag, or of a :func:`constant_name`; KeyError when there is no such tag."""
        index = self._at.get(name)
        if index is None:
            return _constant(name)
        return self._readings[index]

    resolve = reading

    def time_of(self, name: str) -> int:
        """Process time of the tag's latest reading, UTC ns; 0 before the first."""
        return int(self.t[self._at[name]])

    def text(self, name: str) -> str:
        """The text of a TEXT tag or the label of an ENUM or DISCRETE one; empty when Bad."""
        tag = self.tags[name]
        value, quality = self.reading(name)
        if is_bad(quality):
            return ""
        if tag.labels:
            code = int(value)
            return tag.labels[code] if 0 <= code < len(tag.labels) else str(code)
        return self.tags.text_of(value)

    def set_internal(self, name: str, value: float | str, quality: int = GOOD) -> None:
        """Set a tag of the engine's own; it takes effect at once and goes into the next scan's frame.

        A text is interned, or looked up among the tag's labels; ValueError for a label that the tag does not have.
        """
        tag = self.tags[name]
        if tag.index not in self._internal:
            raise ValueError(f"{name} is not a tag of the engine's own")
        number = self._number(name, value) if isinstance(value, str) else float(value)
        if self._internal[tag.index] == (number, quality):
            return
        self._internal_changed.add(tag.index)
        self._internal[tag.index] = (number, quality)
        self.put(tag.index, Reading(np.nan if is_bad(quality) else number, quality))

    def internal_frame(self, t: int, wall: int, group: str) -> Frame:
        """All tags of the engine's own, as a frame of this scan."""
        index = self._internal_index
        return Frame(t, wall, group, index, self.value[index], self.quality[index])

    def take_internal_changes(self) -> IndexArray:
        """Indices of the engine's own tags that changed since the last call."""
        changed = np.array(sorted(self._internal_changed), dtype=np.int32)
        self._internal_changed.clear()
        return changed

    def _number(self, name: str, text: str) -> float:
        labels = self.tags[name].labels
        if not labels:
            return self.tags.code_of(text)
        try:
            return float(labels.index(text))
        except ValueError:
            raise ValueError(f"{name} has no label {text!r} (it has: {', '.join(labels)})") from None


_CONSTANT: Final = "="


def _constant(name: str) -> Reading:
    if not name.startswith(_CONSTANT):
        raise KeyError(name)
    return Reading(float(name[1:]), GOOD)


def constant_name(value: float) -> str:
    """The name under which a condition reads a fixed number beside tags (a recipe's parameter)."""
    return f"{_CONSTANT}{value!r}"
