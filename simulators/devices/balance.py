"""The simulated balance: weighing, zero, tare, and its MT-SICS command set. No input or output and no clock."""

from __future__ import annotations

import math
import random
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

STABLE_DIGITS = 3
STABLE_OVER_S = 1.0
PATIENCE_S = 40.0
"""How long a command waits for a stable weight."""
REPEAT_S = 0.2
SETTLING_S = 0.25
_TARE_VALUE = re.compile(r"(\d{1,7}(?:\.\d{1,4})?) g")


@dataclass(frozen=True, slots=True)
class BalanceParameters:
    """Capacity, readability and noise in g."""

    capacity_g: float = 6000.0
    readability_g: float = 0.01
    noise_g: float = 0.004
    underload_g: float = -200.0
    model: str = "SIMBAL"
    serial: str = "0000000001"


class Balance:
    """One balance under a load. :meth:`reply` answers a line at once, :meth:`stream` gives what came due since."""

    def __init__(
        self, load_g: Callable[[], float], parameters: BalanceParameters | None = None, seed: str = ""
    ) -> None:
        """``load_g`` tells what stands on the pan, container included."""
        self.parameters = parameters or BalanceParameters()
        self.moved_g = 0.0
        """What a hand has put on the pan (or taken off it)."""
        self.overloaded = False
        self.zero_g = 0.0
        self.tare_g = 0.0
        self._load = load_g
        self._source = random.Random(seed)  # noqa: S311  noise, not a secret
        self._time_s = 0.0
        self._smooth_g = load_g()
        self._gross_g = 0.0
        self._window: deque[tuple[float, float]] = deque()
        self._waiting: tuple[str, float] | None = None
        self._repeat = ""
        self._next_repeat_s = 0.0
        self._sent_g = math.nan
        self._due: list[str] = []
        self._weigh(0.0)

    @property
    def net_g(self) -> float:
        """The weight on the display."""
        return self._round(self._gross_g - self.tare_g)

    @property
    def stable(self) -> bool:
        """Whether the weight stayed within a few digits over the last second."""
        weights = [weight for _, weight in self._window]
        return max(weights) - min(weights) <= (STABLE_DIGITS + 0.5) * self.parameters.readability_g

    @property
    def out_of_range(self) -> str:
        """'+' overload, '-' underload, '' within range."""
        if self.overloaded or self._gross_g + self.zero_g > self.parameters.capacity_g + 9 * self._digit:
            return "+"
        return "-" if self._gross_g < self.parameters.underload_g else ""

    def step(self, dt_s: float) -> None:
        """Let ``dt_s`` seconds of process time pass."""
        self._time_s += dt_s
        self._weigh(dt_s)
        self._finish_waiting()
        self._repeat_weight()

    def reply(self, line: str) -> list[str]:
        """The lines that answer one command line (without CRLF); a command that waits for stability answers later."""
        command, space, argument = line.partition(" ")
        if not line.isascii():
            return ["ET"]
        if space and not (argument and command == "TA"):
            return ["ES"]
        match command:
            case "S" | "T" | "Z":
                answers = self._when_stable(command)
            case "SI" | "SIR" | "SR":
                answers = [self._weight_now(command)]
            case "@":
                self._repeat, self._waiting, self._due = "", None, []
                answers = [self._identity]
            case _:
                answers = self._other(command, argument)
        return answers

    def stream(self) -> list[str]:
        """Lines that came due since the last call: answers of waiting commands, and repeated weights."""
        due, self._due = self._due, []
        return due

    def restart(self) -> None:
        """Come back from a loss of power: the load at that moment is the new zero, the tare is forgotten."""
        self._repeat, self._waiting, self._due = "", None, [self._identity]
        self.zero_g += self._gross_g
        self.tare_g = 0.0
        self._gross_g = 0.0
        self._window.clear()
        self._window.append((self._time_s, 0.0))

    def state(self) -> dict[str, float]:
        """What its own memory keeps without power."""
        return {"zero_g": self.zero_g, "tare_g": self.tare_g}

    def restore(self, state: dict[str, float]) -> None:
        """Put such a memory back. Raises KeyError for a state of another shape."""
        self.zero_g, self.tare_g = float(state["zero_g"]), float(state["tare_g"])
        self._window.clear()
        self._weigh(0.0)

    def _weigh(self, dt_s: float) -> None:
        load = self._load() + self.moved_g
        self._smooth_g += (load - self._smooth_g) * (1.0 - math.exp(-dt_s / SETTLING_S))
        if not self._window:
            self._smooth_g = load
        self._gross_g = self._source.gauss(self._smooth_g, self.parameters.noise_g) - self.zero_g
        # The entry before the window's start stays, so that a step longer than the window still compares two weights.
        while len(self._window) > 1 and self._window[1][0] <= self._time_s - STABLE_OVER_S:
            self._window.popleft()
        self._window.append((self._time_s, self._gross_g))

    @property
    def _digit(self) -> float:
        return self.parameters.readability_g

    def _round(self, grams: float) -> float:
        return round(grams / self._digit) * self._digit + 0.0

    def _value(self, grams: float) -> str:
        decimals = max(0, round(-math.log10(self._digit)))
        return f"{self._round(grams):10.{decimals}f} g"

    @property
    def _identity(self) -> str:
        return f'I4 A "{self.parameters.serial}"'

    def _when_stable(self, command: str) -> list[str]:
        self._repeat = ""
        self._waiting = (command, self._time_s + PATIENCE_S)
        self._finish_waiting()
        return self.stream()

    def _weight_now(self, command: str) -> str:
        self._repeat = "" if command == "SI" else command
        self._next_repeat_s, self._sent_g = self._time_s + REPEAT_S, self.net_g
        return self._weight_line()

    def _weight_line(self) -> str:
        if out := self.out_of_range:
            return f"S {out}"
        return f"S {'S' if self.stable else 'D'} {self._value(self.net_g)}"

    def _finish_waiting(self) -> None:
        if self._waiting is None:
            return
        command, until_s = self._waiting
        out = self.out_of_range
        if out:
            self._due.append(f"{command} {out}")
        elif self.stable:
            self._due.append(self._settled(command))
        elif self._time_s >= until_s:
            self._due.append(f"{command} I")
        else:
            return
        self._waiting = None

    def _settled(self, command: str) -> str:
        match command:
            case "T":
                self.tare_g = self._round(self._gross_g)
                return f"T S {self._value(self.tare_g)}"
            case "Z":
                self._zero()
                return "Z A"
            case _:
                return f"S S {self._value(self.net_g)}"

    def _repeat_weight(self) -> None:
        if not self._repeat or self._time_s < self._next_repeat_s - 1e-9:
            return
        if self._repeat == "SR" and (not self.stable or abs(self.net_g - self._sent_g) < self._digit / 2):
            return
        self._next_repeat_s = max(self._next_repeat_s, self._time_s - REPEAT_S) + REPEAT_S
        self._sent_g = self.net_g
        self._due.append(self._weight_line())

    def _zero(self) -> None:
        self.zero_g += self._gross_g
        self.tare_g = 0.0
        self._window = deque((time, weight - self._gross_g) for time, weight in self._window)
        self._gross_g = 0.0

    def _other(self, command: str, argument: str) -> list[str]:
        match command:
            case "ZI" | "TI":
                return [self._at_once(command)]
            case "TAC":
                self.tare_g = 0.0
                return ["TAC A"]
            case "TA":
                return [self._tare_memory(argument)]
            case _:
                return self._inquire(command)

    def _at_once(self, command: str) -> str:
        if out := self.out_of_range:
            return f"{command} {out}"
        mark = "S" if self.stable else "D"
        if command == "ZI":
            self._zero()
            return f"ZI {mark}"
        self.tare_g = self._round(self._gross_g)
        return f"TI {mark} {self._value(self.tare_g)}"

    def _tare_memory(self, argument: str) -> str:
        if argument:
            given = _TARE_VALUE.fullmatch(argument)
            if given is None or float(given[1]) > self.parameters.capacity_g:
                return "TA L"
            self.tare_g = self._round(float(given[1]))
        return f"TA A {self._value(self.tare_g)}"

    def _inquire(self, command: str) -> list[str]:
        p = self.parameters
        answers = {
            "I1": 'I1 A "01" "2.30" "2.22" "" ""',
            "I2": f'I2 A "{p.model} {p.capacity_g:.2f} g"',
            "I3": 'I3 A "1.00 simulated"',
            "I4": self._identity,
        }
        if command == "I0":
            last = len(_COMMANDS) - 1
            return [f'I0 {"A" if i == last else "B"} {level} "{name}"' for i, (level, name) in enumerate(_COMMANDS)]
        return [answers.get(command, "ES")]


_COMMANDS = (
    *((0, name) for name in ("@", "I0", "I1", "I2", "I3", "I4", "S", "SI", "SIR", "Z", "ZI")),
    *((1, name) for name in ("SR", "T", "TA", "TAC", "TI")),
)
