"""Times as people read them. Everything is shown in UTC, as the record has it, and says so."""

from __future__ import annotations

from PySide6.QtCore import QDateTime, QTimeZone

NS = 1_000_000_000
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def moment(t: int) -> str:
    """A process time (UTC ns) with its date, to the second."""
    return _shown(t, "yyyy-MM-dd HH:mm:ss")


def time_of_day(t: int) -> str:
    """The time of day of a process time (UTC ns)."""
    return _shown(t, "HH:mm:ss")


def wall_time() -> str:
    """The time of day of this machine, UTC."""
    return QDateTime.currentDateTimeUtc().toString("HH:mm:ss")


def duration(seconds: float) -> str:
    """A length of time in the two units that matter."""
    whole = int(max(0.0, seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02d} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR:02d} h"


def _shown(t: int, form: str) -> str:
    return QDateTime.fromMSecsSinceEpoch(t // 1_000_000, QTimeZone.utc()).toString(form)
