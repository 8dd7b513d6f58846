"""What is refused before any route is looked at: foreign host names, other origins, and bodies that are too large."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evcontrol.api.problem import problem_response

MAX_BODY = 1 << 20
"""Largest request body, bytes."""
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


class Protection:
    """ASGI middleware against DNS rebinding, cross-site requests and floods.

    A page of another site that reaches this address through a name of its own sends that name as its host: only the
    names in ``hosts`` and the loopback names are answered. Browsers are no clients: any Origin is refused.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str], max_body: int = MAX_BODY) -> None:
        self._app = app
        self._hosts = hosts | LOOPBACK
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it with a problem."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(headers)
        if refusal is None:
            await self._app(scope, self._limited(receive), send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await problem_response(*refusal)(scope, receive, send)

    def _refusal(self, headers: Headers) -> tuple[int, str, str] | None:
        host = host_name(headers.get("host", ""))
        if host not in self._hosts:
            return 421, "this engine does not answer under that host name", "Use the address in run/endpoint.json."
        if "origin" in headers:
            return 403, "requests from web pages are not answered", "Use the evcontrol command line or console."
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit():
            return 400, "the Content-Length is not a number", ""
        if int(length[:12]) > self._max_body:
            return 413, "the request is too large", f"Send at most {self._max_body} bytes in one request."
        return None

    def _limited(self, receive: Receive) -> Receive:
        """Counts a body that comes in chunks, whose length no header gives."""
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            if message["type"] == "http.request":
                taken += len(message.get("body", b""))
                if taken > self._max_body:
                    raise HTTPException(413, "the request is too large")
            return message

        return limited


def host_name(header: str) -> str:
    """The name in a Host header, without its port and in lower case."""
    name, colon, port = header.rpartition(":")
    return (name if colon and port.isdigit() else header).lower()
