"""The liquid balance closes when nothing is lost, fails when something is, and never claims what it cannot know."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from evcontrol.batch.balance import Closure, LiquidBalance, liquid_balances, summary, worst
from evcontrol.batch.record import read_record
from evcontrol.clock import VirtualClock, run_virtual
from evcontrol.history.reader import HistoryReader
from evcontrol.quality import BAD_NOT_CONNECTED, GOOD, UNCERTAIN_SENSOR_NOT_ACCURATE
from simulators.plant import TffPlant
from tests.batch.story import BATCH, RHO, Story, tell
from tests.batch.suite import Suite


def balances(data: Path, batch: str = BATCH) -> list[LiquidBalance]:
    return liquid_balances(read_record(data, batch), HistoryReader(data / "history"))


def only(data: Path, batch: str = BATCH) -> LiquidBalance:
    (balance,) = balances(data, batch)
    return balance


def test_it_closes_when_nothing_is_lost(tmp_path: Path) -> None:
    tell(tmp_path)
    balance = only(tmp_path)
    assert (balance.closure, balance.reasons) == (Closure.CLOSES, [])
    assert balance.feed_g == pytest.approx(2000.0)
    assert balance.buffer_g == pytest.approx(1200.0)
    assert balance.permeate_g == pytest.approx(3000.0)
    assert balance.retentate_g == pytest.approx(200.0 - 48.0 * RHO)
    assert balance.circuit_g == pytest.approx(48.0 * RHO)
    assert balance.total is not None
    assert balance.total.difference_g == pytest.approx(0.0, abs=1e-6)


def test_feed_by_totaliser_is_compared_with_the_balance(tmp_path: Path) -> None:
    tell(tmp_path)
    feed = only(tmp_path).feed
    assert feed is not None
    assert (feed.expected_g, feed.found_g) == (pytest.approx(2000.0), pytest.approx(2000.0))
    assert feed.closure is Closure.CLOSES


def test_a_leak_of_three_per_cent_of_the_feed_makes_it_fail(tmp_path: Path) -> None:
    tell(tmp_path, leak_g=60.0)
    balance = only(tmp_path)
    assert balance.closure is Closure.OPEN
    assert balance.total is not None
    assert balance.total.difference_g == pytest.approx(60.0)
    assert summary([balance]).startswith("does not close; TFF201: 3200.0 g in, 3140.0 g out")


@pytest.mark.parametrize(("lost_g", "closure"), [(31.9, Closure.CLOSES), (32.1, Closure.OPEN), (-32.1, Closure.OPEN)])
def test_the_limit_is_one_per_cent_of_what_went_in_either_way(tmp_path: Path, lost_g: float, closure: Closure) -> None:
    tell(tmp_path, leak_g=lost_g)
    assert only(tmp_path).closure is closure


def test_a_feed_that_the_balance_did_not_see_fails_both_comparisons(tmp_path: Path) -> None:
    def spill(story: Story) -> None:
        story.value["WT_RET"] -= 80.0

    tell(tmp_path, {"load": spill})
    balance = only(tmp_path)
    assert balance.closure is Closure.OPEN
    assert balance.feed is not None
    assert balance.feed.closure is Closure.OPEN


@pytest.mark.parametrize(
    ("tag", "moment", "code"),
    [
        ("WT_RET", "before load", BAD_NOT_CONNECTED),
        ("WT_RET", "after diafilter", BAD_NOT_CONNECTED),
        ("WT_PERM", "after diafilter", BAD_NOT_CONNECTED),
        ("WT_PERM", "before load", UNCERTAIN_SENSOR_NOT_ACCURATE),
        ("FQ_IN", "before load", BAD_NOT_CONNECTED),
        ("TT", "after diafilter", BAD_NOT_CONNECTED),
    ],
)
def test_a_needed_reading_that_is_not_good_makes_it_inconclusive(
    tmp_path: Path, tag: str, moment: str, code: int
) -> None:
    def spoil(story: Story) -> None:
        story.quality[tag] = code

    def mend(story: Story) -> None:
        story.quality[tag] = GOOD

    tell(tmp_path, {moment: spoil, "load": mend, "recover": mend})
    balance = only(tmp_path)
    assert balance.closure is Closure.INCONCLUSIVE
    assert any(f"TFF201.{tag} is " in reason for reason in balance.reasons), balance.reasons


def test_a_leak_does_not_fail_what_cannot_be_known(tmp_path: Path) -> None:
    def lose(story: Story) -> None:
        story.quality["WT_PERM"] = BAD_NOT_CONNECTED

    tell(tmp_path, {"after diafilter": lose}, leak_g=60.0)
    assert only(tmp_path).closure is Closure.INCONCLUSIVE


def test_a_reading_that_is_bad_in_between_does_no_harm(tmp_path: Path) -> None:
    def lose(story: Story) -> None:
        story.quality["WT_PERM"] = BAD_NOT_CONNECTED

    def find(story: Story) -> None:
        story.quality["WT_PERM"] = GOOD

    tell(tmp_path, {"before concentrate": lose, "concentrate": find})
    assert only(tmp_path).closure is Closure.CLOSES


def silence(story: Story) -> None:
    story.silent = True


def speech(story: Story) -> None:
    story.silent = False


def test_a_missing_reading_makes_it_inconclusive(tmp_path: Path) -> None:
    tell(tmp_path, {"diafilter": silence, "recover": speech})
    balance = only(tmp_path)
    assert balance.closure is Closure.INCONCLUSIVE
    assert any("has no reading" in reason for reason in balance.reasons)


def test_an_outage_in_between_does_no_harm(tmp_path: Path) -> None:
    tell(tmp_path, {"before concentrate": silence, "concentrate": speech})
    assert only(tmp_path).closure is Closure.CLOSES


def test_a_section_that_is_not_complete_is_inconclusive(tmp_path: Path) -> None:
    def stop(story: Story) -> None:
        story.state("uf/diafilter", "Running", "Stopping", "stop")
        story.state("uf/diafilter", "Stopping", "Stopped")
        raise InterruptedError

    with pytest.raises(InterruptedError):
        tell(tmp_path, {"diafilter": stop})
    balance = only(tmp_path)
    assert balance.closure is Closure.INCONCLUSIVE
    assert "uf/diafilter is Stopped: the section is not complete" in balance.reasons


@pytest.mark.parametrize(("tag", "fall"), [("WT_PERM", 1500.0), ("FQ_IN", 12_000.0), ("WT_RET", 400.0)])
def test_what_was_tared_emptied_or_reset_makes_it_inconclusive(tmp_path: Path, tag: str, fall: float) -> None:
    def reset(story: Story) -> None:
        story.value[tag] -= fall

    tell(tmp_path, {"diafilter": reset})
    balance = only(tmp_path)
    assert balance.closure is Closure.INCONCLUSIVE
    assert any(f"TFF201.{tag} fell" in reason for reason in balance.reasons)


def test_without_the_plants_constants_the_phases_own_figures_serve(tmp_path: Path) -> None:
    tell(tmp_path, constants=None)
    balance = only(tmp_path)
    assert balance.circuit_g == pytest.approx(48.0 * RHO)
    assert balance.closure is Closure.CLOSES


def test_an_unknown_hold_up_is_inconclusive(tmp_path: Path) -> None:
    def stop(story: Story) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        tell(tmp_path, {"recover": stop}, constants=None)
    balance = only(tmp_path)
    assert balance.closure is Closure.INCONCLUSIVE
    assert "the hold-up of TFF201 is not known" in balance.reasons


def test_a_batch_that_has_only_begun_is_inconclusive(tmp_path: Path) -> None:
    def stop(story: Story) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        tell(tmp_path, {"load": stop})
    assert only(tmp_path).closure is Closure.INCONCLUSIVE


def test_a_recipe_that_pumps_out_in_between_is_inconclusive(tmp_path: Path) -> None:
    recipe = (
        "recipe: R\nversion: '1'\nproduct: p\nunits: {tff: {class: tff}}\nprocedure:\n"
        "  - unit_procedure: uf\n    unit: tff\n    steps:\n"
        "      - {phase: load}\n      - {phase: concentrate}\n      - {phase: recover}\n      - {phase: diafilter}\n"
    )
    tell(tmp_path, recipe=recipe)
    balance = only(tmp_path)
    assert balance.closure is Closure.INCONCLUSIVE
    assert "uf/recover (recover) moves liquid that the balance does not know of" in balance.reasons


def test_a_recipe_without_a_load_has_nothing_to_balance(tmp_path: Path) -> None:
    recipe = (
        "recipe: R\nversion: '1'\nproduct: p\nunits: {tff: {class: tff}}\nprocedure:\n"
        "  - unit_procedure: uf\n    unit: tff\n    steps:\n      - {phase: clean}\n"
    )
    tell(tmp_path, recipe=recipe)
    assert balances(tmp_path) == []
    assert worst([]) is None
    assert summary([]) == "nothing to balance"


def test_a_recipe_that_cannot_be_read_never_closes(tmp_path: Path) -> None:
    tell(tmp_path, recipe="recipe: [")
    assert worst(balances(tmp_path)) is Closure.INCONCLUSIVE


def simulated(data: Path, trouble: Callable[[TffPlant, Suite], None]) -> LiquidBalance:
    """The balance of a whole simulated batch; ``trouble`` is asked at each step of the plant."""

    async def main(clock: VirtualClock) -> str:
        async with Suite(data, clock) as suite:
            run = await suite.start_batch()
            suite.each_step.append(lambda: trouble(suite.sim, suite))
            await suite.finish(run)
            return run.id

    return only(data, run_virtual(main))


def test_a_simulated_batch_closes_within_one_per_cent(tmp_path: Path) -> None:
    balance = simulated(tmp_path / "data", lambda sim, suite: None)
    assert (balance.closure, balance.reasons) == (Closure.CLOSES, [])
    assert balance.total is not None
    assert abs(balance.total.share) < 0.003


def test_a_simulated_leak_of_three_per_cent_of_the_feed_is_found(tmp_path: Path) -> None:
    leaked = []

    def leak(sim: TffPlant, suite: Suite) -> None:
        """From the middle of concentration on, 0.3 mL/s until 60 mL are gone."""
        if not leaked and sim.process.permeate_g > 1500.0:
            leaked.append(60.0)
            sim.process.permeate_leak.rate_ml_per_s, sim.process.permeate_leak.left_ml = 0.3, 60.0

    balance = simulated(tmp_path / "data", leak)
    assert leaked
    assert balance.closure is Closure.OPEN
    assert balance.total is not None
    assert balance.total.difference_g == pytest.approx(60.0 * 0.998, abs=5.0)
