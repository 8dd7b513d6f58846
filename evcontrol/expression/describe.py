"""Conditions in words for an operator, with the present values."""

from __future__ import annotations

import math
from dataclasses import dataclass

from evcontrol.expression.evaluate import Timer, Timers, number_function, test_function
from evcontrol.expression.model import (
    Begins,
    Combined,
    Compared,
    Constant,
    Contrary,
    Lasting,
    QualityTest,
    Read,
    Resolve,
    Test,
    Voted,
    reads,
)
from evcontrol.expression.syntax import write
from evcontrol.quality import is_good
from evcontrol.quality import text as quality_text
from evcontrol.units import Unit, convert, number_text

_FEWEST_DIGITS = 4
_MOST_DIGITS = 17
_NS_PER_SECOND = 1_000_000_000


def describe(test: Test, timers: Timers, resolve: Resolve) -> str:
    """The condition with the present values: ``WT_PERM >= 1820 g (now 950.2 g)``."""
    part = _part(test, timers, resolve)
    return f"{part.text} {part.note}" if part.unknown else _embedded(part)


def value_text(value: float, unit: str, apart_from: tuple[float, ...] = ()) -> str:
    """A value for people: four significant digits, more where it would else read like a limit that it is not."""
    return f"{_digits(value, apart_from)} {unit}".rstrip()


@dataclass(frozen=True, slots=True)
class _Part:
    """What is asked, and how it stands; a compound carries the notes of its members in its text."""

    text: str
    note: str = ""
    unknown: bool = False
    compound: bool = False


def _part(test: Test, timers: Timers, resolve: Resolve) -> _Part:  # noqa: PLR0911 - one for each kind of test
    match test:
        case Compared():
            return _compared(test, resolve)
        case Combined():
            members = [_part(member, timers, resolve) for member in test.tests]
            return _Part(f" {test.word} ".join(_bracketed(_embedded(m), m.compound) for m in members), compound=True)
        case Contrary():
            inner = _part(test.test, timers, resolve)
            return _Part(f"not ({inner.text})", inner.note, inner.unknown)
        case Begins():
            inner = _part(test.test, timers, resolve)
            return _Part(f"{_bracketed(inner.text, inner.compound)} begins", inner.note, inner.unknown)
        case QualityTest():
            wanted = "Good" if test.good else "Bad"
            quality = resolve(test.symbol.name).quality
            return _Part(f"{test.symbol.name} is {wanted}", f"now {quality_text(quality)}")
        case Lasting():
            return _lasting(test, timers, resolve)
        case Voted():
            votes = [_embedded(_part(member, timers, resolve)) for member in test.tests]
            return _Part(f"{test.word} {test.needed} of {len(votes)}: {'; '.join(votes)}", compound=True)


def _embedded(part: _Part) -> str:
    return f"{part.text} ({part.note})" if part.note else part.text


def _bracketed(text: str, needed: bool) -> str:
    return f"({text})" if needed else text


def _lasting(test: Lasting, timers: Timers, resolve: Resolve) -> _Part:
    inner = _part(test.test, timers, resolve)
    duration = write(test.syntax.duration)
    notes = [inner.note] if inner.note else []
    if not inner.unknown:
        notes += _time_left(test, timers[test])
    text = f"{_bracketed(inner.text, inner.compound)} for {duration}"
    return _Part(text, ", ".join(notes), inner.unknown)


def _time_left(test: Lasting, timer: Timer) -> list[str]:
    if timer.since is None:
        return []
    left = (test.duration - (timer.now - timer.since)) / _NS_PER_SECOND
    return [f"{duration_text(left)} left"] if left > 0 else ["long enough"]


def duration_text(seconds: float) -> str:
    """A duration for people in s, min or h, rounded up to a tenth."""
    unit = "s" if seconds < 120 else "min" if seconds < 7200 else "h"
    tenths = math.ceil(round(convert(seconds, "s", unit) * 10, _FEWEST_DIGITS))
    return f"{number_text(tenths / 10)} {unit}"


def _compared(test: Compared, resolve: Resolve) -> _Part:
    text = write(test.syntax)
    inputs = {read.symbol.name: read for operand in test.operands for read in reads(operand)}
    if not inputs:
        return _Part(text)
    bad_inputs = [reason for read in inputs.values() if (reason := _why_unknown(read, resolve)) is not None]
    present = ", ".join(_input(read, resolve) for read in inputs.values())
    if test_function(test, {})(resolve, 0) is None:
        reason = ", ".join(bad_inputs) or f"cannot be computed from {present}"
        return _Part(text, f"unknown: {reason}", unknown=True)
    variable = [operand for operand in test.operands if not isinstance(operand, Constant)]
    if len(variable) > 1:
        return _Part(text, f"now {present}")
    value = number_function(variable[0], only_good=True)(resolve)
    if test.labels:
        return _Part(text, f"now {_label(value, test.labels)}")
    limits = tuple(operand.value for operand in test.operands if isinstance(operand, Constant))
    now = f"now {_shown(value, variable[0].unit, test.shown, limits)}"
    return _Part(text, now if isinstance(variable[0], Read) else f"{now}; {present}")


def _why_unknown(read: Read, resolve: Resolve) -> str | None:
    value, quality = resolve(read.symbol.name)
    if not is_good(quality):
        return f"{read.symbol.name} {quality_text(quality)}"
    return f"{read.symbol.name} has no value" if math.isnan(value) else None


def _input(read: Read, resolve: Resolve) -> str:
    reason = _why_unknown(read, resolve)
    if reason is not None:
        return reason
    value, name = resolve(read.symbol.name).value, read.symbol.name
    shown = _label(value, read.symbol.labels) if read.symbol.labels else value_text(value, read.unit.text)
    return f"{name} {shown}"


def _label(code: float, labels: tuple[str, ...]) -> str:
    return labels[int(code)] if code in range(len(labels)) else f"code {number_text(code)}"


def _shown(value: float, unit: Unit, shown: Unit, limits: tuple[float, ...]) -> str:
    return value_text(convert(value, unit, shown), shown.text, tuple(convert(limit, unit, shown) for limit in limits))


def _digits(value: float, apart_from: tuple[float, ...]) -> str:
    text = _rounded(value, _FEWEST_DIGITS)
    for digits in range(_FEWEST_DIGITS + 1, _MOST_DIGITS + 1):
        if not any(float(text) == other != value for other in apart_from):
            break
        text = _rounded(value, digits)
    return text


def _rounded(value: float, digits: int) -> str:
    """With so many significant digits, and never less than its whole part below a million."""
    if value == 0 or not math.isfinite(value):
        return number_text(value)
    exponent = math.floor(math.log10(abs(value)))
    return number_text(round(value, max(digits - 1 - exponent, 0 if exponent < 6 else digits - 1 - exponent)))
