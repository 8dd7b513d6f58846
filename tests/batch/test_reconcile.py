"""What a person signs after an outage: a moved bottle, a lost tare, a pump that coasted, and an outage too long."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from evcontrol.batch.reconcile import AS_EXPECTED, TOO_LONG, UNREADABLE, Item, Reconciliation
from evcontrol.clock import VirtualClock, run_virtual
from evcontrol.procedure.start import StartRefusedError
from evcontrol.procedure.states import Command, State
from tests.batch.suite import OPERATOR, Suite
from tests.batch.test_crash import check_totals

COASTED_G = 12.0
"""About what is filtered at the most until the controller's watchdog closes the permeate."""
Change = Callable[[Suite], None]


def outage(
    data: Path, phase: str, change: Change, seconds: float = 60.0, then: Change = lambda suite: None
) -> Reconciliation:
    """What is shown after an outage in the middle of a phase; the batch is then signed and finished after ``then``."""
    shown: list[Reconciliation] = []

    async def main(clock: VirtualClock) -> None:
        async with Suite(data / "data", clock) as suite:
            run = await suite.start_batch()
            await suite.until(run, lambda: any(phase in path for path in run.running()))
            await suite.scans(30)
            suite.kill()
            await suite.bury()
            change(suite)
            await clock.sleep(seconds)
            await suite.start_engine()
            run = suite.engine.batches.runs[run.id]
            shown.append(suite.engine.batches.reconciliations[run.id])
            then(suite)
            await suite.scans(20)
            with suppress(StartRefusedError):  # what has changed since it was shown is not signed, but shown anew
                await suite.sign(run)
            if run.reconciliation_due:
                await suite.sign(run)
            await suite.engine.batches.command(run.id, Command.RESTART, OPERATOR, "looked")
            while run.state is State.HELD:
                await suite.scans(1)
            assert await suite.finish(run) is State.COMPLETE
            check_totals(suite, run)

    run_virtual(main)
    return shown[0]


def verdicts(shown: Reconciliation) -> dict[str, str]:
    return {item.what: item.verdict for item in shown.items}


def test_a_bottle_that_was_moved_is_shown(tmp_path: Path) -> None:
    def put_something_on(suite: Suite) -> None:
        suite.sim.balances["WT-PERM"].moved_g += 25.0

    def take_it_off(suite: Suite) -> None:
        suite.sim.balances["WT-PERM"].moved_g -= 25.0

    shown = verdicts(outage(tmp_path, "concentrate", put_something_on, then=take_it_off))
    moved = float(shown["TFF201.WT_PERM"].split()[2])
    assert moved == pytest.approx(25.0 + COASTED_G, abs=COASTED_G)


def test_a_balance_that_lost_its_tare_is_shown_and_the_batch_asks_which(tmp_path: Path) -> None:
    def lose_power(suite: Suite) -> None:
        suite.answers["which vessel was changed or re-zeroed"] = "permeate vessel"
        suite.sim.balances["WT-PERM"].restart()

    shown = verdicts(outage(tmp_path, "diafilter", lose_power))
    assert shown["TFF201.WT_PERM"].startswith("moved by -")


def test_a_pump_that_coasted_is_shown(tmp_path: Path) -> None:
    """The controller's watchdog stops the transfer only some seconds after the engine's last word."""
    shown = verdicts(outage(tmp_path, "load", lambda suite: None))
    assert shown["TFF201.FQ_IN"].startswith("moved by +")
    assert shown["TFF201.WT_RET"].startswith("moved by +")


@pytest.mark.parametrize(("seconds", "verdict"), [(60.0, AS_EXPECTED), (2.5 * 3600.0, TOO_LONG)])
def test_an_outage_longer_than_the_phase_bears_is_shown(tmp_path: Path, seconds: float, verdict: str) -> None:
    shown = verdicts(outage(tmp_path, "concentrate", lambda suite: None, seconds))
    assert shown["outage in ultrafiltration/filtration/concentrate"] == verdict


@pytest.mark.parametrize(
    ("verdict", "number", "same"),
    [
        ("moved by -37.1 g (tolerance 10 g)", 45.0, True),
        ("moved by -36.9 g (tolerance 10 g)", 45.2, True),
        ("moved by -27.0 g (tolerance 10 g)", 55.1, False),
        (AS_EXPECTED, 46.0, False),
        (UNREADABLE, None, False),
    ],
)
def test_noise_in_what_moved_is_no_news_and_a_move_is(verdict: str, number: float | None, same: bool) -> None:
    shown = Item("BR101.WT_VESSEL", "82.1 g", "45.0 g", "moved by -37.1 g (tolerance 10 g)", 82.1, 45.0, 10.0)
    now = Item("BR101.WT_VESSEL", "82.1 g", "", verdict, 82.1, number, 10.0)
    assert (now.says_the_same(shown), shown.says_the_same(now)) == (same, same)
    assert "tolerance" not in shown.body()
