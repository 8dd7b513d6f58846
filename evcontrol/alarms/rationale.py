"""The alarms of a plant as a document for those who approve them (ISA-18.2, 6: rationalisation)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from evcontrol.alarms.describe import wording
from evcontrol.plant.alarm_specs import AlarmSpec
from evcontrol.plant.model import Plant
from evcontrol.units import number_text

HEAD = (
    "Alarm", "What", "Looks at", "Only while", "Deadband", "On delay", "Off delay", "When Bad", "Class", "Severity",
    "Respond within", "Priority", "Group", "Setpoint may be", "Shelved for", "Cause", "Consequence", "What to do",
)  # fmt: skip


def as_markdown(plant: Plant) -> str:
    """One section for each unit, and one for the engine itself; one row for each alarm."""
    parts = [f"# Alarms: {plant.name}", f"Plant file SHA-256 `{plant.hash}`."]
    for unit in dict.fromkeys(spec.unit for spec in plant.alarms.values()):
        described = plant.units[unit].description if unit in plant.units else "the engine itself"
        rows = [HEAD, ("---",) * len(HEAD), *(_row(spec) for spec in plant.alarms.values() if spec.unit == unit)]
        parts += [f"## {unit}: {described}", "\n".join(_line(row) for row in rows)]
    return "\n\n".join(parts) + "\n"


def as_csv(plant: Plant) -> str:
    """The same as one table."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(HEAD)
    table.writerows(_row(spec) for spec in plant.alarms.values())
    return text.getvalue()


def _row(spec: AlarmSpec) -> tuple[str, ...]:
    return (
        spec.name, spec.description, wording(spec, spec.setpoint), spec.while_, _deadband(spec),
        _time(spec.on_delay_s), _time(spec.off_delay_s), spec.on_bad.value, spec.alarm_class.value,
        spec.severity.value, _time(spec.respond_within_s), spec.priority.value, spec.group, _range(spec),
        " ".join(_shelving(spec)), spec.cause, spec.consequence, spec.corrective_action,
    )  # fmt: skip


def _deadband(spec: AlarmSpec) -> str:
    deadband = getattr(spec.test, "deadband", 0.0)
    return f"{number_text(deadband)} {spec.setpoint_unit}".rstrip() if deadband else ""


def _range(spec: AlarmSpec) -> str:
    if spec.setpoint_low is None or spec.setpoint_high is None:
        return ""
    return f"{number_text(spec.setpoint_low)} to {number_text(spec.setpoint_high)} {spec.setpoint_unit}".rstrip()


def _shelving(spec: AlarmSpec) -> Iterator[str]:
    if spec.shelve_longest_s:
        yield _time(spec.shelve_longest_s)
    if spec.shelve_roles:
        yield f"({', '.join(spec.shelve_roles)})"


def _time(seconds: float) -> str:
    if not seconds:
        return ""
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= length and seconds % length == 0:
            return f"{number_text(seconds / length)} {unit}"
    return f"{number_text(seconds)} s"


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
