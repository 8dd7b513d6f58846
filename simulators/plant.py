"""The simulated ultrafiltration suite: one skid with its process, and the two balances under its vessels.

It has no wire and no clock: whoever has a clock calls :meth:`TffPlant.step`, whoever has a wire (or none) asks through
:attr:`TffPlant.skid_link` and :attr:`TffPlant.balance_links`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar, Final

from simulators.devices.balance import Balance, BalanceParameters
from simulators.devices.bus import Bus
from simulators.devices.link import BalanceLink, ModbusLink, SkidLink
from simulators.devices.sensors import Sensor
from simulators.devices.skid import Skid
from simulators.process.liquid import Liquid
from simulators.process.tff import ProcessParameters, TffProcess
from simulators.process.vessels import Ledger

SKID: Final = "TFF201"
RETENTATE_BALANCE: Final = "WT-RET"
PERMEATE_BALANCE: Final = "WT-PERM"

BALANCES: Final = {
    RETENTATE_BALANCE: BalanceParameters(capacity_g=6000.0, model="SIMBAL 6", serial="SIM0006001"),
    PERMEATE_BALANCE: BalanceParameters(capacity_g=12000.0, model="SIMBAL 12", serial="SIM0012001"),
}

DEVICES: Final = {SKID: "modbus-tcp", RETENTATE_BALANCE: "mt-sics", PERMEATE_BALANCE: "mt-sics"}
"""Every device and what it speaks."""


class TffPlant:
    """Skid, process and balances under one step. ``seed`` fixes the sensors' noise."""

    devices: ClassVar[Mapping[str, str]] = DEVICES

    def __init__(self, parameters: ProcessParameters | None = None, seed: int = 0) -> None:
        self.time_s = 0.0
        """Process time since the plant was new."""
        self.process = TffProcess(parameters)
        self.skid = Skid(self.process, seed)
        self.balances = {
            RETENTATE_BALANCE: Balance(
                lambda: self.process.retentate_g, BALANCES[RETENTATE_BALANCE], f"{seed}/{RETENTATE_BALANCE}"
            ),
            PERMEATE_BALANCE: Balance(
                lambda: self.process.permeate_g, BALANCES[PERMEATE_BALANCE], f"{seed}/{PERMEATE_BALANCE}"
            ),
        }
        self.skid_link = SkidLink(self.skid)
        self.balance_links = {name: BalanceLink(balance) for name, balance in self.balances.items()}
        self.buses: dict[str, Bus] = {}
        """The lines of single instruments that are served beside the plant, or as balances of it."""

    @property
    def modbus_links(self) -> dict[str, ModbusLink]:
        """Every Modbus device."""
        return {SKID: self.skid_link}

    @property
    def sensors(self) -> dict[str, Sensor]:
        """Every sensor by name."""
        return self.skid.sensors

    def pace(self, nominal_step_s: float) -> None:
        """Tell every controller how many process seconds pass between two of its scans."""
        self.skid.watchdog.nominal_step_s = nominal_step_s

    def step(self, dt_s: float) -> None:
        """Let ``dt_s`` seconds of process time pass."""
        if dt_s <= 0.0:
            return
        self.skid.step(dt_s)
        for balance in self.balances.values():
            balance.step(dt_s)
        self.time_s += dt_s

    def change_permeate_vessel(self) -> None:
        """Put an empty permeate vessel in the place of the present one, by hand."""
        permeate = self.process.ledger.permeate
        self.process.ledger.waste.add(permeate.take(permeate.volume_ml))

    def take_sample(self, of: str, volume_ml: float) -> None:
        """Take a sample out of a vessel, by hand. ValueError for another vessel, or when it does not hold so much."""
        vessels = self._sampled_vessels()
        if of not in vessels:
            raise ValueError(f"of: {of!r} is none of {', '.join(vessels)}")
        if not 0.0 < volume_ml <= vessels[of].volume_ml:
            raise ValueError(f"volume_ml: {of} holds {vessels[of].volume_ml:.1f} mL")
        self._sampled_out.add(vessels[of].take(volume_ml))

    def press_air(self, barg: float) -> None:
        """Press air into the feed side of the module, by hand. ValueError for what no such valve lets in."""
        if not 0.0 <= barg <= 1.0:
            raise ValueError(f"air of {barg:g} barg: the reducing valve gives 0 to 1 barg")
        self.process.air.pressure_pa = barg * 1e5

    def state(self) -> dict[str, Any]:
        """What outlives a loss of power: liquids, membrane, retentive memories."""
        return {
            "time_s": self.time_s,
            "process": self.process.state(),
            "skid": self.skid.state(),
            "balances": {name: balance.state() for name, balance in self.balances.items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Come back from a loss of power with such a state: the controller starts anew, in its safe state.

        Raises KeyError, TypeError or ValueError for a state of another shape; the plant is then of no more use.
        """
        self.time_s = float(state["time_s"])
        self.process.restore(state["process"])
        self.skid.restore(state["skid"])
        for name, balance in self.balances.items():
            balance.restore(state["balances"][name])

    def truth(self) -> dict[str, Any]:
        """What really is, for testers: every liquid, the membrane, and how well the sums close."""
        process = self.process
        return {
            "time_s": self.time_s,
            "liquids": {name: asdict(place) for name, place in process.ledger.places().items()},
            "membrane": {**process.membrane.state(), "resistance": process.membrane.resistance},
            "destroyed_evs": process.ledger.destroyed_evs,
            "imbalance": self._imbalance(),
            "retentate_g": process.retentate_g,
            "permeate_g": process.permeate_g,
            "totalised_ml": self.skid.totalised_ml,
            "flux_lmh": process.flux * 3.6e6,
            "shear_per_s": process.shear,
            "safe": self.skid.safe,
            "actuators": self.skid.actuators,
            "remote": self.skid.remote,
            "trips": self.skid.trips,
            "starts": self.skid.starts,
            "zeros_g": {name: balance.zero_g for name, balance in self.balances.items()},
        }

    @property
    def _sampled_out(self) -> Liquid:
        """Where samples go, so that every drop is somewhere."""
        return self.process.ledger.waste

    def _sampled_vessels(self) -> dict[str, Liquid]:
        return {"retentate": self.process.ledger.retentate}

    def _imbalance(self) -> dict[str, float]:
        """What has come from nowhere (or gone there) since the start, as a share of all; rounding leaves 1e-12."""
        process = self.process
        start = Ledger.of(process.parameters.stocks).total()
        now = process.ledger.total()
        now.evs += process.membrane.adsorbed_evs + process.ledger.destroyed_evs
        return {name: share_of_change(now, start, name) for name in Liquid.__slots__}


class BenchPlant(TffPlant):
    """No plant: the bench for instruments that are served alone. Nobody sees the process that stands idle in it."""

    devices: ClassVar[Mapping[str, str]] = {}

    def __init__(self, parameters: ProcessParameters | None = None, seed: int = 0) -> None:
        super().__init__(parameters, seed)
        self.balance_links = {}

    @property
    def modbus_links(self) -> dict[str, ModbusLink]:
        """None."""
        return {}


def share_of_change(now: Liquid, start: Liquid, name: str) -> float:
    """By how much an amount has changed, as a share of it; of an amount that was 0, the change itself."""
    before = float(getattr(start, name))
    change = float(getattr(now, name)) - before
    return change / before if before else change
