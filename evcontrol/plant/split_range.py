"""Split range: one controller output drives several actuators, each over a part of it (such as N2, air and O2).

Between ``begin`` and ``end`` of the controller's output an actuator goes evenly from ``value_begin`` to ``value_end``,
which may be falling; outside it stays where it got to (ISA-5.1 calls such valves split ranged).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """What one actuator does: ``begin`` < ``end`` in units of the controller's output, values in the tag's unit."""

    tag: str
    begin: float
    end: float
    value_begin: float
    value_end: float

    def value(self, output: float) -> float:
        """The actuator's value at a controller output."""
        share = min(1.0, max(0.0, (output - self.begin) / (self.end - self.begin)))
        return self.value_begin + share * (self.value_end - self.value_begin)


def shares(spans: Sequence[Span], output: float) -> dict[str, float]:
    """The value of every actuator at a controller output; an actuator with two spans gets the one that it is in."""
    values: dict[str, float] = {}
    for span in sorted(spans, key=lambda one: one.begin):
        if span.tag not in values or output > span.begin:
            values[span.tag] = span.value(output)
    return values


def output_for(spans: Sequence[Span], actual: Mapping[str, float], low: float, high: float) -> float:
    """The controller output within ``low`` and ``high`` whose actuators are nearest to where they stand now.

    Distances are counted in each actuator's own range. It lets a loop take over without a bump.
    """
    breaks = {low, high, *(at for span in spans for at in (span.begin, span.end) if low <= at <= high)}
    candidates = set(breaks)
    for span in spans:
        travel = span.value_end - span.value_begin
        if travel:
            at = span.begin + (actual[span.tag] - span.value_begin) / travel * (span.end - span.begin)
            candidates.add(min(high, max(low, min(span.end, max(span.begin, at)))))
    ranges = {span.tag: _range(spans, span.tag) for span in spans}

    def distance(output: float) -> float:
        return sum(((value - actual[tag]) / ranges[tag]) ** 2 for tag, value in shares(spans, output).items())

    return min(sorted(candidates), key=distance)


def _range(spans: Sequence[Span], tag: str) -> float:
    values = [value for span in spans if span.tag == tag for value in (span.value_begin, span.value_end)]
    return max(values) - min(values) or 1.0
