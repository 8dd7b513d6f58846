"""An OPC UA server of asyncua's, as a process of its own: ``python opcua_server.py PORT [OPTION...]``.

It prints its port when it listens and then does what it is told, one JSON object a line: ``{"set": {NAME: value}}``,
``{"status": {NAME: code}}``, ``{"writes": 1}`` (prints what was written since the start). Options: ``swap`` puts another
namespace before the plant's, ``user=PASSWORD`` lets in only the user ``op``, ``refuse=NAME`` refuses to write it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
from datetime import UTC, datetime
from typing import Any

from asyncua import Server, ua
from asyncua.server.user_managers import UserManager
from asyncua.crypto.permission_rules import User, UserRole

URI = "urn:test:bioreactor"
OTHER = "urn:test:other"
VARIABLES: dict[str, tuple[Any, str]] = {
    "TT": (37.0, "Double"),
    "SP": (20.0, "Double"),
    "SINGLE": (1.5, "Float"),
    "MODE": (1, "Int32"),
    "COUNT": (7, "UInt32"),
    "BIG": (2**60, "UInt64"),
    "SMALL": (-3, "SByte"),
    "REMOTE": (True, "Boolean"),
    "WORD": ("air", "String"),
    "LIST": ([1.0, 2.0], "Double"),
    "WHEN": (datetime(2026, 1, 1, tzinfo=UTC), "DateTime"),
    "HEARTBEAT": (4294967294, "UInt32"),
    "WD_TIME": (60.0, "Double"),
    "STARTS": (3, "UInt32"),
}
logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)


class OneUser(UserManager):
    def __init__(self, password: str) -> None:
        self._password = password

    def get_user(
        self, iserver: Any, username: Any = None, password: Any = None, certificate: Any = None
    ) -> User | None:
        return User(role=UserRole.User) if (username, password) == ("op", self._password) else None


async def serve(port: int, options: list[str]) -> None:
    password = next((o.removeprefix("user=") for o in options if o.startswith("user=")), None)
    refused = {o.removeprefix("refuse=") for o in options if o.startswith("refuse=")}
    many = next((int(o.removeprefix("many=")) for o in options if o.startswith("many=")), 0)
    server = Server(user_manager=None if password is None else OneUser(password))
    await server.init()
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    if password is not None:
        server.set_identity_tokens([ua.UserNameIdentityToken])
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/plant")
    for uri in (OTHER, URI) if "swap" in options else (URI, OTHER):
        await server.register_namespace(uri)
    index = await server.get_namespace_index(URI)
    folder = await server.nodes.objects.add_object(ua.NodeId("BR", index), f"{index}:BR")
    nodes = {}
    written: list[tuple[str, Any]] = []
    variables = VARIABLES | {f"V{i}": (float(i), "Double") for i in range(many)}
    for name, (value, kind) in variables.items():
        variant = ua.Variant(value, ua.VariantType[kind])
        nodes[name] = await folder.add_variable(ua.NodeId(f"BR.{name}", index), f"{index}:{name}", variant)
        await nodes[name].set_writable()
    names = {node.nodeid: name for name, node in nodes.items()}
    plain = server.iserver.attribute_service.write

    async def write(params: ua.WriteParameters, *rest: Any, **more: Any) -> list[ua.StatusCode]:
        """Note and refuse before asyncua takes the values."""
        results = []
        for item in params.NodesToWrite:
            name = names.get(item.NodeId)
            if name in refused:
                results.append(ua.StatusCode(ua.StatusCodes.BadOutOfRange))
                continue
            if name is not None:
                written.append((name, item.Value.Value.Value))
                item.Value.SourceTimestamp = datetime.now(UTC)
            results += await plain(ua.WriteParameters([item]), *rest, **more)
        return results

    server.iserver.attribute_service.write = write  # type: ignore[method-assign]
    orders: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def listen() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(orders.put_nowait, line)

    async with server:
        threading.Thread(target=listen, daemon=True).start()
        print(server.bserver.port, flush=True)
        while True:
            order = json.loads(await orders.get())
            for name, value in order.get("set", {}).items():
                kind = ua.VariantType[variables[name][1]]
                data = ua.DataValue(ua.Variant(value, kind), SourceTimestamp=datetime.now(UTC))
                await server.write_attribute_value(nodes[name].nodeid, data)
            for name, code in order.get("status", {}).items():
                await server.write_attribute_value(nodes[name].nodeid, ua.DataValue(ua.Variant(), ua.StatusCode(code)))
            print(json.dumps(written if "writes" in order else "done"), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2:]))
