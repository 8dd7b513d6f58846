"""The conformance suite, on every rig that is found in ``tests/drivers/rigs``."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.conformance import DriverConformance, Rig
from tests.drivers.rigs.found import all_rigs

ON_BUSES = {
    f"{name}{line}Rig"
    for name in ("Alicat", "Masterflex", "MasterflexUsb", "WatsonMarlow")
    for line in ("Tcp", "Serial")
}
"""Of instruments with addresses, what differs between them is proved in virtual time."""
DRILLS = {rig.__name__ for rig in all_rigs() if any(rig in other.__mro__[1:] for other in all_rigs())} | ON_BUSES
"""Rigs from which another one derives, which differs only in part: for `make test-full`."""
RIGS = [pytest.param(rig, marks=[pytest.mark.full] if rig.__name__ in DRILLS else []) for rig in all_rigs()]


class TestConformance(DriverConformance):
    @pytest.fixture(params=RIGS, ids=lambda rig: rig.__name__)
    def rig(self, request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
        made = request.param(tmp_path)
        assert isinstance(made, Rig)
        return made
