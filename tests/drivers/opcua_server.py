"""An OPC UA server of asyncua's, as a process of its own: ``python opcua_server.py PORT [OPTION...]``.

It tells its port when it listens, and then does what it is told, a JSON object a line, and answers each with a line:
``{"set": {NAME: value}}``, ``{"status": {NAME: code}}``, ``{"forget": 1}`` (all subscriptions), ``{"skip": 1}`` (the
number of a notification), ``{"year": YEAR}`` (of the time of its sources from now on; null: as it is), and
``{"writes": 1}`` and ``{"sessions": 1}`` (answer with what was written since the start, and the number of clients).

Options: ``swap`` puts another namespace before the plant's, ``user=PASSWORD`` lets in only the user ``op``,
``refuse=NAME`` refuses writes to it, ``many=COUNT`` has so many variables more, ``every=SECONDS`` changes these by
itself, ``still=COUNT`` has so many that it leaves as they are written, ``slowest=SECONDS`` is the shortest time between
two notifications, ``secure=FOLDER`` gives it the certificate and key of a folder, ``uri=URI`` its application URI,
``policies=NAME,...`` what it offers (of asyncua's types), and ``knows=FILE`` lets in only a user with that certificate,
and ``described`` tells units, ranges and states.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asyncua import Server, ua
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.user_managers import UserManager

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
    "NOTE": ("lot 7", "String"),
    "LIST": ([1.0, 2.0], "Double"),
    "WHEN": (datetime(2026, 1, 1, tzinfo=UTC), "DateTime"),
    "HEARTBEAT": (4294967294, "UInt32"),
    "WD_TIME": (60.0, "Double"),
    "STARTS": (3, "UInt32"),
}
logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)


class OneUser(UserManager):
    def __init__(self, password: str | None, certificate: Path | None) -> None:
        self._password = password
        self._certificate = None if certificate is None else certificate.read_bytes()

    def get_user(
        self, iserver: Any, username: Any = None, password: Any = None, certificate: Any = None
    ) -> User | None:
        by_certificate = username is None and certificate == self._certificate
        known = by_certificate or (username, password) == ("op", self._password)
        return User(role=UserRole.User) if known else None


class Plant:
    """The server, its variables, and what was written to them."""

    def __init__(self, port: int, options: list[str]) -> None:
        self.port = port
        given = dict(option.split("=", 1) if "=" in option else (option, "") for option in options)
        self.password = given.get("user")
        self.refused = given.get("refuse")
        self.uris = (OTHER, URI) if "swap" in given else (URI, OTHER)
        self.more = [f"V{i}" for i in range(int(given.get("many", "0")))]
        self.described = "described" in given
        self.slowest_s = float(given.get("slowest", "0"))
        self.every_s = float(given.get("every", "0"))
        still = [f"S{i}" for i in range(int(given.get("still", "0")))]
        self.variables = VARIABLES | dict.fromkeys([*self.more, *still], (0.0, "Double"))
        self.nodes: dict[str, ua.NodeId] = {}
        self.written: list[tuple[str, Any]] = []
        self.year: int | None = None
        self.secure = Path(given["secure"]) if "secure" in given else None
        self.uri = given.get("uri", "urn:test:server")
        self.policies = [ua.SecurityPolicyType[name] for name in given.get("policies", "NoSecurity").split(",")]
        self.known = Path(given["knows"]) if "knows" in given else None
        anybody = self.password is None and self.known is None
        self.server = Server(user_manager=None if anybody else OneUser(self.password, self.known))

    async def serve(self) -> None:
        await self._build()
        orders: asyncio.Queue[str] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def listen() -> None:
            for line in sys.stdin:
                loop.call_soon_threadsafe(orders.put_nowait, line)

        async with self.server:
            threading.Thread(target=listen, daemon=True).start()
            tell(self.server.bserver.port)
            changing = asyncio.create_task(self._change())
            while not changing.done():
                order = json.loads(await orders.get())
                await self._obey(order)
                tell(self._answer(order))

    async def _build(self) -> None:
        server = self.server
        await server.init()
        server.set_security_policy(self.policies)
        if self.secure is not None:
            await server.set_application_uri(self.uri)
            await server.load_certificate(self.secure / "certificate.der")
            await server.load_private_key(self.secure / "key.pem")
        tokens = {ua.UserNameIdentityToken: self.password, ua.X509IdentityToken: self.known}
        if any(tokens.values()):
            server.set_identity_tokens([token for token, known in tokens.items() if known])
        server.set_endpoint(f"opc.tcp://127.0.0.1:{self.port}/plant")
        for uri in self.uris:
            await server.register_namespace(uri)
        index = await server.get_namespace_index(URI)
        folder = await server.nodes.objects.add_object(ua.NodeId("BR", index), f"{index}:BR")
        for name, (value, kind) in self.variables.items():
            variant = ua.Variant(value, ua.VariantType[kind])
            node = await folder.add_variable(ua.NodeId(f"BR.{name}", index), f"{index}:{name}", variant)
            await node.set_writable()
            self.nodes[name] = node.nodeid
        if self.described:
            await self._describe()
        names = {node: name for name, node in self.nodes.items()}
        service = server.iserver.attribute_service
        plain = service.write

        async def write(params: Any, *rest: Any, **more: Any) -> list[ua.StatusCode]:
            """Note and refuse before asyncua takes the values."""
            results = []
            for item in params.NodesToWrite:
                name = names.get(item.NodeId)
                if name is not None:
                    self.written.append((name, item.Value.Value.Value))
                    item.Value.SourceTimestamp = self._source_time()
                if name is not None and name == self.refused:
                    results.append(ua.StatusCode(ua.StatusCodes.BadOutOfRange))
                else:
                    results += await plain(ua.WriteParameters(NodesToWrite=[item]), *rest, **more)
            return results

        service.write = write
        create = server.iserver.subscription_service.create_subscription

        async def create_subscription(params: Any, *rest: Any, **more: Any) -> ua.CreateSubscriptionResult:
            interval_ms = max(params.RequestedPublishingInterval, 1000 * self.slowest_s)
            return await create(replace(params, RequestedPublishingInterval=interval_ms), *rest, **more)

        server.iserver.subscription_service.create_subscription = create_subscription

    async def _describe(self) -> None:
        """As OPC 10000-8 has it."""
        told: dict[str, dict[str, Any]] = {
            "TT": {
                "EngineeringUnits": ua.EUInformation(UnitId=4408652, DisplayName=ua.LocalizedText("°C")),
                "EURange": ua.Range(Low=-10.0, High=60.0),
            },
            "SP": {"EngineeringUnits": ua.EUInformation(DisplayName=ua.LocalizedText("furlong"))},
            "MODE": {"EnumStrings": [ua.LocalizedText("off"), ua.LocalizedText("on: air")]},
            "REMOTE": {"FalseState": ua.LocalizedText("local"), "TrueState": ua.LocalizedText("remote")},
        }
        for name, properties in told.items():
            node = self.server.get_node(self.nodes[name])
            for label, value in properties.items():
                await node.add_property(ua.NodeId(f"{name}.{label}", 1), ua.QualifiedName(label, 0), value)
        await self.server.get_node(self.nodes["COUNT"]).set_read_only()
        words = ua.DataValue(ua.Variant(ua.LocalizedText('the "vessel": # 1')))
        await self.server.get_node(self.nodes["TT"]).write_attribute(ua.AttributeIds.Description, words)

    async def _obey(self, order: dict[str, Any]) -> None:
        if "year" in order:
            self.year = order["year"]
        for name, value in order.get("set", {}).items():
            await self._put(name, value)
        for name, code in order.get("status", {}).items():
            await self.server.write_attribute_value(self.nodes[name], ua.DataValue(ua.Variant(), ua.StatusCode(code)))
        subscriptions = self.server.iserver.subscription_service
        if "forget" in order:
            await subscriptions.delete_subscriptions(list(subscriptions.subscriptions))
        if "skip" in order:
            for subscription in subscriptions.subscriptions.values():
                subscription._notification_seq += 1

    def _answer(self, order: dict[str, Any]) -> Any:
        if "sessions" in order:
            return len(self.server.bserver.clients)
        return self.written if "writes" in order else "done"

    def _source_time(self) -> datetime:
        now = datetime.now(UTC)
        return now if self.year is None else now.replace(year=self.year, day=min(now.day, 28))

    async def _put(self, name: str, value: Any) -> None:
        variant = ua.Variant(value, ua.VariantType[self.variables[name][1]])
        await self.server.write_attribute_value(
            self.nodes[name], ua.DataValue(variant, SourceTimestamp=self._source_time())
        )

    async def _change(self) -> None:
        value = 0.0
        parts = [self.more[start : start + 50] for start in range(0, len(self.more), 50)] or [[]]
        while True:
            value += 1.0
            for part in parts:  # spread, so that clients are served meanwhile
                await asyncio.sleep((self.every_s or 3600.0) / len(parts))
                for name in part:
                    await self._put(name, value)


def tell(what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(Plant(int(sys.argv[1]), sys.argv[2:]).serve())
