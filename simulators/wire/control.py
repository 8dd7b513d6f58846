"""The testers' port: one JSON document per line asks, one per line answers.

``{"do": "truth"}``, ``{"do": "faults"}``, ``{"do": "begin", "fault": {"kind": ...}, "for_s": 10}``,
``{"do": "end", "number": 1}``, ``{"do": "end_all"}``. What hands do at the skid: ``{"do": "change_permeate_vessel"}``,
``{"do": "press_air", "barg": 0.25}``, ``{"do": "take_sample", "of": "retentate", "volume_ml": 5}``; and at the
equipment of a whole EV batch: ``{"do": "inoculate", "viable": 2e8}``, ``{"do": "formulate", "volume_ml": 20}``,
``{"do": "sterile_filter"}``, ``{"do": "sample", "kind": "pool"}`` (what it holds, for a counter), and samples of the
``culture``. An answer is ``{"ok": ...}`` or ``{"error": "one line"}``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from simulators.ev_plant import EvPlant
from simulators.fault_models import FaultError
from simulators.faults import Faults, parse_fault
from simulators.plant import TffPlant


class ControlServer:
    """Serves one plant and its faults to testers on this machine. :attr:`port` says where."""

    def __init__(self, plant: TffPlant, faults: Faults, keep_up: Callable[[], None]) -> None:
        """``keep_up`` brings the plant up to the present before it is looked at or changed."""
        self.port = 0
        self._plant = plant
        self._faults = faults
        self._keep_up = keep_up
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self, host: str = "127.0.0.1") -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, host, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._server is None:
            return
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()
        self._server = None

    def answer(self, line: bytes) -> dict[str, Any]:
        """The answer to one line."""
        try:
            request = json.loads(line)
        except ValueError:
            return {"error": "not JSON"}
        order = request.get("do") if isinstance(request, dict) else None
        if not isinstance(order, str) or order not in self._orders:
            return {"error": f'write {{"do": ...}} with one of {", ".join(self._orders)}'}
        self._keep_up()
        try:
            return {"ok": self._orders[order](request)}
        except (FaultError, ValueError) as error:
            return {"error": str(error)}

    @property
    def _orders(self) -> Mapping[str, Callable[[dict[str, Any]], object]]:
        return self._culture_orders | {
            "truth": lambda _: self._plant.truth(),
            "faults": lambda _: self._faults.state(),
            "begin": self._begin,
            "end": self._end,
            "end_all": lambda _: self._faults.end_all(),
            "change_permeate_vessel": lambda _: self._plant.change_permeate_vessel(),
            "take_sample": lambda request: self._plant.take_sample(
                str(request.get("of")), _number(request, "volume_ml")
            ),
            "press_air": lambda request: self._plant.press_air(_number(request, "barg")),
        }

    @property
    def _culture_orders(self) -> dict[str, Callable[[dict[str, Any]], object]]:
        plant = self._plant
        if not isinstance(plant, EvPlant):
            return {}
        return {
            "inoculate": lambda request: plant.inoculate(
                _number(request, "viable"), _number(request, "viability", 0.95)
            ),
            "formulate": lambda request: plant.formulate(_number(request, "volume_ml")),
            "sterile_filter": lambda _: plant.sterile_filter(),
            "sample": lambda request: asdict(plant.sample_of(str(request.get("kind")))),
        }

    def _begin(self, request: dict[str, Any]) -> int:
        for_s = request.get("for_s")
        if for_s is not None and not (isinstance(for_s, (int, float)) and 0 <= for_s < float("inf")):
            raise FaultError("for_s: not a number of seconds")
        return self._faults.begin(parse_fault(request.get("fault")), for_s)

    def _end(self, request: dict[str, Any]) -> None:
        number = request.get("number")
        if type(number) is not int:
            raise FaultError("number: not the number of a fault")
        self._faults.end(number)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while line := await reader.readline():
                writer.write(json.dumps(self.answer(line)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            return  # the tester has gone, or sends what is no line
        finally:
            self._writers.discard(writer)
            writer.close()


def _number(request: dict[str, Any], name: str, default: float | None = None) -> float:
    """A number of a request. FaultError when it is none."""
    value = request.get(name, default)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise FaultError(f"{name}: not a number")
    return float(value)
