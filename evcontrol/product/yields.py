"""What a batch is worth in particles: amounts, per viable cell, recovered by each step, and accounted for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from evcontrol.product.evaluation import Evaluation, absent, combine
from evcontrol.product.figure import Figure, add, divide, multiply, subtract

BALANCE_LIMIT: Final = 0.20
"""By how much the particles found may differ from those fed, as a share; and the CV above which nothing is said."""


class Closure(StrEnum):
    """What a balance of particles may find."""

    CLOSES = "closes"
    OPEN = "does not close"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class ParticleBalance:
    """Particles found over particles fed, as a share, and the verdict on it."""

    share: Evaluation
    closure: Closure


def volume(name: str, mass: Evaluation, density: Evaluation) -> Evaluation:
    """V = m/rho, in mL."""
    return combine(name, "mass/density", [mass, density], divide)


def particles(name: str, concentration: Evaluation, of_volume: Evaluation) -> Evaluation:
    """N = C V."""
    return combine(name, "C x V", [concentration, of_volume], multiply)


def mean(name: str, amount: Evaluation, of_volume: Evaluation) -> Evaluation:
    """C = N/V of a liquid that was in several containers."""
    return combine(name, "particles/V", [amount, of_volume], divide)


def together(name: str, formula: str, parts: Sequence[Evaluation]) -> Evaluation:
    """The sum of amounts; no number without parts, or while one of them has none."""
    if not parts:
        return absent(name, "nothing was put down")
    return combine(name, formula, parts, lambda *figures: add(figures))


def less_blank(name: str, amount: Evaluation, blank: Evaluation) -> Evaluation:
    """Particles without those that the medium brought; refused when the blank holds as many."""

    def refuse(whole: Figure, part: Figure) -> str:
        return "the blank holds as many particles as the sample" if part.value >= whole.value else ""

    return _of_one_counter(combine(name, "C x V - C(medium) x V", [amount, blank], subtract, refuse))


def per_cell(amount: Evaluation, cells: Evaluation) -> Evaluation:
    """Particles per viable cell at harvest; no number without a viable count, provisional with an estimated one."""
    return combine("particles per viable cell at harvest", "particles/viable cells", [amount, cells], divide)


def cell_rate(amount: Evaluation, cell_days: Evaluation) -> Evaluation:
    """q = particles/integral of viable cells, in particles per viable cell and day."""
    return combine("cell-specific rate", "particles/integral of viable cells", [amount, cell_days], divide)


def cell_equivalents(amount: Evaluation, yielded: Evaluation) -> Evaluation:
    """The cells at harvest that gave as many particles."""
    found = combine(
        "cell equivalents of the product", "particles/(particles per viable cell)", [amount, yielded], divide
    )
    return _of_one_counter(found)


def recovery(name: str, out: Evaluation, into: Evaluation) -> Evaluation:
    """Particles out over particles in, as a share; refused over two counters, which no bridge makes comparable."""
    return _of_one_counter(combine(name, "(C x V) out/(C x V) in", [out, into], divide, _nothing_in))


def particle_balance(feed: Evaluation, found: Sequence[Evaluation]) -> ParticleBalance:
    """(retentate + permeate + flush + samples)/feed: closes within 80 to 120 %.

    Inconclusive where a figure is missing or the CV is beyond the tolerance.
    """

    def work(fed: Figure, *parts: Figure) -> Figure:
        return divide(add(parts), fed)

    share = combine("particles of the ultrafiltration", "sum of (C x V) found/(C x V) fed", [feed, *found], work,
                    lambda fed, *parts: _nothing_in(None, fed))  # fmt: skip
    share = _of_one_counter(share)
    if share.figure is None or share.figure.cv > BALANCE_LIMIT:
        return ParticleBalance(share, Closure.INCONCLUSIVE)
    return ParticleBalance(
        share, Closure.CLOSES if abs(share.figure.value - 1.0) <= BALANCE_LIMIT else Closure.OPEN
    )  # fmt: skip


def _nothing_in(out: Figure | None, into: Figure) -> str:
    return "" if into.value > 0.0 else "no particles went in"


def _of_one_counter(found: Evaluation) -> Evaluation:
    """No number from counts of two instruments."""
    if found.figure is None or len(found.instruments) <= 1:
        return found
    reason = f"counted by different instruments ({', '.join(sorted(found.instruments))}) without a bridge between them"
    return Evaluation(found.name, found.formula, None, found.inputs, (reason,), found.provisional, found.notes)
