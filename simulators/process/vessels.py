"""Where the skid's liquid is: stocks, retentate vessel, hold-up of the circuit, and everything that it can leave to."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from simulators.process.liquid import Composition, Liquid

INLETS = ("none", "feed", "water", "buffer", "caustic", "storage")
OUTLETS = ("closed", "waste", "product")


@dataclass(frozen=True, slots=True)
class Stock:
    """A supply container: how much there is (mL) and of what (g/L, 1/mL, mS/cm, mol/L)."""

    volume_ml: float
    protein_g_per_l: float = 0.0
    evs_per_ml: float = 0.0
    salt_ms_per_cm: float = 0.0
    caustic_mol_per_l: float = 0.0

    def liquid(self) -> Liquid:
        """The full container."""
        return Liquid.of(
            self.volume_ml,
            Composition(self.protein_g_per_l, self.evs_per_ml, self.salt_ms_per_cm, self.caustic_mol_per_l),
        )


@dataclass(frozen=True, slots=True)
class Stocks:
    """The supplies of one batch: 2 L of conditioned medium, and the solutions around it."""

    feed: Stock = field(default_factory=lambda: Stock(2000.0, protein_g_per_l=0.5, evs_per_ml=5e9, salt_ms_per_cm=14.0))
    water: Stock = field(default_factory=lambda: Stock(20000.0, salt_ms_per_cm=0.002))
    buffer: Stock = field(default_factory=lambda: Stock(10000.0, salt_ms_per_cm=2.0))
    caustic: Stock = field(default_factory=lambda: Stock(5000.0, caustic_mol_per_l=0.1))
    storage: Stock = field(default_factory=lambda: Stock(5000.0, salt_ms_per_cm=0.5))


@dataclass(frozen=True, slots=True)
class VesselParameters:
    """Sizes in mL. The hold-up is pumps, tubing and lumen; of it the residual stays when air pushes it out."""

    retentate_ml: float = 3000.0
    permeate_ml: float = 10000.0
    hold_up_ml: float = 60.0
    residual_ml: float = 12.0


@dataclass(slots=True)
class Ledger:
    """Every mL, mg and vesicle of the skid is in exactly one of these."""

    feed: Liquid
    water: Liquid
    buffer: Liquid
    caustic: Liquid
    storage: Liquid
    retentate: Liquid = field(default_factory=Liquid)
    hold_up: Liquid = field(default_factory=Liquid)
    permeate: Liquid = field(default_factory=Liquid)
    waste: Liquid = field(default_factory=Liquid)
    product: Liquid = field(default_factory=Liquid)
    leaked: Liquid = field(default_factory=Liquid)
    spilled: Liquid = field(default_factory=Liquid)
    destroyed_evs: float = 0.0
    """Vesicles that caustic has taken off the membrane."""

    @classmethod
    def of(cls, stocks: Stocks) -> Ledger:
        """Full stocks, everything else empty and dry."""
        return cls(*(getattr(stocks, name).liquid() for name in INLETS[1:]))

    def places(self) -> dict[str, Liquid]:
        """Every place by name."""
        return {name: value for name in self.__slots__ if isinstance(value := getattr(self, name), Liquid)}

    def total(self) -> Liquid:
        """The sum over all places; membrane and destroyed vesicles are not in it."""
        total = Liquid()
        for place in self.places().values():
            total.add(place)
        return total

    def state(self) -> dict[str, Any]:
        """All amounts."""
        return {name: asdict(place) for name, place in self.places().items()} | {"destroyed_evs": self.destroyed_evs}

    def restore(self, state: dict[str, Any]) -> None:
        """Put such amounts back. Raises KeyError or TypeError for a state of another shape."""
        for name in self.places():
            setattr(self, name, Liquid(**{key: float(value) for key, value in state[name].items()}))
        self.destroyed_evs = float(state["destroyed_evs"])
