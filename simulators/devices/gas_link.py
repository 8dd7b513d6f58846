"""The cable between the bioreactor's controller and its station: gas that is wanted, and what each tells the other."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class GasLink:
    """What both ends say. When it is not ``up``, neither hears the other."""

    up: bool = True
    n2_percent: float = 0.0
    """Controller to station: share of N2 in the gas, % v/v."""
    o2_percent: float = 0.0
    """Controller to station: share of added O2 in the gas, % v/v."""
    feeds_shut: bool = False
    """Controller to station: its watchdog has tripped, nothing may be fed or harvested."""
    mixes: bool = False
    """Station to controller: it lets N2 and O2 through."""
