"""An OPC UA session over TCP: asyncua codes the messages, and nothing else.

Of asyncua only the protocol of one connection is used. Its client would ask with ``asyncio.wait_for``, answer each
notification in a task of its own, make the connection anew without telling anybody, and wait an hour for a
subscription that the server has forgotten.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from asyncua import ua
from asyncua.client.ua_client import UASocketProtocol
from asyncua.common.utils import create_nonce
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.ua_binary import struct_from_binary
from asyncua.ua.uaerrors import UaError, UaStatusCodeError

from drivers.connection import LinkLostError, LinkRefusedError, UnreadableError, answer_within
from drivers.opcua_messages import (
    ATTRIBUTES,
    CODES,
    NO_WAY_IN,
    SESSION_GONE,
    browse_path,
    identity_of,
    monitored,
    node_id,
    node_of,
    read_id,
    sample_of,
    samples_of,
    standard,
    status_name,
    target_of,
    value_of,
    write_value,
)
from drivers.opcua_points import Place
from drivers.opcua_session import Listener, Missing, Node, OpcUaRefusedError, Sample, Subscribed, Terms

T = TypeVar("T")

DEFAULT_PORT: Final = 4840
CHANNEL_LIFETIME_MS: Final = 3_600_000
CHANNEL_RENEWAL: Final = 0.75
"""Part of a channel's lifetime after which it is renewed (OPC 10000-4, 5.6.2.1)."""
SESSION_LIFETIME_MS: Final = 30_000
"""How long a server keeps the session of a client that has gone, and with it one of its few places."""
PUBLISH_REQUESTS: Final = 3
"""Under way at once, so that the server never waits for one."""
KEEP_ALIVES: Final = 3
"""How often the server says that it has nothing to say, within the time after which it counts as silent."""
LIFETIME_S: Final = 10.0
"""How long a server keeps a subscription for which nobody asks, at the least."""
_LINGER_0: Final = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)

# What asyncua would log (every lost connection with its traceback) the link's state and reason say already.
logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True, slots=True)
class Entrance:
    """Where a server is and how to get in; times in real seconds."""

    url: str
    namespace: str
    timeout_s: float
    user: str | None = None
    password: str = ""
    max_nodes: int = 250


class TcpOpcUaSession:
    """Asks a server over TCP (see :class:`drivers.opcua_session.OpcUaSession`)."""

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._wire = _Wire(entrance.timeout_s)
        self._wire.on_connection_lost = self._connection_lost
        self._unanswered = 0
        self._tasks: list[asyncio.Task[Any]] = []
        self._namespaces: dict[str, int] = {}

    @classmethod
    async def open(cls, entrance: Entrance) -> TcpOpcUaSession:
        """Connect, and open channel and session; OSError, ``LinkLostError`` or ``LinkRefusedError`` when it fails."""
        session = cls(entrance)
        try:
            await session._open()
        except BaseException:
            session._break()
            raise
        return session

    async def check(self) -> str:
        """Find the namespace, and ask for the state of the server."""
        asked = (ObjectIds.Server_NamespaceArray, ObjectIds.Server_ServerStatus_State)
        array, state = await self._read([read_id(standard(identifier)) for identifier in asked])
        uris = value_of(array)
        if not isinstance(uris, list):
            raise UnreadableError("the server does not tell its namespaces")
        self._namespaces = {str(uri): index for index, uri in enumerate(uris)}
        if self._entrance.namespace not in self._namespaces:
            raise LinkRefusedError(f"the server has no namespace {self._entrance.namespace!r}")
        return "" if value_of(state) == ua.ServerState.Running else "the server says that it is not running"

    async def find(self, places: Sequence[Place]) -> list[Node | Missing]:
        """The variables at places: paths are translated, then type and rank of all are read."""
        keys = await self._keys(places)
        found = [(i, key) for i, key in enumerate(keys) if not isinstance(key, Missing)]
        result: list[Node | Missing] = [key if isinstance(key, Missing) else Missing("") for key in keys]
        for part in _parts(found, max(1, self._entrance.max_nodes // len(ATTRIBUTES))):
            answers = await self._read([read_id(key, attribute) for _, key in part for attribute in ATTRIBUTES])
            for (i, key), of_one in zip(part, _parts(answers, len(ATTRIBUTES)), strict=True):
                result[i] = node_of(key, places[i], of_one)
        return result

    async def read(self, nodes: Sequence[Node]) -> list[Sample]:
        """What the variables are now, in one request."""
        return [sample_of(value) for value in await self._read([read_id(node.key) for node in nodes])]

    async def write(self, values: Sequence[tuple[Node, object]]) -> list[int]:
        """Write values in one request; the status of each."""
        request = ua.WriteRequest()
        request.Parameters.NodesToWrite = [write_value(node, value) for node, value in values]
        results = _all_of((await self._ask(request, ua.WriteResponse)).Results, len(values))
        return [result.value for result in results]

    async def subscribe(self, nodes: Sequence[Node], terms: Terms, listener: Listener) -> Subscribed:
        """Have the server report the nodes.

        LinkRefusedError when the server would speak so seldom that its silence cannot be told from its peace.
        """
        keep_alive = max(1, int(terms.silence_s / KEEP_ALIVES / terms.publishing_s))
        request = ua.CreateSubscriptionRequest()
        request.Parameters.RequestedPublishingInterval = terms.publishing_s * 1000
        request.Parameters.RequestedMaxKeepAliveCount = keep_alive
        request.Parameters.RequestedLifetimeCount = max(3 * keep_alive, round(LIFETIME_S / terms.publishing_s))
        granted = (await self._ask(request, ua.CreateSubscriptionResponse)).Parameters
        publishing_s = granted.RevisedPublishingInterval / 1000
        if publishing_s * granted.RevisedMaxKeepAliveCount >= 0.9 * terms.silence_s:
            raise LinkRefusedError(
                f"the server speaks only every {publishing_s * granted.RevisedMaxKeepAliveCount:g} s when nothing "
                f"changes: set timeout_s above that, or mode: read"
            )
        subscription = _Subscription(granted.SubscriptionId, listener)
        self._tasks += [
            asyncio.create_task(self._publish(subscription), name="publish") for _ in range(PUBLISH_REQUESTS)
        ]
        self._tasks.append(asyncio.create_task(self._watch(subscription, terms.silence_s), name="publish watch"))
        latency_s, refused = terms.sampling_s, dict[int, str]()
        for part in _parts(range(len(nodes)), self._entrance.max_nodes):
            create = ua.CreateMonitoredItemsRequest()
            create.Parameters.SubscriptionId = subscription.id
            create.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
            create.Parameters.ItemsToCreate = [monitored(i, nodes[i], terms) for i in part]
            results = _all_of((await self._ask(create, ua.CreateMonitoredItemsResponse)).Results, len(part))
            for i, result in zip(part, results, strict=True):
                latency_s = max(latency_s, result.RevisedSamplingInterval / 1000)
                if not result.StatusCode.is_good():
                    refused[i] = result.StatusCode.name
        return Subscribed(latency_s + publishing_s, refused)

    async def close(self) -> None:
        """Close at once; with a request under way the connection is reset, so that it cannot be delivered later."""
        if not self.lost.done() and not self._unanswered and self._wire.transport is not None:
            await self._take_leave()
        self._break()

    # -- opening ---------------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        where = urlsplit(self._entrance.url)
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: self._wire, where.hostname or "", where.port or DEFAULT_PORT)
        except UnicodeError:
            raise LinkRefusedError(f"{where.hostname!r} cannot be the name of a host") from None
        try:
            await self._wire.send_hello(self._entrance.url)
            lifetime_s = await self._open_channel(ua.SecurityTokenRequestType.Issue)
            await self._open_session()
        except (UaStatusCodeError, OpcUaRefusedError) as error:
            raise _no_way_in(error.code) from error
        except TimeoutError:
            raise
        except OSError as error:
            raise self._gone() from error
        except UaError as error:
            raise UnreadableError("unreadable answer") from error
        self._tasks.append(asyncio.create_task(self._renew(lifetime_s), name="renew channel"))

    async def _open_channel(self, kind: ua.SecurityTokenRequestType) -> float:
        parameters = ua.OpenSecureChannelParameters()
        parameters.RequestType = kind
        parameters.SecurityMode = ua.MessageSecurityMode.None_
        parameters.RequestedLifetime = CHANNEL_LIFETIME_MS
        parameters.ClientNonce = create_nonce(0)
        return float((await self._wire.open_secure_channel(parameters)).SecurityToken.RevisedLifetime) / 1000

    async def _open_session(self) -> None:
        request = ua.CreateSessionRequest()
        client = request.Parameters.ClientDescription
        client.ApplicationUri = "urn:evcontrol:driver"
        client.ProductUri = "urn:evcontrol"
        client.ApplicationName = ua.LocalizedText("evcontrol")
        client.ApplicationType = ua.ApplicationType.Client
        request.Parameters.EndpointUrl = self._entrance.url
        request.Parameters.SessionName = "evcontrol"
        request.Parameters.ClientNonce = create_nonce(32)
        request.Parameters.RequestedSessionTimeout = SESSION_LIFETIME_MS
        created = (await self._ask(request, ua.CreateSessionResponse)).Parameters
        self._wire.authentication_token = created.AuthenticationToken
        activate = ua.ActivateSessionRequest()
        activate.Parameters.UserIdentityToken = identity_of(created, self._entrance.user, self._entrance.password)
        await self._ask(activate, ua.ActivateSessionResponse)

    async def _renew(self, lifetime_s: float) -> None:
        while True:
            await asyncio.sleep(CHANNEL_RENEWAL * lifetime_s)
            try:
                lifetime_s = await self._open_channel(ua.SecurityTokenRequestType.Renew)
                self._wire.revolve_security_token()
            except (TimeoutError, OSError, UaError) as error:
                self._fail(f"the secure channel was not renewed: {error or type(error).__name__}")
                return

    # -- requests --------------------------------------------------------------------------------------------------

    async def _ask(self, request: Any, kind: Any) -> Any:
        self._unanswered += 1
        try:
            answer = await answer_within(self._entrance.timeout_s, self._answer(request, kind))
        except OpcUaRefusedError as refused:
            self._unanswered -= 1
            if refused.code not in SESSION_GONE:
                raise
            self._fail(f"the server has ended the session ({status_name(refused.code)})")
            raise LinkLostError(self.lost.result()) from refused
        self._unanswered -= 1
        return answer

    async def _answer(self, request: Any, kind: Any) -> Any:
        """Send and decode; without a time-out of asyncua's, which the caller's stands in for."""
        try:
            data = await self._wire.send_request(request, timeout=0)
            response = struct_from_binary(kind, data)
        except UaStatusCodeError as error:
            raise OpcUaRefusedError(error.code) from error
        except OSError as error:
            raise self._gone() from error
        except Exception as error:  # whatever asyncua's decoder raises for bytes that are no such answer
            self._wire.unreadable = True
            raise self._gone() from error
        if not response.ResponseHeader.ServiceResult.is_good():
            raise OpcUaRefusedError(response.ResponseHeader.ServiceResult.value)
        return response

    def _gone(self) -> LinkLostError:
        if self._wire.unreadable:
            return UnreadableError("unreadable answer")
        return LinkLostError(self.lost.result() if self.lost.done() else "the server closed the connection")

    async def _read(self, ids: list[ua.ReadValueId]) -> list[ua.DataValue]:
        request = ua.ReadRequest()
        request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
        request.Parameters.NodesToRead = ids
        return _all_of((await self._ask(request, ua.ReadResponse)).Results, len(ids))

    async def _keys(self, places: Sequence[Place]) -> list[ua.NodeId | Missing]:
        keys: list[ua.NodeId | Missing] = []
        paths: list[tuple[int, ua.BrowsePath]] = []
        for i, place in enumerate(places):
            uri = place.namespace or self._entrance.namespace
            namespace = self._namespaces.get(uri)
            if namespace is None:
                keys.append(Missing(f"the server has no namespace {uri!r}"))
            elif place.node is not None:
                keys.append(node_id(place.node, namespace))
            else:
                keys.append(Missing(""))
                paths.append((i, browse_path(place.path, namespace)))
        for part in _parts(paths, self._entrance.max_nodes):
            request = ua.TranslateBrowsePathsToNodeIdsRequest()
            request.Parameters.BrowsePaths = [path for _, path in part]
            answer = await self._ask(request, ua.TranslateBrowsePathsToNodeIdsResponse)
            for (i, _), result in zip(part, _all_of(answer.Results, len(part)), strict=True):
                keys[i] = target_of(places[i].path, result)
        return keys

    # -- what the server reports -----------------------------------------------------------------------------------

    async def _publish(self, subscription: _Subscription) -> None:
        """Ask for notifications and hand them on, one after the other.

        Several of these run at once. Each goes on in the loop's order, which is that of the answers, and nothing is
        awaited between an answer and the end of its handling: so none overtakes another.
        """
        while not self.lost.done():
            request = ua.PublishRequest()
            request.Parameters.SubscriptionAcknowledgements = subscription.take_acknowledgements()
            try:
                response = await self._answer(request, ua.PublishResponse)
            except OpcUaRefusedError as refused:
                if refused.code == CODES.BadTimeout:
                    continue
                if refused.code == CODES.BadTooManyPublishRequests and subscription.requests > 1:
                    subscription.requests -= 1
                    return
                self._fail(f"the server has ended the subscription ({status_name(refused.code)})")
                return
            except LinkLostError as error:
                self._fail(str(error))
                return
            ended = subscription.take(response.Parameters)
            if ended:
                self._fail(ended)

    async def _watch(self, subscription: _Subscription, silence_s: float) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(subscription.heard + silence_s - loop.time())
            for _ in range(3):  # what has come while this process was busy is handled first
                await asyncio.sleep(0)
            if loop.time() - subscription.heard >= silence_s:
                self._fail(f"the server has reported nothing for {silence_s:g} s")
                return

    # -- ending ----------------------------------------------------------------------------------------------------

    def _connection_lost(self, _error: Exception | None) -> None:
        # Later, so that who waits for an answer can first say why there is none.
        asyncio.get_running_loop().call_soon(lambda: self._fail(str(self._gone())))

    def _fail(self, reason: str) -> None:
        if not self.lost.done():
            self.lost.set_result(reason)

    async def _take_leave(self) -> None:
        """End the session without waiting for the answer: a server has few places."""
        request = ua.CloseSessionRequest()
        request.DeleteSubscriptions = True
        self._tasks.append(asyncio.create_task(self._wire.send_request(request, timeout=0)))
        await asyncio.sleep(0)  # in which it is sent
        if self._wire.transport is not None:
            self._wire.transport.close()

    def _break(self) -> None:
        for task in self._tasks:
            task.cancel()
        transport = self._wire.transport
        if transport is not None and not transport.is_closing():
            if self._unanswered:
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
            transport.abort()


class _Wire(UASocketProtocol):
    """asyncua's protocol, which gives up a connection when it cannot read what comes; that is noted."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(timeout_s)
        self.unreadable = False

    def disconnect_socket(self) -> None:
        """Called by asyncua."""
        self.unreadable = True
        if self.transport is not None:
            self.transport.abort()


class _Subscription:
    """What has come of a subscription."""

    def __init__(self, subscription_id: int, listener: Listener) -> None:
        self.id = subscription_id
        self.heard = asyncio.get_running_loop().time()
        self.requests = PUBLISH_REQUESTS
        self._listener = listener
        self._next: int | None = None
        self._acknowledgements: list[ua.SubscriptionAcknowledgement] = []

    def take_acknowledgements(self) -> list[ua.SubscriptionAcknowledgement]:
        """What is to be acknowledged with the next request."""
        taken, self._acknowledgements = self._acknowledgements, []
        return taken

    def take(self, result: ua.PublishResult) -> str:
        """Hand on what the server reports; why the subscription is at its end, if it is."""
        if result.SubscriptionId != self.id:
            return ""
        self.heard = asyncio.get_running_loop().time()
        message = result.NotificationMessage
        number, data = message.SequenceNumber, message.NotificationData or []
        gap = self._next is not None and number != self._next
        # A keep-alive tells the number of the next notification; numbers go from 1 to 2^32 - 1 and round again.
        self._next = number if not data else number % 0xFFFF_FFFF + 1
        if data:
            acknowledgement = ua.SubscriptionAcknowledgement()
            acknowledgement.SubscriptionId, acknowledgement.SequenceNumber = self.id, number
            self._acknowledgements.append(acknowledgement)
        for notification in data:
            if isinstance(notification, ua.DataChangeNotification):
                self._listener.on_samples(samples_of(notification))
            elif isinstance(notification, ua.StatusChangeNotification):
                return f"the server has ended the subscription ({notification.Status.name})"
        if gap:
            self._listener.on_gap()
        return ""


def _no_way_in(code: int) -> Exception:
    words = f"the server does not let us in ({status_name(code)})"
    return LinkRefusedError(words) if code in NO_WAY_IN else LinkLostError(words)


def _parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _all_of(results: list[Any] | None, count: int) -> list[Any]:
    if results is None or len(results) != count:
        raise UnreadableError(f"unreadable answer: {len(results or [])} results where {count} were asked for")
    return results
