"""Lines with several instruments, made as a plant file describes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from simulators.devices.alicat import GASES, ControllerParameters, MassFlowController
from simulators.devices.bus import Bus, cut_at_cr, cut_linkable
from simulators.devices.masterflex import LinkablePump, linked
from simulators.devices.masterflex_usb import UsbPump
from simulators.devices.watson_marlow import PumpParameters, WatsonMarlowPump

Options = Mapping[str, Any]
"""What a plant file says of a line, in plain form."""


def _watson_marlow(options: Options) -> Bus:
    plain = PumpParameters()
    return Bus(
        [
            WatsonMarlowPump(
                int(number),
                PumpParameters(
                    model=pump.get("model") or plain.model,
                    ml_per_rev=pump.get("ml_per_rev") or plain.ml_per_rev,
                    head=pump.get("head") or plain.head,
                    tube=pump.get("tube") or plain.tube,
                    max_rpm=pump["max_rpm"],
                    default_rpm=pump["max_rpm"],
                ),
            )
            for number, pump in options["pumps"].items()
        ],
        cut_at_cr,
    )


def _masterflex(options: Options) -> Bus:
    """Without numbers when the driver gives them, else with those of the plant file."""
    pumps = linked([LinkablePump(pump["max_rpm"]) for pump in options["pumps"].values()])
    if not options.get("assign_numbers"):
        for pump, number in zip(pumps, options["pumps"], strict=True):
            pump.number = int(number)
    return Bus(pumps, cut_linkable)


def _masterflex_usb(options: Options) -> Bus:
    return Bus([UsbPump(int(number), pump["max_rpm"]) for number, pump in options["pumps"].items()], cut_at_cr)


def _alicat(options: Options) -> Bus:
    numbers = {name: number for number, name in GASES.items()}
    return Bus(
        [
            MassFlowController(
                letter,
                ControllerParameters(
                    full_scale=one["full_scale"],
                    label=one["unit"],
                    gas=numbers.get(one["gas"], 0),
                    serial=one.get("serial_number") or f"SIM00000{letter}",
                    totaliser=one.get("totaliser", False),
                ),
            )
            for letter, one in options["controllers"].items()
        ],
        cut_at_cr,
    )


BUSES: Final[Mapping[str, Callable[[Options], Bus]]] = {
    "alicat": _alicat,
    "masterflex-classic": _masterflex,
    "masterflex-usb": _masterflex_usb,
    "watson-marlow": _watson_marlow,
}
"""What can be made of the options of a line, by what is spoken on it; a gas that there is not makes Air."""
