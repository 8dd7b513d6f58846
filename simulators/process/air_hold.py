"""Air pressed into the shut feed side of a module by hand, for its integrity test: it decays as the module leaks."""

from __future__ import annotations

import math
from dataclasses import dataclass

TIGHT_PER_S = 1.0e-4
"""Share of the pressure that diffuses away per second through a whole membrane: 3 % in five minutes."""
VENTS_FROM = 0.02
"""Opening of the retentate valve from which on the air escapes."""


@dataclass(slots=True)
class AirHold:
    """Pressure (Pa above the air) and its decay (1/s)."""

    pressure_pa: float = 0.0
    decay_per_s: float = TIGHT_PER_S

    def hold(self, h: float, opening: float, flows: bool) -> None:
        """Let h seconds pass with the retentate valve so far open; liquid that flows takes the air with it."""
        if flows or opening > VENTS_FROM:
            self.pressure_pa = 0.0
        else:
            self.pressure_pa *= math.exp(-self.decay_per_s * h)
