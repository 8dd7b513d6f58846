"""One connection to an OPC UA server with its secure channel, and requests over it.

Of asyncua only the coding of the messages is used. Its client would ask with ``asyncio.wait_for``, answer each
notification in a task of its own, make the connection anew without telling anybody, and wait an hour for a
subscription that the server has forgotten.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from asyncua import ua
from asyncua.client.ua_client import UASocketProtocol
from asyncua.common.utils import create_nonce
from asyncua.crypto import security_policies
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.ua_binary import nodeid_from_binary, nodeid_to_binary, struct_from_binary, struct_to_binary
from asyncua.ua.uaerrors import UaError, UaStatusCodeError

from drivers.connection import LinkLostError, LinkRefusedError, UnreadableError, answer_within
from drivers.opcua_messages import IDENTITY_REFUSED, NO_WAY_IN, SESSION_GONE, status_name
from drivers.opcua_security import IdentityRefusedError
from drivers.opcua_session import OpcUaRefusedError

DEFAULT_PORT: Final = 4840
CHANNEL_LIFETIME_MS: Final = 3_600_000
CHANNEL_RENEWAL: Final = 0.75
"""Part of a channel's lifetime after which it is renewed (OPC 10000-4, 5.6.2.1)."""
_LINGER_0: Final = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)

# What asyncua would log (every lost connection with its traceback) the link's state and reason say already.
logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)


class Channel:
    """A connection with a channel; times in real seconds. ``policy`` is asyncua's, None for no security."""

    def __init__(self, url: str, timeout_s: float, policy: Any = None) -> None:
        self.policy = security_policies.SecurityPolicyNone() if policy is None else policy  # type: ignore[no-untyped-call]
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done, with the reason, when the server goes away."""
        self._url = url
        self._timeout_s = timeout_s
        self._wire = _Wire(timeout_s, self.policy)
        self._wire.on_connection_lost = self._connection_lost
        self._unanswered = 0
        self._tasks: list[asyncio.Task[Any]] = []

    async def open(self) -> None:
        """Connect and open the channel; OSError, ``LinkLostError`` or ``LinkRefusedError`` when it fails."""
        where = urlsplit(self._url)
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: self._wire, where.hostname or "", where.port or DEFAULT_PORT)
        except UnicodeError:
            raise LinkRefusedError(f"{where.hostname!r} cannot be the name of a host") from None
        try:
            await self._wire.send_hello(self._url)
            lifetime_s = await self._open_channel(ua.SecurityTokenRequestType.Issue)
        except UaStatusCodeError as error:
            raise no_way_in(error.code) from error
        except TimeoutError:
            raise
        except OSError as error:
            if self._wire.told_error and self.policy.Mode != ua.MessageSecurityMode.None_:
                # node-opcua puts its reason where no client finds it.
                raise IdentityRefusedError(
                    "the server refuses the secured channel and does not say why: does it trust our certificate?"
                ) from error
            raise self.gone() from error
        except UaError as error:
            raise UnreadableError("unreadable answer") from error
        self.add(self._renew(lifetime_s), "renew channel")

    def sign_on(self, token: Any) -> None:
        """The authentication token that goes with every request from now on."""
        self._wire.authentication_token = token

    @property
    def idle(self) -> bool:
        """Whether nothing that was asked is still to be answered, and the connection is there."""
        return not self.lost.done() and not self._unanswered and self._wire.transport is not None

    def add(self, work: Any, name: str) -> asyncio.Task[Any]:
        """A task that ends with the channel."""
        task = asyncio.create_task(work, name=name)
        self._tasks.append(task)
        return task

    async def ask(self, request: Any, kind: Any) -> Any:
        """The answer of that kind within the time-out; else ``LinkLostError`` or ``OpcUaRefusedError``."""
        self._unanswered += 1
        try:
            answer = await answer_within(self._timeout_s, self.answer(request, kind))
        except OpcUaRefusedError as refused:
            self._unanswered -= 1
            if refused.code not in SESSION_GONE:
                raise
            self.fail(f"the server has ended the session ({status_name(refused.code)})")
            raise LinkLostError(self.lost.result()) from refused
        self._unanswered -= 1
        return answer

    async def answer(self, request: Any, kind: Any) -> Any:
        """Send and decode; without a time-out of asyncua's, which the caller's stands in for."""
        try:
            data = await self._wire.send(request)
            response = struct_from_binary(kind, data)
        except UaStatusCodeError as error:
            raise OpcUaRefusedError(error.code) from error
        except OSError as error:
            raise self.gone() from error
        except Exception as error:  # whatever asyncua's decoder raises for bytes that are no such answer
            self._wire.unreadable = True
            raise self.gone() from error
        if not response.ResponseHeader.ServiceResult.is_good():
            raise OpcUaRefusedError(response.ResponseHeader.ServiceResult.value)
        return response

    async def send(self, request: Any) -> None:
        """Send a last request without waiting for its answer, and close when it has gone out."""
        self.add(self._wire.send(request), "last request")
        await asyncio.sleep(0)  # in which it is sent
        if self._wire.transport is not None:
            self._wire.transport.close()

    def fail(self, reason: str) -> None:
        """The channel can be used no more."""
        if not self.lost.done():
            self.lost.set_result(reason)

    def gone(self) -> LinkLostError:
        """Why the connection is not there."""
        if self._wire.unreadable:
            return UnreadableError("unreadable answer")
        return LinkLostError(self.lost.result() if self.lost.done() else "the server closed the connection")

    def close(self) -> None:
        """Close at once; with a request under way the connection is reset, so that it cannot be delivered later."""
        for task in self._tasks:
            task.cancel()
        transport = self._wire.transport
        if transport is not None and not transport.is_closing():
            if self._unanswered:
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
            transport.abort()

    async def _open_channel(self, kind: ua.SecurityTokenRequestType) -> float:
        parameters = ua.OpenSecureChannelParameters()
        parameters.RequestType = kind
        parameters.SecurityMode = self.policy.Mode
        parameters.RequestedLifetime = CHANNEL_LIFETIME_MS
        parameters.ClientNonce = create_nonce(self.policy.secure_channel_nonce_length)
        try:
            opened = await self._wire.open_secure_channel(parameters)
        except AssertionError as error:  # asyncua's, for an answer that is a refusal or cannot be read
            raise self._wire.refusal or UnreadableError("unreadable answer") from error
        return float(opened.SecurityToken.RevisedLifetime) / 1000

    async def _renew(self, lifetime_s: float) -> None:
        while True:
            await asyncio.sleep(CHANNEL_RENEWAL * lifetime_s)
            try:
                lifetime_s = await self._open_channel(ua.SecurityTokenRequestType.Renew)
                self._wire.revolve_security_token()
            except (TimeoutError, OSError, UaError, LinkLostError) as error:
                self.fail(f"the secure channel was not renewed: {error or type(error).__name__}")
                return

    def _connection_lost(self, _error: Exception | None) -> None:
        # Later, so that who waits for an answer can first say why there is none.
        asyncio.get_running_loop().call_soon(lambda: self.fail(str(self.gone())))


@dataclass(slots=True)
class Encoded:
    """A request whose parameters are encoded once and sent many times: coding them costs a third of a read."""

    type_id: bytes
    parameters: bytes
    RequestHeader: ua.RequestHeader = field(default_factory=ua.RequestHeader)

    @classmethod
    def of(cls, request: Any) -> Encoded:
        """Of a request as asyncua has it."""
        return cls(nodeid_to_binary(request.TypeId), struct_to_binary(request.Parameters))


class _Wire(UASocketProtocol):
    """asyncua's protocol, which gives up a connection when it cannot read what comes; that is noted."""

    def __init__(self, timeout_s: float, policy: Any) -> None:
        super().__init__(timeout_s, policy)
        self.unreadable = False
        self.told_error = False
        """Whether the server ended the connection with an error message."""
        self.refusal: UaStatusCodeError | None = None
        """The server's refusal to open the channel."""

    async def send(self, request: Any) -> Any:
        """The answer as it came; without a time-out, and what else asyncua puts around it."""
        data = await self._send_request(request, 0)
        _check_fault(data.copy())
        return data

    def _send_request(
        self, request: Any, timeout: float = 1, message_type: Any = ua.MessageType.SecureMessage
    ) -> asyncio.Future[Any]:
        """As asyncua's, for a request that is encoded already too."""
        if not isinstance(request, Encoded):
            return super()._send_request(request, timeout, message_type)
        if self.transport is None:
            raise ConnectionError("Connection is not open")
        self._setup_request_header(request.RequestHeader, timeout)
        self.revolve_security_token()
        self._request_id += 1
        body = request.type_id + struct_to_binary(request.RequestHeader) + request.parameters
        message = self._connection.message_to_binary(body, message_type=message_type, request_id=self._request_id)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._callbackmap[self._request_id] = answer
        self.transport.write(message)
        return answer

    def _process_received_message(self, msg: Any) -> None:
        """Called by asyncua, which takes a refusal to open the channel for the opening, and then cannot read it."""
        self.told_error |= isinstance(msg, ua.ErrorMessage)
        if isinstance(msg, ua.Message) and _opens_channel(msg):
            _check_fault(msg.body())  # type: ignore[no-untyped-call]
        super()._process_received_message(msg)

    def disconnect_socket(self) -> None:
        """Called by asyncua."""
        self.unreadable = True
        if self.transport is not None:
            self.transport.abort()

    def _fail_all_pending(self, exc: Exception) -> None:
        if isinstance(exc, UaStatusCodeError):
            self.refusal = exc
        super()._fail_all_pending(exc)


def _check_fault(body: Any) -> None:
    """UaStatusCodeError when a message says that a request has failed."""
    if nodeid_from_binary(body).Identifier == ObjectIds.ServiceFault_Encoding_DefaultBinary:
        struct_from_binary(ua.ResponseHeader, body).ServiceResult.check()


def _opens_channel(message: Any) -> bool:
    return isinstance(message.SecurityHeader(), ua.AsymmetricAlgorithmHeader)


def no_way_in(code: int) -> Exception:
    """What to raise when a server answers a connect with a bad status."""
    words = f"the server does not let us in ({status_name(code)})"
    if code in IDENTITY_REFUSED:
        return IdentityRefusedError(words)
    return LinkRefusedError(words) if code in NO_WAY_IN else LinkLostError(words)
