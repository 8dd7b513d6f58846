"""Measuring the normalised water permeability of a membrane (NWP = J TCF20 / TMP)."""

from __future__ import annotations

from evcontrol.clock import NS
from evcontrol.phases.water import density, temperature_correction
from evcontrol.procedure.context import HoldRequiredError, PhaseContext

PSI_PER_BAR = 14.503773773
SETTLE_S = 30.0
MEASURE_S = 60.0


async def measure_nwp(context: PhaseContext, least: float = 0.0) -> float:
    """NWP in LMH/bar by weight over a minute of filtering water at constant pressure; recorded once.

    Raises HoldRequiredError when it is below ``least``; a restart then measures again.
    """
    if "nwp" in context.progress:
        return float(context.progress["nwp"])
    await context.for_seconds(SETTLE_S, "pressure and flux settle")
    start_t, start_g = _weight(context)
    pressures: list[float] = []
    while context.rooms.clock.now() - start_t < MEASURE_S * NS:
        pressures.append(context.value("TMP"))
        context.waiting = f"water flux is measured: {MEASURE_S - (context.rooms.clock.now() - start_t) / NS:.0f} s left"
        await context.rooms.next_scan()
    end_t, end_g = _weight(context)
    celsius = context.value("TT")
    hours, litres = (end_t - start_t) / NS / 3600.0, (end_g - start_g) / density(celsius) / 1000.0
    flux = litres / hours / context.value("AREA")
    bar = sum(pressures) / len(pressures) / PSI_PER_BAR
    if bar < 0.02:
        raise HoldRequiredError(f"the water flux cannot be measured at a TMP of {bar * PSI_PER_BAR:.2f} psi")
    nwp = round(flux * temperature_correction(celsius) / bar, 1)
    context.waiting = ""
    await context.set_tag("NWP", nwp)
    await context.result("NWP", nwp, "LMH/bar")
    if nwp < least:
        raise HoldRequiredError(f"the membrane passes {nwp:g} LMH/bar of water, less than {least:g} LMH/bar")
    await context.record("nwp", nwp)
    return nwp


def _weight(context: PhaseContext) -> tuple[int, float]:
    grams = context.value("WT_PERM")
    return context.rooms.image.time_of(f"{context.unit}.WT_PERM"), grams
