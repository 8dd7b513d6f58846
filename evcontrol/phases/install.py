"""Installing a membrane module: it is scanned, its area comes from its type, and it must be fit for use."""

from __future__ import annotations

import math
from typing import ClassVar

from evcontrol.journal.events import Kind
from evcontrol.journal.replay import ModuleView
from evcontrol.phases import circuit
from evcontrol.plant.model import ModuleSpec
from evcontrol.procedure.context import HoldRequiredError
from evcontrol.procedure.phase import Argument, ArgumentKind, Phase, Result
from evcontrol.procedure.prompts import PromptKind
from evcontrol.yaml_source import nearest

EMPTY_LEVEL = 1.0
"""Level (%v/v) above which a vessel is not empty, whatever its balance says."""
FIT = frozenset({"new", "clean"})
FIT_TO_CLEAN = frozenset({"new", "clean", "in use", "to be cleaned"})


class InstallMembrane(Phase):
    """Ask for the module's label (type and serial number), check it, and take area and fibres from its type."""

    unit_class = "tff"
    tags: ClassVar = ("MODULE", "AREA", "SHEAR_PER_FLOW", "CONTENT", "RET_EMPTY", "WT_RET", "WT_PERM", "LT")
    arguments = (
        Argument("module_type", ArgumentKind.TEXT, "type of module that the recipe is qualified for"),
        Argument("max_permeate", ArgumentKind.NUMBER, "heaviest permeate vessel to begin with", "g", "500 g", low=0.0),
        Argument("to_clean", ArgumentKind.FLAG, "whether a used module may be installed, to be cleaned", "", "no"),
    )
    results = (Result("permeate", "permeate at start", "g"),)

    async def running(self) -> None:
        """Scan, check, record."""
        context = self.context
        await circuit.spare_product(context)
        wanted = str(context.arguments["module_type"])
        module, spec = await self._scan(wanted)
        if "installed" not in context.progress:
            await self._install(module, spec)
        empty = "Retentate vessel and skid are empty, tubing is connected, permeate vessel is in place"
        await context.ask("empty", PromptKind.CONFIRM, empty)
        level = context.value("LT")
        if level > EMPTY_LEVEL:
            raise HoldRequiredError(f"the retentate vessel is not empty: its level is {level:.1f} %v/v")
        weight = await context.once("empty_g", lambda: context.value("WT_RET"))
        await context.set_tag("RET_EMPTY", weight)
        await context.set_tag("CONTENT", "empty")
        await context.until(f"WT_PERM < {context.number('max_permeate'):g} g")
        await context.result("permeate at start", context.value("WT_PERM"), "g")

    async def _scan(self, wanted: str) -> tuple[ModuleView, ModuleSpec]:
        """Ask for the label until it names a module that may be used."""
        context, number, trouble = self.context, 1, ""
        while True:
            text = f"{trouble}Scan the label of the membrane module ({wanted})"
            label = str(await context.ask(f"module {number}", PromptKind.TEXT, text))
            kind, _, serial = label.partition(" ")
            spec = context.rooms.plant.modules.get(kind)
            trouble = self._trouble(kind, serial.strip(), wanted)
            if spec is not None and not trouble:
                known = context.rooms.view.modules.get(serial.strip())
                return known or ModuleView(serial.strip(), kind), spec
            number += 1

    def _trouble(self, kind: str, serial: str, wanted: str) -> str:
        """Why a module may not be used, as the beginning of the next question; empty when it may."""
        modules = self.context.rooms.plant.modules
        known = self.context.rooms.view.modules.get(serial)
        installed = serial == self.context.progress.get("installing")
        if kind not in modules:
            return f"{kind!r} is no known type{nearest(kind, modules)}. "
        if not serial:
            return f"The label gives no serial number after {kind}. "
        if kind != wanted:
            return f"The recipe is qualified for {wanted}, not {kind}. "
        if known is not None and known.state not in self._fit() and not installed:
            return f"Module {serial} is {known.state}: it must be cleaned first. "
        if known is not None and known.uses >= modules[kind].max_uses and not installed and not self._to_clean():
            return f"Module {serial} has had its {modules[kind].max_uses} uses. "
        return ""

    def _to_clean(self) -> bool:
        return bool(self.context.arguments["to_clean"])

    def _fit(self) -> frozenset[str]:
        return FIT_TO_CLEAN if self._to_clean() else FIT

    async def _install(self, module: ModuleView, spec: ModuleSpec) -> None:
        context = self.context
        again = context.progress.get("installing") == module.module and module.state == "in use"
        use = module.uses if again or self._to_clean() else module.uses + 1
        await context.record("installing", module.module)
        radius_cm = spec.fibre_radius_mm / 10.0
        per_flow = 4.0 / (spec.fibres * math.pi * radius_cm**3)
        body = {
            "module": module.module, "type": spec.name, "area_m2": spec.area_m2, "uses": use,
            "state": "in use", "unit": context.unit, "fibres": spec.fibres,
            "fibre_radius_mm": spec.fibre_radius_mm, "length_m": spec.length_m,
        }  # fmt: skip
        await context.event(Kind.MODULE_INSTALLED, body)
        await context.set_tag("MODULE", module.module)
        await context.set_tag("AREA", spec.area_m2)
        await context.set_tag("SHEAR_PER_FLOW", per_flow)
        await context.result("module", f"{spec.name} {module.module}, use {use} of {spec.max_uses}")
        await context.record("installed", True)
