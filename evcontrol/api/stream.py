"""The stream to consoles: each change encoded once for all, and for a client that is slow only the latest.

Three kinds of JSON messages travel: deltas of readings ``{t, i, v, q}``, one each scan even when nothing changed;
events ``{topic, key, body}`` that carry the whole of their topic; and a beat ``{beat}`` whenever nothing else was sent
for :data:`BEAT_S`, since a scan may be longer than a person should look at an engine that is gone. No client can make
the engine wait or keep a growing queue: what it missed is merged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import orjson

from evcontrol.acquisition.image import ProcessImage
from evcontrol.api.schema import Delta, Message, Topic
from evcontrol.clock import Clock
from evcontrol.signals import IndexArray, TagKind

TOPICS_EVERY_S = 0.2
"""Real time between two looks at the topics."""
BEAT_S = 0.25
"""Longest real time in which a client hears nothing."""

Key = tuple[Topic, str]
Body = Message | list[Any]
Topics = Callable[[], Mapping[Key, Body]]


class Readings:
    """Readings of the process image as messages: null for a Bad value, the text itself for a text tag."""

    def __init__(self, image: ProcessImage) -> None:
        self._image = image
        self._is_text = np.array([tag.kind is TagKind.TEXT for tag in image.tags], dtype=bool)

    def encode(self, t: int, index: IndexArray) -> bytes:
        """The readings at ``index`` as JSON; ``t`` is process time, UTC ns."""
        columns = {"t": t, "i": index, "v": self._values(index), "q": self._image.quality[index]}
        return orjson.dumps(columns, option=orjson.OPT_SERIALIZE_NUMPY)

    def delta(self, t: int, index: IndexArray) -> Delta:
        """The same as a message."""
        return Delta.model_validate_json(self.encode(t, index))

    def _values(self, index: IndexArray) -> list[float | str]:
        codes: list[float] = self._image.value[index].tolist()
        values: list[float | str] = list(codes)
        for place in np.flatnonzero(self._is_text[index]).tolist():
            if codes[place] == codes[place]:  # not NaN
                values[place] = self._image.tags.text_of(codes[place])
        return values


class Subscriber:
    """What one client has yet to be sent: at most one delta and one event of each topic."""

    def __init__(self, n: int, encode: Callable[[IndexArray], bytes]) -> None:
        self._encode = encode
        self._missed = np.zeros(n, dtype=bool)
        self._shared: bytes | None = None
        self._merge = False
        self._events: dict[Key, bytes] = {}
        self._ready = asyncio.Event()

    def offer(self, delta: bytes, changed: IndexArray) -> None:
        """A new delta; when the one before was not taken yet, both are merged."""
        self._merge = self._shared is not None or self._merge
        self._shared = None if self._merge else delta
        self._missed[changed] = True
        self._ready.set()

    def offer_event(self, key: Key, event: bytes) -> None:
        """A new event, in the place of an older one of its topic."""
        self._events[key] = event
        self._ready.set()

    async def take(self) -> list[bytes]:
        """Wait for something to send, and return all of it: events first, since readings refer to them."""
        await self._ready.wait()
        self._ready.clear()
        messages = list(self._events.values())
        self._events.clear()
        if self._shared is not None:
            messages.append(self._shared)
        elif self._merge:
            messages.append(self._encode(np.flatnonzero(self._missed).astype(np.int32)))
        self._shared, self._merge = None, False
        self._missed[:] = False
        return messages


class Hub:
    """Follows the process image and the topics, and hands every change to all subscribers.

    ``next_scan`` ends after each scan; ``topics`` gives the present body of every topic. Neither is asked for anything
    while nobody listens.
    """

    def __init__(
        self, image: ProcessImage, clock: Clock, next_scan: Callable[[], Awaitable[object]], topics: Topics
    ) -> None:
        self._image = image
        self._clock = clock
        self._next_scan = next_scan
        self._topics = topics
        self._readings = Readings(image)
        self._subscribers: set[Subscriber] = set()
        self._value = image.value.copy()
        self._quality = image.quality.copy()
        self._sent: dict[Key, bytes] = {}
        self._topics_at = 0.0

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            await self._next_scan()
            self.publish()

    def publish(self) -> None:
        """Send what changed since the last call to everybody who listens."""
        if not self._subscribers:
            return
        changed = self._take_changes()
        delta = self._encode(changed)
        for subscriber in self._subscribers:
            subscriber.offer(delta, changed)
        if self._clock.monotonic() - self._topics_at >= TOPICS_EVERY_S:
            self._topics_at = self._clock.monotonic()
            self._publish_topics()

    @contextmanager
    def subscribe(self) -> Iterator[Subscriber]:
        """Listen for as long as the block lasts; the first messages are everything as it is now."""
        if not self._subscribers:
            self._take_changes()  # nobody followed them until now
        subscriber = Subscriber(len(self._image.value), self._encode)
        for key, body in self._topics().items():
            subscriber.offer_event(key, encode_event(key, body))
        whole = np.arange(len(self._image.value), dtype=np.int32)
        subscriber.offer(self._encode(whole), whole)
        self._subscribers.add(subscriber)
        try:
            yield subscriber
        finally:
            self._subscribers.discard(subscriber)

    def _take_changes(self) -> IndexArray:
        value, quality = self._image.value, self._image.quality
        same = (self._quality == quality) & ((self._value == value) | (np.isnan(self._value) & np.isnan(value)))
        changed = np.flatnonzero(~same).astype(np.int32)
        self._value[changed] = value[changed]
        self._quality[changed] = quality[changed]
        return changed

    def _publish_topics(self) -> None:
        topics = self._topics()
        self._sent = {key: event for key, event in self._sent.items() if key in topics}
        for key, body in topics.items():
            event = encode_event(key, body)
            if self._sent.get(key) != event:
                self._sent[key] = event
                for subscriber in self._subscribers:
                    subscriber.offer_event(key, event)

    def _encode(self, index: IndexArray) -> bytes:
        return self._readings.encode(self._clock.now(), index)


def encode_beat(t: int) -> bytes:
    """A sign of life as JSON; ``t`` is process time, UTC ns."""
    return orjson.dumps({"beat": t})


def encode_event(key: Key, body: Body) -> bytes:
    """One event as JSON."""
    return orjson.dumps({"topic": key[0], "key": key[1], "body": body}, default=_dump)


def _dump(message: object) -> object:
    if isinstance(message, Message):
        return message.model_dump(mode="json")
    raise TypeError(f"{type(message).__name__} cannot be sent")
