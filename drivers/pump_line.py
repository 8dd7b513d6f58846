"""A line with pumps: what the drivers for all of them share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

from drivers.multidrop import MultidropDriver, MultidropOptions, Station
from drivers.pump import Drive, PumpPoint, PumpSpec, PumpStation

O = TypeVar("O", bound=MultidropOptions)  # noqa: E741  (options)
P = TypeVar("P", bound=PumpPoint)


class PumpLineDriver(MultidropDriver[O, P], Generic[O, P]):
    """Pumps by number on one line.

    ValueError for a tag with a unit that its field does not have, and for a flow of a pump without ``ml_per_rev``.
    """

    @abstractmethod
    def _drives(self) -> Mapping[int, tuple[Drive, PumpSpec]]:
        """The pumps of the options by number, each in its protocol."""

    def _stations(self) -> Mapping[Hashable, Station]:
        return {address: PumpStation(drive, spec) for address, (drive, spec) in self._drives().items()}

    def _place(self, position: int) -> tuple[Hashable, str]:
        point = self._points[position]
        return point.address, point.field
