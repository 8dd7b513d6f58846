"""Whole ultrafiltration batches in virtual time: they end, close their balances, and follow the formulas."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evcontrol.batch.balance import Closure, liquid_balances
from evcontrol.batch.record import read_record
from evcontrol.batch.report import write_report
from evcontrol.clock import NS, VirtualClock, run_virtual
from evcontrol.history.reader import HistoryReader
from evcontrol.journal.store import verify
from evcontrol.procedure.states import State
from simulators.process.membrane import MembraneParameters
from simulators.process.vessels import Stocks
from tests.batch.suite import Suite

FEED = Stocks().feed
MEMBRANE = MembraneParameters()


def make(data: Path, **parameters: str) -> dict[str, Any]:
    """Run one batch; its results by name, and what the simulated plant says really happened."""

    async def main(clock: VirtualClock) -> dict[str, Any]:
        async with Suite(data, clock) as suite:
            run = await suite.start_batch(**parameters)
            truth: dict[str, Any] = {}

            def look() -> None:
                if "recover" in "".join(run.running()) and "before" not in truth:
                    truth["before"] = suite.sim.truth()

            suite.each_step.append(look)
            assert await suite.finish(run) is State.COMPLETE
            results = {f"{p.rpartition('/')[2]} {n}": v for p, n, v, _ in suite.engine.view.batches[run.id].results}
            await suite.scans(10)
            assert suite.sim.skid.safe
            truth["after"] = suite.sim.truth()
            return results | truth

    return run_virtual(main)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    data = tmp_path_factory.mktemp("shipped")
    return data, make(data)


def test_the_shipped_recipe_runs_from_flush_to_clean_membrane(shipped: tuple[Path, dict[str, Any]]) -> None:
    _, results = shipped
    assert results["concentrate VCF"] == pytest.approx(10.0, abs=0.1)
    assert results["diafilter diavolumes"] == pytest.approx(6.0, abs=0.03)
    assert results["clean module is"] == "clean"
    assert results["load feed"] == pytest.approx(1950.0, abs=2.0)


def test_nothing_comes_from_nowhere(shipped: tuple[Path, dict[str, Any]]) -> None:
    _, results = shipped
    assert all(abs(share) < 1e-9 for share in results["after"]["imbalance"].values())


def test_the_journal_is_whole(shipped: tuple[Path, dict[str, Any]]) -> None:
    data, _ = shipped
    assert verify(data / "journal").intact


def test_history_holds_every_tag_at_its_scan_without_a_hole(shipped: tuple[Path, dict[str, Any]]) -> None:
    data, _ = shipped
    reader = HistoryReader(data / "history")
    span = reader.span()
    assert span is not None
    scans = reader.scans(*span)
    assert np.all(np.diff(scans) == NS)
    assert reader.gaps(*span) == []
    columns = reader.raw([tag.name for tag in reader.tags()], *span)
    for tag, column in columns.items():
        assert len(column.t) == len(scans), tag


@pytest.mark.parametrize(("concentration", "diavolumes"), [("5 x", "6 DV"), ("5 x", "2 DV"), ("3 x", "8 DV")])
def test_protein_and_vesicles_follow_the_formulas(tmp_path: Path, concentration: str, diavolumes: str) -> None:
    results = make(tmp_path / "data", concentration=concentration, diavolumes=diavolumes, feed_mass="1000 g")
    before = results["before"]["liquids"]
    vcf, dv = results["concentrate VCF"], results["diafilter diavolumes"]
    feed_ml = results["load feed by totaliser"]
    protein = before["retentate"]["protein_mg"] + before["hold_up"]["protein_mg"]
    # C/C0 = VCF^R and exp(-N S): what is left of the protein is exp(-S (ln VCF + N)).
    assert protein / (feed_ml * FEED.protein_g_per_l) == pytest.approx(
        math.exp(-MEMBRANE.protein_sieving * (math.log(vcf) + dv)), rel=0.05
    )
    evs = before["retentate"]["evs"] + before["hold_up"]["evs"]
    fed = feed_ml * FEED.evs_per_ml
    adsorbed = results["before"]["membrane"]["adsorbed_evs"]
    passed = math.exp(-MEMBRANE.ev_sieving * (math.log(vcf) + dv))
    assert evs / (fed - adsorbed) == pytest.approx(passed, rel=0.01)


@pytest.mark.parametrize("place", ["permeate_leak", "retentate_leak"])
def test_a_leak_of_three_per_cent_of_the_feed_fails_the_balance_of_the_report(tmp_path: Path, place: str) -> None:
    async def main(clock: VirtualClock) -> None:
        async with Suite(tmp_path, clock) as suite:
            run = await suite.start_batch()
            await suite.until(run, lambda: any("concentrate" in path for path in run.running()))
            await suite.scans(60)
            leak = getattr(suite.sim.process, place)
            # Slow enough for the interlock on the permeate's two measurements not to see it.
            leak.rate_ml_per_s, leak.left_ml = 0.15, 0.03 * 1950.0
            assert await suite.finish(run) is State.COMPLETE
            assert leak.left_ml == 0.0

    run_virtual(main)
    (balance,) = liquid_balances(read_record(tmp_path, "B-0001"), HistoryReader(tmp_path / "history"))
    assert balance.closure is Closure.OPEN
    assert "does not close" in write_report(tmp_path, "B-0001").read_text(encoding="utf-8")


def test_without_a_leak_the_balance_of_the_report_closes(shipped: tuple[Path, dict[str, Any]]) -> None:
    data, _ = shipped
    (balance,) = liquid_balances(read_record(data, "B-0001"), HistoryReader(data / "history"))
    assert balance.closure is Closure.CLOSES


def pressure_and_flux(data: Path) -> tuple[float, float]:
    """Median TMP (psi) and flux (LMH) of the concentration, from five to seven minutes after its beginning."""
    element = read_record(data, "B-0001").elements["ultrafiltration/filtration/concentrate"]
    assert element.started is not None
    since = element.started + 300 * NS
    columns = HistoryReader(data / "history").raw(["TFF201.TMP", "TFF201.FLUX"], since, since + 120 * NS)
    return float(np.median(columns["TFF201.TMP"].v)), float(np.median(columns["TFF201.FLUX"].v))


def test_pressure_is_controlled_and_less_of_it_filters_less(
    tmp_path: Path, shipped: tuple[Path, dict[str, Any]]
) -> None:
    """J = (TMP - dPi)/(mu R) below the gel limit: flux follows the pressure, less than in proportion above it."""
    make(tmp_path / "data", tmp="2.5 psi", concentration="5 x", diavolumes="1 DV")
    usual, gentle = pressure_and_flux(shipped[0]), pressure_and_flux(tmp_path / "data")
    assert usual[0] == pytest.approx(4.0, abs=0.3)
    assert gentle[0] == pytest.approx(2.5, abs=0.3)
    assert 2.5 / 4.0 - 0.08 < gentle[1] / usual[1] < 0.95
