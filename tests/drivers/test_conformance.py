"""The conformance suite, on every rig that is found in ``tests/drivers/rigs``."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest

from drivers.conformance import DriverConformance, Rig

RIGS = Path(__file__).with_name("rigs")


def rigs() -> list[type[Rig]]:
    """Every rig in a module there that can be made."""
    modules = [importlib.import_module(f"tests.drivers.rigs.{path.stem}") for path in sorted(RIGS.glob("*.py"))]
    found = {each for module in modules for each in vars(module).values() if isinstance(each, type)}
    return sorted(
        (each for each in found if issubclass(each, Rig) and not inspect.isabstract(each)), key=lambda rig: rig.__name__
    )


class TestConformance(DriverConformance):
    @pytest.fixture(params=rigs(), ids=lambda rig: rig.__name__)
    def rig(self, request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
        made = request.param(tmp_path)
        assert isinstance(made, Rig)
        return made
