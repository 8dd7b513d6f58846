"""Sensors: noise, and the ways in which a sensor lies (frozen, drifting, off)."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass


@dataclass(slots=True)
class Sensor:
    """One measured point.

    ``noise`` is a standard deviation in the point's unit; a reading nearer to 0 than ``cut_off`` is 0; ``frozen`` holds
    the last reading; a ``failed`` one has none.
    """

    noise: float
    cut_off: float
    source: random.Random
    reading: float = 0.0
    frozen: bool = False
    offset: float = 0.0
    drift_per_s: float = 0.0
    drifted: float = 0.0
    extra_noise: float = 0.0
    failed: bool = False

    def read(self, truth: float, dt_s: float) -> float:
        """Take a reading after ``dt_s`` seconds."""
        self.drifted += self.drift_per_s * dt_s
        if not self.frozen:
            spread = math.hypot(self.noise, self.extra_noise) if self.extra_noise else self.noise
            reading = self.source.gauss(truth, spread) + self.offset + self.drifted
            self.reading = 0.0 if abs(reading) < self.cut_off else reading
        return self.reading

    def shown(self, truth: float) -> float:
        """What it would show without its noise, which a controller's filter takes away."""
        return self.reading if self.frozen else truth + self.offset + self.drifted

    def drift(self, per_s: float) -> None:
        """Begin to drift, or come back to the truth (0)."""
        self.drift_per_s = per_s
        if per_s == 0.0:
            self.drifted = 0.0
