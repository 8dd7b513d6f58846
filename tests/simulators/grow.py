"""Driving a simulated bioreactor from a test: its process alone, or controller and station with fed watchdogs."""

from __future__ import annotations

from dataclasses import replace

from simulators.cultivation import Cultivation
from simulators.devices.bioreactor_nodes import ROOT, Status
from simulators.devices.station_registers import HOLDING, INPUT, STOPS, Holding
from simulators.process.bioreactor import BioreactorParameters, BioreactorProcess
from simulators.process.gas import AIR_O2, DissolvedGas, GasFlows
from simulators.process.liquid import Liquid

HOUR = 3600.0


def gas(o2_percent: float) -> GasFlows:
    """200 mL/min with 5 % CO2 and so much O2."""
    air = 200.0 * o2_percent / AIR_O2
    return GasFlows(air=air, n2=190.0 - air, co2=10.0)


def culture(
    viable: float,
    o2: float = 19.9,
    flow: float = 20.0,
    medium: str = "production",
    parameters: BioreactorParameters | None = None,
) -> BioreactorProcess:
    """Cells in 1 L of medium at 37 degC, with the dissolved oxygen kept near ``o2`` and a flow through the lumen."""
    process = BioreactorProcess(parameters)
    bags = process.bags
    bags.vessel = (bags.production if medium == "production" else bags.expansion).take(1000.0)
    process.temperature_degc = 37.0
    process.heat = 15.0 / 45.0
    process.dissolved = DissolvedGas(o2, 5.0, o2, 5.0)
    process.gas = gas(o2)
    process.circulation.rate = flow
    process.inoculate(viable)
    return process


def hold(process: BioreactorProcess, o2: float) -> None:
    """Keep the dissolved oxygen where it should be, as a perfect controller does."""
    process.dissolved = replace(process.dissolved, o2=o2)


def live(process: BioreactorProcess, hours: float, h: float = 6.0, o2: float | None = None) -> None:
    """Let time pass."""
    for _ in range(round(hours * HOUR / h)):
        process.advance(h)
        if o2 is not None:
            hold(process, o2)


def collect(process: BioreactorProcess) -> Liquid:
    """Harvest all that can be reached, at once, and put as much production medium in."""
    taken = process.bags.vessel.take(process.harvestable_ml)
    process.bags.vessel.add(process.bags.production.take(taken.volume_ml))
    return taken


def node(name: str) -> str:
    return f"{ROOT}.{name}"


def read(plant: Cultivation, name: str) -> float:
    value, status, _ = plant.controller.read(node(name))
    assert status == Status.GOOD, hex(status)
    assert value is not None
    return float(value)


def write(plant: Cultivation, **values: float) -> None:
    for name, value in values.items():
        assert plant.controller.write(node(name), value) == Status.GOOD, name


def station_read(plant: Cultivation, name: str) -> float:
    register = INPUT[name]
    return register.decode(plant.station.read_input(register.address, register.words))


def put(plant: Cultivation, **setpoints: float) -> None:
    """Write the station's setpoints by the names of the manual, in their units."""
    for name, value in setpoints.items():
        which = Holding[name]
        plant.station.write_holding(which, [round(value / HOLDING[which].scale)])


def stop_at(plant: Cultivation, pump: str, ml: float) -> None:
    plant.station.write_holding(STOPS[pump].address, STOPS[pump].encode(ml))


def feed(plant: Cultivation) -> None:
    """Feed both watchdogs."""
    beat, _, _ = plant.controller.read(node("HEARTBEAT"))
    assert isinstance(beat, int)
    plant.controller.write(node("HEARTBEAT"), (beat + 1) % (1 << 32))
    (mark,) = plant.station.read_holding(Holding.HEARTBEAT, 1)
    plant.station.write_holding(Holding.HEARTBEAT, [(mark + 1) % 0x10000])


def run(plant: Cultivation, seconds: float, step: float = 5.0) -> None:
    """Let time pass with fed watchdogs."""
    for _ in range(round(seconds / step)):
        if plant.controller.remote and plant.station.remote:
            feed(plant)
        plant.step(step)


def fill(plant: Cultivation, ml: float = 1000.0, bag: int = 1) -> None:
    """Pump medium into the vessel, circulate, and let it come to 37 degC."""
    feed(plant)
    stop_at(plant, "MED", plant.station.totalised_ml("MED") + ml)
    put(plant, MED_FROM=bag, MED_SP=500.0)
    run(plant, ml / 500.0 * 60.0 + 10.0)
    put(plant, MED_FROM=0, CIRC_SP=20.0)
    stop_at(plant, "MED", 0.0)
    run(plant, 2.0 * HOUR, 20.0)
