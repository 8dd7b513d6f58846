"""Manual work: a question to be confirmed, and a value to be entered."""

from __future__ import annotations

from collections.abc import Mapping

from evcontrol.procedure.phase import Argument, ArgumentKind, Phase, Result
from evcontrol.procedure.prompts import PromptKind
from evcontrol.units import UnitError, parse

TEXT = Argument("text", ArgumentKind.TEXT, "what the person is asked")


class PromptPhase(Phase):
    """Ask a person to confirm, or to choose."""

    arguments = (
        TEXT,
        Argument("choices", ArgumentKind.TEXT, "choices, separated by commas", default=""),
    )

    @classmethod
    def results_of(cls, arguments: Mapping[str, str]) -> tuple[Result, ...]:
        """The choice, where there is one."""
        choices = _listed(arguments.get("choices", ""))
        return (Result("choice", "choice", labels=choices),) if choices else ()

    async def running(self) -> None:
        """Ask, and put the choice down."""
        choices = _listed(str(self.context.arguments["choices"] or ""))
        kind = PromptKind.CHOICE if choices else PromptKind.CONFIRM
        answer = await self.context.ask("answer", kind, str(self.context.arguments["text"]), choices=choices)
        if choices:
            await self.context.result("choice", str(answer))


class EntryPhase(Phase):
    """Ask a person for a number with a unit, or for a text, and put it into the record."""

    arguments = (
        TEXT,
        Argument("name", ArgumentKind.TEXT, "what the value is, in the record"),
        Argument("unit", ArgumentKind.TEXT, "unit of a number; without it a text is asked for", default=""),
        Argument("low", ArgumentKind.TEXT, "least number, in the unit", default=""),
        Argument("high", ArgumentKind.TEXT, "greatest number, in the unit", default=""),
    )

    @classmethod
    def misfit(cls, arguments: Mapping[str, object]) -> str:
        """A unit that exists, and limits that are numbers in their order."""
        try:
            parse(str(arguments["unit"] or ""))
            limits = [float(str(arguments[name])) for name in ("low", "high") if arguments[name]]
        except UnitError as error:
            return str(error)
        except ValueError as error:
            return f"low and high are numbers ({error})"
        return "" if limits == sorted(limits) else "low is above high"

    @classmethod
    def results_of(cls, arguments: Mapping[str, str]) -> tuple[Result, ...]:
        """The value, where it is a number."""
        name, unit = arguments.get("name", ""), arguments.get("unit", "")
        return (Result("value", name, unit),) if name and _is_unit(unit) else ()

    async def running(self) -> None:
        """Ask, and put the value down."""
        arguments = self.context.arguments
        unit = arguments["unit"]
        limits = [float(arguments[name]) if arguments[name] else None for name in ("low", "high")]
        answer = await self.context.ask(
            "value",
            PromptKind.NUMBER if unit else PromptKind.TEXT,
            str(arguments["text"]),
            unit=unit or "",
            low=limits[0],
            high=limits[1],
        )
        value = str(answer) if not unit else float(answer)
        await self.context.result(str(arguments["name"]), value, unit or "")


def _listed(choices: str) -> tuple[str, ...]:
    return tuple(choice.strip() for choice in choices.split(",")) if choices else ()


def _is_unit(text: str) -> bool:
    try:
        return bool(parse(text).text)
    except UnitError:
        return False
