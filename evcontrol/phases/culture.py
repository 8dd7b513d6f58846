"""What every culture phase does with the bioreactor: keep the cells' regime, and let process time pass in it.

The regime is what the cells are to have (temperature, pH, O2, recirculation). It is the unit's own, outlives phases,
holds and crashes, and is put to the local controllers again by whichever phase runs next: their loops, not ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from evcontrol.clock import NS
from evcontrol.phases import dosing
from evcontrol.phases.water import density
from evcontrol.procedure.context import HoldRequiredError, PhaseContext
from evcontrol.quality import is_bad

TRANSFER_SPEED: Final = 240.0
"""Highest multiple of real time while liquid moves: the pumps' own controller ends each transfer."""
TOLERANCE_S: Final = 600.0
"""How long a reading may be unknown: cells bear minutes."""
AIR_O2: Final = 20.0
"""O2 setpoint (%O2) from which on air alone is given."""

MEDIUM = dosing.Pump("MED_SP", "FT_MED", "FQ_MED", "FQ_MED_STOP", "MED_FROM", "none")
HARVEST = dosing.Pump("HARV_SP", "FT_HARV", "FQ_HARV", "FQ_HARV_STOP", "HARV_TO", "none")

SETPOINTS: Final = {"SET_TT": "TT_SP", "SET_PH": "PH_SP", "SET_AGIT": "AGIT_SP", "SET_CIRC": "CIRC_SP"}
"""The regime's tags and the setpoints that they go to."""
REGIME: Final = (*SETPOINTS, "SET_DO", "SET_DO_RATE")

TAGS: Final = ("TT", "AT_PH", "AT_DO", "AT_GLC", "FT_CIRC", "SHEAR", "LIQUID", "CONTENT", "EST_CELLS", *REGIME)
ACTUATORS: Final = (
    "TT_SP", "PH_SP", "DO_SP", "DO_RATE", "AGIT_SP", "TIC_MODE", "PHIC_MODE", "DOIC_MODE", "CIRC_SP",
)  # fmt: skip
LIQUIDS: Final = ("WT_VESSEL", *MEDIUM.tags, *HARVEST.tags)
PUMPS: Final = (*MEDIUM.actuators, *HARVEST.actuators)


async def change(context: PhaseContext, **regime: float) -> None:
    """Change the regime, and have it kept."""
    for tag, value in regime.items():
        await context.set_tag(tag, value)
    await keep(context)


async def keep(context: PhaseContext) -> None:
    """Put the regime to the local controllers, as far as they do not have it."""
    wanted: dict[str, float | str] = {"TIC_MODE": "auto", "PHIC_MODE": "auto"}
    for tag, setpoint in SETPOINTS.items():
        value, quality = context.reading(tag)
        if not is_bad(quality):
            wanted[setpoint] = value
    oxygen, quality = context.reading("SET_DO")
    if is_bad(quality) or oxygen >= AIR_O2:
        wanted["DOIC_MODE"] = "air"
    else:
        wanted |= {"DO_SP": oxygen, "DO_RATE": context.value("SET_DO_RATE"), "DOIC_MODE": "auto"}
    differing = {name: value for name, value in wanted.items() if not _has(context, name, value)}
    if differing:
        await context.write("keep the culture's regime", **differing)


async def rest(context: PhaseContext) -> None:
    """Switch everything off: the vessel holds nothing that lives."""
    await context.write("stop the gas", DOIC_MODE="off")
    await context.write("stop heating, pH control and agitation", TIC_MODE="off", PHIC_MODE="off", AGIT_SP=0.0)
    await context.write("stop the recirculation", CIRC_SP=0.0)


def guard(context: PhaseContext) -> dosing.Look:
    """A check for each scan: HoldRequiredError when the vessel's readings stay unknown beyond what cells bear."""
    lost = context.condition(f"(bad(TT) or bad(AT_DO)) for {TOLERANCE_S:g} s")

    def look() -> None:
        if lost.update(context.rooms.image.reading, context.rooms.clock.now()):
            raise HoldRequiredError(f"temperature or O2 cannot be read for {TOLERANCE_S / 60.0:g} min")

    return look


@dataclass(slots=True)
class Exposure:
    """What the cells had over a time: hours, hours within the O2 band, and shear dose (dyn/cm2 x h).

    :meth:`look` is called each scan; a reading holds until the next one.
    """

    context: PhaseContext
    band: float
    hours: float = 0.0
    in_band: float = 0.0
    dose: float = 0.0
    _last: int = field(default=0)

    def __post_init__(self) -> None:
        self._last = self.context.rooms.clock.now()

    def look(self) -> None:
        """Add what passed since the last look."""
        context, now = self.context, self.context.rooms.clock.now()
        step, self._last = (now - self._last) / (3600.0 * NS), now
        oxygen, shear, wanted = (context.reading(tag) for tag in ("AT_DO", "SHEAR", "SET_DO"))
        self.hours += step
        if not (is_bad(oxygen.quality) or is_bad(wanted.quality)) and abs(oxygen.value - wanted.value) <= self.band:
            self.in_band += step
        if not is_bad(shear.quality):
            self.dose += step * shear.value

    def state(self) -> dict[str, float]:
        """What is recorded of it."""
        return {"hours": self.hours, "in_band": self.in_band, "dose": self.dose}

    def restore(self, state: dict[str, float]) -> None:
        """Go on from what was recorded."""
        self.hours, self.in_band, self.dose = state["hours"], state["in_band"], state["dose"]


def grams(context: PhaseContext, volume_ml: float) -> float:
    """Mass of a volume of medium at the vessel's temperature (as water)."""
    return volume_ml * density(context.value("TT"))


def _has(context: PhaseContext, name: str, value: float | str) -> bool:
    read, quality = context.reading(name)
    if is_bad(quality):
        return False
    if isinstance(value, str):
        return context.rooms.image.text(f"{context.unit}.{name}") == value
    return abs(read - value) <= context.rooms.plant.writes[f"{context.unit}.{name}"].resolution
