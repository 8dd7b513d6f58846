"""What each actuator of a plant does when the engine falls silent, and what feeds the watchdog that it counts on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from drivers.driver import Model
from evcontrol.plant.model import OnSilence, Plant

WORDS: Final[Mapping[OnSilence, str]] = {
    OnSilence.CONTROLLER_WATCHDOG: "goes to its safe state",
    OnSilence.DEVICE_TRIP: "is stopped by a trip",
    OnSilence.BOUNDED_DOSE: "stops after its dose",
    OnSilence.STAYS: "stays as it is",
    OnSilence.RUNS_ON: "RUNS ON",
}


@dataclass(frozen=True, slots=True)
class Silence:
    """One actuator: its device, what it does, and how the watchdog is fed (empty when there is none)."""

    tag: str
    device: str
    on_silence: OnSilence
    watchdog: str


def silences(plant: Plant) -> Iterator[Silence]:
    """Every actuator in the order of the plant file."""
    bound = {point.tag.name: (name, point.point) for name, spec in plant.devices.items() for point in spec.points}
    for tag, spec in plant.writes.items():
        device, point = bound[tag]
        yield Silence(tag, device, spec.on_silence, watchdog_of(plant.devices[device].options, point))


def running_on(plant: Plant) -> list[str]:
    """The actuators that go on moving something."""
    return [each.tag for each in silences(plant) if each.on_silence is OnSilence.RUNS_ON]


def watchdog_of(options: Model, point: Model) -> str:
    """How the watchdog that guards a point is fed, in words; empty when the device's options name none.

    An option tells of a watchdog when ``watchdog`` or ``heartbeat`` is in its name. Where several units share a line
    each has its own: options with a method ``guarding`` give those of the point's unit.
    """
    guarding = getattr(options, "guarding", None)
    options = options if guarding is None else guarding(point)
    given = {name: getattr(options, name) for name in type(options).model_fields if _tells(name)}
    return ", ".join(f"{name} {_words(value)}" for name, value in given.items() if value is not None)


def _tells(option: str) -> bool:
    return "watchdog" in option or "heartbeat" in option


def _words(value: object) -> str:
    seconds = getattr(value, "seconds", None)
    return f"{seconds:g} s" if isinstance(seconds, (int, float)) else str(value)
