"""Samples: each has its identity, and what was taken is known to the balances that it was taken from."""

from __future__ import annotations

from typing import ClassVar, Final

from evcontrol.journal.events import Kind
from evcontrol.phases import circuit, culture
from evcontrol.phases.exchange import REST_S
from evcontrol.phases.water import density
from evcontrol.procedure.context import HoldRequiredError, PhaseContext
from evcontrol.procedure.phase import Argument, ArgumentKind, Phase, Result
from evcontrol.procedure.prompts import PromptKind

WHAT: Final = Argument("of", ArgumentKind.TEXT, "what is sampled, as the label says")
VOLUME: Final = Argument("volume", ArgumentKind.NUMBER, "volume of the sample", "mL", low=0.01, high=1000.0)
WEIGHED_OFF: Final = 0.3
"""Share by which a weighed sample may differ from its volume before a person is asked (engineering default)."""
LEAST_OFF_G: Final = 3.0
"""Balances and hands are no better than this."""


class Sample(Phase):
    """Have a sample taken and labelled, where nothing weighs it."""

    arguments = (WHAT, VOLUME)

    async def running(self) -> None:
        """Ask for the label, and put the sample down."""
        label = await _labelled(self.context)
        await _put_down(self.context, label, self.context.number("volume"))


class SampleRetentate(Phase):
    """Have a sample of the retentate taken from the vessel; what it weighs is taken off the liquid balance."""

    unit_class = "tff"
    bears_outage_h = 2.0
    tags: ClassVar = ("WT_RET", "TT", "CONTENT")
    max_speed = 30.0
    arguments = (WHAT, VOLUME)
    results = (Result("sampled", "sampled", "g"),)

    async def running(self) -> None:
        """Weigh before and after, ask for the label, put down."""
        await _weighed(self.context, "WT_RET", circuit.REST_S)


class SampleCulture(Phase):
    """Have a sample of the culture taken from the vessel; what it weighs is known from the vessel's load cell."""

    unit_class = "bioreactor"
    bears_outage_h = 4.0
    tags: ClassVar = (*culture.TAGS, "WT_VESSEL")
    actuators: ClassVar = culture.ACTUATORS
    max_speed = culture.TRANSFER_SPEED
    arguments = (WHAT, VOLUME)
    results = (Result("sampled", "sampled", "g"),)

    async def running(self) -> None:
        """Keep the cells, weigh before and after, ask for the label, put down."""
        await culture.keep(self.context)
        await _weighed(self.context, "WT_VESSEL", REST_S)


async def _weighed(context: PhaseContext, balance: str, rest_s: float) -> None:
    await context.for_seconds(rest_s, "the weight comes to rest")
    before = await context.once("before_g", lambda: context.value(balance))
    label = await _labelled(context)
    await context.for_seconds(rest_s, "the weight comes to rest")
    taken = await context.once("taken_g", lambda: round(before - context.value(balance), 2))
    rho = density(context.value("TT"))
    asked = context.number("volume") * rho
    if abs(taken - asked) > max(LEAST_OFF_G, WEIGHED_OFF * asked):
        text = f"Sample {label} took {taken:.1f} g off the balance, not {asked:.1f} g. How much was taken?"
        entered = await context.ask("volume", PromptKind.NUMBER, text, unit="mL", low=0.0, high=1000.0)
        if abs(float(entered) * rho - taken) > max(LEAST_OFF_G, WEIGHED_OFF * float(entered) * rho):
            raise HoldRequiredError(
                f"{balance} fell by {taken:.1f} g and the sample is {float(entered):g} mL: the balance was moved, or "
                "something else was taken; mend that, then restart"
            )
    await _put_down(context, label, taken / rho)
    await context.result("sampled", taken, "g")


async def _labelled(context: PhaseContext) -> str:
    """Ask for the label until it is one that no other sample has."""
    number, trouble = 1, ""
    while True:
        text = f"{trouble}Take {context.number('volume'):g} mL of {context.arguments['of']}, and scan its label"
        label = str(await context.ask(f"label {number}", PromptKind.TEXT, text)).strip()
        if label not in context.rooms.view.samples or context.progress.get("sample") == label:
            return label
        trouble = f"Another sample has the label {label}. "
        number += 1


async def _put_down(context: PhaseContext, label: str, volume_ml: float) -> None:
    if context.progress.get("sample") == label:
        return
    body = {"sample": label, "container": "", "volume_ml": round(volume_ml, 2), "label": str(context.arguments["of"])}
    await context.record("sample", label)
    await context.event(Kind.SAMPLE_TAKEN, body)
