"""What the conformance suite needs of a device: to start it, to know what it should read, and to break it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

from drivers.driver import BoundPoint, Driver, DriverType, Model
from evcontrol.clock import Clock
from evcontrol.signals import TagKind


class Trouble(StrEnum):
    """What a rig can do to its device. A rig names those that it can in ``troubles``; tests of others are skipped."""

    NONE = "none"
    """All is well, as after :meth:`Rig.start`."""
    GONE = "gone"
    """Switched off or unplugged: connections break, and none can be made."""
    SILENT = "silent"
    """It takes connections and says nothing; what it is told meanwhile is lost."""
    MUTE = "mute"
    """It does what it is told, and its answers do not arrive."""
    LATE = "late"
    """Every answer comes after twice the time-out."""
    GARBAGE = "garbage"
    """What comes is no answer of its protocol."""
    REFUSING = "refusing"
    """It is the wrong device, or does not let us in."""
    DENYING = "denying"
    """It answers, and refuses every write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RigTag:
    """One tag of the driver under test, as a plant file would declare it; ``point`` is what stands there."""

    name: str
    point: Mapping[str, Any]
    unit: str = ""
    kind: TagKind = TagKind.ANALOG
    low: float = -1e12
    high: float = 1e12
    labels: tuple[str, ...] = ()
    tolerance: float = 0.0
    """By how much a reading may differ from the truth, in the tag's unit."""
    readable: bool = True
    """Whether the device can tell it; otherwise its reading stays Bad."""


class Rig(ABC):
    """A device (or a simulator, or a real instrument) and the driver for it; each test makes a new one.

    ``folder`` is an empty folder of the test. Between two calls of :meth:`change` the device stands still, apart from
    the tags' tolerance.
    """

    driver: ClassVar[DriverType]
    """The driver under test."""
    timeout_s: ClassVar[float] = 0.4
    """The ``timeout_s`` that :meth:`options` give: short, so that the suite is quick."""
    lag_s: ClassVar[float] = 0.0
    """How old (s) a reading of a healthy device may be, when it reports changes by itself or is asked less often."""
    fresh: ClassVar[bool] = True
    """Whether the first reading of a new connection is one of now, also of a device with a ``lag_s``."""
    virtual: ClassVar[bool] = False
    """Whether device and driver live in this process, and everything runs in virtual time."""
    troubles: ClassVar[frozenset[Trouble]] = frozenset({Trouble.GONE, Trouble.SILENT})

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    async def start(self) -> None:
        """Make the device ready to be connected to."""

    @abstractmethod
    async def stop(self) -> None:
        """End it, whatever trouble it is in."""

    @abstractmethod
    def tags(self) -> Sequence[RigTag]:
        """The driver's tags; called after :meth:`start`."""

    @abstractmethod
    def options(self) -> Mapping[str, Any]:
        """The driver's options, as a plant file has them; called after :meth:`start`."""

    @abstractmethod
    async def truth(self) -> Mapping[str, float | str]:
        """What the tags should read now, in their units; tags that are left out may read anything."""

    @abstractmethod
    async def change(self) -> None:
        """Give at least one tag of :meth:`truth` another value than it ever had."""

    @abstractmethod
    async def trouble(self, trouble: Trouble) -> None:
        """Begin one of ``troubles``, or end it with ``Trouble.NONE``."""

    def writes(self) -> Sequence[Mapping[str, float]]:
        """At least three different sets of values that the device takes, used in this order; none if it takes none."""
        return ()

    def misfits(self) -> Sequence[Mapping[str, float]]:
        """Sets of values of which one cannot be sent; the suite adds NaN and infinity by itself."""
        return ()

    async def arrived(self) -> Sequence[tuple[str, float]]:
        """Every value of a tag that has reached the device as a write, in the tag's unit, the first one first."""
        return ()

    def make(self, name: str, options: Model, points: Sequence[BoundPoint], clock: Clock) -> Driver:
        """Make the driver; replaced where a device in this process is given to it."""
        return self.driver(name, options, points, clock)
