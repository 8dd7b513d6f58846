"""Results that carry what they were reckoned from, and the reasons where there is no number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from evcontrol.product.figure import Figure

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a number stands, as far as it applies: in words, event, time (process, UTC ns), hash of a file, tag."""

    what: str
    event: int | None = None
    t: int | None = None
    sha256: str = ""
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Input:
    """A number that was measured, entered or assumed; ``instrument`` is what counted particles, empty when unknown."""

    name: str
    figure: Figure
    source: Source
    instrument: str = ""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A result: its ``figure``, or why there is none (``missing``), and everything that it was reckoned from.

    ``provisional`` are the reasons why it may still change, ``notes`` what a reader ought to know, both in words.
    """

    name: str
    formula: str
    figure: Figure | None
    inputs: tuple[Input, ...] = ()
    missing: tuple[str, ...] = ()
    provisional: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def instruments(self) -> frozenset[str]:
        """What counted the particles that it rests on."""
        return frozenset(i.instrument for i in self.inputs if i.figure.unit == "particle/mL")


def given(source: Input, *notes: str) -> Evaluation:
    """An input as a result of its own."""
    return Evaluation(source.name, "", source.figure, (source,), notes=notes)


def absent(name: str, *missing: str, inputs: Iterable[Input] = ()) -> Evaluation:
    """A result that there is not, with the reasons."""
    return Evaluation(name, "", None, tuple(inputs), missing)


def combine(
    name: str,
    formula: str,
    parts: Sequence[Evaluation],
    work: Callable[..., Figure],
    refuse: Callable[..., str] = lambda *figures: "",
) -> Evaluation:
    """A result worked from the figures of its parts, in their order; none while any of them has none.

    ``refuse`` gives a reason against the figures where there is one. What the parts carry is carried on, each once.
    """
    missing = _once(parts, lambda part: part.missing)
    figure = None
    if not missing:
        figures = [part.figure for part in parts]
        refusal = refuse(*figures)
        missing = (refusal,) if refusal else ()
        figure = None if refusal else work(*figures)
    return Evaluation(
        name,
        formula,
        figure,
        _once(parts, lambda part: part.inputs),
        missing,
        _once(parts, lambda part: part.provisional),
        _once(parts, lambda part: part.notes),
    )


def _once(parts: Sequence[Evaluation], of: Callable[[Evaluation], tuple[T, ...]]) -> tuple[T, ...]:
    """All that the parts hold, in their order, each once."""
    found: list[T] = []
    for part in parts:
        found += [item for item in of(part) if item not in found]
    return tuple(found)
