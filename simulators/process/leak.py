"""A leak: loses liquid at a rate until its total is lost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Leak:
    """Rate in mL/s (0 is tight) and what it still loses in mL."""

    rate_ml_per_s: float = 0.0
    left_ml: float = 0.0

    def lose(self, h: float, available_ml: float) -> float:
        """How many mL it loses in h seconds of what flows or stands there."""
        if self.rate_ml_per_s <= 0.0:
            return 0.0
        lost = min(self.rate_ml_per_s * h, self.left_ml, available_ml)
        self.left_ml -= lost
        if self.left_ml <= 1e-9:
            self.rate_ml_per_s = 0.0
        return lost
