"""What an alarm looks at, in words, with the present readings: for its journal entry and for whoever reads it."""

from __future__ import annotations

import math
from collections.abc import Mapping

from evcontrol.expression import Condition, Resolve, Symbol, compile_condition
from evcontrol.expression.describe import value_text
from evcontrol.plant.alarm_specs import (
    AlarmSpec,
    BadQualityTest,
    DeviationTest,
    DiscrepancyTest,
    ExpressionTest,
    LimitTest,
    RateTest,
    StaleTest,
    StateTest,
    WatchdogTest,
)
from evcontrol.quality import is_good
from evcontrol.quality import text as quality_text
from evcontrol.units import number_text


def as_expression(spec: AlarmSpec, setpoint: float | None) -> str:
    """The condition as an expression, without its deadband; empty for a kind that the language has no words for."""
    match spec.test:
        case ExpressionTest(when):
            return when
        case LimitTest(tag, above):
            return f"{tag} {'>' if above else '<'} {_quantity(setpoint, spec)}"
        case DeviationTest(tag, reference):
            return f"abs({tag} - {reference}) > {_quantity(setpoint, spec)}"
        case StateTest(tag, labels):
            return " or ".join(f'{tag} = "{label}"' for label in labels)
        case BadQualityTest(tag, or_uncertain):
            return f"not good({tag})" if or_uncertain else f"bad({tag})"
    return ""


def leading_tag(spec: AlarmSpec, condition: Condition | None) -> str:
    """The tag whose value an alarm is told with; empty when it reads none. ``condition`` is that of an expression."""
    match spec.test:
        case ExpressionTest(when):
            names = () if condition is None else condition.names
            return min(names, key=lambda name: (when.find(name), -len(name)), default="")
        case DiscrepancyTest(confirmed=confirmed):
            return confirmed
        case _:
            return spec.test.tag


def in_words(spec: AlarmSpec, setpoint: float | None, symbols: Mapping[str, Symbol]) -> Condition | None:
    """What describes a declared kind that the language has words for; None for the others."""
    text = as_expression(spec, setpoint)
    return compile_condition(text, symbols) if text else None


def describe(
    spec: AlarmSpec, setpoint: float | None, slope: float, symbols: Mapping[str, Symbol], resolve: Resolve
) -> str:
    """A condition that the language has no words for; ``slope`` is how fast its tag changes (rate alarms only)."""
    match spec.test:
        case RateTest():
            now = "unknown" if math.isnan(slope) else f"now {value_text(slope, spec.setpoint_unit)}"
        case DiscrepancyTest(commanded, confirmed):
            pair = (f"{name} {_reading(symbols[name], resolve)}" for name in (commanded, confirmed))
            now = f"now {', '.join(pair)}"
        case _:
            now = f"now {_reading(symbols[leading_tag(spec, None)], resolve)}"
    return f"{wording(spec, setpoint)} ({now})"


def wording(spec: AlarmSpec, setpoint: float | None) -> str:
    """What an alarm looks at, without readings: its expression where it has one."""
    match spec.test:
        case RateTest(tag, over_s=over_s):
            return f"{tag} changes by more than {_quantity(setpoint, spec)} over {number_text(over_s)} s"
        case DiscrepancyTest(commanded, confirmed, _, travel_s):
            return f"{confirmed} does not follow {commanded} within {number_text(travel_s)} s"
        case StaleTest(tag):
            return f"{tag} has had no news for {_quantity(setpoint, spec)}"
        case WatchdogTest(tag):
            return f"{tag} has not moved for {_quantity(setpoint, spec)}"
        case _:
            return as_expression(spec, setpoint)


def _quantity(setpoint: float | None, spec: AlarmSpec) -> str:
    return f"{number_text(math.nan if setpoint is None else setpoint)} {spec.setpoint_unit}".rstrip()


def _reading(symbol: Symbol, resolve: Resolve) -> str:
    value, quality = resolve(symbol.name)
    if not is_good(quality) or math.isnan(value):
        return quality_text(quality)
    code = int(value)
    if symbol.labels and 0 <= code < len(symbol.labels):
        return symbol.labels[code]
    return value_text(value, symbol.unit)
