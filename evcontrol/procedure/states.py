"""ISA-88 procedural states, commands and the transitions between them (ISA-88.00.01, 6.4; IEC 61512-1).

The same machine holds at every level: procedure, unit procedure, operation, phase.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """States of a procedural element."""

    IDLE = "Idle"
    RUNNING = "Running"
    COMPLETE = "Complete"
    PAUSING = "Pausing"
    PAUSED = "Paused"
    HOLDING = "Holding"
    HELD = "Held"
    RESTARTING = "Restarting"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    ABORTING = "Aborting"
    ABORTED = "Aborted"


class Command(StrEnum):
    """Commands to a procedural element."""

    START = "start"
    HOLD = "hold"
    RESTART = "restart"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    ABORT = "abort"
    RESET = "reset"


TRANSIENT: Final = frozenset(
    {State.RUNNING, State.PAUSING, State.HOLDING, State.RESTARTING, State.STOPPING, State.ABORTING}
)
"""States that end by themselves."""

FINAL: Final = frozenset({State.COMPLETE, State.STOPPED, State.ABORTED})
"""States that only Reset leaves."""

ACTIVE: Final = frozenset(State) - FINAL - {State.IDLE}
"""States of an element that has begun and not ended."""

_STOPPABLE: Final = (
    State.RUNNING,
    State.PAUSING,
    State.PAUSED,
    State.HOLDING,
    State.HELD,
    State.RESTARTING,
)

ON_COMMAND: Final[dict[tuple[State, Command], State]] = {
    (State.IDLE, Command.START): State.RUNNING,
    (State.RUNNING, Command.PAUSE): State.PAUSING,
    (State.PAUSED, Command.RESUME): State.RUNNING,
    **{
        (state, Command.HOLD): State.HOLDING for state in (State.RUNNING, State.RESTARTING, State.PAUSING, State.PAUSED)
    },
    (State.HELD, Command.RESTART): State.RESTARTING,
    **{(state, Command.STOP): State.STOPPING for state in _STOPPABLE},
    **{(state, Command.ABORT): State.ABORTING for state in (*_STOPPABLE, State.STOPPING)},
    **{(state, Command.RESET): State.IDLE for state in FINAL},
}
"""Where a command leads; a pair that is missing is refused."""

ON_DONE: Final[dict[State, State]] = {
    State.RUNNING: State.COMPLETE,
    State.PAUSING: State.PAUSED,
    State.HOLDING: State.HELD,
    State.RESTARTING: State.RUNNING,
    State.STOPPING: State.STOPPED,
    State.ABORTING: State.ABORTED,
}
"""Where a transient state leads when its work is done."""

AFTER_CRASH: Final[dict[State, State]] = {
    **{state: state for state in State},
    State.RUNNING: State.HELD,
    State.PAUSING: State.HELD,
    State.PAUSED: State.HELD,
    State.HOLDING: State.HELD,
    State.RESTARTING: State.HELD,
}
"""How an element comes back after its engine died; Stopping and Aborting are finished then."""


class IllegalCommandError(ValueError):
    """A command that the state does not allow."""

    def __init__(self, state: State, command: Command, what: str = "", never: Collection[Command] = ()) -> None:
        allowed = ", ".join(sorted(c.value for c in allowed_commands(state) if c not in never)) or "none"
        super().__init__(f"{what or 'element'} is {state}: {command} is not possible now (possible: {allowed})")
        self.state = state
        self.command = command


def allowed_commands(state: State) -> frozenset[Command]:
    """The commands that ``state`` accepts."""
    return frozenset(command for (source, command) in ON_COMMAND if source is state)


def targets(state: State) -> frozenset[State]:
    """The states that commands lead to from ``state``."""
    return frozenset(target for (source, _), target in ON_COMMAND.items() if source is state)


def after(state: State, command: Command, what: str = "", never: Collection[Command] = ()) -> State:
    """The state that ``command`` leads to; IllegalCommandError when it is not possible in ``state``.

    ``never`` are commands that the element does not take in any state.
    """
    if command in never or (state, command) not in ON_COMMAND:
        raise IllegalCommandError(state, command, what, never)
    return ON_COMMAND[state, command]
