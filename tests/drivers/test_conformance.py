"""The conformance suite, on every rig that is found in ``tests/drivers/rigs``."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.conformance import DriverConformance, Rig
from tests.drivers.rigs.found import all_rigs

DRILLS = {"MtSicsTcpRig", "OpcUaReadingRig"}
"""Rigs that differ from another of the same driver only in part: for `make test-full`."""
RIGS = [pytest.param(rig, marks=[pytest.mark.full] if rig.__name__ in DRILLS else []) for rig in all_rigs()]


class TestConformance(DriverConformance):
    @pytest.fixture(params=RIGS, ids=lambda rig: rig.__name__)
    def rig(self, request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
        made = request.param(tmp_path)
        assert isinstance(made, Rig)
        return made
