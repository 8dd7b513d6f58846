"""The liquid balance of a filtration: what went in by the totaliser against what the balances and the circuit hold.

Over the section from the beginning of the first ``load`` to the end of the last ``diafilter`` (or ``concentrate``) on a
unit, in grams: In = feed + buffer, by the transfer totaliser and the density of water at the temperature read; Out =
gain of the permeate balance + gain of the retentate balance + what the circuit took up (its hold-up less what stayed
in it when it was drained before) + samples of the retentate. It closes when \\|In - Out\\| / In is within the limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np

from evcontrol.batch.entries import BatchRecord, ElementEntry
from evcontrol.batch.readings import FRESH_S, REACH_NS, held_at
from evcontrol.clock import NS, iso
from evcontrol.history.reader import Column, HistoryError, HistoryReader
from evcontrol.phases import permeate_vessel
from evcontrol.phases.water import density
from evcontrol.procedure.states import State
from evcontrol.quality import good_mask, is_good
from evcontrol.units import UnitError, parse_quantity

LIMIT: Final = 0.01
"""Share of In by which a balance may be off."""
JUMPS: Final = {"WT_PERM": (100.0, 0.0), "WT_RET": (100.0, 10.0), "FQ_IN": (1.0, 0.0)}
"""By how much (g, mL) and how fast besides (per s) a reading may fall from one to the next: beyond it, it was tared or
reset, or its vessel was changed. Retentate falls when the circuit fills, and as fast as permeate flows."""

_SECTION: Final = ("load", "concentrate", "diafilter")
_LAST: Final = frozenset({"concentrate", "diafilter"})
_SAMPLING: Final = "sample_retentate"
_HARMLESS: Final = frozenset({*_SECTION, _SAMPLING, "prompt", "entry"})
PERMEATE_VESSEL: Final = permeate_vessel.KEY.partition("{")[0]
"""How the progress of a change of the permeate vessel begins."""
_TAGS: Final = ("WT_PERM", "WT_RET", "FQ_IN", "TT")


class Closure(StrEnum):
    """What a check of a balance may find."""

    CLOSES = "closes"
    OPEN = "does not close"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One thing measured in two ways, in g; ``share`` is their difference over the first."""

    expected_g: float
    found_g: float

    @property
    def difference_g(self) -> float:
        """What is missing (positive) or too much."""
        return self.expected_g - self.found_g

    @property
    def share(self) -> float:
        """The difference over what was expected; infinite when nothing was."""
        return self.difference_g / self.expected_g if self.expected_g > 0.0 else float("inf")

    @property
    def closure(self) -> Closure:
        """Whether the two agree within the limit."""
        return Closure.CLOSES if abs(self.share) <= LIMIT else Closure.OPEN


@dataclass(slots=True)
class LiquidBalance:
    """The liquid balance of one unit. Figures are None when a reading that they need is not to be had.

    ``start`` and ``end`` of the section in process time (UTC ns); ``reasons`` tell why it is inconclusive.
    """

    unit: str
    start: int | None = None
    end: int | None = None
    feed_ml: float | None = None
    buffer_ml: float | None = None
    feed_g: float | None = None
    buffer_g: float | None = None
    permeate_g: float | None = None
    retentate_g: float | None = None
    circuit_g: float | None = None
    sampled_g: float = 0.0
    feed_by_balance_g: float | None = None
    reasons: list[str] = field(default_factory=list)

    @property
    def total(self) -> Comparison | None:
        """In against Out; None when a figure is missing."""
        parts = (self.feed_g, self.buffer_g, self.permeate_g, self.retentate_g, self.circuit_g)
        feed, buffer, permeate, retentate, circuit = parts
        if feed is None or buffer is None or permeate is None or retentate is None or circuit is None:
            return None
        return Comparison(feed + buffer, permeate + retentate + circuit + self.sampled_g)

    @property
    def feed(self) -> Comparison | None:
        """The feed by totaliser against the feed by the retentate balance; None when a figure is missing."""
        if self.feed_g is None or self.feed_by_balance_g is None:
            return None
        return Comparison(self.feed_g, self.feed_by_balance_g)

    @property
    def closure(self) -> Closure:
        """The verdict; never that it closes when anything needed is missing."""
        total = self.total
        return Closure.INCONCLUSIVE if self.reasons or total is None else total.closure


def liquid_balances(record: BatchRecord, reader: HistoryReader) -> list[LiquidBalance]:
    """One balance for each unit of the batch whose recipe loads it; from the readings and the phases' times."""
    if not record.phases():
        reason = "the text of the recipe cannot be read: the section is not known"
        return [LiquidBalance(unit, reasons=[reason]) for unit in record.units.values()]
    loaded = dict.fromkeys(phase.unit for phase in record.phases() if phase.phase == "load")
    return [_Section(record, reader, unit).balance() for unit in loaded]


def worst(balances: Iterable[LiquidBalance]) -> Closure | None:
    """The verdict over all units; None when there is nothing to balance."""
    order = (Closure.OPEN, Closure.INCONCLUSIVE, Closure.CLOSES)
    return min((balance.closure for balance in balances), key=order.index, default=None)


@dataclass(frozen=True, slots=True)
class _VesselChange:
    """Another permeate vessel, from when to when (process time, UTC ns), and by how much the weight fell."""

    since: int
    until: int
    taken_g: float


class _Section:
    """The balanced section of one unit."""

    def __init__(self, record: BatchRecord, reader: HistoryReader, unit: str) -> None:
        self._record = record
        self._reader = reader
        self._unit = unit
        self._phases = [phase for phase in record.phases() if phase.unit == unit]
        self._columns: dict[str, Column] = {}
        self._changes: list[_VesselChange] = []
        self._balance = LiquidBalance(unit)

    def balance(self) -> LiquidBalance:
        """Work it out as far as the readings go."""
        balance = self._balance
        self._set_ends()
        start, end = balance.start, balance.end
        if start is None or end is None or not self._read(start, end):
            return balance
        self._in(start, end)
        self._changes = list(self._vessel_changes(start, end))
        gain = self._gain("WT_PERM", start, end)
        balance.permeate_g = None if gain is None else gain + sum(change.taken_g for change in self._changes)
        balance.retentate_g = self._gain("WT_RET", start, end)
        balance.circuit_g = self._circuit(end)
        balance.sampled_g = sum(
            float(result.value)
            for phase in self._phases
            for result in phase.results
            if phase.phase == _SAMPLING and result.name == "sampled" and phase.ended is not None
            if start <= phase.ended <= end
        )
        for tag in JUMPS:
            self._find_falls(tag, start, end)
        return balance

    def _set_ends(self) -> None:
        """From the beginning of the first load to the end of the last phase that filters the product."""
        balance = self._balance
        first = next(i for i, phase in enumerate(self._phases) if phase.phase == "load")
        last = max((i for i, phase in enumerate(self._phases) if phase.phase in _LAST), default=first)
        section = self._phases[first : last + 1]
        balance.start, balance.end = section[0].started, section[-1].ended
        for phase in section:
            if phase.state != State.COMPLETE:
                self._miss(f"{phase.path} is {phase.state}: the section is not complete")
            if phase.phase not in _HARMLESS:
                self._miss(f"{phase.path} ({phase.phase}) moves liquid that the balance does not know of")
        if section[-1].phase not in _LAST:
            self._miss("the recipe filters nothing after it was loaded")

    def _read(self, start: int, end: int) -> bool:
        names = [f"{self._unit}.{tag}" for tag in _TAGS]
        try:
            columns = self._reader.raw(names, start - REACH_NS, end)
        except HistoryError as error:
            self._miss(str(error))
            return False
        self._columns = {tag: columns[name] for tag, name in zip(_TAGS, names, strict=True)}
        return True

    def _in(self, start: int, end: int) -> None:
        balance = self._balance
        loads = [(p.started, p.ended) for p in self._phases if p.phase == "load"]
        feeds = [(self._gain("FQ_IN", a, b), self._gain("WT_RET", a, b), self._density(a, b))
                 for a, b in loads if a is not None and b is not None]  # fmt: skip
        whole, thickness = self._gain("FQ_IN", start, end), self._density(start, end)
        volumes = [ml for ml, _, _ in feeds if ml is not None]
        if len(volumes) < len(loads) or whole is None:
            return
        balance.feed_ml = sum(volumes)
        balance.buffer_ml = whole - balance.feed_ml
        if thickness is not None:
            balance.buffer_g = balance.buffer_ml * thickness
        masses = [ml * rho for ml, _, rho in feeds if ml is not None and rho is not None]
        weighed = [grams for _, grams, _ in feeds if grams is not None]
        balance.feed_g = sum(masses) if len(masses) == len(loads) else None
        balance.feed_by_balance_g = sum(weighed) if len(weighed) == len(loads) else None

    def _gain(self, tag: str, start: int, end: int) -> float | None:
        before, after = self._at(tag, start), self._at(tag, end)
        return None if before is None or after is None else after - before

    def _density(self, start: int, end: int) -> float | None:
        """Density of water in g/mL at the mean of the two temperatures."""
        before, after = self._at("TT", start), self._at("TT", end)
        return None if before is None or after is None else density((before + after) / 2.0)

    def _at(self, tag: str, t: int) -> float | None:
        """The reading that held at a moment; None, with the reason put down, when it was not Good or is missing."""
        value, reason = held_at(self._columns[tag], f"{self._unit}.{tag}", t)
        if reason:
            self._miss(reason)
        return value

    def _find_falls(self, tag: str, start: int, end: int) -> None:
        """What never falls so fast unless it was set anew by hand."""
        column, (fall, rate) = self._columns[tag], JUMPS[tag]
        inside = (column.t >= start) & (column.t <= end) & good_mask(column.q)
        times, values = column.t[inside], column.v[inside]
        for i in np.flatnonzero(np.diff(values) < -fall - rate * np.diff(times) / NS).tolist():
            if tag == "WT_PERM" and any(c.since <= times[i + 1] <= c.until for c in self._changes):
                continue
            fell = f"from {values[i]:.1f} to {values[i + 1]:.1f} {column.unit}"
            self._miss(f"{self._unit}.{tag} fell {fell} at {iso(int(times[i + 1]))}: it was set anew or moved by hand")

    def _vessel_changes(self, start: int, end: int) -> Iterable[_VesselChange]:
        """The changes of the permeate vessel that the phases put down: what was taken away was permeate."""
        for phase in self._phases:
            for key, (t, value) in phase.progress.items():
                if key.startswith(PERMEATE_VESSEL) and isinstance(value, Mapping) and start <= t <= end:
                    if "after_g" in value:
                        taken = float(value["before_g"]) - float(value["after_g"])
                        yield _VesselChange(int(value["since"]), t, taken)
                    else:
                        self._miss(f"the change of the permeate vessel in {phase.path} was not finished")

    def _circuit(self, end: int) -> float | None:
        """What the circuit took up, in g: by the plant's constants, or else by what the phases put down."""
        constants = self._constants()
        celsius = self._at("TT", end)
        hold_up, residual = constants.get("hold_up"), constants.get("residual")
        if hold_up is not None and residual is not None:
            return None if celsius is None else (hold_up - residual) * density(celsius)
        return self._circuit_as_recorded()

    def _constants(self) -> dict[str, float]:
        """The constants of the unit in mL, of the last engine whose start tells them."""
        told = next((run.constants[self._unit] for run in reversed(self._record.engines)
                     if self._unit in run.constants), {})  # fmt: skip
        found = {}
        for name, written in told.items():
            try:
                found[name] = parse_quantity(written).to("mL")
            except UnitError:
                continue
        return found

    def _circuit_as_recorded(self) -> float | None:
        """The hold-up that ``concentrate`` reckoned with, less what ``recover`` said stays in the circuit."""
        hold_up = next(filter(None, (self._hold_up(p) for p in self._phases if p.phase in _LAST)), None)
        left = [result.value for phase in self._phases for result in phase.results
                if phase.phase == "recover" and result.name == "left in the circuit"]  # fmt: skip
        if hold_up is None or not left:
            self._miss(f"the hold-up of {self._unit} is not known")
            return None
        return hold_up - float(left[-1])

    def _hold_up(self, phase: ElementEntry) -> float | None:
        """Total mass less the liquid in the vessel when the phase began to filter."""
        if "start" not in phase.progress:
            return None
        t, start = phase.progress["start"]
        try:
            column = self._reader.raw([f"{self._unit}.RETENTATE"], t - round(FRESH_S * NS), t)[
                f"{self._unit}.RETENTATE"
            ]
        except HistoryError:
            return None
        if not len(column) or not is_good(int(column.q[-1])):
            return None
        return float(start["total_g"]) - float(column.v[-1])

    def _miss(self, reason: str) -> None:
        if reason not in self._balance.reasons:
            self._balance.reasons.append(reason)


def summary(balances: Sequence[LiquidBalance]) -> str:
    """The verdict in one line, such as ``closes: 3201.4 g in, 3203.0 g out (-0.05 %)``."""
    verdict = worst(balances)
    if verdict is None:
        return "nothing to balance"
    figures = []
    for balance in balances:
        total = balance.total
        if total is not None:
            figures.append(
                f"{balance.unit}: {total.expected_g:.1f} g in, {total.found_g:.1f} g out, "
                f"difference {100.0 * total.share:+.2f} % (limit {100.0 * LIMIT:g} %)"
            )
    return "; ".join([verdict.value, *figures])
