"""Simulated instruments behind a TCP port, as on a serial server."""

from __future__ import annotations

import asyncio

from simulators.devices.bus import Bus


class BusPort:
    """A line on a TCP port: everybody who is connected hears what the instruments say."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.port = 0
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Transport] = set()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; ``port`` 0 takes a free one, and :attr:`port` says which. OSError when that fails."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Client(self), host, port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the port and every connection; :meth:`start` with the same port plugs it in again."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        self.bus.forget()
        for client in list(self._clients):
            client.abort()
        await server.wait_closed()

    def send(self, data: bytes) -> None:
        """Send bytes to whoever listens."""
        for client in self._clients:
            client.write(data)

    def came(self, client: asyncio.Transport) -> None:
        """Somebody has connected."""
        self._clients.add(client)

    def went(self, client: asyncio.Transport) -> None:
        """Somebody is gone."""
        self._clients.discard(client)


class _Client(asyncio.Protocol):
    def __init__(self, port: BusPort) -> None:
        self._port = port
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            self._port.came(transport)

    def data_received(self, data: bytes) -> None:
        self._port.send(self._port.bus.hear(data))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._port.went(self._transport)
