"""A gateway that speaks the write protocol of InfluxDB 2 before a real server: for tests only.

``POST /api/v2/write?org&bucket&precision`` with ``Authorization: Token ...`` becomes a write at the real server's own
address, whose answer is passed on. It notes every request, and it can be told to refuse or to answer late.
"""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import parse_qs, urlsplit

from tests.history.server_process import LOOPBACK

TOKEN = "a-token-only-for-tests"
ORG = "lab"
TAKEN = 204


@dataclass(frozen=True)
class Write:
    """One request: when it came (monotonic s), for which bucket, its lines, and the status that it was answered."""

    at: float
    bucket: str
    lines: tuple[bytes, ...]
    status: int


@dataclass
class Refusal:
    """An answer to give instead of asking the server; ``bucket`` empty means any."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)


class Server(Protocol):
    """A server behind the gateway."""

    port: int

    def where(self, query: Mapping[str, str]) -> str:
        """Its own address for a write."""


class Gateway:
    """Listens on a port of its own; use as a context manager. Token, organisation and ``writes`` may be looked at."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.token = TOKEN
        self.org = ORG
        self.writes: list[Write] = []
        self.refusals: deque[Refusal] = deque()
        self.late_s = 0.0
        """So much later than the server it answers."""
        self._http: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Its address, for ``url:`` of the section."""
        return f"http://{LOOPBACK}:{self.port}"

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> None:
        """Listen, again on the same port after the first time."""
        self._http = _Http((LOOPBACK, self.port), self)
        self.port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Refuse connections from now on."""
        if self._http is not None and self._thread is not None:
            self._http.shutdown()
            self._http.server_close()
            self._thread.join()
            self._http = None

    def refuse(self, status: int, times: int = 1, **headers: str) -> None:
        """Answer the next requests with a status; ``Retry_After`` is the header Retry-After."""
        one = Refusal(status, {name.replace("_", "-"): value for name, value in headers.items()})
        self.refusals.extend([one] * times)

    def buckets(self) -> set[str]:
        """Every bucket that was ever asked for."""
        return {write.bucket for write in self.writes}

    def answer(self, query: Mapping[str, str], authorization: str, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body for one request; raises OSError when the server behind is away."""
        if self.refusals:
            refusal = self.refusals.popleft()
            return refusal.status, refusal.headers, _problem("unavailable", "told to refuse")
        if authorization != f"Token {self.token}":
            return 401, {}, _problem("unauthorized", "unauthorized access")
        if query.get("org") != self.org:
            return 404, {}, _problem("not found", f"organization name {query.get('org')!r} not found")
        connection = http.client.HTTPConnection(LOOPBACK, self.server.port, timeout=30)
        try:
            connection.request("POST", self.server.where(query), body)
            answer = connection.getresponse()
            said = answer.read()
            threading.Event().wait(self.late_s)
        finally:
            connection.close()
        if answer.status == TAKEN:
            return TAKEN, {}, b""
        return answer.status, {}, _problem("invalid", json.loads(said).get("error", "") if said else "")


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], gateway: Gateway) -> None:
        self.gateway = gateway
        self._connections: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def server_close(self) -> None:
        super().server_close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nothing to print."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def do_POST(self) -> None:
        gateway = self.server.gateway
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        at = time.monotonic()
        if parts.path != "/api/v2/write":
            self._send(404, {}, _problem("not found", "path not found"))
            return
        try:
            status, headers, said = gateway.answer(query, self.headers.get("Authorization", ""), body)
        except (OSError, http.client.HTTPException):
            status, headers, said = 0, {}, b""
        gateway.writes.append(Write(at, query.get("bucket", ""), tuple(body.split(b"\n")), status))
        if status == 0:
            self.close_connection = True  # as a server does that is killed meanwhile
        else:
            self._send(status, headers, said)

    def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the library's own name)
        """Nothing to the terminal."""


def _problem(code: str, message: str) -> bytes:
    return json.dumps({"code": code, "message": message}).encode()
