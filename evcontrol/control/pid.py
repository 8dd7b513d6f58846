"""A PID controller in ISA (standard) form as a pure calculation: no time, no tags, no output of its own.

    u = gain * (e + 1/Ti * integral(e) - Td * d(pv)/dt)      (Åström and Hägglund, Advanced PID Control, 2006, ch. 3)

with the derivative on the process value, filtered with Td/10. The integral stands still while the output is held back
by a limit or by its rate and would be driven further into it, so that it never winds up.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

DERIVATIVE_FILTER = 10.0
"""N of the derivative's first-order filter, time constant Td/N (Åström and Hägglund: 8 to 20)."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """Tuning of one controller.

    ``gain`` in output units per unit of process value, positive; ``reverse`` when the output falls as the process value
    rises, else it rises with it. ``ti_s`` and ``td_s`` in seconds, 0 = off; ``rate`` in output units per second, 0 =
    unlimited.
    """

    gain: float
    ti_s: float
    td_s: float
    reverse: bool
    rate: float = 0.0


class Pid:
    """The controller's memory: integral, filtered derivative and last output, all in output units."""

    __slots__ = ("_derivative", "_integral", "_last_pv", "_sign", "_tuning", "output", "saturated")

    def __init__(self, tuning: Tuning) -> None:
        self._tuning = tuning
        self._sign = 1.0 if tuning.reverse else -1.0
        self._integral = 0.0
        self._derivative = 0.0
        self._last_pv = 0.0
        self.output = 0.0
        self.saturated = 0
        """1 while the upper limit holds the output back, -1 while the lower one does."""

    def track(self, output: float, pv: float, setpoint: float) -> None:
        """Take over bumplessly: the next output continues from ``output``, whatever the error is now."""
        self.output, self.saturated = output, 0
        self._last_pv = pv
        self._derivative = 0.0
        self._integral = output - self._proportional(pv, setpoint)

    def update(self, pv: float, setpoint: float, dt_s: float, low: float, high: float) -> float:
        """The output after ``dt_s`` seconds, within ``low`` and ``high`` and the rate.

        An output outside the limits comes in at the permitted rate. ValueError when ``dt_s`` is not positive.
        """
        if not dt_s > 0:
            raise ValueError(f"a step of {dt_s} s is not possible")
        step = self._integral_step(pv, setpoint, dt_s)
        without = self._proportional(pv, setpoint) + self._derive(pv, dt_s)
        wanted = without + self._integral + step
        output = self._limited(wanted, dt_s, low, high)
        if (wanted - output) * step <= 0:
            self._integral += step
        self.output = output
        self.saturated = (wanted > high) - (wanted < low)
        return output

    def _proportional(self, pv: float, setpoint: float) -> float:
        return self._sign * self._tuning.gain * (setpoint - pv)

    def _integral_step(self, pv: float, setpoint: float, dt_s: float) -> float:
        ti = self._tuning.ti_s
        return self._proportional(pv, setpoint) * dt_s / ti if ti > 0 else 0.0

    def _derive(self, pv: float, dt_s: float) -> float:
        """Backward difference of the filtered derivative: stable for every step."""
        td = self._tuning.td_s
        if td > 0:
            lag = td / DERIVATIVE_FILTER
            change = -self._sign * self._tuning.gain * td * (pv - self._last_pv)
            self._derivative = (lag * self._derivative + change) / (lag + dt_s)
        self._last_pv = pv
        return self._derivative

    def _limited(self, wanted: float, dt_s: float, low: float, high: float) -> float:
        reach = self._tuning.rate * dt_s if self._tuning.rate > 0 else inf
        within = min(max(wanted, low), high)
        return min(max(within, self.output - reach), self.output + reach)
