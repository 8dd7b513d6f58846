"""Alarm states and what leads from one to the other (ISA-18.2, 5.4; IEC 62682, 5.4)."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class AlarmStatus(StrEnum):
    """States of an alarm; the letters are those of the standard."""

    NORMAL = "normal"  # A
    UNACKNOWLEDGED = "unacknowledged"  # B
    ACKNOWLEDGED = "acknowledged"  # C
    RETURNED = "returned"  # D: back to normal, not acknowledged
    SHELVED = "shelved"  # E: by a person, for a limited time
    SUPPRESSED = "suppressed"  # F: by design, while its condition means nothing
    OUT_OF_SERVICE = "out of service"  # G: by a person, with a signature


class Happening(StrEnum):
    """What can happen to an alarm."""

    RAISED = "raised"
    CLEARED = "cleared"
    ACKNOWLEDGED = "acknowledged"
    SHELVED = "shelved"
    UNSHELVED = "unshelved"
    SUPPRESSED = "suppressed"
    UNSUPPRESSED = "unsuppressed"
    REMOVED = "removed from service"
    PUT_BACK = "returned to service"


TRANSITIONS: Final[dict[tuple[AlarmStatus, Happening], AlarmStatus]] = {
    (AlarmStatus.NORMAL, Happening.RAISED): AlarmStatus.UNACKNOWLEDGED,
    (AlarmStatus.UNACKNOWLEDGED, Happening.ACKNOWLEDGED): AlarmStatus.ACKNOWLEDGED,
    (AlarmStatus.UNACKNOWLEDGED, Happening.CLEARED): AlarmStatus.RETURNED,
    (AlarmStatus.ACKNOWLEDGED, Happening.CLEARED): AlarmStatus.NORMAL,
    (AlarmStatus.RETURNED, Happening.ACKNOWLEDGED): AlarmStatus.NORMAL,
    (AlarmStatus.RETURNED, Happening.RAISED): AlarmStatus.UNACKNOWLEDGED,
    (AlarmStatus.NORMAL, Happening.SHELVED): AlarmStatus.SHELVED,
    (AlarmStatus.UNACKNOWLEDGED, Happening.SHELVED): AlarmStatus.SHELVED,
    (AlarmStatus.ACKNOWLEDGED, Happening.SHELVED): AlarmStatus.SHELVED,
    (AlarmStatus.RETURNED, Happening.SHELVED): AlarmStatus.SHELVED,
    (AlarmStatus.NORMAL, Happening.SUPPRESSED): AlarmStatus.SUPPRESSED,
    (AlarmStatus.NORMAL, Happening.REMOVED): AlarmStatus.OUT_OF_SERVICE,
    (AlarmStatus.UNACKNOWLEDGED, Happening.REMOVED): AlarmStatus.OUT_OF_SERVICE,
    (AlarmStatus.ACKNOWLEDGED, Happening.REMOVED): AlarmStatus.OUT_OF_SERVICE,
    (AlarmStatus.RETURNED, Happening.REMOVED): AlarmStatus.OUT_OF_SERVICE,
    (AlarmStatus.SHELVED, Happening.REMOVED): AlarmStatus.OUT_OF_SERVICE,
    (AlarmStatus.SUPPRESSED, Happening.REMOVED): AlarmStatus.OUT_OF_SERVICE,
}
"""Where a happening leads; a pair that is neither here nor in ``BACK`` changes nothing.

Only a normal alarm is suppressed by design: what nobody has acknowledged yet does not vanish from the list because a
phase ended. (The standard allows it from A to D.)
"""

BACK: Final = frozenset(
    {
        (AlarmStatus.SHELVED, Happening.UNSHELVED),
        (AlarmStatus.SUPPRESSED, Happening.UNSUPPRESSED),
        (AlarmStatus.OUT_OF_SERVICE, Happening.PUT_BACK),
    }
)
"""What leads to the state that the condition then has: unacknowledged while it is present, else normal."""

ACTIVE: Final = frozenset({AlarmStatus.UNACKNOWLEDGED, AlarmStatus.ACKNOWLEDGED})
"""States in which the condition counts as present."""

WAITING: Final = frozenset({AlarmStatus.UNACKNOWLEDGED, AlarmStatus.RETURNED})
"""States that wait for a person's acknowledgement."""

SILENCED: Final = frozenset({AlarmStatus.SHELVED, AlarmStatus.SUPPRESSED, AlarmStatus.OUT_OF_SERVICE})
"""States in which the condition raises nothing."""


def follow(status: AlarmStatus, happening: Happening, *, present: bool) -> AlarmStatus | None:
    """The state that a happening leads to, ``present`` being whether the condition is; None when it leads nowhere."""
    if (status, happening) in BACK:
        return AlarmStatus.UNACKNOWLEDGED if present else AlarmStatus.NORMAL
    return TRANSITIONS.get((status, happening))
