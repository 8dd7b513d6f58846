"""Every rig in a module beside this one."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

from drivers.conformance import Rig


def all_rigs() -> list[type[Rig]]:
    """Those that can be made, by name."""
    here = Path(__file__)
    names = [path.stem for path in sorted(here.parent.glob("*.py")) if path != here]
    modules = [importlib.import_module(f"tests.drivers.rigs.{name}") for name in names]
    found = {each for module in modules for each in vars(module).values() if isinstance(each, type)}
    rigs = [each for each in found if issubclass(each, Rig) and not inspect.isabstract(each)]
    return sorted((rig for rig in rigs if hasattr(rig, "driver")), key=lambda rig: rig.__name__)


def wire_rigs() -> list[type[Rig]]:
    """Those whose device is reached over its wire."""
    return [rig for rig in all_rigs() if not rig.virtual]
