"""The moving parts: pumps with lag, valves with travel time. They may be stuck or coast."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(slots=True)
class Motor:
    """A pump (rpm or mL/min): follows its target with a first-order lag, and brakes faster than it starts."""

    lag_s: float
    brake_s: float
    target: float = 0.0
    speed: float = 0.0
    coasting_s: float = 0.0
    """Time constant of running down after a stop when the brake has failed; 0 is healthy."""
    mean: float = 0.0
    """Mean speed over the last move, so that what was pumped does not depend on the length of the steps."""

    def move(self, h: float) -> None:
        """Run for h seconds."""
        lag = max(self.coasting_s, self.brake_s) if self.target <= 0.0 else self.lag_s
        gained = (self.target - self.speed) * (1.0 - math.exp(-h / lag))
        self.mean = self.target - gained * lag / h
        self.speed += gained
        if self.target <= 0.0 and self.speed < 0.05:
            self.speed = 0.0


@dataclass(slots=True)
class Valve:
    """A valve (0 shut .. 1 open): travels at constant speed to its target."""

    travel_s: float
    target: float = 0.0
    position: float = 0.0
    stuck: bool = False

    def move(self, h: float) -> None:
        """Travel for h seconds."""
        if self.stuck or self.position == self.target:
            return
        step = h / self.travel_s
        self.position += max(-step, min(step, self.target - self.position))


@dataclass(slots=True)
class Selector:
    """A selector valve: leaves its port at once and reaches the next after its travel time; shut meanwhile."""

    travel_s: float
    target: int = 0
    position: int = 0
    left_s: float = 0.0
    stuck: bool = False

    def move(self, h: float) -> None:
        """Turn for h seconds."""
        if self.stuck:
            return
        if self.position == self.target:
            self.left_s = self.travel_s
            return
        if self.position != 0:
            self.position = 0
            self.left_s = self.travel_s
        self.left_s -= h
        if self.left_s <= 0.0:
            self.position = self.target
