import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcontrol.procedure.states import (
    ACTIVE,
    AFTER_CRASH,
    FINAL,
    ON_DONE,
    TRANSIENT,
    Command,
    IllegalCommandError,
    State,
    after,
    allowed_commands,
)

# ISA-88 (IEC 61512-1), written out by name: command, where it may be given, where it leads.
PAUSE_STATES = "Pausing Paused"
TABLE = [
    ("start", "Idle", "Running"),
    ("hold", f"Running Restarting {PAUSE_STATES}", "Holding"),
    ("restart", "Held", "Restarting"),
    ("stop", f"Running Holding Held Restarting {PAUSE_STATES}", "Stopping"),
    ("abort", f"Running Holding Held Restarting {PAUSE_STATES} Stopping", "Aborting"),
    ("reset", "Complete Stopped Aborted", "Idle"),
    ("pause", "Running", "Pausing"),
    ("resume", "Paused", "Running"),
]
ENDS = {
    "Running": "Complete",
    "Holding": "Held",
    "Restarting": "Running",
    "Stopping": "Stopped",
    "Aborting": "Aborted",
    "Pausing": "Paused",
}
ALL_STATES = [*ENDS, "Idle", "Complete", "Paused", "Held", "Stopped", "Aborted"]
HELD_AFTER_CRASH = {"Running", "Pausing", "Paused", "Holding", "Held", "Restarting"}
ALL_COMMANDS = [command for command, _, _ in TABLE]
LEGAL = {(source, command): target for command, sources, target in TABLE for source in sources.split()}
PAIRS = list(itertools.product(ALL_STATES, ALL_COMMANDS))


def test_states_and_commands_are_those_of_the_table() -> None:
    assert sorted(State) == sorted(ALL_STATES)
    assert sorted(Command) == sorted(ALL_COMMANDS)


@pytest.mark.parametrize(("state", "command"), [pair for pair in PAIRS if pair in LEGAL])
def test_a_legal_command_leads_where_the_table_says(state: str, command: str) -> None:
    assert after(State(state), Command(command)) is State(LEGAL[state, command])
    assert Command(command) in allowed_commands(State(state))


@pytest.mark.parametrize(("state", "command"), [pair for pair in PAIRS if pair not in LEGAL])
def test_an_illegal_command_is_refused_with_what_is_possible(state: str, command: str) -> None:
    with pytest.raises(IllegalCommandError) as refused:
        after(State(state), Command(command), "phase diafilter")
    assert Command(command) not in allowed_commands(State(state))
    assert (refused.value.state, refused.value.command) == (State(state), Command(command))
    possible = ", ".join(sorted(c for s, c in LEGAL if s == state)) or "none"
    assert str(refused.value) == f"phase diafilter is {state}: {command} is not possible now (possible: {possible})"


def test_transient_states_end_where_the_table_says() -> None:
    assert {state.value: end.value for state, end in ON_DONE.items()} == ENDS
    assert {state.value for state in TRANSIENT} == set(ENDS)


def test_every_state_is_idle_active_or_final() -> None:
    assert {state.value for state in FINAL} == {"Complete", "Stopped", "Aborted"}
    assert FINAL | ACTIVE | {State.IDLE} == frozenset(State)
    assert not FINAL & ACTIVE
    assert State.IDLE not in ACTIVE


def test_after_a_crash_what_ran_is_held_and_what_was_ending_ends() -> None:
    assert {state.value: after_crash.value for state, after_crash in AFTER_CRASH.items()} == {
        state: "Held" if state in HELD_AFTER_CRASH else state for state in ALL_STATES
    }


@given(st.lists(st.sampled_from([*ALL_COMMANDS, "done", "crash"]), max_size=60))
def test_any_history_stays_within_the_table(history: list[str]) -> None:
    state, expected = State.IDLE, "Idle"
    for what in history:
        if what == "done":
            state, expected = ON_DONE.get(state, state), ENDS.get(expected, expected)
        elif what == "crash":
            state = AFTER_CRASH[state]
            expected = "Held" if expected in HELD_AFTER_CRASH else expected
        elif (expected, what) in LEGAL:
            state, expected = after(state, Command(what)), LEGAL[expected, what]
        else:
            with pytest.raises(IllegalCommandError):
                after(state, Command(what))
        assert state.value == expected


def test_stop_and_abort_end_every_active_element() -> None:
    for state in ACTIVE - {State.STOPPING, State.ABORTING}:
        assert ON_DONE[after(state, Command.STOP)] is State.STOPPED
    for state in ACTIVE - {State.ABORTING}:
        assert ON_DONE[after(state, Command.ABORT)] is State.ABORTED
