"""What a batch is worth: yield, recoveries and balance of particles, from the record, each with what it rests on.

Yield = (C(pool) V(pool) - C(medium) V(pool))/viable cells at harvest. A step's recovery is what it gave over what went
into it. Whatever is missing leaves no number but its reason: nothing is guessed, and nothing counted is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from evcontrol.batch.collected import MassCheck, mass_checks
from evcontrol.batch.entries import BatchRecord, ElementEntry
from evcontrol.batch.liquids import (
    CLARIFIED,
    CONCENTRATE,
    FEED,
    FORMULATED,
    PERMEATE,
    POOL,
    PRODUCT,
    Liquids,
    number,
    results_named,
    sampled,
)
from evcontrol.history.reader import HistoryReader
from evcontrol.journal.events import Event
from evcontrol.product import cells, count, yields
from evcontrol.product.cells import CellCount
from evcontrol.product.count import Check, Count, Verdict
from evcontrol.product.evaluation import Evaluation, Source, absent, given
from evcontrol.product.figure import Figure
from evcontrol.product.yields import Closure, ParticleBalance

MEDIUM, DILUENT = "medium", "diluent"
STAGES: Final = (POOL, CLARIFIED, CONCENTRATE, PRODUCT)
"""The liquids on the way of the product, each with the kind of count of the same name."""
STEPS: Final = (
    ("recovery of the clarification", CLARIFIED, POOL),
    ("recovery of the ultrafiltration", CONCENTRATE, CLARIFIED),
    ("recovery of formulation and sterile filtration", PRODUCT, CONCENTRATE),
    ("recovery overall", PRODUCT, POOL),
)
"""Name, what came out, what went in; the last is over all."""
WASH, CONDITION = "wash_out", "condition"
"""Phases that tell when conditioning began: the end of the last wash, else the beginning of the first condition."""

LEFT_OVER: Final = "old medium left"
"""Result by which a wash puts down the share of the medium before it that stays."""


class Standing(StrEnum):
    """How the yield stands."""

    DETERMINED = "determined"
    INCOMPLETE = "incomplete"
    PROVISIONAL = "provisional"
    DOUBTFUL = "outside limits"
    MISSING = "no yield"


@dataclass(frozen=True, slots=True)
class Stage:
    """A liquid on the product's way: its concentration, volume, and particles."""

    name: str
    concentration: Evaluation
    volume: Evaluation
    particles: Evaluation


@dataclass(frozen=True, slots=True)
class Worth:
    """The evaluation of one batch; ``used`` are the counts that it rests on, the last of each kind and container."""

    counts: list[Count]
    cells: list[CellCount]
    used: list[Count]
    stages: list[Stage]
    blank: Evaluation
    released: Evaluation
    per_cell: Evaluation
    rate: Evaluation
    equivalents: Evaluation
    recoveries: list[Evaluation]
    balance: ParticleBalance
    checks: list[Check]
    masses: list[MassCheck]

    @property
    def results(self) -> list[Evaluation]:
        """Everything that was worked out, or could not be, in the order of reading."""
        amounts = [result for stage in self.stages for result in (stage.concentration, stage.volume, stage.particles)]
        cells_alone = [self.blank, self.released, self.per_cell, self.rate, self.equivalents]
        return [*amounts, *cells_alone, *self.recoveries, self.balance.share]

    @property
    def faults(self) -> list[str]:
        """What is outside its limits, in words."""
        found = [f"{c.subject}: {c.name} is not {c.limit}" for c in self.checks if c.verdict is Verdict.FAILED]
        found += [f"{m.path}: {m.result} does not agree with {m.tag}" for m in self.masses if m.closure is Closure.OPEN]
        if self.balance.closure is Closure.OPEN:
            found.append("the particles of the ultrafiltration are not within 80 to 120 %")
        return found

    @property
    def standing(self) -> Standing:
        """The verdict on the yield."""
        if self.per_cell.figure is None:
            return Standing.MISSING
        if self.faults:
            return Standing.DOUBTFUL
        if self.per_cell.provisional:
            return Standing.PROVISIONAL
        unknown = [check for check in self.checks if check.verdict is Verdict.UNKNOWN]
        whole = all(recovery.figure for recovery in self.recoveries) and self.balance.closure is Closure.CLOSES
        return Standing.DETERMINED if whole and not unknown else Standing.INCOMPLETE


def worth(record: BatchRecord, reader: HistoryReader) -> Worth | None:
    """The evaluation of a batch; None where neither particles nor cells were counted and nothing was collected."""
    liquids = Liquids(record, reader)
    collected = any(liquids.results(liquid) for liquid in (POOL, CLARIFIED, FORMULATED, PRODUCT))
    if not (record.counts or record.cell_counts or collected):
        return None
    return _Evaluating(record, reader, liquids).worth()


def summary(found: Worth) -> str:
    """The verdict in one line, with the yield, the overall recovery, the balance, and what stands against them."""
    parts = [f"{found.per_cell.name}: {told(found.per_cell)}"]
    parts += [f"{recovery.name}: {told(recovery)}" for recovery in found.recoveries[-1:]]
    share = "" if found.balance.share.figure is None else f" ({amount(found.balance.share.figure)})"
    parts.append(f"particles of the ultrafiltration: {found.balance.closure.value}{share}")
    return "; ".join([*parts, *found.faults])


def told(evaluation: Evaluation) -> str:
    """A result in words: its figure, whether it is provisional and why, or why there is none."""
    if evaluation.figure is None:
        return f"none ({'; '.join(evaluation.missing)})"
    words = amount(evaluation.figure)
    return f"{words} (provisional: {'; '.join(evaluation.provisional)})" if evaluation.provisional else words


def amount(figure: Figure) -> str:
    """A figure with its standard uncertainty, a share in per cent."""
    scale, unit = (100.0, "%") if not figure.unit else (1.0, figure.unit)
    return f"{scale * figure.value:.4g} \N{PLUS-MINUS SIGN} {scale * figure.uncertainty:.2g} {unit}"


class _Evaluating:
    """One evaluation on its way."""

    def __init__(self, record: BatchRecord, reader: HistoryReader, liquids: Liquids) -> None:
        self._record = record
        self._reader = reader
        self._liquids = liquids
        self._counts = [_count(record, event) for event in record.counts]
        self._cells = [_cells(event) for event in record.cell_counts]
        newest = {(each.kind, each.container): each for each in self._counts}
        self._rested_on = [each for each in self._counts if newest[each.kind, each.container] is each]

    def worth(self) -> Worth:
        """Work everything out as far as it goes."""
        stages = {name: self._stage(name) for name in STAGES}
        pool, product = stages[POOL], stages[PRODUCT]
        blank = yields.particles("particles that the medium brought", self._concentration(MEDIUM), pool.volume)
        released = yields.less_blank("particles released by the cells", pool.particles, blank)
        released = replace(released, notes=(*released.notes, *self._left_over()))
        per_cell = yields.per_cell(released, cells.at_harvest(self._cells))
        return Worth(
            counts=self._counts,
            cells=self._cells,
            used=self._rested_on,
            stages=list(stages.values()),
            blank=blank,
            released=released,
            per_cell=per_cell,
            rate=yields.cell_rate(released, self._cell_days()),
            equivalents=yields.cell_equivalents(product.particles, per_cell),
            recoveries=[
                yields.recovery(name, stages[out].particles, stages[into].particles) for name, out, into in STEPS
            ],
            balance=self._balance(stages),
            checks=[*(check for each in self._rested_on for check in count.checks(each)), *self._blanks()],
            masses=mass_checks(self._record, self._reader, self._liquids),
        )

    def _used(self, kind: str) -> list[Count]:
        return [each for each in self._rested_on if each.kind == kind]

    def _concentration(self, kind: str) -> Evaluation:
        """The concentration by the last count of a kind."""
        used = self._used(kind)
        return count.concentration(used[-1]) if used else absent(f"concentration of {kind}", f"no count of {kind}")

    def _stage(self, name: str) -> Stage:
        """A liquid, counted as a whole, or in each of its containers where it was in several."""
        used, held = self._used(name), self._liquids.containers(name)
        if len(held) > 1 and any(each.container in held for each in used):
            return self._parted(name, {each.container: each for each in used}, list(held))
        concentration = self._concentration(name)
        whole = self._liquids.volume(self._source_of(name, used))
        return Stage(name, concentration, whole, yields.particles(f"particles of {name}", concentration, whole))

    def _parted(self, name: str, counted: dict[str, Count], held: list[str]) -> Stage:
        """A liquid in several containers, each with its own count."""
        volumes = [self._liquids.volume_in(name, label) for label in held]
        parts = []
        for label, volume in zip(held, volumes, strict=True):
            each = counted.get(label)
            reason = f"container {label} of {name} was not counted"
            concentration = absent(f"concentration of {name}", reason) if each is None else count.concentration(each)
            parts.append(yields.particles(f"particles of {name} in {label}", concentration, volume))
        whole = yields.together(f"volume of {name}", "sum over the containers", volumes)
        particles = yields.together(f"particles of {name}", "sum of C x V over the containers", parts)
        return Stage(name, yields.mean(f"concentration of {name}", particles, whole), whole, particles)

    def _source_of(self, name: str, used: list[Count]) -> str:
        """Product that was never filtered is what was formulated, where its sample says so."""
        formulated = self._liquids.containers(FORMULATED)
        taken_there = name == PRODUCT and bool(used) and used[-1].container in formulated
        return FORMULATED if taken_there and not self._liquids.results(PRODUCT) else name

    def _balance(self, stages: dict[str, Stage]) -> ParticleBalance:
        """Retentate, permeate and samples against what was fed; what was flushed is in the retentate's container."""
        fed = FEED if self._liquids.results(FEED) else CLARIFIED
        concentration = stages[CLARIFIED].concentration
        feed = yields.particles("particles fed", concentration, self._liquids.volume(fed))
        permeate = yields.particles(
            "particles of permeate", self._concentration(PERMEATE), self._liquids.volume(PERMEATE)
        )
        samples = [
            yields.particles("particles in a sample", stages[CONCENTRATE].concentration, given(sampled(event)))
            for event in self._samples()
        ]
        return yields.particle_balance(feed, [stages[CONCENTRATE].particles, permeate, *samples])

    def _samples(self) -> Iterable[Event]:
        """Samples taken out of the ultrafiltration before its concentrate was weighed."""
        loads = self._phases("load")
        weighed = self._liquids.results(CONCENTRATE)
        begun = [phase.started for phase in loads if phase.started is not None]
        if not begun or not weighed:
            return []
        places = {*self._liquids.containers(CONCENTRATE), *(phase.unit for phase in loads)}
        return [event for event in self._record.samples
                if min(begun) <= event.t < weighed[-1].t and event.body.get("container") in places]  # fmt: skip

    def _cell_days(self) -> Evaluation:
        """The integral of viable cells from the beginning of conditioning to the last collection."""
        name = "integral of viable cells"
        collections = self._liquids.results(POOL)
        if not collections:
            return absent(name, "nothing was collected")
        washed = [phase.ended for phase in self._phases(WASH) if phase.ended is not None]
        conditioned = [phase.started for phase in self._phases(CONDITION) if phase.started is not None]
        if not washed and not conditioned:
            reason = f"when conditioning began is not known (no phase {WASH} has ended, no phase {CONDITION} has begun)"
            return absent(name, reason)
        start = max(washed) if washed else min(conditioned)
        return cells.cell_days(self._cells, start, collections[-1].t)

    def _left_over(self) -> Iterable[str]:
        """What the last wash left of the medium before it, whose particles are not subtracted."""
        for event in results_named(self._record, LEFT_OVER, "")[-1:]:
            share = 100.0 * float(event.body["value"])
            yield f"{share:.2g} % of the medium before was left by the wash-out: its particles are not subtracted"

    def _phases(self, kind: str) -> list[ElementEntry]:
        return [phase for phase in self._record.phases() if phase.phase == kind]

    def _blanks(self) -> Iterable[Check]:
        """The medium against the pool, and the diluent against every sample that was diluted with it."""
        medium, pool, diluent = (self._used(kind)[-1:] for kind in (MEDIUM, POOL, DILUENT))
        yield from (count.blank_share(blank, of) for blank in medium for of in pool)
        for blank in diluent:
            yield from (count.blank_share(blank, of) for of in self._rested_on if of.kind in STAGES)


def _count(record: BatchRecord, event: Event) -> Count:
    body = event.body
    element = record.elements.get(event.path)
    names = ("cv", "replicates", "tracks", "mean", "mode", "sd", "d10", "d50", "d90", "fraction_below_200")
    return Count(
        sample=str(body["sample"]),
        kind=str(body["kind"]),
        source=Source(f"count {body.get('file') or ''}".strip(), event.seq, event.t, str(body["sha256"])),
        measured=number(body["concentration_measured"]),
        dilution=number(body["dilution"]),
        dilution_source=str(body.get("dilution_source") or ""),
        stock=number(body.get("concentration_stock")),
        container=str(body.get("container") or ""),
        instrument="" if element is None else element.unit,
        warnings=str(body.get("warnings") or ""),
        **{name: _not_negative(body.get(name)) for name in names},
    )


def _not_negative(value: Any) -> float | None:
    found = number(value)
    return None if found is None or found < 0.0 else found


def _cells(event: Event) -> CellCount:
    body = event.body
    source = Source(f"cells counted in {event.path}" if event.path else "cells counted", event.seq, event.t)
    return CellCount(
        event.t, str(body["when"]), number(body["viable"]), str(body["method"]), source, _not_negative(body.get("cv")),
        number(body.get("viability")),
    )  # fmt: skip
