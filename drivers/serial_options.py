"""The options that every instrument on a serial line has."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from drivers.driver import Model


class SerialOptions(Model):
    """One serial line; an instrument whose line looks different overrides the defaults."""

    port: Annotated[str, Field(min_length=1)]
    """Device path (``/dev/ttyUSB0``, ``COM3``), ``socket://host:port``, or any other URL that pyserial knows."""
    baudrate: Annotated[int, Field(gt=0)] = 9600
    bytesize: Literal[7, 8] = 8
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Literal[1, 2] = 1
    timeout_s: Annotated[float, Field(gt=0, le=10)] = 1.0
    """Real seconds within which every answer must come."""
    capture: str | None = None
    """File to which every byte of this line is appended, for a replay (see :mod:`drivers.capture`)."""

    @model_validator(mode="after")
    def _socket_has_host_and_port(self) -> Self:
        if self.port.startswith("socket://"):
            host, _, port = self.port.removeprefix("socket://").rstrip("/").rpartition(":")
            if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
                raise ValueError("port is not socket://HOST:PORT")
        return self

    def seconds_for(self, data: bytes) -> float:
        """How long (s) these bytes take on the wire: ten to twelve bits each."""
        bits = 1 + self.bytesize + (self.parity != "N") + self.stopbits
        return len(data) * bits / self.baudrate
