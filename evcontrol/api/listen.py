"""The HTTP server, inside the engine's event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Generator

import uvicorn
from starlette.types import ASGIApp

MESSAGE_MAX = 1 << 16
"""Largest message that a client may send on the stream, bytes: it has nothing to say there."""
GRACE_S = 3
"""Real time that open requests have to end when the server stops."""


class AddressError(Exception):
    """The address cannot be listened on; the message says which and why."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 is any free one. AddressError when the address is taken or not this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise AddressError(f"cannot listen on {host}:{port}: {reason}") from None
    listener.setblocking(False)
    return listener


def url_of(listener: socket.socket) -> str:
    """The address of a listening socket as a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Listener(uvicorn.Server):
    """uvicorn without its signal handlers, which belong to the engine's process."""

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                ws_per_message_deflate=False,
                ws_max_size=MESSAGE_MAX,
                timeout_graceful_shutdown=GRACE_S,
            )
        )
        self._listener = listener

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture none."""
        yield

    async def run_until_stopped(self) -> None:
        """Serve until :meth:`stop`."""
        await self.serve([self._listener])

    async def stop(self, serving: asyncio.Task[None]) -> None:
        """Close the listening socket and all connections, and wait for the task that serves."""
        self.should_exit = True
        await serving
