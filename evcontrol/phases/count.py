"""Counting particles: a sample is taken, the counter is asked by a worklist, and its export is put into the record."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from evcontrol.journal.events import Kind
from evcontrol.phases.cells import HOUR_NS
from evcontrol.procedure.context import HoldRequiredError
from evcontrol.procedure.phase import Argument, ArgumentKind, Phase
from evcontrol.procedure.prompts import PromptKind
from evcontrol.quality import is_bad

CONTAINER_TYPES: Final[Mapping[str, str]] = {
    "pool": "pool", "clarified": "clarified", "concentrate": "product", "product": "filtered",
}  # fmt: skip
"""Type of the container that each kind of sample is taken from; others come from none that the batch registers."""
KINDS: Final = ("beads", "diluent", "medium", "pool", "clarified", "concentrate", "permeate", "product")
NUMBERS: Final[Mapping[str, str]] = {
    "CONC_MEASURED": "concentration_measured", "CONC_STOCK": "concentration_stock", "DILUTION_RECORDED": "dilution",
    "CV": "cv", "MEAN": "mean", "MODE": "mode", "SD": "sd", "D10": "d10", "D50": "d50", "D90": "d90",
    "FRACTION_200": "fraction_below_200", "TRACKS": "tracks", "REPLICATES": "replicates",
}  # fmt: skip
"""The counter's figures, and their names in the record."""
TEXTS: Final[Mapping[str, str]] = {
    "FILE": "file", "SHA256": "sha256", "SOFTWARE": "software", "CAPTURED_AT": "captured_at", "WARNINGS": "warnings",
}  # fmt: skip
TOLERANCE_S: Final = 600.0
LEAST_RANGE: Final = 3.0
"""Least ratio of the ends of a range: narrower, and the counter's own scatter would leave it."""
MOST_OFF: Final = 0.10
"""Share by which the mode of beads may be off (engineering default)."""


class Count(Phase):
    """Have a sample taken, diluted and counted."""

    unit_class = "counter"
    tags: ClassVar = (*NUMBERS, *TEXTS, "STATE", "RESULT_REQUEST", "LAST_SAMPLE")
    actuators: ClassVar = ("SAMPLE_NO", "KIND", "DILUTION", "VIDEOS", "REQUEST")
    max_speed = 120.0
    arguments = (
        Argument("kind", ArgumentKind.CHOICE, "what is counted", choices=KINDS),
        Argument("dilution", ArgumentKind.NUMBER, "dilution of the sample (1 = undiluted)", low=1.0, high=1e6),
        Argument("videos", ArgumentKind.NUMBER, "videos of 60 s", "", "5", 1.0, 10.0),
        Argument("volume", ArgumentKind.NUMBER, "volume of the sample", "mL", "1 mL", 0.01, 10.0),
        Argument("within", ArgumentKind.NUMBER, "longest time until the result is there", "h", "2 h", 0.1, 48.0),
        Argument("lowest", ArgumentKind.NUMBER, "least concentration in the cell that counts", "particle/mL", "", 1.0),
        Argument(
            "highest", ArgumentKind.NUMBER, "greatest one; beyond, another dilution is made", "particle/mL", "", 1.0
        ),
        Argument("dilutions", ArgumentKind.NUMBER, "dilutions that are tried until it is in range", "", "3", 1.0, 10.0),
        Argument(
            "beads", ArgumentKind.NUMBER, "diameter of the beads, where beads are counted", "nm", "100 nm", 20.0, 800.0
        ),
    )

    @classmethod
    def misfit(cls, arguments: Mapping[str, object]) -> str:
        """A range has two ends, and beads and blanks have none."""
        low, high = arguments["lowest"], arguments["highest"]
        if (low is None) != (high is None):
            return "give both lowest and highest, or neither"
        if isinstance(low, float) and isinstance(high, float) and low * LEAST_RANGE > high:
            return f"highest must be at least {LEAST_RANGE:g} times lowest"
        return ""

    async def running(self) -> None:
        """Count; in a series, dilute anew until the concentration in the cell is in the range."""
        context = self.context
        dilution = await self._count()
        while (better := self._better(dilution)) is not None:
            tried = int(context.progress.get("tried", 1))
            measured = float(context.progress["measured"])
            if tried >= round(context.number("dilutions")):
                await context.record("tried", 0)
                raise HoldRequiredError(
                    f"{measured:.3g} particle/mL in the cell after {tried} dilutions: look at sample and counter; "
                    "a restart takes a new sample"
                )
            await context.record("next", {"dilution": better, "number": self._taken + 1})
            await context.record("tried", tried + 1)
            dilution = await self._count()
        await self._check_beads()

    async def _count(self) -> float:
        """Number, take, request, wait, put down; the dilution that was asked for."""
        context = self.context
        # A count that failed is made anew with a sample of its own, once a person restarts.
        number = int(await context.once(f"number {self._failures + self._taken}", self._next))
        await context.set_tag("LAST_SAMPLE", number)
        sample, kind = f"S-{number:06d}", str(context.arguments["kind"])
        container, dilution = self._container(kind), self._dilution
        how = f"dilute it 1:{dilution:g}" if dilution > 1.0 else "do not dilute it"
        where = f" ({container})" if container else ""
        text = f"Take sample {sample} of the {kind}{where}, {how}, label it and load the counter"
        await context.ask(f"loaded {number}", PromptKind.CONFIRM, text)
        if f"taken {number}" not in context.progress:
            body = {"sample": sample, "container": container, "volume_ml": context.number("volume"), "label": kind}
            await context.event(Kind.SAMPLE_TAKEN, body)
            await context.record(f"taken {number}", True)
        await self._request(number, kind, dilution)
        await self._wait(number)
        if f"counted {number}" not in context.progress:
            measured = await self._put_down(number, sample, kind, container)
            await context.record("measured", measured)
            await context.record(f"counted {number}", True)
        return dilution

    @property
    def _failures(self) -> int:
        return int(self.context.progress.get("failed", 0))

    @property
    def _taken(self) -> int:
        """Samples of the series before this one."""
        return int(self.context.progress.get("next", {"number": 0})["number"])

    @property
    def _dilution(self) -> float:
        """By how much the sample is to be diluted now."""
        first = {"dilution": self.context.number("dilution")}
        return float(self.context.progress.get("next", first)["dilution"])

    def _better(self, dilution: float) -> float | None:
        """The dilution that would bring the concentration to the middle of the range; None when it is in it.

        An undiluted sample with too few particles is what it is. The middle is the geometric one.
        """
        low, high = self.context.arguments["lowest"], self.context.arguments["highest"]
        measured = self.context.progress["measured"]
        if low is None or high is None or measured is None or low <= measured <= high:
            return None
        if measured < low and dilution <= 1.0:
            return None
        wanted = max(1.0, dilution * max(measured, 1.0) / math.sqrt(low * high))
        return float(f"{wanted:.2g}")

    async def _check_beads(self) -> None:
        """Raises HoldRequiredError when beads were counted and do not show their diameter."""
        if self.context.arguments["kind"] != "beads":
            return
        nominal, shown = self.context.number("beads"), self.context.value("MODE")
        if abs(shown - nominal) > MOST_OFF * nominal:
            await self.context.record("failed", self._failures + 1)
            raise HoldRequiredError(
                f"the beads of {nominal:g} nm show {shown:.1f} nm, more than {100.0 * MOST_OFF:g} % off: the counter "
                "must not be used; clean and adjust it, then restart for a new sample"
            )

    def _next(self) -> int:
        """One above every number that the counter or this plant has used."""
        context = self.context
        known = [context.reading(tag) for tag in ("REQUEST", "LAST_SAMPLE")]
        return 1 + max((int(value) for value, quality in known if not is_bad(quality)), default=0)

    def _container(self, kind: str) -> str:
        """The newest container of the type that the kind is taken from."""
        wanted = CONTAINER_TYPES.get(kind)
        found = [name for name, body in self.context.rooms.view.containers.items() if body.get("type") == wanted]
        return found[-1] if wanted and found else ""

    async def _request(self, number: int, kind: str, dilution: float) -> None:
        context = self.context
        if context.value("REQUEST") >= number:
            return  # placed before a hold or a crash: never twice
        await context.write(
            f"worklist {number}: {kind}, diluted 1:{dilution:g}",
            SAMPLE_NO=float(number),
            KIND=kind,
            DILUTION=dilution,
            VIDEOS=context.number("videos"),
            REQUEST=float(number),
        )

    async def _wait(self, number: int) -> None:
        context, clock = self.context, self.context.rooms.clock
        end = clock.now() + round(context.number("within") * HOUR_NS)
        there = context.condition(f"RESULT_REQUEST >= {number} or STATE = failed")
        await context.until(there, tolerance_s=TOLERANCE_S, unless=lambda: clock.now() >= end)
        if context.value("RESULT_REQUEST") == number:
            return
        failed = context.rooms.image.text(f"{context.unit}.STATE") == "failed"
        await context.record("failed", self._failures + 1)
        trouble = "the counter could not give a result" if failed else "no result in time"
        raise HoldRequiredError(f"{trouble} of worklist {number}: look at its exports; a restart takes a new sample")

    async def _put_down(self, number: int, sample: str, kind: str, container: str) -> float | None:
        """Put the count down; the concentration in the cell, particle/mL."""
        context = self.context
        body: dict[str, Any] = {"sample": sample, "sample_no": number, "kind": kind, "container": container}
        for tag, name in NUMBERS.items():
            value, quality = context.reading(tag)
            body[name] = None if is_bad(quality) else value
        for tag, name in TEXTS.items():
            body[name] = context.rooms.image.text(f"{context.unit}.{tag}")
        body["dilution_source"] = "export"
        if body["dilution"] is None:
            # The export does not say how the sample was diluted, and a recipe is no evidence of what was done.
            text = f"The export of {sample} records no dilution. By what factor was it diluted?"
            key = f"dilution {number}"
            body["dilution"] = float(await context.ask(key, PromptKind.NUMBER, text, low=1.0, high=1e6))
            body["dilution_source"] = "entered"
            measured = body["concentration_measured"]
            body["concentration_stock"] = None if measured is None else measured * body["dilution"]
        await context.event(Kind.COUNT_TAKEN, body)
        for name, unit in (("concentration_stock", "particle/mL"), ("d50", "nm"), ("cv", "")):
            if body[name] is not None:
                await context.result(f"{kind}: {name.replace('_', ' ')}", float(f"{body[name]:.4g}"), unit)
        measured = body["concentration_measured"]
        return None if measured is None else float(measured)
