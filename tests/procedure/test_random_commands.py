"""Random commands, faults, alarms and crashes: never a state outside the table, never an actuator left on."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from evcontrol.clock import VirtualClock, run_virtual
from evcontrol.journal.events import Kind
from evcontrol.journal.store import read_events, verify
from evcontrol.procedure.run import AFTER_OUTAGE, BatchRun
from evcontrol.procedure.start import StartRefusedError
from evcontrol.procedure.states import ACTIVE, AFTER_CRASH, FINAL, ON_DONE, Command, IllegalCommandError, State
from tests.batch.suite import OPERATOR, Suite
from tests.procedure.drive import LEVELS, RECIPE, install
from tests.procedure.test_states import LEGAL

UNIT = "TFF201"
STEPS = 60
SETTLED = 12
"""Scans after which the safe state must be proven (``safe_within`` of the plant and the valve's travel)."""
AT_REST = FINAL | {State.HELD, State.IDLE}
BELOW: dict[State, frozenset[State]] = {
    State.HELD: AT_REST | {State.STOPPING, State.ABORTING},
    State.PAUSED: AT_REST | {State.PAUSED, State.HOLDING, State.STOPPING, State.ABORTING},
    **{state: FINAL | {State.IDLE} for state in FINAL},
}
"""The states that what is inside an element may have, when the element itself is at rest."""


@pytest.fixture(autouse=True)
def _drive(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)


class Story:
    """One batch through ``STEPS`` random events."""

    def __init__(self, suite: Suite, chance: random.Random) -> None:
        self.suite = suite
        self.chance = chance
        self.batch = ""
        self.told: list[str] = []
        suite.answers["do b"] = True

    @property
    def run(self) -> BatchRun:
        """The batch of the engine that lives now."""
        return self.suite.engine.batches.runs[self.batch]

    async def tell(self) -> None:
        """Start, live through everything, and bring it to an end."""
        self.batch = (await self.suite.start_batch(RECIPE)).id
        steps = [self.command] * 8 + [self.wait] * 4 + [self.answer, self.trip, self.local, self.balance, self.crash]
        for _ in range(STEPS):
            if self.batch not in self.suite.engine.batches.runs or self.run.ended:
                break
            await self.chance.choice(steps)()
            self.check_tree()
        await self.finish()

    async def command(self) -> None:
        """Any command at any level; the table says whether it is taken."""
        path = self.chance.choice([*LEVELS.values(), "work/first/both/b", "work/second", "work/second/c"])
        command = self.chance.choice(list(Command))
        before = self.state(path)
        self.told.append(f"{command} {path} in {before}")
        legal = (before.value, command.value) in LEGAL and command not in (Command.START, Command.RESET)
        try:
            self.run.command(command, OPERATOR, "random", path)
        except IllegalCommandError:
            assert not legal, self.told
            assert self.state(path) is before
        except StartRefusedError:
            assert command in (Command.RESTART, Command.RESUME), self.told
            assert self.state(path) is before
        else:
            assert self.state(path) == LEGAL[before.value, command.value], self.told

    async def wait(self) -> None:
        """Let some scans pass; and when it was long enough, look at the equipment."""
        count = self.chance.choice([0, 1, 3, SETTLED])
        self.told.append(f"{count} scans")
        await self.suite.scans(count)
        if count == SETTLED:
            self.check_equipment()

    async def answer(self) -> None:
        self.told.append("answer")
        await self.suite.answer_all(self.run)

    async def trip(self) -> None:
        """The skid's controller restarts: an interlock trips, and the batch must not go on by itself."""
        self.told.append("controller restarts")
        self.suite.sim.skid.power_up()

    async def local(self) -> None:
        """Somebody works at the panel."""
        self.told.append("panel")
        self.suite.sim.skid.take_over(P102=500)
        await self.suite.scans(self.chance.choice([1, 4]))
        self.suite.sim.skid.hand_back()

    async def balance(self) -> None:
        """A balance is away for a while."""
        self.told.append("balance")
        link = self.suite.sim.balance_links[self.chance.choice(["WT-RET", "WT-PERM"])]
        link.plugged = False
        await self.suite.scans(self.chance.choice([1, 4]))
        link.plugged = True

    async def crash(self) -> None:
        """The engine dies, and another is started on what was on disk."""
        self.told.append("crash")
        self.suite.kill()
        await self.suite.bury()
        await self.suite.clock.sleep(self.chance.uniform(1.0, 40.0))
        await self.suite.start_engine()
        if self.batch in self.suite.engine.batches.runs and not self.run.ended:
            assert self.state("") in (State.HELD, State.STOPPING, State.ABORTING), self.told
            if self.chance.random() < 0.8:
                await self.suite.scans(3)
                await self.sign()

    async def finish(self) -> None:
        """Whatever happened: what has not ended can be taken up and completed."""
        suite = self.suite
        for _ in range(400):
            if self.batch not in suite.engine.batches.runs or self.run.ended:
                break
            await self.go_on()
            await suite.answer_all(self.run)
            await suite.scans(3)
        else:
            raise AssertionError(f"no way on: {self.told[-12:]}: {self.run.elements()}")
        await suite.scans(SETTLED)
        assert suite.engine.gate.lacks(UNIT) == [], "; ".join(self.told)

    async def go_on(self) -> None:
        """What an operator does: look what is possible, and let everything go on from the top."""
        if self.run.reconciliation_due:
            await self.sign()
        for element in self.run.elements():
            for command in (Command.RESTART, Command.RESUME):
                if command in element.commands:
                    try:
                        self.run.command(command, OPERATOR, "go on", element.path)
                    except StartRefusedError as refused:
                        self.told.append(str(refused))
                    return

    async def sign(self) -> None:
        try:
            await self.suite.sign(self.run)
        except StartRefusedError as refused:  # it has changed since, or cannot be read yet
            self.told.append(str(refused))

    def state(self, path: str) -> State:
        return next(State(e.state) for e in self.run.elements() if e.path == path)

    def check_tree(self) -> None:
        """What is inside an element at rest is at rest."""
        if self.batch not in self.suite.engine.batches.runs:
            return
        for element in self.run.root.walk():
            if element.parent is not None and element.parent.state in BELOW:
                assert element.state in BELOW[element.parent.state], (self.told, element.path, element.state)

    def check_equipment(self) -> None:
        """With every phase held or ended, the unit is where the plant file says it is safe; paused, nothing moves."""
        phases = [element for element in self.run.root.walk() if element.is_phase and element.bound.unit]
        begun = [phase for phase in phases if phase.state is not State.IDLE]
        if any(phase.state not in AT_REST for phase in phases):
            return
        if begun and begun[-1].state is not State.COMPLETE:
            assert self.suite.engine.gate.lacks(UNIT) == [], "; ".join(self.told)


def check_journal(data: Path) -> None:
    """Every change of every element is one of the table's, or the one way back after a crash."""
    states: dict[str, State] = {}
    for event in read_events(data / "journal"):
        if event.kind is not Kind.STATE_CHANGED:
            continue
        old, new, command = State(event.body["old"]), State(event.body["new"]), event.body["command"]
        assert states.get(event.path, State.IDLE) is old
        states[event.path] = new
        if command:
            assert LEGAL[old.value, command] == new, (event.path, old, new)
        elif event.body["reason"] == AFTER_OUTAGE and old in ACTIVE:
            ends = {t for (s, c), t in LEGAL.items() if s == old.value and c in ("stop", "abort")}
            assert new in {AFTER_CRASH[old], ON_DONE.get(old)} or new.value in ends, (event.path, old, new)
        elif old is State.IDLE:
            assert (event.path, new) == ("", State.ABORTED), "the engine died before the batch began"
        else:
            assert ON_DONE[old] is new, (event.path, old, new)
    assert verify(data / "journal").intact


@pytest.mark.parametrize("seed", [pytest.param(i, marks=[pytest.mark.full] if i >= 12 else []) for i in range(150)])
def test_no_history_leaves_the_table_or_an_actuator_on(tmp_path: Path, seed: int) -> None:
    async def main(clock: VirtualClock) -> None:
        async with Suite(tmp_path / "data", clock) as suite:
            await Story(suite, random.Random(seed)).tell()
        check_journal(suite.data)

    run_virtual(main)
