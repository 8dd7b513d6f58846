"""Batches over real sockets and serial lines, with every process a real one that is stopped, killed and unplugged."""

from __future__ import annotations

import asyncio
import random
import resource
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from evcontrol.api.client import ApiError
from evcontrol.api.picture import Picture
from evcontrol.api.schema import StartBatch
from evcontrol.clock import NS
from evcontrol.history.reader import HistoryReader
from evcontrol.journal.replay import PlantView
from evcontrol.journal.store import read_events, verify
from tests.wire.processes import BOUND_S, SHORT, Processes, go_on, stop_in_its_tracks

Story = Callable[[Processes], Awaitable[None]]
ACCURACY_G = 3.0
"""What one scan of 1.5 s at thirty times real time lets pass beside the balances' tolerance of 2 g."""


def tell(data: Path, story: Story, phase: str = "concentrate") -> None:
    """Start a short batch at thirty times real time, wait for a phase, and then the story."""

    async def main() -> None:
        async with Processes(data) as suite:
            await suite.start_batch()
            if phase:
                await suite.until_running(phase)
            await story(suite)

    asyncio.run(main())


async def restart(suite: Processes) -> None:
    """Restart as soon as nothing stands against it any more."""
    async with asyncio.timeout(BOUND_S):
        while True:
            try:
                await suite.command("restart", "mended")
            except ApiError as refused:
                if "cannot restart" not in str(refused):
                    raise
                await suite.until(changed(suite))
            else:
                return


def changed(suite: Processes) -> Callable[[Picture], bool]:
    """True once process time has gone on."""
    since = suite.picture.t
    return lambda picture: picture.t > since


async def finish(suite: Processes) -> None:
    await restart(suite)
    await suite.until_state("Complete", bound_s=90.0)


def results(data: Path) -> dict[str, float]:
    view = PlantView(read_events(data / "journal")).batches["B-0001"]
    return {f"{path.rpartition('/')[2]} {name}": value for path, name, value, _ in view.results}


def check_totals(data: Path) -> None:
    found = results(data)
    assert found["load feed"] == pytest.approx(600.0, abs=ACCURACY_G)
    progress = PlantView(read_events(data / "journal")).batches["B-0001"].progress
    assert found["concentrate retentate"] == pytest.approx(
        progress["short/concentrate"]["start"]["total_g"] / 3.0, abs=ACCURACY_G
    )
    total = progress["short/diafilter"]["start"]["total_g"]
    assert found["diafilter permeate"] == pytest.approx(total, abs=ACCURACY_G)
    assert verify(data / "journal").intact


def test_a_skid_that_falls_silent_holds_the_batch_and_a_restart_finishes_it(tmp_path: Path) -> None:
    async def story(suite: Processes) -> None:
        stop_in_its_tracks(suite.simulators)
        for tag in ("TFF201.TMP", "TFF201.WT_RET"):
            await suite.until(lambda picture, tag=tag: picture.number(tag) is None, bound_s=3.0)
        await suite.until_state("Held")
        view = await suite.client.batch(suite.batch)
        assert any("not in its safe state" in element.waiting for element in view.elements)
        with pytest.raises(ApiError, match="TFF201 is"):
            await suite.command("restart")
        go_on(suite.simulators)
        await suite.until(lambda picture: picture.number("TFF201.TMP") is not None)
        await suite.until_safe()
        await suite.until(lambda picture: all(link.state == "ready" for link in picture.links))
        await finish(suite)

    tell(tmp_path, story)
    check_totals(tmp_path)


def test_stop_while_the_skid_is_silent_says_what_was_not_reached(tmp_path: Path) -> None:
    async def story(suite: Processes) -> None:
        stop_in_its_tracks(suite.simulators)
        await suite.until_state("Held")
        await suite.command("stop", "given up")
        await suite.until_state("Stopped")
        go_on(suite.simulators)
        await suite.until_safe()

    tell(tmp_path, story)
    events = [event for event in read_events(tmp_path / "journal") if event.kind == "safe.state"]
    assert any("TFF201.XV102" in str(event.body["not_reached"]) for event in events)


def test_a_killed_simulator_comes_back_with_its_liquids_and_the_batch_is_finished(tmp_path: Path) -> None:
    async def story(suite: Processes) -> None:
        await suite.kill(suite.simulators)
        await suite.until(lambda picture: picture.number("TFF201.TMP") is None, bound_s=3.0)
        await suite.until_state("Held")
        await suite.start_simulators()
        await suite.until(lambda picture: all(link.state == "ready" for link in picture.links))
        assert (await suite.truth())["safe"]
        await finish(suite)

    tell(tmp_path, story)
    check_totals(tmp_path)


def test_an_unplugged_balance_holds_the_batch_in_its_safe_state(tmp_path: Path) -> None:
    async def story(suite: Processes) -> None:
        number = await suite.order({"do": "begin", "fault": {"kind": "balance_unplugged", "balance": "WT-RET"}})
        await suite.until(lambda picture: picture.number("TFF201.WT_RET") is None, bound_s=3.0)
        await suite.until_state("Held")
        await suite.until_safe()
        await suite.order({"do": "end", "number": number})
        await suite.until(lambda picture: picture.number("TFF201.WT_RET") is not None)
        await finish(suite)

    tell(tmp_path, story, "diafilter")
    check_totals(tmp_path)


@pytest.mark.parametrize("seed", [pytest.param(i, marks=[pytest.mark.full] if i >= 2 else []) for i in range(20)])
def test_a_batch_survives_sigkill_of_its_engine(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)

    async def story(suite: Processes) -> None:
        began = suite.picture.t
        after = chance.uniform(1.0, 550.0) * NS
        await suite.until(lambda picture: picture.t - began > after or suite.state(picture) == "Complete")
        last = suite.picture.t
        await suite.kill(suite.engine)
        await suite.until_safe()
        kept = HistoryReader(tmp_path / "history").span()
        assert kept is not None
        # One second of real time at thirty times real time.
        assert last - kept[1] <= 30 * NS
        await suite.start_engine()
        batch = await suite.client.batch(suite.batch)
        assert batch.summary.state == "Held"
        assert batch.summary.reconciliation_due
        with pytest.raises(ApiError, match="sign"):
            await suite.command("restart")
        await suite.sign()
        await finish(suite)

    tell(tmp_path, story, "install")
    check_totals(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_engine_that_is_asked_to_stop_makes_the_skid_safe(tmp_path: Path, number: signal.Signals) -> None:
    async def story(suite: Processes) -> None:
        suite.engine.send_signal(number)
        status, line = await suite.ended(suite.engine)
        assert status == 0
        assert line == f"asked by {number.name}; every unit is in its safe state"
        await suite.until_safe()

    tell(tmp_path, story)
    states = PlantView(read_events(tmp_path / "journal")).batches["B-0001"].states
    assert states[""] == "Held"


def test_a_wrong_recipe_is_refused_in_words_and_moves_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with Processes(tmp_path) as suite:
            wrong = SHORT.replace("vcf: 3 x", "vcf: 3 psi")
            with pytest.raises(ApiError, match=r"short\.yaml:15:.*psi"):
                await suite.client.start_batch(StartBatch(recipe=wrong, recipe_name="short.yaml", purpose="test"))
            assert (await suite.truth())["safe"]
            assert await suite.client.batches() == []

    asyncio.run(main())


def test_a_full_disk_holds_the_batch_in_its_safe_state_and_room_lets_it_go_on(tmp_path: Path) -> None:
    async def story(suite: Processes) -> None:
        pid = suite.engine.pid
        whole = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, whole[1]))
        await suite.until_state("Holding", "Held")
        await suite.until_safe()
        await suite.until_state("Held")
        with pytest.raises(ApiError, match="cannot be written"):
            await suite.command("restart")
        resource.prlimit(pid, resource.RLIMIT_FSIZE, whole)
        await finish(suite)

    tell(tmp_path, story)
    check_totals(tmp_path)
