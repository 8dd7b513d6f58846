"""What the shipped EV batch of the demo must have moved in the end, whatever happened to its engine meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from evcontrol.journal.replay import BatchView

SKID_G, REACTOR_G = 2.0, 10.0
"""What the plant file lets the balances differ by (reconcile)."""
EXCHANGE_ML, EXCHANGES = 900.0, 3


def check_totals(view: BatchView, truth: Mapping[str, Any], skid_g: float = SKID_G) -> None:
    """Medium, feed, permeate and buffer are the recipe's, by what was recorded and by what really flowed."""
    results = {f"{path.rpartition('/')[2]} {name}": value for path, name, value, _ in view.results}
    for name in ("wash_out exchanged 1", "wash_out exchanged 2", "condition exchanged collection 1"):
        assert results[name] == pytest.approx(EXCHANGE_ML * 0.998, abs=REACTOR_G), name
    assert results["harvest pool"] == pytest.approx(1863.0, abs=2 * REACTOR_G)
    assert results["load feed"] == pytest.approx(1750.0, abs=skid_g)
    progress = view.progress
    total = progress["processing/ultrafiltration/concentrate"]["start"]["total_g"]
    assert results["concentrate retentate"] == pytest.approx(total / 10.0, abs=skid_g)
    assert results["concentrate permeate"] == pytest.approx(total * 0.9, abs=3 * skid_g)
    retentate = progress["processing/ultrafiltration/diafilter"]["start"]["total_g"]
    assert results["diafilter permeate"] == pytest.approx(6.0 * retentate, abs=skid_g)
    assert results["diafilter buffer"] * 0.998 == pytest.approx(6.0 * retentate, rel=0.02)
    liquids = truth["BR101"]["liquids"]
    assert liquids["waste"]["volume_ml"] == pytest.approx(2 * EXCHANGE_ML, abs=REACTOR_G)
    used = 10000.0 - liquids["production"]["volume_ml"]
    assert used == pytest.approx(EXCHANGES * EXCHANGE_ML, abs=2 * REACTOR_G)
