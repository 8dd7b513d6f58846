"""The OPC UA server of the simulated bioreactor, on asyncua: anonymous, without security, on this machine only.

asyncua keeps the address space and the subscriptions. It offers no hook that could refuse one value of a write with a
status code (a value setter's result is dropped, and what it raises fails the whole request), so the attribute service
is replaced by one that asks the device first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC
from typing import Any, Final

from asyncua import ua
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.address_space import AttributeService
from asyncua.server.server import Server
from asyncua.server.user_managers import UserManager
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes

from simulators.clock import wall_s
from simulators.devices.bioreactor_nodes import NAMESPACE, ROOT, Status
from simulators.devices.link import BioreactorLink, NodeInfo
from simulators.wire.gate import Gate

PATH: Final = "/bioreactor"
_INITIAL: Final = {"Double": 0.0, "Int32": 0, "UInt32": 0, "Boolean": False}
_SERVER: Final = User(role=UserRole.Admin)
_GUEST: Final = User(role=UserRole.User)

# What it would log (every connection that is lost, every refused write) is not for the terminal of the simulators.
logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)


class OpcUaServer:
    """Serves one bioreactor controller. :attr:`port` says where; :meth:`publish` brings all values up to date."""

    def __init__(self, link: BioreactorLink, epoch_s: Callable[[], float] = lambda: 0.0) -> None:
        """``epoch_s`` is the UTC time at which the plant's process time was 0."""
        self._link = link
        self._epoch_s = epoch_s
        self._server: Server | None = None
        self._gate: Gate | None = None
        self._nodes: dict[ua.NodeId, NodeInfo] = {}

    @property
    def port(self) -> int:
        """Where clients connect; 0 before the start."""
        return self._gate.port if self._gate is not None else 0

    @property
    def url(self) -> str:
        """The endpoint's address."""
        return f"opc.tcp://127.0.0.1:{self.port}{PATH}"

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; ``port`` 0 takes a free one. OSError when that fails; it may then be tried with another port."""
        if self._server is None:
            self._server = await self._behind(host)
        if self._server.bserver is None:
            raise OSError("the OPC UA server does not listen")
        gate = Gate(host, self._server.bserver.port)
        await gate.start(host, port)
        self._gate = gate
        await self.publish()

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._gate is not None:
            await self._gate.stop()
        if self._server is not None:
            await self._server.stop()
            self._server = None

    async def publish(self) -> None:
        """Put every value into the address space, from where reads and subscriptions take it; nothing while silent."""
        if self._server is None or self._gate is None:
            return
        self._gate.shut = self._link.silent
        if self._link.silent:
            return
        for key, node in self._nodes.items():
            await self._server.write_attribute_value(key, self._data_value(node))

    async def write(self, key: ua.NodeId, value: ua.DataValue) -> ua.StatusCode | None:
        """Have the device judge a client's write; None when it is not of a node of the device."""
        node = self._nodes.get(key)
        if node is None or self._server is None:
            return None
        if value.Value is None or value.Value.VariantType.name != node.data_type or value.Value.is_array:
            return _code(Status.BAD_TYPE_MISMATCH if node.writable else Status.BAD_NOT_WRITABLE)
        try:
            status = self._link.write(node.node_id, value.Value.Value)
        except TimeoutError:
            return _code(StatusCodes.BadDeviceFailure)
        if status == Status.GOOD:
            await self._server.write_attribute_value(key, self._data_value(node))
        return _code(status)

    async def _behind(self, host: str) -> Server:
        """A server behind the gate, on a port that nobody is told."""
        server = Server(user_manager=_Guests())
        await server.init()
        await server.set_application_uri(NAMESPACE + ":server")
        server.set_server_name("Simulated bioreactor")
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        server.set_identity_tokens([ua.AnonymousIdentityToken])
        server.set_endpoint(f"opc.tcp://{host}:0{PATH}")
        await self._build(server)
        server.iserver.attribute_service = _Attributes(server.iserver.aspace, self)
        await server.start()
        return server

    async def _build(self, server: Server) -> None:
        index = await server.register_namespace(NAMESPACE)
        root = await server.nodes.objects.add_object(_node_id(ROOT, index), ua.QualifiedName(ROOT, index))
        for node in self._link.nodes():
            key = _node_id(node.node_id, index)
            initial = ua.Variant(_INITIAL[node.data_type], ua.VariantType[node.data_type])
            variable = await root.add_variable(key, ua.QualifiedName(node.browse_name, index), initial)
            if node.writable:
                await variable.set_writable()
            self._nodes[key] = node

    def _data_value(self, node: NodeInfo) -> ua.DataValue:
        value, status, source_time_s = self._link.read(node.node_id)
        return ua.DataValue(
            ua.Variant(value, ua.VariantType[node.data_type]) if value is not None else ua.Variant(),
            _code(status),
            ua.DateTime.fromtimestamp(self._epoch_s() + source_time_s, UTC),
            ua.DateTime.fromtimestamp(wall_s(), UTC),
        )


class _Attributes(AttributeService):
    """The attribute service, with writes of the device's values judged by the device, each with its own status."""

    def __init__(self, aspace: Any, owner: OpcUaServer) -> None:
        super().__init__(aspace)
        self._owner = owner

    async def write(self, params: ua.WriteParameters, user: User = _SERVER) -> list[ua.StatusCode]:
        """The status of each write, in their order."""
        if user.role == UserRole.Admin:
            return await super().write(params, user)
        return [await self._one(item, user) for item in params.NodesToWrite]

    async def _one(self, item: ua.WriteValue, user: User) -> ua.StatusCode:
        if item.AttributeId == AttributeIds.Value and not item.IndexRange:
            status = await self._owner.write(item.NodeId, item.Value)
            if status is not None:
                return status
        if item.NodeId not in self._aspace:  # of which asyncua says that access to it is denied
            return _code(StatusCodes.BadNodeIdUnknown)
        (status,) = await super().write(ua.WriteParameters(NodesToWrite=[item]), user)
        return status


class _Guests(UserManager):
    """Everybody may come in, and nobody may change the server itself."""

    def get_user(self, *_: object, **__: object) -> User:
        """The same guest for everybody."""
        return _GUEST


def _code(status: int) -> ua.StatusCode:
    return ua.StatusCode(ua.UInt32(status))


def _node_id(identifier: str, namespace: int) -> ua.NodeId:
    return ua.NodeId(ua.String(identifier), ua.Int16(namespace))
