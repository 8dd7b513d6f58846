"""``evcontrol simulate``: only the simulated instruments, on their real protocols."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from evcontrol.cli.connect import DEFAULT_DATA, Data
from evcontrol.cli.fault import DONE, INTERRUPTED, WRONG_USE, CliError
from evcontrol.cli.output import say
from evcontrol.cli.stopping import StopRequest
from evcontrol.plant.load import load_plant
from evcontrol.plant.model import Plant
from evcontrol.procedure.phase import FASTEST


def simulate(
    plant: Annotated[Path, typer.Argument(help="The plant file whose instruments are simulated.")],
    data: Data = DEFAULT_DATA,
    speed: Annotated[
        float,
        typer.Option("--speed", min=1, max=FASTEST, help="Process seconds per real second, until an engine says."),
    ] = 1.0,
    faults: Annotated[Path | None, typer.Option("--faults", help="A file of faults and their times.")] = None,
    until_eof: Annotated[bool, typer.Option("--until-eof", help="Stop when standard input ends.")] = False,
) -> None:
    """Simulate a plant's instruments until asked to stop."""
    if sys.platform == "win32":
        raise CliError("the simulated instruments need pseudo-terminals: Linux or macOS", status=WRONG_USE)
    status = asyncio.run(_simulate(load_plant(plant), data, speed, faults, until_eof))
    if status:
        raise typer.Exit(status)


async def _simulate(plant: Plant, data: Path, speed: float, faults: Path | None, until_eof: bool) -> int:
    # Here and not above, since the simulators are of no use, and cannot be imported, without POSIX.
    from simulators.fault_models import FaultError  # noqa: PLC0415
    from simulators.faults import load_faults  # noqa: PLC0415
    from simulators.serve import PLANTS, AlreadyServedError, plant_for, serve, unserved  # noqa: PLC0415
    from simulators.state_file import StateDamagedError  # noqa: PLC0415

    drivers = {name: device.driver for name, device in plant.devices.items()}
    which = plant_for(drivers)
    if which is None:
        raise _not_simulated(drivers, [(one.devices, unserved(one, drivers)) for one in PLANTS])
    stop = StopRequest()
    with stop.listening(until_eof):
        try:
            timed = load_faults(faults) if faults is not None else []
            await serve(
                data,
                stop.wait,
                speed=speed,
                timed=timed,
                plant=which(),
                drivers=drivers,
                options={name: device.options.model_dump(mode="json") for name, device in plant.devices.items()},
                ready=_show,
            )
        except (FaultError, AlreadyServedError, StateDamagedError) as error:
            raise CliError(str(error)) from error
    say(f"simulators ended: {stop.why}")
    return INTERRUPTED if stop.by_signal == signal.SIGINT else DONE


def _not_simulated(
    drivers: Mapping[str, str], choices: Sequence[tuple[Mapping[str, str], Mapping[str, str]]]
) -> CliError:
    """What to say of devices that are not simulated together; each choice has its devices and those that do not fit."""
    _, odd = min(choices, key=lambda choice: len(choice[1]))
    told = [f"device {name!r} ({driver}) is not simulated" for name, driver in odd.items() if name in drivers]
    known = [", ".join(f"{name} ({driver})" for name, driver in devices.items()) for devices, _ in choices]
    return CliError(*told, f"simulated are, all together: {'; or: '.join(known)}")


def _show(endpoints: dict[str, Any]) -> None:
    for name, options in endpoints["devices"].items():
        where = [options[key] for key in ("url", "host", "port") if key in options] or options.values()
        say(f"{name} at {':'.join(str(part) for part in where)}")
