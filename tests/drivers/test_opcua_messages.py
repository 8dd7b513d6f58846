"""Answers of a server that were changed on their way: unreadable, or readings, and never anything else."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.connection import UnreadableError
from drivers.opcua_client import all_of
from drivers.opcua_messages import node_of, sample_of, samples_of
from drivers.opcua_points import Codec, DataType, OpcUaPoint, Place
from drivers.opcua_session import Missing, Node
from evcontrol.quality import is_bad

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
VALUES = [
    ua.DataValue(ua.Variant(37.0, ua.VariantType.Double), SourceTimestamp=NOW),
    ua.DataValue(ua.Variant(7, ua.VariantType.UInt32), SourceTimestamp=NOW, ServerTimestamp=NOW),
    ua.DataValue(ua.Variant(), ua.StatusCode(ua.StatusCodes.BadSensorFailure), ServerTimestamp=NOW),
]
CODECS = [Codec.of(kind, OpcUaPoint(node="x")) for kind in (DataType.DOUBLE, DataType.UINT32, DataType.FLOAT)]


def read_response() -> bytes:
    response = ua.ReadResponse()
    response.Results = VALUES
    return bytes(struct_to_binary(response))


def notification() -> bytes:
    items = [ua.MonitoredItemNotification(ClientHandle=i, Value=value) for i, value in enumerate(VALUES)]
    return bytes(struct_to_binary(ua.DataChangeNotification(MonitoredItems=items)))


@st.composite
def mutated(draw: st.DrawFn, whole: bytes) -> bytes:
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))]) if draw(st.booleans()) else bytes(data)


def check(value: object, status: int) -> None:
    for codec in CODECS:
        number, quality = codec.decode(value, status)
        assert 0 <= quality < 2**32
        assert math.isnan(number) if is_bad(quality) else math.isfinite(number)


@settings(deadline=None)
@given(mutated(read_response()))
def test_an_answer_to_a_read(data: bytes) -> None:
    try:
        results = all_of(struct_from_binary(ua.ReadResponse, Buffer(data)).Results, len(VALUES))
    except UnreadableError:
        return
    except Exception:  # noqa: BLE001  (as the channel takes whatever asyncua's decoder raises)
        return
    for result in results:
        sample = sample_of(result)
        assert sample.source_t is None or 0 <= sample.source_t < 2**63
        check(sample.value, sample.status)
    found = node_of(ua.NodeId(ua.String("x"), ua.Int16(1)), Place("x"), results)
    assert isinstance(found, Node | Missing)


@settings(deadline=None)
@given(mutated(notification()))
def test_a_report(data: bytes) -> None:
    try:
        report = struct_from_binary(ua.DataChangeNotification, Buffer(data))
    except Exception:  # noqa: BLE001  (as above)
        return
    for number, sample in samples_of(report):
        assert isinstance(number, int)
        check(sample.value, sample.status)
