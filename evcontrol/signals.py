"""Tags, and the frames in which their readings travel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from evcontrol.quality import QualityArray, is_bad

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int32]
TimeArray = npt.NDArray[np.int64]

EXACT_INTEGER_LIMIT = 2**53
"""Integers beyond this cannot travel in a float64 and are refused."""


class TagKind(StrEnum):
    """What the numbers of a tag mean."""

    ANALOG = "analog"
    INTEGER = "integer"
    DISCRETE = "discrete"
    ENUM = "enum"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Tag:
    """One named signal of the plant.

    ``unit`` is the tag's only unit (see ``evcontrol.units``; empty for a number without one); ``low`` and ``high`` the
    instrument range in it. ``labels`` are the words of an ENUM by code, or of a DISCRETE (0, 1). ``record`` marks tags
    of the batch record, which are kept bit for bit. Another one with a ``max_interval_s`` (process time; 0 for none) is
    kept when it has moved by more than ``deadband``, or when so long has passed.
    """

    name: str
    index: int
    unit: str
    kind: TagKind
    low: float
    high: float
    description: str = ""
    labels: tuple[str, ...] = ()
    record: bool = True
    decimals: int = 2
    deadband: float = 0.0
    max_interval_s: float = 0.0


class TagTable:
    """All tags of a plant by name and index, and the codes of texts.

    A text value travels as the code that :meth:`code_of` gives it; codes are stable for the life of the table.
    """

    def __init__(self, tags: Iterable[Tag]) -> None:
        self._tags = tuple(tags)
        self._by_name = {tag.name: tag for tag in self._tags}
        if len(self._by_name) != len(self._tags):
            raise ValueError("two tags have the same name")
        if [tag.index for tag in self._tags] != list(range(len(self._tags))):
            raise ValueError("tag indices are not 0..n-1")
        self._codes: dict[str, int] = {}
        self._texts: list[str] = []

    def __len__(self) -> int:
        return len(self._tags)

    def __iter__(self) -> Iterator[Tag]:
        return iter(self._tags)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __getitem__(self, key: str | int) -> Tag:
        """The tag of that name or index; KeyError or IndexError when there is none."""
        return self._tags[key] if isinstance(key, int) else self._by_name[key]

    def names(self) -> list[str]:
        """All names in the order of their indices."""
        return [tag.name for tag in self._tags]

    def code_of(self, text: str) -> float:
        """The code under which ``text`` travels in frames."""
        code = self._codes.setdefault(text, len(self._texts))
        if code == len(self._texts):
            self._texts.append(text)
        return float(code)

    def text_of(self, code: float) -> str:
        """The text behind a code; IndexError when none was given out."""
        return self._texts[int(code)]


@dataclass(frozen=True, slots=True)
class Frame:
    """One scan of one group of tags.

    ``t`` is process time and ``wall`` the receiving machine's UTC time, both in ns since 1970. ``index``, ``value`` and
    ``quality`` are arrays of one length; a Bad value is NaN. ``source_t`` are the devices' own time stamps (UTC ns)
    where they have one.
    """

    t: int
    wall: int
    group: str
    index: IndexArray
    value: FloatArray
    quality: QualityArray
    source_t: TimeArray | None = field(default=None)

    def __post_init__(self) -> None:
        n = len(self.index)
        if len(self.value) != n or len(self.quality) != n or (self.source_t is not None and len(self.source_t) != n):
            raise ValueError(f"frame of group {self.group}: arrays of different lengths")


def make_frame(t: int, wall: int, group: str, readings: Sequence[tuple[int, float, int]]) -> Frame:
    """A frame from ``(tag index, value, quality)`` triples; Bad values become NaN. For few readings only."""
    index = np.array([r[0] for r in readings], dtype=np.int32)
    value = np.array([float("nan") if is_bad(r[2]) else r[1] for r in readings], dtype=np.float64)
    quality = np.array([r[2] for r in readings], dtype=np.uint32)
    return Frame(t, wall, group, index, value, quality)
