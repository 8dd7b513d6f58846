"""The bioreactor's OPC UA server over a real socket, with asyncua's client."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from asyncua import Client, ua
from asyncua.ua.uaerrors import UaStatusCodeError

from simulators.devices.bioreactor_nodes import NAMESPACE, NODES, Status
from simulators.ev_plant import EvPlant
from simulators.wire.opcua import OpcUaServer

EPOCH_S = 1.8e9
LIMIT_S = 20.0


class Rig:
    """A served plant and a client."""

    def __init__(self, plant: EvPlant, server: OpcUaServer, client: Client, namespace: int) -> None:
        self.plant = plant
        self.server = server
        self.client = client
        self.namespace = namespace

    def node(self, name: str) -> Any:
        return self.client.get_node(ua.NodeId(f"BR101.{name}", self.namespace))

    async def step(self, seconds: float = 1.0) -> None:
        self.plant.step(seconds)
        await self.server.publish()

    async def write(self, name: str, value: Any, kind: ua.VariantType = ua.VariantType.Double) -> int:
        """The status code that the server answers."""
        item = ua.WriteValue()
        item.NodeId = self.node(name).nodeid
        item.AttributeId = ua.AttributeIds.Value
        item.Value = ua.DataValue(ua.Variant(value, kind), StatusCode=None)
        (status,) = await self.client.uaclient.write(ua.WriteParameters(NodesToWrite=[item]))
        return int(status.value)


@asynccontextmanager
async def served(plant: EvPlant | None = None) -> AsyncIterator[Rig]:
    plant = plant or EvPlant()
    server = OpcUaServer(plant.bioreactor_link, lambda: EPOCH_S)
    await server.start()
    try:
        async with Client(server.url, timeout=5) as client:
            yield Rig(plant, server, client, await client.get_namespace_index(NAMESPACE))
    finally:
        await server.stop()


def drive(test: Callable[[Rig], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(60.0), served() as rig:
            await test(rig)

    asyncio.run(whole())


class Changes:
    """What a subscription reports."""

    def __init__(self) -> None:
        self.seen: asyncio.Queue[tuple[str, ua.DataValue]] = asyncio.Queue()

    def datachange_notification(self, node: Any, _: Any, data: Any) -> None:
        self.seen.put_nowait((str(node.nodeid.Identifier), data.monitored_item.Value))


def test_the_tree_is_that_of_the_manual() -> None:
    async def test(rig: Rig) -> None:
        root = await rig.client.nodes.objects.get_child(f"{rig.namespace}:BR101")
        found = [(await child.read_browse_name()).Name for child in await root.get_children()]
        assert found == list(NODES)
        for name, node in NODES.items():
            assert await rig.node(name).read_data_type_as_variant_type() == ua.VariantType[node.data_type]
            writable = ua.AccessLevel.CurrentWrite in await rig.node(name).get_user_access_level()
            assert writable == node.writable, name

    drive(test)


def test_values_carry_process_time_and_status() -> None:
    async def test(rig: Rig) -> None:
        await rig.step(100.0)
        value = await rig.node("TT").read_data_value()
        assert value.SourceTimestamp == datetime.fromtimestamp(EPOCH_S + 100.0, UTC)
        assert value.StatusCode.value == Status.GOOD
        assert value.Value.Value == pytest.approx(22.0, abs=0.1)
        rig.plant.cultivation.controller.sensors["TT"].failed = True
        await rig.step()
        value = await rig.node("TT").read_data_value(raise_on_bad_status=False)
        assert value.StatusCode.value == Status.BAD_SENSOR_FAILURE
        assert value.Value is None or value.Value.Value is None
        dry = await rig.node("AT_PH").read_data_value(raise_on_bad_status=False)
        assert dry.StatusCode.value == Status.UNCERTAIN_SENSOR

    drive(test)


def test_writes_are_judged_by_the_device_each_on_its_own() -> None:
    async def test(rig: Rig) -> None:
        assert await rig.write("DO_SP", 2.0) == Status.GOOD
        assert await rig.node("DO_SP").read_value() == 2.0, "at once, without a scan between"
        assert await rig.write("DO_SP", 99.0) == Status.BAD_OUT_OF_RANGE
        assert await rig.write("DO_SP", 2, ua.VariantType.Int32) == Status.BAD_TYPE_MISMATCH
        assert await rig.write("DO_SP", None, ua.VariantType.Null) == Status.BAD_TYPE_MISMATCH
        assert await rig.write("DO_SP", [2.0]) == Status.BAD_TYPE_MISMATCH
        assert await rig.write("TT", 2.0) == Status.BAD_NOT_WRITABLE
        assert await rig.write("NONE", 2.0) == Status.BAD_NODE_ID_UNKNOWN
        rig.plant.cultivation.controller.take_over()
        assert await rig.write("DO_SP", 3.0) == Status.BAD_USER_ACCESS_DENIED
        assert await rig.node("DO_SP").read_value() == 2.0
        several = [
            ua.WriteValue(rig.node(name).nodeid, ua.AttributeIds.Value, None, ua.DataValue(ua.Variant(value, kind)))
            for name, value, kind in (
                ("TT_SP", 36.0, ua.VariantType.Double),
                ("TT_SP", 99.0, ua.VariantType.Double),
                ("DOIC_MODE", 2, ua.VariantType.Int32),
            )
        ]
        rig.plant.cultivation.controller.hand_back()
        results = await rig.client.uaclient.write(ua.WriteParameters(NodesToWrite=several))
        assert [r.value for r in results] == [Status.GOOD, Status.BAD_OUT_OF_RANGE, Status.GOOD]

    drive(test)


def test_nobody_can_change_the_server_itself() -> None:
    async def test(rig: Rig) -> None:
        with pytest.raises(UaStatusCodeError):
            await rig.client.nodes.namespace_array.write_value(["urn:other"])
        with pytest.raises(UaStatusCodeError):
            await rig.node("DO_SP").write_attribute(
                ua.AttributeIds.DisplayName, ua.DataValue(ua.Variant(ua.LocalizedText("x")))
            )
        with pytest.raises(UaStatusCodeError):
            await rig.client.nodes.objects.add_variable(ua.NodeId("more", rig.namespace), "more", 1.0)

    drive(test)


def test_subscriptions_report_changes_of_value_and_of_status() -> None:
    async def test(rig: Rig) -> None:
        changes = Changes()
        subscription = await rig.client.create_subscription(20, changes)
        await subscription.subscribe_data_change([rig.node("DO_SP"), rig.node("PT_HEAD")], queuesize=10)
        first = {(await changes.seen.get())[0] for _ in range(2)}
        assert first == {"BR101.DO_SP", "BR101.PT_HEAD"}
        await rig.write("DO_SP", 4.0)
        name, value = await changes.seen.get()
        assert (name, value.Value.Value) == ("BR101.DO_SP", 4.0)
        rig.plant.cultivation.controller.sensors["PT_HEAD"].failed = True
        await rig.step()
        name, value = await changes.seen.get()
        assert (name, value.StatusCode.value) == ("BR101.PT_HEAD", Status.BAD_SENSOR_FAILURE)

    drive(test)


def test_a_silent_server_keeps_the_connection_and_answers_when_it_speaks_again() -> None:
    async def test(rig: Rig) -> None:
        rig.plant.bioreactor_link.silent = True
        await rig.step()
        late = asyncio.ensure_future(rig.node("TT_SP").read_value())
        done, _ = await asyncio.wait([late], timeout=0.5)
        assert not done
        rig.plant.bioreactor_link.silent = False
        await rig.step()
        async with asyncio.timeout(LIMIT_S):
            assert await late == 37.0

    drive(test)


def test_the_watchdog_over_the_wire_counts_process_time() -> None:
    async def test(rig: Rig) -> None:
        await rig.write("WD_TIME", 100.0)
        assert await rig.write("HEARTBEAT", 1, ua.VariantType.UInt32) == Status.GOOD
        await rig.step(99.0)
        assert await rig.node("WD_LEFT").read_value() == pytest.approx(1.0)
        assert await rig.node("WD_OK").read_value() is True
        await rig.step(2.0)
        assert await rig.node("TRIP_WATCHDOG").read_value() is True
        assert await rig.node("SAFE").read_value() is True
        assert await rig.write("TRIP_RESET", True, ua.VariantType.Boolean) == Status.GOOD
        await rig.step()
        assert await rig.node("TRIP").read_value() is False

    drive(test)


def test_it_listens_on_this_machine_only_and_takes_a_port_again() -> None:
    async def whole() -> None:
        async with asyncio.timeout(60.0):
            async with served() as rig:
                port = rig.server.port
                assert rig.server.url.startswith("opc.tcp://127.0.0.1:")
                taken = OpcUaServer(EvPlant().bioreactor_link)
                with pytest.raises(OSError, match="address"):
                    await taken.start(port=port)
                await taken.start()
                assert taken.port not in (0, port)
                await taken.stop()
            again = OpcUaServer(EvPlant().bioreactor_link)
            await again.start(port=port)
            assert again.port == port
            await again.stop()

    asyncio.run(whole())
