"""Frames as lines of InfluxDB's line protocol: one line for one scan of one group, its tags as fields.

Measurements: ``readings``, ``definitions`` (what each tag is, once a session), ``gaps``, ``quarantined``. A value is
absent where it is Bad; its quality (``TAG__q``, an OPC UA status code) never is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from evcontrol.history.layout import NOT_KEPT, Gap
from evcontrol.quality import BAD
from evcontrol.signals import Tag, TagKind

READINGS: Final = "readings"
DEFINITIONS: Final = "definitions"
GAPS: Final = "gaps"
QUARANTINED: Final = "quarantined"
QUALITY_SUFFIX: Final = "__q"
NO_TEXT: Final = "there is no text behind"
INT64_LOW: Final = -(2**63)

Misfit = tuple[str, str]
"""A tag whose reading no field of its kind can hold, and why."""


class NoMatchError(Exception):
    """A reading that a field of its tag's kind cannot hold."""


class Lines:
    """Makes the lines of one plant."""

    def __init__(self, plant: str, simulated: bool) -> None:
        self._plant = key(plant)
        self._simulated = "true" if simulated else "false"

    def frames(self, group: str, tags: Sequence[Tag]) -> FrameLines:
        """The maker of a layout's lines."""
        return FrameLines(self._head(READINGS, group=group), tags)

    def definitions(self, group: str, tags: Sequence[Tag], t: int) -> list[bytes]:
        """What the tags are, as of ``t`` (UTC ns)."""
        lines = []
        for tag in tags:
            fields = [
                f"unit={string(tag.unit)}",
                f"kind={string(tag.kind.value)}",
                f"low={float(tag.low)!r}",
                f"high={float(tag.high)!r}",
                f"decimals={tag.decimals}i",
                f"record={str(tag.record).lower()}",
                f"labels={string('|'.join(tag.labels))}",
                f"description={string(tag.description)}",
            ]
            lines.append(f"{self._head(DEFINITIONS, group=group, tag=tag.name)}{','.join(fields)} {t}".encode())
        return lines

    def gap(self, gap: Gap) -> bytes:
        """A gap in the readings, at its start."""
        return f"{self._head(GAPS)}end={gap.end}i,reason={string(gap.reason)} {gap.start}".encode()

    def quarantined(self, t: int, row: str, reason: str) -> bytes:
        """That something of ``t`` (UTC ns) is missing, and why."""
        return f"{self._head(QUARANTINED)}row={string(row)},reason={string(reason)} {t}".encode()

    def _head(self, measurement: str, **more: str) -> str:
        # The server wants the tags in order of their keys.
        tags = {**{name: key(value) for name, value in more.items()}, "plant": self._plant}
        tags["simulated"] = self._simulated
        return ",".join([measurement, *(f"{name}={tags[name]}" for name in sorted(tags) if tags[name])]) + " "


class FrameLines:
    """Makes the lines of one layout."""

    def __init__(self, head: str, tags: Sequence[Tag]) -> None:
        self._head = head
        self._fields = [(f"{key(t.name)}=", f"{key(t.name + QUALITY_SUFFIX)}=", t.kind, t.name) for t in tags]

    def line(
        self, t: int, values: Sequence[float], quality: Sequence[int], texts: Mapping[int, str]
    ) -> tuple[bytes, list[Misfit]]:
        """The line of one frame at ``t`` (UTC ns), empty when nothing of it was kept; the readings it cannot hold."""
        parts: list[str] = []
        misfits: list[Misfit] = []
        for (name, q_name, kind, tag), value, q in zip(self._fields, values, quality, strict=True):
            if q == NOT_KEPT:
                continue
            if q < BAD and value == value:  # noqa: PLR0124  (not a number is no value)
                try:
                    parts.append(name + _word(kind, value, texts))
                except NoMatchError as error:
                    misfits.append((tag, str(error)))
            parts.append(f"{q_name}{q}i")
        return f"{self._head}{','.join(parts)} {t}".encode("utf-8", "replace") if parts else b"", misfits


def key(text: str) -> str:
    """A measurement's tag or field name, or a tag's value, as it stands in a line."""
    return re.sub(r"([,= ])", r"\\\1", re.sub(r"[\r\n\t\\]", "_", text))


def string(text: str) -> str:
    """A text field's value as it stands in a line."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _word(kind: TagKind, value: float, texts: Mapping[int, str]) -> str:
    if value in (float("inf"), float("-inf")):
        raise NoMatchError("it is infinite")
    if kind is TagKind.ANALOG:
        return repr(value)
    if not value.is_integer():
        raise NoMatchError(f"{value!r} is not an integer")
    if kind is not TagKind.TEXT:
        if not INT64_LOW <= value < -INT64_LOW:
            raise NoMatchError(f"{value!r} is no int64")
        return f"{int(value)}i"
    text = texts.get(int(value))
    if text is None:
        raise NoMatchError(f"{NO_TEXT} {int(value)}")
    return string(text)
