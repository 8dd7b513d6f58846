"""The pass with which a phase commands the tags of its unit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from evcontrol.control.command import CommandResult

Write = Callable[["GatePass", Mapping[str, float], str], Awaitable[CommandResult]]
Allow = Callable[[str, float], None]


class GatePass:
    """The permission of one phase to command its unit; the gate takes it back by revoking it."""

    def __init__(self, unit: str, name: str, batch: str, path: str, write: Write, allow: Allow) -> None:
        self._write = write
        self._allow = allow
        self.unit = unit
        self.name = name
        self.batch = batch
        self.path = path
        self.valid = True
        self.allowed: list[str] = []

    async def write(self, values: Mapping[str, float], why: str) -> CommandResult:
        """Command tags of the unit as one group; the caller decides what REJECTED or UNKNOWN means for it.

        Ends when every value is read back and every actuator has arrived. Raises CommandRefusedError. A caller that is
        cancelled does not stop a write under way: its outcome is journalled.
        """
        return await self._write(self, values, why)

    def allow(self, tag: str, value: float) -> None:
        """Say that the device may set the tag to ``value`` by itself (a dose that stops itself): no local change.

        Holds until the pass is revoked.
        """
        if self.valid:
            self.allowed.append(tag)
            self._allow(tag, value)
