"""From concentrate to stored product: formulation, sterile filtration, labels. Manual work, each step put down."""

from __future__ import annotations

from typing import Final

from evcontrol.journal.events import Kind
from evcontrol.procedure.context import HoldRequiredError, PhaseContext
from evcontrol.procedure.phase import Argument, ArgumentKind, Phase, Result
from evcontrol.procedure.prompts import PromptKind

MAX_MASS_G: Final = 20000.0
LEAST_BUBBLE_POINT = Argument(
    "bubble_point", ArgumentKind.NUMBER, "lowest bubble point of a whole filter", "psig", "50 psig", 1.0
)


class Formulate(Phase):
    """Bring the concentrate into its formulation: lot, container and mass."""

    arguments = (
        Argument("buffer", ArgumentKind.TEXT, "the formulation buffer, such as 'PBS with 0.2 % trehalose'"),
        Argument("volume", ArgumentKind.NUMBER, "volume of buffer to be added", "mL", low=0.0, high=10000.0),
    )
    results = (Result("formulated", "formulated", "g"),)

    async def running(self) -> None:
        """Ask for lot and container, for the deed, and for the mass."""
        context = self.context
        buffer, volume = context.arguments["buffer"], context.number("volume")
        lot = await context.ask("lot", PromptKind.TEXT, f"Scan the label of the formulation buffer ({buffer})")
        container = str(await context.ask("container", PromptKind.TEXT, "Scan the label of the formulation container"))
        await register(context, container, "formulated")
        await context.ask(
            "added", PromptKind.CONFIRM, f"Pour the concentrate in and add {volume:g} mL of {buffer}. Done?"
        )
        text = "Net mass of the formulated product, by balance"
        mass = float(await context.ask("mass", PromptKind.NUMBER, text, unit="g", low=0.1, high=MAX_MASS_G))
        if "received" not in context.progress:
            body = {"material": str(buffer), "lot": str(lot), "quantity": volume, "unit": "mL", "expiry": ""}
            await context.event(Kind.MATERIAL_RECEIVED, body)
            await context.record("received", True)
        await filled(context, container, "formulated product", mass)
        await context.result("formulated", mass, "g")


class SterileFilter(Phase):
    """Filter the formulated product through a sterilising filter whose integrity is shown before and after use.

    EU GMP Annex 1 (2022), 8.79 to 8.87. A filter that fails after use holds the batch.
    """

    arguments = (LEAST_BUBBLE_POINT,)
    results = (Result("filtered", "filtered", "g"),)

    async def running(self) -> None:
        """Test, filter, test, weigh."""
        context = self.context
        await self._before()
        container = str(await context.ask("container", PromptKind.TEXT, "Scan the label of the sterile container"))
        await register(context, container, "filtered")
        await context.ask(
            "filtered", PromptKind.CONFIRM, "Filter the formulated product into the sterile container. Done?"
        )
        await self._after()
        text = "Net mass of the filtered product, by balance"
        mass = float(await context.ask("mass", PromptKind.NUMBER, text, unit="g", low=0.1, high=MAX_MASS_G))
        await filled(context, container, "filtered product", mass)
        await context.result("filtered", mass, "g")

    async def _before(self) -> None:
        """A filter that fails before use is replaced by another."""
        context, least, number = self.context, self.context.number("bubble_point"), 1
        trouble = ""
        while True:
            label = await context.ask(
                f"filter {number}", PromptKind.TEXT, f"{trouble}Scan the sterilising filter's label"
            )
            found = await bubble_point(context, f"before {number}", f"Bubble point of filter {label} before use")
            if found >= least:
                return await context.result("filter", str(label))
            trouble = f"Filter {label} fails ({found:g} psig, below {least:g} psig): take another. "
            number += 1

    async def _after(self) -> None:
        """A failed test may be the wetting's fault: after a restart it is made again."""
        context, least = self.context, self.context.number("bubble_point")
        number = int(context.progress.get("tests after use", 0)) + 1
        found = await bubble_point(context, f"after {number}", "Bubble point of the filter after use")
        if found < least:
            await context.record("tests after use", number)
            raise HoldRequiredError(f"the sterilising filter fails after use: {found:g} psig, below {least:g} psig")


class Store(Phase):
    """Fill, label and store: how many, how much, where; signed by whoever did it."""

    arguments = (
        Argument("storage", ArgumentKind.TEXT, "storage, such as '-80 C'"),
        Argument("container", ArgumentKind.TEXT, "type of the final containers", default="siliconised vial"),
    )

    async def running(self) -> None:
        """Ask for number, volume and place, then for the signature."""
        context = self.context
        kind, storage = context.arguments["container"], context.arguments["storage"]
        number = await context.ask(
            "number", PromptKind.NUMBER, f"Number of filled containers ({kind})", low=1.0, high=10000.0
        )
        text = "Volume in each container"
        volume = await context.ask("volume", PromptKind.NUMBER, text, unit="mL", low=0.01, high=1000.0)
        first = await context.ask("label", PromptKind.TEXT, "Scan the label of the first container")
        place = await context.ask("place", PromptKind.TEXT, f"Storage place ({storage})")
        await register(context, str(first), "vial")
        words = (
            f"{round(float(number))} {kind}s of {float(volume):g} mL from {first} on, stored at {storage} in {place}"
        )
        meaning = "I have filled, labelled and stored these containers as stated"
        await context.ask("signed", PromptKind.CONFIRM, f"{words}. Sign", meaning=meaning)
        await context.result("stored", words)


async def bubble_point(context: PhaseContext, key: str, text: str) -> float:
    """Ask for a bubble point and put it down."""
    found = float(await context.ask(key, PromptKind.NUMBER, text, unit="psig", low=0.0, high=200.0))
    if f"{key} noted" not in context.progress:
        await context.result(f"bubble point, {key.split(maxsplit=1)[0]} use", found, "psig")
        await context.record(f"{key} noted", True)
    return found


async def register(context: PhaseContext, container: str, kind: str) -> None:
    """Put a new container down, once."""
    if f"registered {kind}" in context.progress:
        return
    body = {"container": container, "type": kind, "content": "empty", "state": "in use", "tare_g": None}
    await context.event(Kind.CONTAINER_REGISTERED, body)
    await context.record(f"registered {kind}", True)


async def filled(context: PhaseContext, container: str, content: str, mass_g: float) -> None:
    """Put down what a container holds."""
    body = {
        "container": container, "state": "filled", "content": content, "mass_g": round(mass_g, 2),
        "reason": context.path,
    }  # fmt: skip
    await context.event(Kind.CONTAINER_CHANGED, body)
