"""The liquids of a batch: how much of each there was by the phases or the containers, and its volume.

Phases put masses down as results (``RESULTS``); where none did, the masses of the containers serve. A volume is the
mass over the density of water at the liquid's temperature.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from evcontrol.batch.entries import BatchRecord
from evcontrol.batch.readings import REACH_NS, held_at
from evcontrol.history.reader import HistoryError, HistoryReader
from evcontrol.journal.events import Event, Kind
from evcontrol.phases import water
from evcontrol.product.evaluation import Evaluation, Input, Source, absent, combine, given
from evcontrol.product.figure import Figure, relative
from evcontrol.product.uncertainty import DENSITY, MASS, MASS_RECKONED, VOLUME_ENTERED
from evcontrol.product.yields import together, volume

POOL, CLARIFIED, CONCENTRATE, PERMEATE = "pool", "clarified", "concentrate", "permeate"
FORMULATED, PRODUCT, FEED = "formulated", "product", "feed"


@dataclass(frozen=True, slots=True)
class MassResult:
    """A result (g) by which phases put a liquid down: of every ``phase`` that has it, or of those named.

    ``summed`` when one phase puts it down several times, each a part; else its last one counts. ``thermometer`` is the
    tag of the phase's unit that reads the temperature of the liquid.
    """

    name: str
    phases: frozenset[str] = frozenset()
    summed: bool = False
    thermometer: str = ""
    cv: float = MASS.cv


RESULTS: Final[Mapping[str, MassResult]] = {
    POOL: MassResult("collected", summed=True),
    CLARIFIED: MassResult("clarified"),
    FEED: MassResult("feed", frozenset({"load"}), thermometer="TT"),
    PERMEATE: MassResult("permeate", frozenset({"concentrate", "diafilter"}), thermometer="TT"),
    CONCENTRATE: MassResult("product, by balance and hold-up", thermometer="TT", cv=MASS_RECKONED.cv),
    FORMULATED: MassResult("formulated"),
    PRODUCT: MassResult("filtered"),
}
"""By the liquid's name."""
TYPES: Final[Mapping[str, str]] = {
    "pool": POOL, "clarified": CLARIFIED, "concentrate": CONCENTRATE, "formulated": FORMULATED, "filtered": PRODUCT,
    "product": PRODUCT, "vial": PRODUCT,
}  # fmt: skip
"""The liquid in a container, by its content where that is one of these words, else by its type."""
ASSUMED_CELSIUS: Final = 22.0
"""Temperature of a liquid where none is recorded."""
LOWEST_CELSIUS, HIGHEST_CELSIUS = 0.0, 40.0
"""Where the density of water is known to us."""

_EMPTIED: Final = frozenset({"empty", "emptied"})


class Liquids:
    """The liquids of one batch."""

    def __init__(self, record: BatchRecord, reader: HistoryReader) -> None:
        self._record = record
        self._reader = reader
        self._held = _held(record)

    def results(self, liquid: str) -> list[Event]:
        """The phase results that count for a liquid, in the order of the journal."""
        wanted = RESULTS[liquid]
        found = [event for event in results_named(self._record, wanted.name, "g")
                 if not wanted.phases or self._phase(event) in wanted.phases]  # fmt: skip
        return found if wanted.summed else list({event.path: event for event in found}.values())

    def containers(self, liquid: str) -> dict[str, Event]:
        """The containers that held a liquid, each with the last event that gives its mass."""
        return dict(self._held.get(liquid, {}))

    def mass(self, liquid: str) -> Evaluation:
        """The mass of a liquid."""
        name, wanted = f"mass of {liquid}", RESULTS[liquid]
        put_down = self.results(liquid)
        if put_down:
            parts = [given(_mass_input(event, event.body["value"], wanted.name, wanted.cv)) for event in put_down]
            return together(name, "as put down" if len(parts) == 1 else "sum of what was put down", parts)
        held = self.containers(liquid)
        if held:
            return together(name, "masses of the containers", [given(self._weighed(held[label])) for label in held])
        return absent(name, f"no phase put down {wanted.name!r} (g), and no container of {liquid} has a mass")

    def volume(self, liquid: str) -> Evaluation:
        """The volume of a liquid."""
        mass = self.mass(liquid)
        put_down = self.results(liquid)
        return volume(f"volume of {liquid}", mass, self._density(liquid, put_down[-1] if put_down else None))

    def volume_in(self, liquid: str, container: str) -> Evaluation:
        """The volume in one container of a liquid."""
        event = self._held.get(liquid, {}).get(container)
        name = f"volume of {liquid} in {container}"
        if event is None:
            return absent(name, f"container {container} of {liquid} has no mass")
        return volume(name, given(self._weighed(event)), self._density(liquid, None))

    def _phase(self, event: Event) -> str:
        element = self._record.elements.get(event.path)
        return "" if element is None else element.phase or element.name

    def _weighed(self, event: Event) -> Input:
        return _mass_input(event, event.body["mass_g"], f"container {event.body['container']}", MASS.cv)

    def _density(self, liquid: str, event: Event | None) -> Evaluation:
        """Density of water at the liquid's temperature; its own density differs from that by what is declared."""
        celsius, notes = self._temperature(liquid, event)

        def at(temperature: Figure) -> Figure:
            return relative(
                water.density(temperature.value), "g/mL", {"density of the liquid against water": DENSITY.cv}
            )

        def refuse(temperature: Figure) -> str:
            known = LOWEST_CELSIUS <= temperature.value <= HIGHEST_CELSIUS
            return "" if known else f"no density of water at {temperature.value:g} degC"

        return combine("density", "density of water (Tanaka et al. 2001)", [given(celsius, *notes)], at, refuse)

    def _temperature(self, liquid: str, event: Event | None) -> tuple[Input, tuple[str, ...]]:
        """The phase's own result, or its unit's thermometer, or what is assumed; with notes."""
        wanted = RESULTS[liquid]
        name, why = f"temperature of {liquid}", "none is recorded"
        if event is not None:
            own = [e for e in results_named(self._record, "temperature", "degC") if e.path == event.path]
            if own:
                return Input(name, Figure(float(own[-1].body["value"]), "degC"), _source("phase result", own[-1])), ()
            unit = self._record.elements[event.path].unit
            if wanted.thermometer and unit:
                tag = f"{unit}.{wanted.thermometer}"
                value, why = self._read(tag, event.t)
                if value is not None:
                    return Input(name, Figure(value, "degC"), Source("history", t=event.t, tag=tag)), ()
        note = f"the temperature of {liquid} is taken as {ASSUMED_CELSIUS:g} degC ({why})"
        return Input(name, Figure(ASSUMED_CELSIUS, "degC"), Source("assumed")), (note,)

    def _read(self, tag: str, t: int) -> tuple[float | None, str]:
        try:
            return held_at(self._reader.raw([tag], t - REACH_NS, t)[tag], tag, t)
        except HistoryError as error:
            return None, str(error)


def results_named(record: BatchRecord, name: str, unit: str) -> list[Event]:
    """The numeric phase results of a name and unit, in the order of the journal."""
    return [
        event
        for event in record.own
        if event.kind is Kind.PHASE_RESULT
        and (event.body.get("name"), event.body.get("unit")) == (name, unit)
        and number(event.body.get("value")) is not None
    ]


def sampled(event: Event) -> Input:
    """The volume of a sample that was taken."""
    cvs = {f"volume of sample {event.seq}": VOLUME_ENTERED.cv}
    figure = relative(number(event.body.get("volume_ml")) or 0.0, "mL", cvs)
    return Input(f"volume of sample {event.body.get('sample', '')}", figure, _source("sample taken", event))


def number(value: Any) -> float | None:
    """A finite number from a body of an event; None for all else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def _held(record: BatchRecord) -> dict[str, dict[str, Event]]:
    """By liquid and container, the last event that gives a mass of it; what a container holds may change."""
    types: dict[str, str] = {}
    found: dict[str, dict[str, Event]] = {}
    for event in sorted(record.containers, key=lambda event: event.seq):
        body = event.body
        container, content = str(body.get("container", "")), str(body.get("content") or "")
        types[container] = str(body.get("type") or types.get(container, ""))
        liquid = TYPES.get(content) or TYPES.get(types[container])
        mass = number(body.get("mass_g"))
        if liquid is not None and mass is not None and mass > 0.0 and body.get("state") not in _EMPTIED:
            found.setdefault(liquid, {})[container] = event
    return found


def _mass_input(event: Event, grams: Any, name: str, cv: float) -> Input:
    figure = relative(float(grams), "g", {f"mass {event.seq}": cv})
    return Input(f"mass: {name}", figure, _source("phase result" if event.kind is Kind.PHASE_RESULT else "container",
                                                  event))  # fmt: skip


def _source(what: str, event: Event) -> Source:
    return Source(f"{what} of {event.path}" if event.path else what, event.seq, event.t)
