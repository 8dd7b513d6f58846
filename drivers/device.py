"""The frame of every driver: its checked options and points, its connection, and what it says when there is no answer.

A driver derives from :class:`DeviceDriver` and adds how a session is opened, how the device is recognised, how its
points are read and how they are written.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import ClassVar, Final, Generic, Protocol, TypeVar, cast

import numpy as np

from drivers.connection import (
    Connection,
    LinkLostError,
    NotSentError,
    Session,
    SilentError,
    UnreadableError,
    Urgency,
)
from drivers.driver import BoundPoint, Link, LinkState, Model, Outcome, WriteResult
from evcontrol.clock import Clock
from evcontrol.quality import BAD_CONFIGURATION, BAD_DECODING, BAD_NOT_CONNECTED, BAD_TIMEOUT, QualityArray
from evcontrol.signals import FloatArray, Frame, IndexArray, TimeArray

UNANSWERED: Final = (NotSentError, LinkLostError)
"""What asking raises when no answer comes (``LinkLostError`` is also the silent and the unreadable device)."""


class _HasTimeout(Protocol):
    @property
    def timeout_s(self) -> float: ...


S = TypeVar("S", bound=Session)
O = TypeVar("O", bound=_HasTimeout)  # noqa: E741  (options)
P = TypeVar("P", bound=Model)


class DeviceDriver(ABC, Generic[S, O, P]):
    """A driver that keeps one connection (see :class:`drivers.driver.Driver`).

    S is the session, O the model of the options (with ``timeout_s``, real seconds), P that of the points. Raises
    TypeError for options or a point of another model.
    """

    options_model: ClassVar[type[Model]]
    point_model: ClassVar[type[Model]]

    def __init__(
        self,
        name: str,
        options: Model,
        points: Sequence[BoundPoint],
        clock: Clock,
        *,
        on_link: Callable[[Link], None] | None = None,
    ) -> None:
        if not isinstance(options, self.options_model):
            raise TypeError(f"device {name}: options are {type(options).__name__}, not {self.options_model.__name__}")
        for bound in points:
            if not isinstance(bound.point, self.point_model):
                raise TypeError(f"device {name}, tag {bound.tag.name}: no {self.point_model.__name__}")
        self._name = name
        self._options = cast(O, options)
        self._bound = tuple(points)
        self._points = tuple(cast(P, bound.point) for bound in points)
        self._index: IndexArray = np.array([bound.tag.index for bound in points], dtype=np.int32)
        self._position = {bound.tag.name: position for position, bound in enumerate(points)}
        self._clock = clock
        self.on_link = on_link
        self._connection: Connection[S] = Connection(
            clock, self._open, self._handshake, self._options.timeout_s, self._tell_link, self._probing()
        )

    @property
    def name(self) -> str:
        """The device's name in the plant file."""
        return self._name

    @property
    def link(self) -> Link:
        """How the connection is now."""
        return self._connection.link

    async def start(self) -> None:
        """Begin connecting in the background; returns at once."""
        self._connection.start()

    async def stop(self) -> None:
        """Close the connection; a write under way ends as UNKNOWN."""
        await self._connection.stop()

    @abstractmethod
    async def read(self) -> Frame:
        """Read every readable point once, within the time-out."""

    async def write(self, values: Mapping[str, float]) -> Mapping[str, WriteResult]:
        """Write values to tags by name; see :meth:`drivers.driver.Driver.write`.

        ``_send`` is called for tags that can be written, and only with a link that is ready.
        """
        for tag in values:
            if tag not in self._position:
                raise KeyError(f"device {self._name} has no tag {tag}")
            if not getattr(self._points[self._position[tag]], "writable", False):
                raise KeyError(f"tag {tag} of device {self._name} is not writable")
        if not self._connection.ready:
            return all_of(values, Outcome.REJECTED, f"not connected: {self.link.reason}")
        return await self._send(values, self._deadline())

    async def feed_watchdog(self) -> bool:
        """Nothing to feed, unless the driver says otherwise."""
        return False

    # -- what a driver adds ------------------------------------------------------------------------------------------

    @abstractmethod
    async def _open(self) -> S:
        """Open a session; OSError or ``LinkLostError`` when that fails."""

    @abstractmethod
    async def _handshake(self, session: S) -> str:
        """See that the device answers and is the right one; what to say of the link. Raises as ``Connection`` says."""

    async def _send(self, values: Mapping[str, float], deadline: float) -> Mapping[str, WriteResult]:
        """Write values, of which none may be sent when one cannot be; the turn must come before ``deadline``."""
        raise NotImplementedError(f"device {self._name}: writable points, and no way to write them")

    def _probing(self) -> Callable[[S], Awaitable[object]] | None:
        """A request without effect, asked while nobody reads, so that a silent device is noticed; None for none."""
        return None

    # -- what it builds on -------------------------------------------------------------------------------------------

    def _deadline(self) -> float:
        """Loop time at which what is asked for now should have its answer."""
        return asyncio.get_running_loop().time() + self._options.timeout_s

    def _quality_of(self, error: Exception) -> int:
        """The quality of readings for which asking raised one of ``UNANSWERED``."""
        if isinstance(error, UnreadableError):
            return BAD_DECODING
        if isinstance(error, SilentError):
            return BAD_TIMEOUT
        if isinstance(error, LinkLostError):
            return BAD_NOT_CONNECTED
        return BAD_TIMEOUT if self._connection.ready else self._unread_quality()

    def _unread_quality(self) -> int:
        """The quality of readings while there is no link."""
        return BAD_CONFIGURATION if self.link.state is LinkState.REFUSED else BAD_NOT_CONNECTED

    def _unread(self) -> tuple[FloatArray, QualityArray]:
        """Values and qualities of all points before anything was read."""
        count = len(self._points)
        return np.full(count, np.nan), np.full(count, self._unread_quality(), dtype=np.uint32)

    def _frame(
        self, value: FloatArray, quality: QualityArray, source_t: TimeArray | None = None, t: int | None = None
    ) -> Frame:
        """A frame of all points, read at ``t`` (process time, UTC ns) or just now."""
        now = self._clock.now() if t is None else t
        return Frame(now, self._clock.wall(), self._name, self._index, value, quality, source_t)

    async def _written(self, request: Callable[[S], Awaitable[object]], deadline: float) -> WriteResult:
        """Ask for one write; what the device's own refusal raises is the driver's to catch."""
        try:
            await self._connection.ask(request, Urgency.WRITE, deadline, outcome=True)
        except NotSentError as error:
            return WriteResult(Outcome.REJECTED, f"not sent: {error}")
        except LinkLostError as error:
            return WriteResult(Outcome.UNKNOWN, str(error))
        return WriteResult(Outcome.CONFIRMED)

    def _tell_link(self, link: Link) -> None:
        if self.on_link is not None:
            self.on_link(link)


def all_of(tags: Iterable[str], outcome: Outcome, reason: str = "") -> dict[str, WriteResult]:
    """The same result for every tag."""
    return dict.fromkeys(tags, WriteResult(outcome, reason))


def none_sent(tags: Iterable[str], tag: str, reason: str) -> dict[str, WriteResult]:
    """All rejected because of one value that cannot be sent."""
    return all_of(tags, Outcome.REJECTED, f"not sent: {tag}: {reason}") | {tag: WriteResult(Outcome.REJECTED, reason)}
