"""What people do with the product at a bench: add formulation buffer, and press it through a sterilising filter."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final

from simulators.process.liquid import Liquid

FILTER_HOLD_UP_ML: Final = 2.0
"""What stays in the filter."""
FILTER_EV_SHARE: Final = 0.05
"""Of the vesicles, those that stay on it."""


@dataclass(slots=True)
class Bench:
    """The containers of the bench; every mL and vesicle that leaves the product container is in one of them."""

    formulated: Liquid = field(default_factory=Liquid)
    filtered: Liquid = field(default_factory=Liquid)
    filter: Liquid = field(default_factory=Liquid)
    filtered_evs: float = 0.0
    """Vesicles on the filter."""

    def formulate(self, product: Liquid, buffer: Liquid, volume_ml: float) -> None:
        """Pour all product in, and so many mL of buffer. ValueError without product or with too little buffer."""
        if product.volume_ml <= 0.0:
            raise ValueError("there is no product to formulate")
        if not 0.0 <= volume_ml <= buffer.volume_ml:
            raise ValueError(f"there are {buffer.volume_ml:.0f} mL of buffer")
        self.formulated.add(product.take(product.volume_ml))
        self.formulated.add(buffer.take(volume_ml))

    def sterile_filter(self) -> None:
        """Press all of it through the filter. ValueError when there is too little."""
        if self.formulated.volume_ml <= FILTER_HOLD_UP_ML:
            raise ValueError("there is no formulated product to filter")
        self.filtered_evs += self.formulated.take_evs(FILTER_EV_SHARE)
        self.filter.add(self.formulated.take(FILTER_HOLD_UP_ML))
        self.filtered.add(self.formulated.take(self.formulated.volume_ml))

    def places(self) -> dict[str, Liquid]:
        """Every container by name."""
        return {"formulated": self.formulated, "filtered": self.filtered, "filter": self.filter}

    def truth(self) -> dict[str, Any]:
        """Volumes (mL), masses (g) and vesicles of the containers."""
        return {name: asdict(place) | {"mass_g": place.mass_g} for name, place in self.places().items()}

    def state(self) -> dict[str, Any]:
        """All amounts."""
        return {name: asdict(place) for name, place in self.places().items()} | {"filtered_evs": self.filtered_evs}

    def restore(self, state: dict[str, Any]) -> None:
        """Put such amounts back. Raises KeyError or TypeError for a state of another shape."""
        for name in self.places():
            setattr(self, name, Liquid(**{key: float(value) for key, value in state[name].items()}))
        self.filtered_evs = float(state["filtered_evs"])
