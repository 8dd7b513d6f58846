"""One control loop: its mode, its setpoint as asked for and in force, and its controller's memory."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from evcontrol.control.pid import Pid, Tuning
from evcontrol.plant.model import LoopAction, LoopSpec


class LoopMode(StrEnum):
    """What a loop does now."""

    OFF = "off"
    STARTING = "starting"  # waits for the scan that gives it its first readings
    AUTOMATIC = "automatic"
    CASCADE = "cascade"  # another loop sets its setpoint
    FAILED = "failed"  # an input is Bad: the failure action holds
    TRACKING = "tracking"  # the actuator is not the loop's now: the loop follows it


@dataclass(frozen=True, slots=True)
class LoopState:
    """How a loop stands; values in the units of the tags, None when off or not yet known.

    ``setpoint`` as asked for, ``working`` the one in force (of a ramp, a ratio or another loop); ``limit_high`` is the
    highest output allowed now, ``saturated`` 1 or -1 while the upper or lower limit holds the output back. ``note``
    says why a loop is not in automatic.
    """

    spec: LoopSpec
    mode: LoopMode
    setpoint: float | None
    working: float | None
    output: float | None
    limit_high: float
    saturated: int
    note: str


class Loop:
    """What the engine remembers of one loop. ``master`` is the loop that sets its setpoint to ``aim``, if any does."""

    def __init__(self, spec: LoopSpec) -> None:
        self.spec = spec
        self.pid = Pid(
            Tuning(spec.gain, spec.ti_s, spec.td_s, spec.action is LoopAction.REVERSE, spec.output_rate)
        )  # fmt: skip
        self.mode = LoopMode.OFF
        self.note = ""
        self.setpoint = 0.0
        self.working = 0.0
        self.limit_high = spec.output_high
        self.batch = ""
        self.path = ""
        self.last_t = 0
        self.master = ""
        self.aim = 0.0

    @property
    def runs(self) -> bool:
        """Whether it moves its output by itself."""
        return self.mode in (LoopMode.AUTOMATIC, LoopMode.CASCADE)

    @property
    def state(self) -> LoopState:
        """How it stands."""
        on = self.mode is not LoopMode.OFF
        known = self.runs
        return LoopState(
            self.spec,
            self.mode,
            self.setpoint if on else None,
            self.working if known else None,
            self.pid.output if known else None,
            self.limit_high,
            self.pid.saturated if known else 0,
            self.note,
        )

    def begin(self, mode: LoopMode) -> None:
        """Enter a mode that was asked for."""
        self.mode, self.note = mode, ""

    def advance(self, target: float, dt_s: float) -> None:
        """Bring the setpoint in force to ``target``, or towards it at the rate that the plant file allows."""
        rate = self.spec.setpoint_rate
        reach = rate * dt_s if rate > 0 else abs(target - self.working)
        self.working = min(max(target, self.working - reach), self.working + reach)
