"""What a client knows of the plant: the snapshot, kept up to date by the stream."""

from __future__ import annotations

from evcontrol import quality
from evcontrol.api.schema import (
    AlarmsEvent,
    AlarmView,
    BatchEvent,
    BatchView,
    Delta,
    InterlocksEvent,
    InterlockView,
    LinksEvent,
    LinkView,
    LoopsEvent,
    LoopView,
    OwnersEvent,
    OwnerView,
    PromptsEvent,
    PromptView,
    Snapshot,
    Status,
    StatusEvent,
    StreamEvent,
    TagView,
    UnitsEvent,
    UnitView,
    Value,
)

_LARGE = 1e7
"""Numbers from here on are shown with an exponent: nobody counts the digits of a concentration of particles."""


class Picture:
    """The latest of everything: readings by tag, and the topics."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.tags: dict[str, TagView] = {tag.name: tag for tag in snapshot.tags}
        self._names = [tag.name for tag in snapshot.tags]
        self._readings: dict[str, tuple[Value, int]] = {}
        self.t = snapshot.values.t
        self.status: Status = snapshot.status
        self.units: list[UnitView] = snapshot.units
        self.links: list[LinkView] = snapshot.links
        self.alarms: list[AlarmView] = snapshot.alarms
        self.interlocks: list[InterlockView] = snapshot.interlocks
        self.prompts: list[PromptView] = snapshot.prompts
        self.loops: list[LoopView] = snapshot.loops
        self.owners: dict[str, OwnerView] = {owner.tag: owner for owner in snapshot.owners}
        self.batches: dict[str, BatchView] = {}
        self.apply(snapshot.values)

    def apply(self, message: Delta | StreamEvent) -> None:
        """Take one message of the stream over."""
        if isinstance(message, Delta):
            self.t = message.t
            for i, value, code in zip(message.i, message.v, message.q, strict=True):
                self._readings[self._names[i]] = (value, code)
        else:
            self._apply_event(message)

    def number(self, tag: str) -> float | None:
        """The value of a tag; None when it is Bad, a text, or unknown."""
        value, code = self._readings.get(tag, (None, quality.BAD))
        return value if isinstance(value, float) and not quality.is_bad(code) else None

    def quality(self, tag: str) -> int:
        """The OPC UA status code of a tag; Bad for one that is not known."""
        return self._readings.get(tag, (None, quality.BAD))[1]

    def forced(self) -> list[str]:
        """The tags whose values are forced by hand, or worked out from such."""
        return [tag for tag, (_, code) in self._readings.items() if code == quality.GOOD_LOCAL_OVERRIDE]

    def quality_text(self, tag: str) -> str:
        """The quality of a tag in words, such as ``Bad: not connected``."""
        return quality.text(self.quality(tag))

    def value_text(self, tag: str) -> str:
        """The value of a tag without its unit: decimals and words as the tag has them; empty when it is Bad."""
        value, code = self._readings.get(tag, (None, quality.BAD))
        view = self.tags.get(tag)
        if view is None or value is None or quality.is_bad(code):
            return ""
        if isinstance(value, str):
            return value
        if view.labels:
            return view.labels[int(value)] if 0 <= int(value) < len(view.labels) else str(int(value))
        return f"{value:z.{view.decimals}f}" if abs(value) < _LARGE else f"{value:.3e}".replace("e+", "e")

    def text(self, tag: str) -> str:
        """A reading as a person reads it: value, unit, and the quality unless Good."""
        code = self.quality(tag)
        if tag not in self.tags or quality.is_bad(code) or self._readings[tag][0] is None:
            return "Bad"
        doubt = "" if quality.is_good(code) else " (Uncertain)"
        return f"{self.value_text(tag)} {self.tags[tag].unit}".rstrip() + doubt

    def _apply_event(self, event: StreamEvent) -> None:
        match event:
            case BatchEvent():
                self.batches[event.key] = event.body
            case StatusEvent():
                self.status = event.body
            case PromptsEvent():
                self.prompts = event.body
            case AlarmsEvent():
                self.alarms = event.body
            case InterlocksEvent():
                self.interlocks = event.body
            case LinksEvent():
                self.links = event.body
            case UnitsEvent():
                self.units = event.body
            case OwnersEvent():
                self.owners = {owner.tag: owner for owner in event.body}
            case LoopsEvent():
                self.loops = event.body
