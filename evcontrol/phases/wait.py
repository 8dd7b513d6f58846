"""Waiting for a time or for a condition, and a signature in the midst of a procedure: on any unit, or on none."""

from __future__ import annotations

from collections.abc import Mapping

from evcontrol.clock import NS
from evcontrol.procedure.context import HoldRequiredError
from evcontrol.procedure.phase import Argument, ArgumentKind, Phase
from evcontrol.procedure.prompts import PromptKind


class Wait(Phase):
    """Wait until a time is over or a condition holds."""

    arguments = (
        Argument("time", ArgumentKind.NUMBER, "how long, from the first time that it ran", "s", "", low=0.0),
        Argument("until", ArgumentKind.CONDITION, "what ends the waiting", default=""),
        Argument("at_most", ArgumentKind.NUMBER, "how long the condition is waited for before the batch is held", "s",
                 "", low=1.0),
    )  # fmt: skip

    @classmethod
    def misfit(cls, arguments: Mapping[str, object]) -> str:
        """A time or a condition, and a bound for the condition alone."""
        if (arguments["time"] is None) == (arguments["until"] is None):
            return "give either a time or until"
        if arguments["at_most"] is not None and arguments["until"] is None:
            return "at_most bounds the wait for a condition: there is none"
        return ""

    async def running(self) -> None:
        """Wait; a hold does not stop the clock, since what is waited for goes on as well."""
        context, given = self.context, self.context.arguments
        begun = await context.once("begun", context.rooms.clock.now)
        if given["time"] is not None:
            await context.until_time(begun + round(context.number("time") * NS), "waiting")
            return
        last = None if given["at_most"] is None else begun + round(context.number("at_most") * NS)
        late = False

        def over() -> bool:
            nonlocal late
            late = last is not None and context.rooms.clock.now() >= last
            return late

        waited_for = given["until"]
        await context.until(waited_for, unless=over)
        if late:
            raise HoldRequiredError(f"not so within {context.number('at_most'):g} s: {context.arguments['until'].text}")


class Sign(Phase):
    """Have a person sign for what they read."""

    arguments = (
        Argument("text", ArgumentKind.TEXT, "what is signed for"),
        Argument("meaning", ArgumentKind.TEXT, "what the signature means", default="checked"),
    )

    async def running(self) -> None:
        """Ask for the signature."""
        given = self.context.arguments
        await self.context.ask("signature", PromptKind.CONFIRM, str(given["text"]), meaning=str(given["meaning"]))
