"""Faults in time: those of a file, which come at their hour, and those that a tester causes and ends by command."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from simulators.culture_faults import CultureFault
from simulators.fault_models import Fault as SkidFault
from simulators.fault_models import FaultError
from simulators.instrument_faults import InstrumentFault
from simulators.line_faults import InstrumentLineFault
from simulators.plant import TffPlant

Fault = Annotated[SkidFault | CultureFault | InstrumentLineFault | InstrumentFault, Field(discriminator="kind")]
"""Any fault of any plant, told apart by ``kind``."""
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class TimedFault(BaseModel):
    """A fault that begins ``at_s`` of process time after the plant was new, and lasts ``for_s`` (else for ever)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at_s: Seconds
    for_s: Seconds | None = None
    fault: Fault


@dataclass(frozen=True, slots=True)
class ActiveFault:
    """A fault that is on, until ``until_s`` of process time or until somebody ends it."""

    number: int
    fault: Fault
    until_s: float | None


class Faults:
    """What is wrong with one plant now, and what will be."""

    def __init__(self, plant: TffPlant, timed: Iterable[TimedFault] = ()) -> None:
        """Timed faults whose hour is over (of a plant that was restored) are not caused again.

        FaultError when one of them is of something that the plant does not have.
        """
        self._plant = plant
        timed = list(timed)
        for one in timed:
            one.fault.fit(plant)
        self._timed = sorted(
            (t for t in timed if plant.time_s == 0.0 or t.at_s > plant.time_s + 1e-9), key=lambda t: t.at_s
        )
        self._active: dict[int, ActiveFault] = {}
        self._last = 0

    @property
    def active(self) -> tuple[ActiveFault, ...]:
        """Those that are on."""
        return tuple(self._active.values())

    @property
    def next_s(self) -> float | None:
        """The process time at which something begins or ends by itself."""
        ends = [a.until_s for a in self._active.values() if a.until_s is not None]
        begins = [t.at_s for t in self._timed[:1]]
        return min(ends + begins, default=None)

    def keep_time(self) -> None:
        """End and begin what is due at the plant's time."""
        now = self._plant.time_s
        for active in self.active:
            if active.until_s is not None and now >= active.until_s - 1e-9:
                self.end(active.number)
        while self._timed and now >= self._timed[0].at_s - 1e-9:
            due = self._timed.pop(0)
            self.begin(due.fault, due.for_s)

    def begin(self, fault: Fault, for_s: float | None = None) -> int:
        """Cause a fault, for some seconds or until :meth:`end`; returns its number. FaultError when it cannot be."""
        fault.check()
        fault.fit(self._plant)
        fault.begin(self._plant)
        self._last += 1
        until = None if for_s is None else self._plant.time_s + for_s
        self._active[self._last] = ActiveFault(self._last, fault, until)
        return self._last

    def end(self, number: int) -> None:
        """End a fault. FaultError when there is none of that number."""
        active = self._active.pop(number, None)
        if active is None:
            raise FaultError(f"there is no fault {number}")
        active.fault.end(self._plant)

    def end_all(self) -> None:
        """End every fault, the latest first."""
        for number in sorted(self._active, reverse=True):
            self.end(number)

    def state(self) -> list[dict[str, Any]]:
        """Those that are on, for :meth:`restore`."""
        return [{"number": a.number, "fault": a.fault.model_dump(), "until_s": a.until_s} for a in self.active]

    def restore(self, state: Iterable[dict[str, Any]]) -> None:
        """Put those back on, after the plant was restored. FaultError, KeyError or TypeError for another shape."""
        for entry in state:
            active = ActiveFault(int(entry["number"]), parse_fault(entry["fault"]), entry["until_s"])
            active.fault.check()
            active.fault.fit(self._plant)
            if active.fault.lasts:
                active.fault.begin(self._plant)
            self._active[active.number] = active
            self._last = max(self._last, active.number)


def step(plant: TffPlant, faults: Faults, dt_s: float) -> None:
    """Let ``dt_s`` seconds pass for a plant, with each fault at its exact time."""
    end_s = plant.time_s + dt_s
    faults.keep_time()
    while (left := end_s - plant.time_s) > 1e-9:
        due_s = faults.next_s
        plant.step(left if due_s is None else min(left, max(0.0, due_s - plant.time_s)))
        faults.keep_time()


def load_faults(path: Path) -> list[TimedFault]:
    """Read a file of timed faults: a YAML list. FaultError when it is no such file, OSError when it cannot be read."""
    try:
        data = YAML(typ="safe").load(path.read_text(encoding="utf-8", errors="replace"))
        timed = TypeAdapter(list[TimedFault]).validate_python(data or [])
    except YAMLError as error:
        raise FaultError(f"{path}: {_first_line(error)}") from error
    except ValidationError as error:
        raise FaultError(f"{path}: {_words(error)}") from error
    for one in timed:
        _checked(path, one)
    return timed


def parse_fault(data: object) -> Fault:
    """A fault from its plain form, such as ``{"kind": "leak", ...}``. FaultError when it is none."""
    try:
        fault: Fault = TypeAdapter[Any](Fault).validate_python(data)
    except ValidationError as error:
        raise FaultError(_words(error)) from error
    return fault


def _checked(path: Path, timed: TimedFault) -> None:
    try:
        timed.fault.check()
    except FaultError as error:
        raise FaultError(f"{path}: {error}") from error


def _words(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]


def _first_line(error: YAMLError) -> str:
    return " ".join(str(error).split())
