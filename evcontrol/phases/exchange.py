"""Medium exchange: liquid out, as much back in by weight, and the containers that it comes from and goes to."""

from __future__ import annotations

from typing import ClassVar, Final

from evcontrol.journal.events import Kind
from evcontrol.phases import culture, dosing
from evcontrol.phases.culture import HARVEST, MEDIUM
from evcontrol.phases.water import density
from evcontrol.procedure.context import HoldRequiredError, PhaseContext
from evcontrol.procedure.phase import Argument, ArgumentKind, Phase, Result
from evcontrol.procedure.prompts import PromptKind

REST_S: Final = 20.0
"""Process time in which the load cells come to rest."""
WARN_ERROR, MAX_ERROR = 0.02, 0.05
"""Shares by which what went in may differ from what came out: noted, and held (engineering defaults)."""
LEAST_ERROR_G: Final = 5.0
BAGS: Final = {"expansion": "WT_MEDX", "production": "WT_MEDP"}
"""Load cell of the bag behind each label of the medium selector."""
POOL: Final = "pool"

FLOW = Argument("flow", ArgumentKind.NUMBER, "flow of the pumps", "mL/min", "150 mL/min", 5.0, 500.0)
EXCHANGED = Argument("volume", ArgumentKind.NUMBER, "volume of each exchange", "mL", low=10.0, high=20000.0)


class WashOut(Phase):
    """Replace the medium, which may hold foreign vesicles, by exchanges to waste."""

    unit_class = "bioreactor"
    bears_outage_h = 2.0
    tags: ClassVar = (*culture.TAGS, *culture.LIQUIDS, *BAGS.values())
    actuators: ClassVar = (*culture.ACTUATORS, *culture.PUMPS)
    hazardous = True
    max_speed = culture.TRANSFER_SPEED
    arguments = (
        EXCHANGED,
        Argument("times", ArgumentKind.NUMBER, "number of exchanges", low=1.0, high=20.0),
        FLOW,
    )
    results = (Result("old_medium_left", "old medium left"),)

    async def running(self) -> None:
        """Exchange as often as asked; what was done before a hold is not done twice."""
        context = self.context
        await culture.keep(context)
        start = await context.once("vessel_g", lambda: context.value("LIQUID"))
        left = 1.0
        for number in range(1, round(context.number("times")) + 1):
            out, _ = await exchange(context, str(number), context.number("volume"), "waste", "production")
            left *= max(0.0, 1.0 - out / start)
            await context.pause_point()
        await context.result("old medium left", round(left, 4))


async def exchange(context: PhaseContext, key: str, volume_ml: float, to: str, medium: str) -> tuple[float, float]:
    """Pump a volume out and the same weight of fresh medium in; the masses (g) out and in, by the vessel's weight.

    Raises HoldRequiredError when the two differ by more than MAX_ERROR.
    """
    await context.at_most(culture.TRANSFER_SPEED)
    flow = context.number("flow")
    out = await take(context, key, volume_ml, to, flow)
    given = await _refill(context, key, out, medium, flow)
    error = abs(given - out)
    if error > max(LEAST_ERROR_G, MAX_ERROR * out):
        raise HoldRequiredError(
            f"the medium exchange does not balance: {out:.0f} g came out and {given:.0f} g went in; "
            "look for a leak, a kinked line or a load cell that is touched"
        )
    if f"{key} done" not in context.progress:
        await context.result(f"exchanged {key}", round(out, 1), "g")
        if error > max(LEAST_ERROR_G, WARN_ERROR * out):
            await context.result(f"volume error {key}", round(given - out, 1), "g")
        await context.record(f"{key} done", True)
    return out, given


async def take(context: PhaseContext, key: str, volume_ml: float, to: str, flow: float) -> float:
    """Pump a volume out of the vessel; the mass (g) that left it, by its weight."""
    if f"{key} out_g" not in context.progress:
        start = await context.once(f"{key} out", lambda: _reference(context, "FQ_HARV"))
        if start["vessel_g"] < culture.grams(context, volume_ml) * (1.0 - MAX_ERROR):
            raise HoldRequiredError(
                f"the vessel holds {start['vessel_g']:.0f} g, less than the {volume_ml:g} mL to take"
            )
        await dosing.dose_to(context, HARVEST, start["total_ml"] + volume_ml, flow, to)
        await context.for_seconds(REST_S, "the load cells come to rest")
        await context.record(f"{key} out_g", round(start["vessel_g"] - context.value("LIQUID"), 2))
    return float(context.progress[f"{key} out_g"])


async def _refill(context: PhaseContext, key: str, mass_g: float, medium: str, flow: float) -> float:
    if f"{key} in_g" not in context.progress:
        start = await context.once(f"{key} in", lambda: _reference(context, "FQ_MED"))
        if context.value(BAGS[medium]) < mass_g - (context.value("LIQUID") - start["vessel_g"]):
            raise HoldRequiredError(f"the bag of {medium} medium does not hold the {mass_g:.0f} g that are needed")
        target = start["total_ml"] + mass_g / density(context.value("TT"))
        await dosing.dose_to(context, MEDIUM, round(target, 2), flow, medium)
        await context.for_seconds(REST_S, "the load cells come to rest")
        await context.record(f"{key} in_g", round(context.value("LIQUID") - start["vessel_g"], 2))
    return float(context.progress[f"{key} in_g"])


async def pool(context: PhaseContext) -> str:
    """The identity of the collection container; it is scanned once a batch, registered, and its empty weight kept."""
    label = context.rooms.image.text(f"{context.unit}.POOL")
    if label:
        return label
    label = str(await context.ask(POOL, PromptKind.TEXT, "Scan the label of the empty, sterile collection container"))
    empty = await context.once("pool_empty_g", lambda: context.value("WT_POOL"))
    await context.set_tag("POOL_EMPTY", empty)
    body = {"container": label, "type": POOL, "content": "empty", "state": "in use", "tare_g": round(empty, 1)}
    await context.event(Kind.CONTAINER_REGISTERED, body)
    await context.set_tag("POOL", label)
    return label


async def pooled(context: PhaseContext, label: str, why: str) -> float:
    """Put down what the collection container holds now; its mass (g) by its load cell."""
    mass = context.value("WT_POOL") - context.value("POOL_EMPTY")
    body = {
        "container": label, "state": "in use", "content": "conditioned medium", "mass_g": round(mass, 1),
        "reason": why,
    }  # fmt: skip
    await context.event(Kind.CONTAINER_CHANGED, body)
    return mass


def _reference(context: PhaseContext, totaliser: str) -> dict[str, float]:
    return {"total_ml": context.value(totaliser), "vessel_g": context.value("LIQUID")}
