"""The tags that tell how the connection to each device is: every plant has them, whether its file names them or not."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from drivers.driver import LinkState
from evcontrol.signals import Tag, TagKind
from evcontrol.units import parse

STATES: Final = tuple(state.value for state in LinkState)


class LinkTag(StrEnum):
    """What is told of a link: what stands behind ``SYS.LINK_DEVICE`` in the tag's name."""

    STATE = ""
    REASON = "_REASON"
    SINCE = "_SINCE"
    RECONNECTS = "_RECONNECTS"
    ROUND_TRIP = "_ROUND_TRIP"
    LATE = "_LATE"


@dataclass(frozen=True, slots=True)
class _Shape:
    kind: TagKind
    what: str
    unit: str = ""
    high: float = 1e9
    labels: tuple[str, ...] = ()
    decimals: int = 0


SHAPES: Final[Mapping[LinkTag, _Shape]] = {
    LinkTag.STATE: _Shape(TagKind.ENUM, "Link to {}", high=len(STATES) - 1, labels=STATES),
    LinkTag.REASON: _Shape(TagKind.TEXT, "Why the link to {} is as it is", high=0.0),
    LinkTag.SINCE: _Shape(TagKind.ANALOG, "Since when the link to {} is so (seconds since 1970, UTC)", "s", 1e11),
    LinkTag.RECONNECTS: _Shape(TagKind.INTEGER, "How often the link to {} came back"),
    LinkTag.ROUND_TRIP: _Shape(TagKind.ANALOG, "How long the last reading of {} took", "ms", 1e6, decimals=1),
    LinkTag.LATE: _Shape(TagKind.INTEGER, "Scans for which the reading of {} came too late"),
}


def link_tag(device: str, what: LinkTag = LinkTag.STATE) -> str:
    """The name of a tag of a device's link: what cannot stand in a tag's name becomes an underscore."""
    return f"SYS.LINK_{re.sub('[^A-Za-z0-9]', '_', device)}{what}"


def missing_link_tags(devices: Iterable[str], declared: Collection[str], first: int) -> Iterator[Tag]:
    """The link tags that a plant file does not name itself, with indices from ``first``."""
    for device in devices:
        for what, shape in SHAPES.items():
            name = link_tag(device, what)
            if name not in declared:
                told = shape.what.format(device)
                yield Tag(
                    name, first, shape.unit, shape.kind, 0.0, shape.high, told, shape.labels, False, shape.decimals
                )
                first += 1


def misfit(tag: Tag) -> str:
    """Why a tag that the file itself names cannot be a link tag; empty when it can, or is none."""
    return "; ".join(_misfits(tag))


def _misfits(tag: Tag) -> Iterator[str]:
    if not tag.name.startswith("SYS.LINK_"):
        return
    what = next((w for w in LinkTag if w and tag.name.endswith(w)), LinkTag.STATE)
    shape = SHAPES[what]
    if tag.kind is not shape.kind:
        yield f"kind {shape.kind}"
    if shape.labels and tag.labels != shape.labels:
        yield f"labels [{', '.join(shape.labels)}]"
    if parse(tag.unit) != parse(shape.unit):
        yield f"unit {shape.unit or 'none'}"
