"""The interface every driver has: connect, read in frames, write with three outcomes, say how the link is.

A driver never raises for what the network or the device does: trouble is the link's state and the quality of its
readings. It raises only for a caller's mistake (an unknown tag, a point that cannot be written).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from evcontrol.clock import Clock
from evcontrol.signals import Frame, Tag


class LinkState(StrEnum):
    """Where a connection is."""

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    READY = "ready"
    REFUSED = "refused"
    """The device rejects us (wrong identity, credentials or set-up): not retried blindly."""


@dataclass(frozen=True, slots=True)
class Link:
    """State of a connection, the reason in words, and since when (process time, UTC ns)."""

    state: LinkState
    reason: str
    since: int


class Outcome(StrEnum):
    """The three ends of a write. UNKNOWN may still land, and is settled by reading back before anything is retried."""

    CONFIRMED = "confirmed"
    """The device acknowledged the write; the gate reads the confirming tag back besides."""
    REJECTED = "rejected"
    """The device or the driver refused it: nothing changed."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class WriteResult:
    """Outcome of one write and, unless confirmed, the reason in words."""

    outcome: Outcome
    reason: str = ""


class Model(BaseModel):
    """Base of all options and points: unknown keys are mistakes, and what was checked does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _no_texts(text: str) -> float:
    raise ValueError(f"a text ({text[:40]!r}) for a tag of no plant")


@dataclass(frozen=True, slots=True)
class BoundPoint:
    """A tag and where it lives in the device; ``point`` is an instance of the driver's point model.

    ``code_of`` gives the code under which a text travels in a frame: that of the plant's
    :class:`evcontrol.signals.TagTable`, to be called on the event loop.
    """

    tag: Tag
    point: Model
    code_of: Callable[[str], float] = field(default=_no_texts, repr=False, compare=False)


class Driver(Protocol):
    """One device, or one line with several.

    Constructed as ``cls(name, options, points, clock)``; nothing connects before :meth:`start`. ``name`` is the group
    name of its frames. All methods are called from one event loop. A point that can be written says so in an attribute
    ``writable`` of its model.
    """

    options_model: ClassVar[type[Model]]
    point_model: ClassVar[type[Model]]
    on_link: Callable[[Link], None] | None
    """Called on the event loop for every change of :attr:`link`, in order, soon after it; set it before start."""

    @property
    def name(self) -> str:
        """The device's name in the plant file."""

    @property
    def link(self) -> Link:
        """How the connection is now."""

    async def start(self) -> None:
        """Begin connecting in the background; returns at once."""

    async def stop(self) -> None:
        """Close the connection; pending writes end as UNKNOWN."""

    async def read(self) -> Frame:
        """Read every readable point once.

        Ends within the device's time-out (real seconds, in its options) whatever the device does: points that could
        not be read come back Bad with the reason. Without a READY link it ends at once, and every point is Bad.
        """

    async def write(self, values: Mapping[str, float]) -> Mapping[str, WriteResult]:
        """Write values to tags by name, in the tags' units, as one request where the protocol allows it.

        Never retried by itself. Without a READY link every outcome is REJECTED at once ("not connected"): nothing is
        queued and nothing is replayed after an outage. One value that cannot be sent (out of the point's range, NaN)
        has all of them REJECTED before anything is sent. Ends within twice the time-out; when cancelled, a request
        under way may still land. KeyError for a tag that is not this driver's or not writable.
        """

    async def feed_watchdog(self) -> bool:
        """Feed the device's own watchdog, where the options name one; whether the device took it."""


class DriverType(Protocol):
    """What the entry-point group ``evcontrol.drivers`` offers: a class that makes a driver."""

    options_model: ClassVar[type[Model]]
    point_model: ClassVar[type[Model]]

    def __call__(self, name: str, options: Model, points: Sequence[BoundPoint], clock: Clock) -> Driver:
        """Make a driver for one device of the plant."""
