"""Driving a simulated skid from a test: setpoints in their units, and time with a fed watchdog."""

from __future__ import annotations

from simulators.devices.skid_registers import FQ_STOP, HOLDING, INPUT, Holding
from simulators.plant import TffPlant

INLET = {"none": 0, "feed": 1, "water": 2, "buffer": 3, "caustic": 4, "storage": 5}
OUTLET = {"closed": 0, "waste": 1, "product": 2}


def put(plant: TffPlant, **setpoints: float) -> None:
    """Write setpoints by the names of the manual, in their units."""
    for name, value in setpoints.items():
        which = Holding[name]
        plant.skid.write_holding(which, [round(value / HOLDING[which].scale)])


def permeate(plant: TffPlant, is_open: bool) -> None:
    plant.skid.write_coils(0, [is_open])


def stop_at(plant: TffPlant, ml: float) -> None:
    plant.skid.write_holding(Holding.FQ_STOP_HIGH, FQ_STOP.encode(ml))


def feed(plant: TffPlant) -> None:
    (beat,) = plant.skid.read_holding(Holding.HEARTBEAT, 1)
    plant.skid.write_holding(Holding.HEARTBEAT, [(beat + 1) % 0x10000])


def run(plant: TffPlant, seconds: float, step: float = 0.5) -> None:
    """Let time pass with a fed watchdog."""
    for _ in range(round(seconds / step)):
        if plant.skid.remote:
            feed(plant)
        plant.step(step)


def read(plant: TffPlant, name: str) -> float:
    register = INPUT[name]
    return register.decode(plant.skid.read_input(register.address, register.words))


def fill(plant: TffPlant, ml: float, inlet: str = "feed") -> None:
    """Transfer liquid into the retentate vessel and let the skid come to rest."""
    put(plant, INLET=INLET[inlet])
    run(plant, 2.0)
    stop_at(plant, plant.skid.totalised_ml + ml)
    put(plant, P102=1000.0)
    run(plant, ml / (1000.0 / 60.0) + 5.0)
    put(plant, INLET=0)
    stop_at(plant, 0.0)
    run(plant, 2.0)
