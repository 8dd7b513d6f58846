"""How the devices are reached: through a line that may be silent or unplugged.

A wire server asks through these, and so may a program in the same process that binds its drivers without any wire.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence

from simulators.devices.balance import Balance
from simulators.devices.skid import Skid


class SkidLink:
    """The skid's reads and writes; while ``silent`` each raises TimeoutError, and nothing reaches the controller."""

    def __init__(self, skid: Skid) -> None:
        self.silent = False
        self._skid = skid

    def read_input(self, address: int, count: int) -> list[int]:
        """See :meth:`Skid.read_input`."""
        return self._reached().read_input(address, count)

    def read_holding(self, address: int, count: int) -> list[int]:
        """See :meth:`Skid.read_holding`."""
        return self._reached().read_holding(address, count)

    def read_coils(self, address: int, count: int) -> list[bool]:
        """See :meth:`Skid.read_coils`."""
        return self._reached().read_coils(address, count)

    def read_discrete(self, address: int, count: int) -> list[bool]:
        """See :meth:`Skid.read_discrete`."""
        return self._reached().read_discrete(address, count)

    def write_holding(self, address: int, values: Sequence[int]) -> None:
        """See :meth:`Skid.write_holding`."""
        self._reached().write_holding(address, values)

    def write_coils(self, address: int, values: Sequence[bool]) -> None:
        """See :meth:`Skid.write_coils`."""
        self._reached().write_coils(address, values)

    def _reached(self) -> Skid:
        if self.silent:
            raise TimeoutError("the skid does not answer")
        return self._skid


class BalanceLink:
    """A balance's line; without its cable (``plugged`` false) :meth:`reply` raises OSError."""

    def __init__(self, balance: Balance) -> None:
        self.plugged = True
        self._balance = balance

    def reply(self, line: str) -> list[str]:
        """See :meth:`Balance.reply`."""
        if not self.plugged:
            raise OSError(errno.EIO, "the device has gone")
        return self._balance.reply(line)

    def stream(self) -> list[str]:
        """See :meth:`Balance.stream`; what the balance sends without its cable is lost."""
        lines = self._balance.stream()
        return lines if self.plugged else []
