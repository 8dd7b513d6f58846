"""The simulated equipment of a whole EV batch: bioreactor and station, skid and balances, particle counter, a bench.

What is clarified flows into the container that the filtration skid's feed inlet draws from; there is no other feed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final, Protocol

from simulators.cultivation import Cultivation
from simulators.devices.bioreactor_nodes import ROOT
from simulators.devices.link import BioreactorLink, ModbusLink, StationLink
from simulators.devices.sensors import Sensor
from simulators.plant import DEVICES as TFF_DEVICES
from simulators.plant import SKID, TffPlant, share_of_change
from simulators.process.bench import Bench
from simulators.process.bioreactor import BioreactorParameters
from simulators.process.liquid import Liquid
from simulators.process.nta import SampleProperties
from simulators.process.tff import ProcessParameters
from simulators.process.vessels import Stock
from simulators.sampling import SampleKind, SampleShelf

BIOREACTOR: Final = ROOT
STATION: Final = "BR101-ST"
COUNTER: Final = "NTA301"

DEVICES: Final = {BIOREACTOR: "opc-ua", STATION: "modbus-tcp", **TFF_DEVICES, COUNTER: "nta-folder"}
"""Every device and what it speaks."""


class Counter(Protocol):
    """A particle counter beside the plant; it asks :meth:`EvPlant.sample_of` for what it counts."""

    def step(self, dt_s: float) -> None:
        """Let ``dt_s`` seconds of process time pass."""

    def state(self) -> dict[str, Any]:
        """What outlives a loss of power."""

    def restore(self, state: dict[str, Any]) -> None:
        """Put such a state back."""


class EvPlant(TffPlant):
    """All devices under one step. ``seed`` fixes the sensors' noise."""

    devices: ClassVar[Mapping[str, str]] = DEVICES

    def __init__(
        self,
        parameters: ProcessParameters | None = None,
        seed: int = 0,
        bioreactor: BioreactorParameters | None = None,
    ) -> None:
        parameters = parameters or ProcessParameters()
        super().__init__(replace(parameters, stocks=replace(parameters.stocks, feed=Stock(0.0))), seed)
        # Asked anew each time, since restoring replaces the liquids of the skid.
        self.cultivation = Cultivation(bioreactor, seed, lambda: self.process.ledger.feed)
        self.bioreactor_link = BioreactorLink(self.cultivation.controller)
        self.station_link = StationLink(self.cultivation.station)
        self.counter: Counter | None = None
        """A counter that is plugged in here is stepped, saved and restored with the plant."""
        self.bench = Bench()
        self._shelf = SampleShelf(self._sampled)
        self._start = self._liquids_total()

    @property
    def modbus_links(self) -> dict[str, ModbusLink]:
        """Every Modbus device."""
        return {SKID: self.skid_link, STATION: self.station_link}

    @property
    def sensors(self) -> dict[str, Sensor]:
        """Every sensor: those of the skid by name, the others as DEVICE.NAME."""
        culture = {f"{BIOREACTOR}.{name}": sensor for name, sensor in self.cultivation.controller.sensors.items()}
        station = {f"{STATION}.{name}": sensor for name, sensor in self.cultivation.station.sensors.items()}
        return {**super().sensors, **culture, **station}

    def pace(self, nominal_step_s: float) -> None:
        """Tell every controller how many process seconds pass between two of its scans."""
        super().pace(nominal_step_s)
        self.cultivation.nominal_step_s = nominal_step_s

    def step(self, dt_s: float) -> None:
        """Let ``dt_s`` seconds of process time pass."""
        if dt_s <= 0.0:
            return
        # What is silent to the network is silent to its neighbour as well.
        self.cultivation.gas_link.up = not (self.station_link.silent or self.bioreactor_link.silent)
        self.cultivation.step(dt_s)
        super().step(dt_s)
        self._shelf.look()
        if self.counter is not None:
            self.counter.step(dt_s)

    def sample_of(self, kind: str) -> SampleProperties:
        """What a sample of a kind (see :class:`SampleKind`) contains. ValueError for another kind."""
        return self._shelf.sample_of(kind)

    def inoculate(self, viable: float, viability: float = 0.95) -> None:
        """Put cells into the bioreactor by hand. ValueError without medium, or for odd numbers."""
        self.cultivation.process.inoculate(viable, viability)

    def formulate(self, volume_ml: float) -> None:
        """Pour the product together with so much of the skid's buffer, by hand. ValueError without product."""
        self._shelf.look()
        self.bench.formulate(self.process.ledger.product, self.process.ledger.buffer, volume_ml)

    def sterile_filter(self) -> None:
        """Press the formulated product through a filter, by hand. ValueError when there is too little."""
        self._shelf.look()
        self.bench.sterile_filter()

    def state(self) -> dict[str, Any]:
        """What outlives a loss of power: cells, liquids, membrane, retentive memories."""
        own = {
            "cultivation": self.cultivation.state(),
            "bench": self.bench.state(),
            "samples": self._shelf.state(),
        }
        counter = {} if self.counter is None else {"counter": self.counter.state()}
        return super().state() | own | counter

    def restore(self, state: dict[str, Any]) -> None:
        """Come back from a loss of power with such a state: the controllers start anew, in their safe states.

        Raises KeyError, TypeError or ValueError for a state of another shape; the plant is then of no more use.
        """
        super().restore(state)
        self.cultivation.restore(state["cultivation"])
        self.bench.restore(state["bench"])
        self._shelf.restore(state["samples"])
        if self.counter is not None and "counter" in state:
            self.counter.restore(state["counter"])

    def truth(self) -> dict[str, Any]:
        """What really is, for testers: the skid's as :meth:`TffPlant.truth`, and the bioreactor's under its name."""
        bench = self.bench
        return super().truth() | {
            BIOREACTOR: self.cultivation.truth(),
            "bench": bench.state(),
            "product_g": self.process.ledger.product.mass_g,
            "formulated_g": bench.formulated.mass_g,
            "filtered_g": bench.filtered.mass_g,
        }

    def _sampled_vessels(self) -> dict[str, Liquid]:
        return super()._sampled_vessels() | {"culture": self.cultivation.process.bags.vessel}

    def _sampled(self) -> dict[SampleKind, tuple[Liquid, ...]]:
        bags, ledger, bench = self.cultivation.process.bags, self.process.ledger, self.bench
        product = bench.filtered if bench.filtered.volume_ml > 0.0 else bench.formulated
        return {
            SampleKind.MEDIUM: (bags.production,),
            SampleKind.POOL: (bags.pool,),
            SampleKind.CLARIFIED: (ledger.feed,),
            SampleKind.CONCENTRATE: (ledger.product,),
            SampleKind.PERMEATE: (ledger.permeate,),
            SampleKind.PRODUCT: (product,),
        }

    def _liquids_total(self) -> Liquid:
        total = self.process.ledger.total()
        for place in (*self.cultivation.process.bags.places().values(), *self.bench.places().values()):
            total.add(place)
        return total

    def _imbalance(self) -> dict[str, float]:
        """Over bioreactor and skid as one: what cells made and used, and what was lost on filters, is counted."""
        process = self.cultivation.process
        now = self._liquids_total()
        now.evs += self.process.membrane.adsorbed_evs + self.process.ledger.destroyed_evs + process.filtered_evs
        now.evs += process.culture.lost_evs - process.culture.released_evs + self.bench.filtered_evs
        now.glucose_umol += process.culture.used_glucose_umol
        now.lactate_umol -= process.culture.made_lactate_umol
        shares = {name: share_of_change(now, self._start, name) for name in Liquid.__slots__ if name != "foreign_evs"}
        # Nothing is there at the start of which lactate could be a share.
        shares["lactate_umol"] = now.lactate_umol / self._start.glucose_umol
        return shares
