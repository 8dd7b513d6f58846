"""Checks of sensors as a plant file asks for them: one that freezes, jumps, contradicts another, or cannot be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Doubt(StrEnum):
    """What a failed check makes of its tags' quality."""

    UNCERTAIN = "uncertain"
    BAD = "bad"


class CheckState(StrEnum):
    """How a check stands."""

    OFF = "off"
    """Its ``only_while`` is false: it does not look."""
    GOOD = "good"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """What it looks at cannot be read: it finds nothing, and what it found before stays."""


@dataclass(frozen=True, slots=True)
class FrozenTest:
    """Fails when a tag has stayed within a band as wide as ``within`` for ``over_s``, and over ``readings`` readings.

    With a ``partner`` it fails only when that has moved by more than ``partner_by`` meanwhile, and the tag has not
    followed it for ``over_s``.
    """

    within: float
    over_s: float
    readings: int
    partner: str = ""
    partner_by: float = 0.0


@dataclass(frozen=True, slots=True)
class JumpTest:
    """Fails for ``hold_s`` when a tag moves by more than ``noise`` plus ``per_s`` for each second since its reading."""

    noise: float
    per_s: float
    hold_s: float


@dataclass(frozen=True, slots=True)
class ContradictionTest:
    """Fails when the condition ``when`` has been true for ``over_s``."""

    when: str
    over_s: float


@dataclass(frozen=True, slots=True)
class ImplausibleTest:
    """Fails when a tag has been outside ``low`` to ``high`` for ``over_s``."""

    low: float
    high: float
    over_s: float


SensorTest = FrozenTest | JumpTest | ContradictionTest | ImplausibleTest


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """One check of a unit's sensors; numbers are in the unit of the ``tags``, times are process time.

    While ``while_`` (a condition, empty = always) is not true it does not look. ``state_tag`` is the internal tag that
    shows its :class:`CheckState`, or empty.
    """

    name: str
    unit: str
    tags: tuple[str, ...]
    test: SensorTest
    doubt: Doubt
    while_: str
    state_tag: str
    description: str
    corrective_action: str
