"""The faults that testers can cause on one instrument of a line: a pump or a gas controller."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from simulators.fault_models import BaseFault, FaultError, known
from simulators.plant import TffPlant

Setting = Literal["rpm", "clockwise", "running", "setpoint", "gas"]


class _InstrumentFault(BaseFault):
    needs: ClassVar[str] = "silent"
    device: str
    place: Annotated[int, Field(ge=1)] = 1
    """Which one of the line, in the order of the plant file."""

    def fit(self, plant: TffPlant) -> None:
        """Raise FaultError for an instrument that is not there, or cannot have this fault."""
        known("single instrument", self.device, plant.buses)
        there = plant.buses[self.device].instruments
        if self.place > len(there):
            raise FaultError(f"there is no instrument {self.place} on the line of {self.device}: it has {len(there)}")
        if not hasattr(self._of(plant), self.needs):
            raise FaultError(
                f"instrument {self.place} of {self.device} cannot have the fault {self.model_dump()['kind']}"
            )

    def _of(self, plant: TffPlant) -> Any:
        return plant.buses[self.device].instruments[self.place - 1]


class InstrumentOffFault(_InstrumentFault):
    """One instrument hears and says nothing; the others of its line go on."""

    kind: Literal["instrument_off"]

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        self._of(plant).silent = True

    def end(self, plant: TffPlant) -> None:
        """Let it hear and speak again."""
        self._of(plant).silent = False


class InstrumentRestartFault(_InstrumentFault):
    """One instrument loses its power for a moment."""

    needs: ClassVar[str] = "restart"
    lasts: ClassVar[bool] = False
    kind: Literal["instrument_restart"]

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        self._of(plant).restart()

    def end(self, plant: TffPlant) -> None:
        """It was a moment."""


class InstrumentPanelFault(_InstrumentFault):
    """Somebody takes an instrument over at its panel, and changes settings there (a pump then obeys its panel only)."""

    needs: ClassVar[str] = "take_over"
    lasts: ClassVar[bool] = False
    kind: Literal["instrument_panel"]
    settings: Annotated[dict[Setting, float | bool], Field(default_factory=dict)]

    def fit(self, plant: TffPlant) -> None:
        """Raise FaultError for a setting that the instrument does not have."""
        super().fit(plant)
        for name in self.settings:
            if not hasattr(self._of(plant), name):
                raise FaultError(f"instrument {self.place} of {self.device} has no setting {name}")

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        self._of(plant).take_over(**self.settings)

    def end(self, plant: TffPlant) -> None:
        """Hand it back to the line, where that is done at its panel."""
        hand_back = getattr(self._of(plant), "hand_back", None)
        if hand_back is not None:
            hand_back()


InstrumentFault = InstrumentOffFault | InstrumentRestartFault | InstrumentPanelFault
"""Any of them."""
