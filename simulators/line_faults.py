"""The faults that testers can cause on the lines of single instruments."""

from __future__ import annotations

from typing import Literal

from simulators.devices.bus import LineFault
from simulators.fault_models import BaseFault, known
from simulators.plant import TffPlant


class InstrumentLineFault(BaseFault):
    """An instrument's line is at fault; one fault at a time on each."""

    kind: Literal["instrument_line"]
    device: str
    fault: Literal["silent", "deaf", "garbage", "half", "merged"]

    def fit(self, plant: TffPlant) -> None:
        """Raise FaultError for a device that is not on such a line."""
        known("single instrument", self.device, plant.buses)

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        plant.buses[self.device].fault = LineFault(self.fault)

    def end(self, plant: TffPlant) -> None:
        """Put the line right."""
        plant.buses[self.device].fault = LineFault.NONE
