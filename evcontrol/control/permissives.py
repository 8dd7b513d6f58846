"""Permissives: what must hold before an actuator may be started. They stop nothing that runs; interlocks do that."""

from __future__ import annotations

from evcontrol.control.field import Field
from evcontrol.expression import Condition, compile_condition
from evcontrol.plant.model import PermissiveSpec, Plant


class Permissives:
    """All permissives of a plant, looked at each scan. Unknown counts as not fulfilled."""

    def __init__(self, plant: Plant, equipment: Field) -> None:
        self._field = equipment
        self._all = [
            _Permissive(spec, compile_condition(spec.when, plant.symbols)) for spec in plant.permissives.values()
        ]
        self._of = {
            tag: [one for one in self._all if tag in one.spec.commands]
            for spec in plant.permissives.values()
            for tag in spec.commands
        }

    def look(self, now: int) -> None:
        """Look at every condition at process time ``now`` (UTC ns)."""
        for one in self._all:
            one.holds = one.condition.update(self._field.image.resolve, now) is True

    def forbids(self, tag: str) -> str:
        """Why a tag may not leave its safe value; empty when it may, or has left it already."""
        missing = [one for one in self._of.get(tag, ()) if not one.holds]
        if not missing or self._runs(tag):
            return ""
        why = "; ".join(one.told(self._field) for one in missing)
        return f"{tag} may not start: {why}"

    def _runs(self, tag: str) -> bool:
        safe = self._field.safe_values(self._field.plant.unit_of(tag)).get(tag)
        read = self._field.reading(tag)
        return safe is not None and read is not None and not self._field.agrees(tag, safe)


class _Permissive:
    def __init__(self, spec: PermissiveSpec, condition: Condition) -> None:
        self.spec = spec
        self.condition = condition
        self.holds = False

    def told(self, equipment: Field) -> str:
        described = self.condition.describe(equipment.image.resolve)
        return f"permissive {self.spec.name} is not fulfilled: {described}. {self.spec.corrective_action}"
