"""One open OPC UA session as the driver asks it, and the one that binds it to equipment in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from drivers.connection import LinkLostError, SilentError, os_error_words
from drivers.opcua_points import DataType, Place
from evcontrol.quality import BAD_CONFIGURATION

T = TypeVar("T")

TYPES: Final = {kind.value: kind for kind in DataType}


class Sample(NamedTuple):
    """One data value: ``value`` as Python has it (None for null), status code, the device's time (UTC ns) or None."""

    value: object
    status: int
    source_t: int | None


@dataclass(frozen=True, slots=True)
class Node:
    """A variable that was found; ``key`` is the session's own name for it."""

    key: Any
    type: DataType


@dataclass(frozen=True, slots=True)
class Missing:
    """A variable that was not found, or is of a type that no tag has: why, in words."""

    reason: str
    quality: int = BAD_CONFIGURATION


@dataclass(frozen=True, slots=True)
class Terms:
    """What a subscription is asked for, in real seconds."""

    publishing_s: float
    sampling_s: float
    queue_size: int
    every_sample: bool
    """Whether a new time stamp alone is reported too."""
    silence_s: float
    """The session is lost when the server says nothing of the subscription for so long."""


@dataclass(frozen=True, slots=True)
class Subscribed:
    """What the server granted.

    ``latency_s`` is how old at the most what it reports can be, ``refused`` tells, by position, why it does not report
    a node.
    """

    latency_s: float
    refused: dict[int, str]


class Listener(Protocol):
    """Who takes what a subscription brings; called on the event loop, in the order in which the server reported."""

    def on_samples(self, samples: Iterable[tuple[int, Sample]]) -> None:
        """New samples by the node's position, the oldest first."""

    def on_gap(self) -> None:
        """A notification is missing: what was taken so far may not be the latest."""


class OpcUaRefusedError(Exception):
    """The server answered a whole request with a bad status."""

    def __init__(self, code: int) -> None:
        super().__init__(f"status 0x{code:08X}")
        self.code = code


class OpcUaSession(Protocol):
    """One open session (of :class:`drivers.connection.Connection`).

    Every request raises :class:`OpcUaRefusedError` for a bad status of the whole, and ``LinkLostError`` when the
    session goes.
    """

    lost: asyncio.Future[str]

    async def check(self) -> str:
        """Find out that the server is the right one (``LinkRefusedError``) and what it says of itself, if anything."""

    async def find(self, places: Sequence[Place]) -> list[Node | Missing]:
        """The variables at places."""

    async def read(self, nodes: Sequence[Node]) -> list[Sample]:
        """What the variables are now, in one request."""

    async def write(self, values: Sequence[tuple[Node, object]]) -> list[int]:
        """Write values of the nodes' types in one request; the status of each."""

    async def subscribe(self, nodes: Sequence[Node], terms: Terms, listener: Listener) -> Subscribed | None:
        """Have the server report the nodes; None when there is no such thing, and all must be read."""

    async def close(self) -> None:
        """Close at once."""


class BioreactorNode(Protocol):
    """A variable of equipment in this process."""

    @property
    def node_id(self) -> str:
        """Its string identifier."""

    @property
    def browse_name(self) -> str:
        """Its name."""

    @property
    def data_type(self) -> str:
        """Name of its built-in type."""

    @property
    def writable(self) -> bool:
        """Whether it can be written at all."""


class OpcUaLink(Protocol):
    """Equipment in this process that would be an OPC UA server on the wire."""

    def nodes(self) -> Iterable[BioreactorNode]:
        """All variables."""

    def read(self, node_id: str) -> tuple[Any, int, float]:
        """Value, status code and source time (s of the equipment's own clock)."""

    def write(self, node_id: str, value: Any) -> int:
        """Write a value of the variable's type; the status code."""


def in_process(link: OpcUaLink, epoch_s: float | None = None) -> Callable[[object], Awaitable[OpcUaSession]]:
    """A ``connect`` for ``OpcUaDriver`` that binds it to equipment in this process.

    ``epoch_s`` is the UTC time at which the equipment's own clock was 0; without it, its times are not used.
    """

    async def connect(_options: object) -> OpcUaSession:
        return InProcessSession(link, epoch_s)

    return connect


class InProcessSession:
    """Asks equipment in this process; an OSError that it raises is a lost link, a TimeoutError a silent one."""

    def __init__(self, link: OpcUaLink, epoch_s: float | None = None) -> None:
        self._link = link
        self._epoch_s = epoch_s
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def check(self) -> str:
        """There is nothing to find out."""
        return ""

    async def find(self, places: Sequence[Place]) -> list[Node | Missing]:
        """By identifier, or by the last of the browse names: there are no folders here."""
        nodes = _asked(lambda: list(self._link.nodes()))
        by_id = {node.node_id: node for node in nodes}
        by_name = {node.browse_name: node for node in nodes}
        return [
            _found(by_name.get(place.path[-1]) if place.node is None else by_id.get(place.node), place)
            for place in places
        ]

    async def read(self, nodes: Sequence[Node]) -> list[Sample]:
        """What the variables are now."""
        return _asked(lambda: [self._sample(*self._link.read(node.key)) for node in nodes])

    async def write(self, values: Sequence[tuple[Node, object]]) -> list[int]:
        """One after another."""
        return _asked(lambda: [self._link.write(node.key, value) for node, value in values])

    async def subscribe(self, nodes: Sequence[Node], terms: Terms, listener: Listener) -> None:
        """Everything is read when it is asked for: virtual time has no time in between."""

    async def close(self) -> None:
        """Nothing to close."""

    def _sample(self, value: object, status: int, source_time_s: float) -> Sample:
        return Sample(value, status, None if self._epoch_s is None else round((self._epoch_s + source_time_s) * 1e9))


def _found(node: BioreactorNode | None, place: Place) -> Node | Missing:
    if node is None:
        return Missing(f"there is no node {place}")
    if node.data_type not in TYPES:
        return Missing(f"no tag has the type {node.data_type}")
    return Node(node.node_id, TYPES[node.data_type])


def _asked(call: Callable[[], T]) -> T:
    try:
        return call()
    except TimeoutError:
        raise SilentError("no answer") from None
    except OSError as error:
        raise LinkLostError(os_error_words(error)) from error
