"""What a client knows of the plant: the snapshot, kept up to date by the stream."""

from __future__ import annotations

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
    OwnersEvent,
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

_BAD = 0x8000_0000
_UNCERTAIN = 0x4000_0000


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
        self.batches: dict[str, BatchView] = {}
        self.apply(snapshot.values)

    def apply(self, message: Delta | StreamEvent) -> None:
        """Take one message of the stream over."""
        if isinstance(message, Delta):
            self.t = message.t
            for i, value, quality in zip(message.i, message.v, message.q, strict=True):
                self._readings[self._names[i]] = (value, quality)
        else:
            self._apply_event(message)

    def number(self, tag: str) -> float | None:
        """The value of a tag; None when it is Bad, a text, or unknown."""
        value, quality = self._readings.get(tag, (None, _BAD))
        return value if isinstance(value, float) and quality < _BAD else None

    def text(self, tag: str) -> str:
        """A reading as a person reads it: value, unit, and the quality unless Good."""
        value, quality = self._readings.get(tag, (None, _BAD))
        view = self.tags.get(tag)
        if view is None or value is None or quality >= _BAD:
            return "Bad"
        doubt = " (Uncertain)" if quality >= _UNCERTAIN else ""
        if isinstance(value, str):
            return f"{value}{doubt}"
        if view.labels:
            return f"{view.labels[int(value)] if 0 <= int(value) < len(view.labels) else int(value)}{doubt}"
        return f"{value:z.{view.decimals}f} {view.unit}".rstrip() + doubt

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
            case OwnersEvent() | LoopsEvent():
                pass  # nothing here shows them
