"""A bioreactor, its controller and its station under one step. No wire and no clock."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from simulators.devices.bioreactor import Bioreactor
from simulators.devices.gas_link import GasLink
from simulators.devices.station import Station
from simulators.process.bioreactor import MAX_STEP_S, BioreactorParameters, BioreactorProcess
from simulators.process.liquid import Liquid


class Cultivation:
    """Process and both controllers. ``seed`` fixes the sensors' noise."""

    def __init__(
        self,
        parameters: BioreactorParameters | None = None,
        seed: int = 0,
        clarified: Callable[[], Liquid] | None = None,
    ) -> None:
        """``clarified`` tells the liquid of the clarified container; without it there is one of its own."""
        self.time_s = 0.0
        self.process = BioreactorProcess(parameters, clarified)
        self.gas_link = GasLink()
        self.controller = Bioreactor(self.process, self.gas_link, seed)
        self.station = Station(self.process, self.gas_link, seed)

    @property
    def nominal_step_s(self) -> float | None:
        """Process seconds between two regular steps when wall time paces them; None in virtual time."""
        return self.controller.watchdog.nominal_step_s

    @nominal_step_s.setter
    def nominal_step_s(self, seconds: float | None) -> None:
        self.controller.watchdog.nominal_step_s = self.station.watchdog.nominal_step_s = seconds

    def step(self, dt_s: float) -> None:
        """Let ``dt_s`` seconds of process time pass."""
        controller, station = self.controller, self.station
        controller.watchdog.scan(dt_s)
        station.watchdog.scan(dt_s)
        left = dt_s
        while left > 1e-9:
            controller.control()
            station.control()
            h = station.length(left / math.ceil(left / MAX_STEP_S))
            controller.regulate(h)
            self.process.advance(h)
            controller.count(h)
            station.count(h)
            left -= h
        self.time_s += dt_s
        controller.control()
        station.control()
        controller.scan(dt_s, self.time_s)
        station.scan(dt_s)

    def state(self) -> dict[str, Any]:
        """What outlives a loss of power."""
        return {
            "time_s": self.time_s,
            "process": self.process.state(),
            "controller": self.controller.state(),
            "station": self.station.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Come back from a loss of power: both controllers start anew, in their safe states, with the cells alive.

        Raises KeyError, TypeError or ValueError for a state of another shape.
        """
        self.time_s = float(state["time_s"])
        self.process.restore(state["process"])
        self.controller.restore(state["controller"], self.time_s)
        self.station.restore(state["station"])

    def truth(self) -> dict[str, Any]:
        """What really is, for testers."""
        process, culture = self.process, self.process.culture
        around = process.surroundings
        return {
            "liquids": {name: asdict(place) for name, place in process.bags.places().items()},
            "cells": {
                **culture.state(),
                "viability": culture.viability,
                "confluence": culture.viable / culture.confluent,
            },
            "surroundings": asdict(around),
            "multipliers": culture.multipliers(around, process.glucose_mm),
            "glucose_mm": process.glucose_mm,
            "lactate_mm": process.lactate_mm,
            "gas": asdict(process.gas),
            "filtered_evs": process.filtered_evs,
            "level": process.level,
            "controller": {
                "safe": self.controller.safe,
                "actuators": self.controller.actuators,
                "remote": self.controller.remote,
                "trips": self.controller.trips,
                "starts": self.controller.starts,
                "working_do": self.controller.working_do,
                "demand": self.controller.demand,
            },
            "station": {
                "safe": self.station.safe,
                "actuators": self.station.actuators,
                "remote": self.station.remote,
                "trips": self.station.trips,
                "starts": self.station.starts,
                "totalised_ml": {name: self.station.totalised_ml(name) for name in ("MED", "HARV", "CLAR")},
            },
        }
