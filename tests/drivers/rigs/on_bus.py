"""Rigs of several instruments on one line in this process and in virtual time."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from drivers.conformance import Rig, Trouble
from drivers.driver import BoundPoint, Driver, Model
from drivers.transport import in_process_bytes
from evcontrol.clock import Clock
from simulators.devices.bus import Bus


class Instruments(Protocol):
    """What a process gives for a rig, too."""

    bus: Bus

    def truth(self) -> dict[str, float]: ...

    def change(self) -> None: ...

    def written(self) -> list[tuple[str, float]]: ...

    def reset(self) -> None: ...

    def obey(self, trouble: str) -> None: ...


class OnBusRig(Rig):
    """The driver is bound to ``instruments.bus`` without any wire."""

    virtual = True
    troubles = frozenset({Trouble.GONE, Trouble.SILENT, Trouble.MUTE, Trouble.DENYING})

    def __init__(self, folder: Path, instruments: Instruments) -> None:
        super().__init__(folder)
        self.instruments = instruments
        self._trouble = Trouble.NONE

    async def start(self) -> None:
        self.instruments.reset()
        self.instruments.bus.heard.clear()

    async def stop(self) -> None:
        """Nothing to end."""

    def make(self, name: str, options: Model, points: Sequence[BoundPoint], clock: Clock) -> Driver:
        kind = cast(Any, self.driver)
        return cast(Driver, kind(name, options, points, clock, connect=in_process_bytes(self._hear)))

    async def truth(self) -> Mapping[str, float]:
        return self.instruments.truth()

    async def change(self) -> None:
        self.instruments.change()

    async def arrived(self) -> Sequence[tuple[str, float]]:
        return self.instruments.written()

    async def trouble(self, trouble: Trouble) -> None:
        self._trouble = trouble
        self.instruments.obey(trouble)

    def _hear(self, data: bytes) -> bytes:
        if self._trouble is Trouble.GONE:
            raise OSError(errno.EIO, "unplugged")
        if self._trouble is Trouble.SILENT:
            return b""
        said = self.instruments.bus.hear(data)
        return b"" if self._trouble is Trouble.MUTE else said
