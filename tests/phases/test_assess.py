"""A long culture asks for the viability anew before the figure that an interlock needs is too old."""

from __future__ import annotations

from pathlib import Path

from evcontrol.clock import VirtualClock, run_virtual
from evcontrol.journal.events import Kind
from evcontrol.journal.store import read_events
from evcontrol.phases.cells import VIABILITY_AGE_H
from evcontrol.procedure.states import State
from evcontrol.quality import is_good
from tests.batch.ev_suite import EvSuite

RECIPE = """\
recipe: Long
version: 1.0.0
product: P
units:
  br: {class: bioreactor}
procedure:
  - unit_procedure: culture
    unit: br
    steps:
      - phase: prepare
        with: {volume: 1000 mL, temperature: 37 degC, ph: 7.3 pH}
      - phase: inoculate
        with: {least: 1e7 cell, most: 2e9 cell, min_viability: "0.8"}
      - phase: expand
        with: {time: 180 h}
"""


def test_the_figure_never_expires(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        async with EvSuite(tmp_path, clock) as suite:
            assert suite.plant.expiries["BR101.VIABILITY"] > VIABILITY_AGE_H * 3600
            run = await suite.start_batch(RECIPE)
            assert await suite.finish(run) is State.COMPLETE
            assert is_good(suite.engine.image.reading("BR101.VIABILITY").quality)

    run_virtual(main)
    asked = [e.body["text"] for e in read_events(tmp_path / "journal") if e.kind is Kind.PROMPT_OPENED]
    assert sum("estimated" in text for text in asked) == 2
