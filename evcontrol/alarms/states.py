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


class Happening(StrEnum):
    """What can happen to an alarm."""

    RAISED = "raised"
    CLEARED = "cleared"
    ACKNOWLEDGED = "acknowledged"


TRANSITIONS: Final[dict[tuple[AlarmStatus, Happening], AlarmStatus]] = {
    (AlarmStatus.NORMAL, Happening.RAISED): AlarmStatus.UNACKNOWLEDGED,
    (AlarmStatus.UNACKNOWLEDGED, Happening.ACKNOWLEDGED): AlarmStatus.ACKNOWLEDGED,
    (AlarmStatus.UNACKNOWLEDGED, Happening.CLEARED): AlarmStatus.RETURNED,
    (AlarmStatus.ACKNOWLEDGED, Happening.CLEARED): AlarmStatus.NORMAL,
    (AlarmStatus.RETURNED, Happening.ACKNOWLEDGED): AlarmStatus.NORMAL,
    (AlarmStatus.RETURNED, Happening.RAISED): AlarmStatus.UNACKNOWLEDGED,
}
"""Where a happening leads; a pair that is missing changes nothing."""

ACTIVE: Final = frozenset({AlarmStatus.UNACKNOWLEDGED, AlarmStatus.ACKNOWLEDGED})
"""States in which the condition counts as present."""

WAITING: Final = frozenset({AlarmStatus.UNACKNOWLEDGED, AlarmStatus.RETURNED})
"""States that wait for a person's acknowledgement."""
