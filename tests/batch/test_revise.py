"""Changing what has not begun of a running batch: signed, with what ran locked, and kept after a crash."""

from __future__ import annotations

import asyncio
import contextlib
import random
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from evcontrol.access.people import AccessError
from evcontrol.batch import revise as module
from evcontrol.batch import steer
from evcontrol.batch.export import write_export
from evcontrol.batch.record import check_record, read_record
from evcontrol.batch.report import report
from evcontrol.batch.revise import Plan
from evcontrol.batch.wording import about
from evcontrol.clock import VirtualClock, run_virtual
from evcontrol.history.reader import HistoryReader
from evcontrol.journal.events import Event, Kind
from evcontrol.journal.store import read_events
from evcontrol.procedure.life_cycle import Decision
from evcontrol.procedure.run import BatchRun
from evcontrol.procedure.states import Command, State
from evcontrol.procedure.stepping import SteeringError
from evcontrol.yaml_source import SourceError
from tests.batch.suite import OPERATOR, PASSWORD, RECIPE, Suite
from tests.procedure.test_mutated_recipes import tokens
from tests.procedure.test_structure import recipe, to_end

SHIPPED = RECIPE.read_text(encoding="utf-8")
STEPS = """
- phase: wait
  name: one
  with: {time: 60 s}
- parallel: both
  steps:
    - phase: wait
      name: two
      with: {time: 300 s}
    - phase: wait
      name: later
      when: tff.LT < high for 200 s
      with: {time: 10 s}
- loop: again
  times: passes
  steps:
    - phase: wait
      name: pass
      with: {time: 100 s}
- phase: wait
  name: last
  with: {time: 50 s}
"""
TEXT = recipe(STEPS)
Story = Callable[[Suite, BatchRun], Awaitable[None]]


def tell(data: Path, story: Story, there: str, text: str = TEXT, kind: str = "") -> list[Event]:
    """A batch of ``text`` until an element whose path ends so runs, then the story; returns all events."""

    async def main(clock: VirtualClock) -> None:
        async with Suite(data / "data", clock) as suite:
            run = await suite.start_batch(text)
            await suite.until(run, lambda: any(path.endswith(there) for path in run.running()))
            await suite.scans(5)
            await story(suite, run)

    run_virtual(main)
    return list(read_events(max(data.glob("data*"), key=lambda one: len(one.name)) / "journal"))


async def revise(suite: Suite, run: BatchRun, text: str, roles: str = "supervisor") -> None:
    engine = suite.engine
    if engine.people.get(roles) is None:
        engine.people.add(roles, roles, [roles], PASSWORD)
    session, _ = await engine.sessions.open(roles, PASSWORD, "station 1")
    shown = (await engine.revising.plan(run.id, text, "new.yaml")).shown_hash
    await engine.revising.revise(run.id, text, "new.yaml", shown, session, PASSWORD, "it foams")


def changed(text: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


LAST = "      - phase: wait\n        name: last\n"
MORE = "      - phase: wait\n        name: more\n        with: {time: 30 s}\n"
WHEN = ("\n            when: tff.LT < high for 200 s", "")
NEW = changed(
    TEXT, ("time: 100 s", "time: 200 s"), ("\n            when: tff.LT < high for 200 s", ""), (LAST, MORE + LAST)
)


def started(events: list[Event]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for event in events:
        if event.kind is Kind.STATE_CHANGED and event.body["command"] == "start":
            found.setdefault(event.path.rpartition("/")[2], []).append(event.t // 1_000_000_000)
    return found


def test_what_has_not_begun_runs_as_the_revision_says(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        await revise(suite, run, NEW)
        await to_end(suite, run)
        assert run.state is State.COMPLETE, run.reason
        assert run.info.revision == 1

    events = tell(tmp_path, story, "two")
    times = started(events)
    assert [len(times[name]) for name in ("one", "two", "later", "pass", "more", "last")] == [1, 1, 1, 3, 1, 1]
    assert times["pass"][1] - times["pass"][0] == pytest.approx(200, abs=2)
    (revised,) = [event for event in events if event.kind is Kind.BATCH_REVISED]
    assert revised.actor == "user:supervisor"
    assert revised.body["differences"] == [
        "all/more added after again (phase wait, time 30 s)",
        "all/both/later: when tff.LT < high for 200 s -> none",
        "all/again/pass: with time 100 s -> 200 s",
    ]
    (signature,) = [e for e in events if e.kind is Kind.SIGNATURE]
    assert signature.body["subject"] == "revision 1 of B-0001"
    assert events.index(signature) < events.index(revised)


def test_what_runs_is_not_begun_anew(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        before = {e.path: e for e in run.root.walk() if e.active}
        await revise(suite, run, NEW)
        assert {e.path: e for e in run.root.walk() if e.active and e.path in before} == before

    assert len(started(tell(tmp_path, story, "two"))["two"]) == 1


@pytest.mark.parametrize(
    ("there", "change", "told"),
    [
        ("two", ("time: 60 s", "time: 61 s"), r"all/one: with time 60 s -> 61 s, and it is Complete"),
        ("two", ("time: 300 s", "time: 30 s"), r"all/both/two: with time 300 s -> 30 s, and it is Running"),
        ("two", ("name: two", "name: other"), r"all/both/two is left out, and it is Running"),
        ("two", ("parallel: both", "parallel: apart"), r"all/both is left out, and it is Running"),
        ("two", ("      - phase: wait\n        name: one\n", "      - phase: wait\n        name: zero\n        "
         "with: {time: 1 s}\n      - phase: wait\n        name: one\n"), "what has begun comes first: one, both"),
        ("pass", ("time: 100 s", "time: 99 s"), "all/again/pass: with time 100 s -> 99 s, and it is Running"),
        ("pass", ('value: "3"', 'value: "4"'), "all/again: passes 3 -> 4, and it is Running"),
        ("pass", ("product: P", "product: Q"), "product: P -> Q, and that holds for the whole batch"),
        ("two", ("version: 1.0.0", "version: 1.0.0\nhold_level: phase"), "hold_level: procedure -> phase"),
        ("two", ("unit_procedure: all\n    unit: tff", "unit_procedure: all\n    unit: tff\n    on: "
         "[{failure: yes, do: stop}]"), "all: handler added: on failure: stop, and it is Running"),
    ],
)  # fmt: skip
def test_what_has_begun_is_locked(tmp_path: Path, there: str, change: tuple[str, str], told: str) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        before = [e.path for e in run.elements()]
        with pytest.raises(SteeringError, match=told):
            await revise(suite, run, changed(TEXT, change))
        assert ([e.path for e in run.elements()], run.info.revision) == (before, 0)

    assert not [e for e in tell(tmp_path, story, there) if e.kind in (Kind.BATCH_REVISED, Kind.SIGNATURE)]


def test_a_breakpoint_goes_with_what_it_stood_before(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        run.set_stepping(False, ["all/both/later", "all/last"], OPERATOR, "a look")
        await revise(suite, run, changed(TEXT, ("name: last", "name: final")))
        assert run.stepping.breakpoints == {"all/both/later"}
        suite.kill()
        await suite.bury()
        await suite.start_engine()
        assert suite.engine.batches.runs[run.id].stepping.breakpoints == {"all/both/later"}

    tell(tmp_path, story, "two")


def test_a_wrong_recipe_the_same_one_and_somebody_who_may_not_are_refused(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        with pytest.raises(SourceError, match="has no argument"):
            await revise(suite, run, changed(TEXT, ("time: 50 s", "tme: 50 s")))
        with pytest.raises(SteeringError, match="this very text"):
            await revise(suite, run, TEXT)
        with pytest.raises(AccessError):
            await revise(suite, run, NEW, "engineer")
        session, _ = await suite.engine.sessions.open("engineer", PASSWORD, "station 1")
        with pytest.raises(SteeringError, match="look at it again"):
            await suite.engine.revising.revise(run.id, NEW, "new.yaml", "0" * 64, session, PASSWORD, "x")
        assert run.info.revision == 0

    tell(tmp_path, story, "two")


def test_what_begins_while_the_password_is_checked_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        honest = module.sign

        async def slow(*args: object) -> object:
            await suite.until(run, lambda: any(path.endswith("pass") for path in run.running()))
            return await honest(*args)

        monkeypatch.setattr(module, "sign", slow)
        with pytest.raises(SteeringError, match="all/again/pass: with time"):
            await revise(suite, run, changed(TEXT, ("time: 100 s", "time: 200 s")))

    assert not [e for e in tell(tmp_path, story, "two") if e.kind in (Kind.BATCH_REVISED, Kind.SIGNATURE)]


def test_of_two_changes_at_once_the_later_one_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = changed(TEXT, ("high: {value", "high: {live: yes, value"))

    async def story(suite: Suite, run: BatchRun) -> None:
        engine = suite.engine
        engine.people.add("supervisor", "S", ["supervisor"], PASSWORD)
        session, _ = await engine.sessions.open("supervisor", PASSWORD, "station 1")
        honest = module.sign

        async def slow(*args: object) -> object:
            await suite.scans(1)
            return await honest(*args)

        monkeypatch.setattr(module, "sign", slow)
        monkeypatch.setattr(steer, "sign", slow)

        def change(value: str) -> Awaitable[None]:
            return engine.steering.change_parameter(run.id, "high", value, session, PASSWORD, "x")

        new = changed(text, ("time: 50 s", "time: 51 s"))
        told = await asyncio.gather(change("6 %v/v"), revise(suite, run, new), return_exceptions=True)
        assert [str(one) for one in told if one is not None] == ["B-0001 was changed meanwhile: look at it again"]
        told = await asyncio.gather(change("7 %v/v"), change("8 %v/v"), return_exceptions=True)
        assert [str(one) for one in told if one is not None] == ["B-0001 was changed meanwhile: look at it again"]
        assert run.control.parameters["high"] == "7 %v/v"

    tell(tmp_path, story, "two", text)


def test_a_revised_batch_outlives_its_engine(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        await revise(suite, run, NEW)
        suite.kill()
        await suite.bury()
        await suite.clock.sleep(20.0)
        await suite.start_engine()
        again = suite.engine.batches.runs[run.id]
        assert (again.state, again.info.revision) == (State.HELD, 1)
        assert [e.path for e in again.elements()] == [e.path for e in run.elements()]
        await suite.sign(again)
        await suite.engine.batches.command(again.id, Command.RESTART, OPERATOR, "goes on")
        await to_end(suite, again)
        assert again.state is State.COMPLETE, again.reason

    times = started(tell(tmp_path, story, "two"))
    assert [len(times[name]) for name in ("one", "pass", "more", "last")] == [1, 3, 1, 1]


def test_a_gmp_batch_goes_on_with_an_approved_recipe_only(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        async with Suite(tmp_path / "data", clock) as suite:
            engine = suite.engine
            engine.people.add("quentin", "Quentin", ["quality"], PASSWORD)
            quentin, _ = await engine.sessions.open("quentin", PASSWORD, "office")

            async def approve(text: str) -> None:
                view = await engine.approval.submit(text, "r.yaml", "better", OPERATOR)
                await engine.approval.decide(view.hash, Decision.APPROVE, quentin, PASSWORD, "looked at")

            await approve(TEXT)
            run = await engine.batches.start(TEXT, "r.yaml", {}, "test", "", OPERATOR, "gmp")
            await suite.scans(5)
            new = changed(NEW, ("version: 1.0.0", "version: 1.1.0"))
            with pytest.raises(SteeringError, match=r"Structure 1\.1\.0 .* is not approved"):
                await revise(suite, run, new)
            await approve(new)
            await revise(suite, run, new)
            assert (run.info.revision, run.info.recipe_state) == (1, "approved")

    run_virtual(main)


def test_a_real_filtration_is_revised_and_its_record_tells_it(tmp_path: Path) -> None:
    """Six diavolumes become two while the medium is concentrated."""
    new = changed(SHIPPED, ("value: 6 DV", "value: 2 DV"), ("version: 1.0.0", "version: 1.0.1"))

    async def story(suite: Suite, run: BatchRun) -> None:
        await revise(suite, run, new)
        assert run.control.parameters["diavolumes"] == "2 DV"
        await suite.finish(run)
        assert run.state is State.COMPLETE, run.reason

    tell(tmp_path, story, "concentrate", SHIPPED)
    data = tmp_path / "data"
    record = read_record(data, "B-0001")
    done = {r.name: r.value for r in record.elements["ultrafiltration/filtration/diafilter"].results}
    assert done["diavolumes"] == pytest.approx(2.0, abs=0.05)
    assert [p.value for p in record.parameters if p.name == "diavolumes"] == ["2 DV"]
    told = [about(event, {}) for event in record.actions if event.kind is Kind.BATCH_REVISED]
    assert told == ["revision 1: recipe: version 1.0.0 -> 1.0.1; parameter diavolumes: value 6 DV -> 2 DV (it foams)"]
    found = check_record(data, record)
    assert found.intact, found.faults
    page = report(record, found, HistoryReader(data / "history"))
    assert "Text of revision 1" in page
    assert "parameter diavolumes: value 6 DV -&gt; 2 DV" in page
    with zipfile.ZipFile(write_export(data, "B-0001", tmp_path / "out.zip")) as packed:
        assert packed.read("recipe-revision-1.yaml").decode() == new
        assert packed.read("recipe.yaml").decode() == SHIPPED


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_changed_at_whatever_moment_what_ran_stays_as_it_was(tmp_path: Path, seed: int) -> None:
    """Mutated texts at random moments: refused with words, or taken; nothing that began is lost or begun again."""
    chance, taken, refused = random.Random(seed), 0, 0

    async def story(suite: Suite, run: BatchRun) -> None:
        nonlocal taken, refused
        engine = suite.engine
        engine.people.add("supervisor", "S", ["supervisor"], PASSWORD)
        session, _ = await engine.sessions.open("supervisor", PASSWORD, "station 1")
        text = TEXT
        for _ in range(20):
            if run.state is not State.RUNNING:
                break
            await suite.scans(chance.randrange(1, 60))
            await suite.answer_all(run)
            new, plan = await one_that_is_a_recipe(suite, run, text, chance)
            before = {e.path: e for e in run.root.walk() if e.begun}
            signed = (run.id, new, "new.yaml", plan.shown_hash, session, PASSWORD, "x")
            if plan.obstacles:
                with pytest.raises(SteeringError):
                    await engine.revising.revise(*signed)
                refused += 1
                continue
            await engine.revising.revise(*signed)
            after = {e.path: e for e in run.root.walk()}
            assert all(after[path] is element for path, element in before.items())
            assert [e.path for e in run.elements()] == [b.step.path for b in run.control.procedure.walk()]
            text, taken = new, taken + 1

    events = tell(tmp_path, story, "two")
    assert taken + refused > 4
    times = started(events)
    assert (len(times["one"]), len(times["two"])) == (1, 1)
    assert [e.body["revision"] for e in events if e.kind is Kind.BATCH_REVISED] == list(range(1, taken + 1))


async def one_that_is_a_recipe(suite: Suite, run: BatchRun, text: str, chance: random.Random) -> tuple[str, Plan]:
    while True:
        new = tokens(text, chance)
        with contextlib.suppress(SourceError):
            return new, await suite.engine.revising.plan(run.id, new, "new.yaml")
