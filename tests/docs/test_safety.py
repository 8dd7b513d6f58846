"""docs/explanation/safety.md: the tests that it names are there, and its figures are those of code and tests."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from drivers.driver import Outcome
from drivers.modbus_options import ModbusOptions
from evcontrol.clock import VirtualClock, run_virtual
from evcontrol.control import safe
from evcontrol.control.command import SETTLE_S
from evcontrol.engine import LINK_LOST_S, OBSERVE_S
from evcontrol.plant.load import load_plant
from evcontrol.procedure.context import TOLERANCE_S
from evcontrol.procedure.states import State
from tests.batch import test_crash
from tests.batch.suite import Suite
from tests.wire import test_batch_wire

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "explanation" / "safety.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`(tests/[\w/.:]+)`", TEXT))))
def test_the_tests_that_are_named_are_there(named: str) -> None:
    file, _, test = named.partition("::")
    source = (ROOT / file).read_text(encoding="utf-8")
    assert not test or f"\ndef {test}(" in source


def row(words: str) -> str:
    return next(line for line in TEXT.splitlines() if words in line)


def test_the_figures_of_the_code_are_told_as_they_are() -> None:
    assert f"after {LINK_LOST_S:g} s its batch is held" in row("a device is silent")
    assert f"after {TOLERANCE_S:g} s the batch is held" in row("the end condition of a phase")
    assert f"up to {SETTLE_S:g} s" in row("| unknown |")
    assert f"until every link is up or {OBSERVE_S:g} s have passed" in TEXT
    assert safe.GUARD_RETRY_S == 1.0
    assert "tried for again every second" in TEXT


def test_the_watchdog_time_is_that_of_the_shipped_plant() -> None:
    options = load_plant(ROOT / "config" / "plants" / "tff.yaml").devices["TFF201"].options
    assert isinstance(options, ModbusOptions)
    assert options.watchdog is not None
    assert f"({options.watchdog.seconds:g} s in the shipped plant)" in TEXT


def test_the_figures_of_the_tests_are_told_as_they_are() -> None:
    assert f"within {test_crash.ACCURACY_G:g} g of the recipe" in TEXT
    assert f"within {test_batch_wire.ACCURACY_G:g} g" in row("over real sockets")


def test_every_outcome_is_told() -> None:
    assert re.findall(r"^\| (\w+) \|", TEXT.split("| Outcome |")[1].split("\n\n")[0], re.MULTILINE) == [
        outcome.value.lower() for outcome in Outcome
    ]


NEVER_KNOWN = """recipe: An end that nobody can tell
version: 1.0.0
product: test
units: {tff: {class: tff}}
procedure:
  - unit_procedure: wait
    unit: tff
    steps:
      - phase: equilibrate
        with: {volume: 700 mL, cross_flow: 600 mL/min, tmp: 2 psi, until: tff.NWP > 50 LMH/bar}
"""


def test_an_end_condition_that_is_not_known_holds_the_batch(tmp_path: Path) -> None:
    async def story(clock: VirtualClock) -> str:
        async with Suite(tmp_path, clock) as suite:
            run = await suite.start_batch(NEVER_KNOWN)
            async with asyncio.timeout(600):
                while run.state is not State.HELD:
                    await suite.scans(1)
            assert suite.sim.skid.safe
            return run.reason

    assert f"unknown for {TOLERANCE_S:g} s" in run_virtual(story)
