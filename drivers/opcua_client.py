"""An OPC UA session over TCP: how it is opened, and what is asked in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from asyncua import ua
from asyncua.common.utils import create_nonce
from asyncua.ua.object_ids import ObjectIds

from drivers.connection import LinkRefusedError, UnreadableError
from drivers.opcua_channel import Channel, Encoded, no_way_in
from drivers.opcua_identity import NOBODY, Counter, User, identify
from drivers.opcua_messages import (
    ATTRIBUTES,
    browse_path,
    monitored,
    node_id,
    node_of,
    read_id,
    sample_of,
    standard,
    target_of,
    value_of,
    write_value,
)
from drivers.opcua_points import Place
from drivers.opcua_security import Credentials, client_signature, is_at, prove_server
from drivers.opcua_session import Listener, Missing, Node, OpcUaRefusedError, Sample, Subscribed, Terms
from drivers.opcua_subscription import Subscription
from drivers.opcua_trust import wall_time
from evcontrol.clock import LiveClock

T = TypeVar("T")

APPLICATION_URI: Final = "urn:evcontrol:driver"
"""Ours where there is no security; else that of our certificate."""
PRODUCT_URI: Final = "urn:evcontrol"
OPC_UA: Final = "http://opcfoundation.org/UA/"
SESSION_LIFETIME_MS: Final = 10_000
"""How long a server keeps the session of a client that has gone, and with it one of its few places: a link that breaks
again and again must not use them up. The connection's probe keeps alive a session in which nobody asks."""
KEEP_ALIVES: Final = 3
"""How often the server says that it has nothing to say, within the time after which it counts as silent."""
LIFETIME_S: Final = 10.0
"""How long a server keeps a subscription for which nobody asks, at the least."""
KEPT_QUESTIONS: Final = 64


def _today() -> datetime:
    return wall_time(LiveClock().wall())


@dataclass(frozen=True, slots=True)
class Entrance:
    """Where a server is and how to get in; times in real seconds.

    ``today`` is the time at which certificates must be valid: that of the machine, whatever process time it is.
    """

    url: str
    namespace: str | None
    """Without one, that of OPC UA itself."""
    timeout_s: float
    user: User = NOBODY
    max_nodes: int = 250
    security: Credentials | None = None
    today: Callable[[], datetime] = _today


class TcpOpcUaSession:
    """Asks a server over TCP (see :class:`drivers.opcua_session.OpcUaSession`)."""

    def __init__(self, entrance: Entrance, channel: Channel) -> None:
        self._entrance = entrance
        self._channel = channel
        self.lost = channel.lost
        self._questions: dict[int, tuple[Sequence[Node], Encoded]] = {}
        self.namespaces: list[str] = []
        """URIs by index, after :meth:`check`."""

    @classmethod
    async def open(cls, entrance: Entrance) -> TcpOpcUaSession:
        """Connect, and open channel and session; OSError, ``LinkLostError`` or ``LinkRefusedError`` when it fails."""
        policy = None
        if entrance.security is not None:
            endpoints = await endpoints_of(entrance.url, entrance.timeout_s)
            _, policy = entrance.security.secured(endpoints, entrance.url, entrance.today())
        session = cls(entrance, Channel(entrance.url, entrance.timeout_s, policy))
        try:
            await session._open()
        except BaseException:
            session._channel.close()
            raise
        return session

    async def check(self) -> str:
        """Find the namespace, and ask for the state of the server."""
        asked = (ObjectIds.Server_NamespaceArray, ObjectIds.Server_ServerStatus_State)
        array, state = await self.attributes([read_id(standard(identifier)) for identifier in asked])
        uris = value_of(array)
        if not isinstance(uris, list):
            raise UnreadableError("the server does not tell its namespaces")
        self.namespaces = [str(uri) for uri in uris]
        if self._entrance.namespace is not None and self._entrance.namespace not in self.namespaces:
            raise LinkRefusedError(f"the server has no namespace {self._entrance.namespace!r}")
        return "" if value_of(state) == ua.ServerState.Running else "the server says that it is not running"

    async def find(self, places: Sequence[Place]) -> list[Node | Missing]:
        """The variables at places: paths are translated, then type and rank of all are read."""
        keys = await self._keys(places)
        found = [(i, key) for i, key in enumerate(keys) if not isinstance(key, Missing)]
        result: list[Node | Missing] = [key if isinstance(key, Missing) else Missing("") for key in keys]
        for part in parts(found, max(1, self._entrance.max_nodes // len(ATTRIBUTES))):
            answers = await self.attributes([read_id(key, attribute) for _, key in part for attribute in ATTRIBUTES])
            for (i, key), of_one in zip(part, parts(answers, len(ATTRIBUTES)), strict=True):
                result[i] = node_of(key, places[i], of_one)
        return result

    async def read(self, nodes: Sequence[Node]) -> list[Sample]:
        """What the variables are now, in one request."""
        answer = await self.ask(self._question(nodes), ua.ReadResponse)
        return [sample_of(value) for value in all_of(answer.Results, len(nodes))]

    async def write(self, values: Sequence[tuple[Node, object]]) -> list[int]:
        """Write values in one request; the status of each."""
        request = ua.WriteRequest()
        request.Parameters.NodesToWrite = [write_value(node, value) for node, value in values]
        results = all_of((await self.ask(request, ua.WriteResponse)).Results, len(values))
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
        granted = (await self.ask(request, ua.CreateSubscriptionResponse)).Parameters
        publishing_s = granted.RevisedPublishingInterval / 1000
        if publishing_s * granted.RevisedMaxKeepAliveCount >= 0.9 * terms.silence_s:
            raise LinkRefusedError(
                f"the server speaks only every {publishing_s * granted.RevisedMaxKeepAliveCount:g} s when nothing "
                f"changes: set timeout_s above that, or mode: read"
            )
        subscription = Subscription(self._channel, granted.SubscriptionId, listener)
        subscription.start(terms.silence_s)
        latency_s, refused = terms.sampling_s, dict[int, str]()
        for part in parts(range(len(nodes)), self._entrance.max_nodes):
            create = ua.CreateMonitoredItemsRequest()
            create.Parameters.SubscriptionId = subscription.id
            create.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
            create.Parameters.ItemsToCreate = [monitored(i, nodes[i], terms) for i in part]
            results = all_of((await self.ask(create, ua.CreateMonitoredItemsResponse)).Results, len(part))
            for i, result in zip(part, results, strict=True):
                latency_s = max(latency_s, result.RevisedSamplingInterval / 1000)
                if not result.StatusCode.is_good():
                    refused[i] = result.StatusCode.name
        return Subscribed(latency_s + publishing_s, refused)

    async def close(self) -> None:
        """Close at once; with a request under way the connection is reset, so that it cannot be delivered later."""
        if self._channel.idle:  # end the session without waiting for the answer: a server has few places
            request = ua.CloseSessionRequest()
            request.DeleteSubscriptions = True
            await self._channel.send(request)
        self._channel.close()

    # -- opening ---------------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        try:
            await self._channel.open()
            created, nonce = await self._create_session()
            await self._activate_session(created, nonce)
        except OpcUaRefusedError as error:
            raise no_way_in(error.code) from error

    async def _create_session(self) -> tuple[Any, bytes]:
        entrance, policy = self._entrance, self._channel.policy
        nonce = create_nonce(32)
        request = ua.CreateSessionRequest()
        client = request.Parameters.ClientDescription
        client.ApplicationUri = entrance.security.uri if entrance.security is not None else APPLICATION_URI
        client.ProductUri = PRODUCT_URI
        client.ApplicationName = ua.LocalizedText("evcontrol")
        client.ApplicationType = ua.ApplicationType.Client
        request.Parameters.EndpointUrl = entrance.url
        request.Parameters.SessionName = "evcontrol"
        request.Parameters.ClientNonce = nonce
        request.Parameters.ClientCertificate = policy.host_certificate or None
        request.Parameters.RequestedSessionTimeout = SESSION_LIFETIME_MS
        created = (await self.ask(request, ua.CreateSessionResponse)).Parameters
        self._channel.sign_on(created.AuthenticationToken)
        return created, nonce

    async def _activate_session(self, created: Any, nonce: bytes) -> None:
        entrance, policy = self._entrance, self._channel.policy
        activate = ua.ActivateSessionRequest()
        certificate = created.ServerCertificate or b""
        if entrance.security is not None:
            prove_server(policy, created, nonce)
            activate.Parameters.ClientSignature = client_signature(policy, created)
            certificate = policy.peer_certificate
        tokens = [
            token
            for endpoint in created.ServerEndpoints or []
            if is_at(endpoint, policy.URI, policy.Mode)
            for token in endpoint.UserIdentityTokens or []
        ]
        encrypted = policy.Mode == ua.MessageSecurityMode.SignAndEncrypt
        counter = Counter(tokens, certificate, created.ServerNonce or b"", policy.URI, encrypted)
        token, signature = identify(entrance.user, counter)
        activate.Parameters.UserIdentityToken = token
        activate.Parameters.UserTokenSignature = signature
        await self.ask(activate, ua.ActivateSessionResponse)

    # -- requests --------------------------------------------------------------------------------------------------

    async def ask(self, request: Any, kind: Any) -> Any:
        """Any request of OPC UA, with the answer's type; raises as all requests do."""
        return await self._channel.ask(request, kind)

    def _question(self, nodes: Sequence[Node]) -> Encoded:
        """The request for nodes; the same one for the same tuple, which is asked for again and again."""
        known = self._questions.get(id(nodes))
        if known is not None and known[0] is nodes:
            return known[1]
        question = Encoded.of(_reading([read_id(node.key) for node in nodes]))
        if isinstance(nodes, tuple):
            if len(self._questions) >= KEPT_QUESTIONS:
                self._questions.clear()
            self._questions[id(nodes)] = nodes, question
        return question

    async def attributes(self, ids: Sequence[ua.ReadValueId]) -> list[ua.DataValue]:
        """What attributes of nodes are now, in one request."""
        return all_of((await self.ask(_reading(ids), ua.ReadResponse)).Results, len(ids))

    async def _keys(self, places: Sequence[Place]) -> list[ua.NodeId | Missing]:
        keys: list[ua.NodeId | Missing] = []
        paths: list[tuple[int, ua.BrowsePath]] = []
        for i, place in enumerate(places):
            uri = place.namespace or self._entrance.namespace or OPC_UA
            namespace = self.namespaces.index(uri) if uri in self.namespaces else None
            if namespace is None:
                keys.append(Missing(f"the server has no namespace {uri!r}"))
            elif place.node is not None:
                keys.append(node_id(place.node, namespace))
            else:
                keys.append(Missing(""))
                paths.append((i, browse_path(place.path, namespace)))
        for part in parts(paths, self._entrance.max_nodes):
            request = ua.TranslateBrowsePathsToNodeIdsRequest()
            request.Parameters.BrowsePaths = [path for _, path in part]
            answer = await self.ask(request, ua.TranslateBrowsePathsToNodeIdsResponse)
            for (i, _), result in zip(part, all_of(answer.Results, len(part)), strict=True):
                keys[i] = target_of(places[i].path, result)
        return keys


def _reading(ids: Sequence[ua.ReadValueId]) -> ua.ReadRequest:
    request = ua.ReadRequest()
    request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
    request.Parameters.NodesToRead = list(ids)
    return request


async def endpoints_of(url: str, timeout_s: float) -> list[Any]:
    """What a server tells of its endpoints, over a connection without security; raises as ``Channel.open``."""
    channel = Channel(url, timeout_s)
    request = ua.GetEndpointsRequest()
    request.Parameters.EndpointUrl = url
    try:
        await channel.open()
        return list((await channel.ask(request, ua.GetEndpointsResponse)).Endpoints or [])
    except OpcUaRefusedError as error:
        raise no_way_in(error.code) from error
    finally:
        channel.close()


def parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Parts of at most so many."""
    return (items[start : start + size] for start in range(0, len(items), size))


def all_of(results: list[Any] | None, count: int) -> list[Any]:
    """As many results as were asked for; UnreadableError when they are not."""
    if results is None or len(results) != count:
        raise UnreadableError(f"unreadable answer: {len(results or [])} results where {count} were asked for")
    return results
