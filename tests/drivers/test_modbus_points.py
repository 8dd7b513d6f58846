"""The Modbus codec: every type, order and scale there and back, and blocks that cover what they should."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.modbus_points import BIT_TABLES, BlockDecoder, ModbusPoint, Table, apart, coalesce, encode
from evcontrol.quality import BAD_SENSOR_FAILURE, GOOD

INTEGERS = {"int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I"}
FLOATS = {"float32": ">f", "float64": ">d"}
ORDERS = st.sampled_from(["big", "little"])
SCALES = st.sampled_from([1.0, 0.1, 0.01, 0.001, 2.0, 0.25, 10.0, -0.1, 1 / 3, 0.0625])


def point(**fields: Any) -> ModbusPoint:
    return ModbusPoint.model_validate({"table": "holding", "address": 0, "type": "uint16"} | fields)


def decode(given_point: ModbusPoint, words: list[int]) -> tuple[float, int]:
    block = coalesce([given_point], 125, 2000, 0)[0]
    value, quality = np.zeros(1), np.zeros(1, dtype=np.uint32)
    BlockDecoder([given_point], block).decode(words, value, quality)
    return float(value[0]), int(quality[0])


@given(st.sampled_from(sorted(INTEGERS)), ORDERS, ORDERS, SCALES, st.sampled_from([0.0, -40.0, 0.5]), st.data())
def test_every_integer_comes_back_from_its_registers(
    kind: str, words: str, swapped: str, scale: float, offset: float, data: st.DataObject
) -> None:
    size = struct.calcsize(INTEGERS[kind])
    signed = INTEGERS[kind].islower()
    low, high = (-(2 ** (8 * size - 1)), 2 ** (8 * size - 1) - 1) if signed else (0, 2 ** (8 * size) - 1)
    raw = data.draw(st.integers(low, high))
    p = point(type=kind, word_order=words, byte_order=swapped, scale=scale, offset=offset)
    value, quality = decode(p, encode(p, raw * scale + offset))
    assert quality == GOOD
    assert value == pytest.approx(raw * scale + offset, rel=1e-12, abs=1e-9)
    assert encode(p, value) == encode(p, raw * scale + offset)


@given(st.sampled_from(sorted(FLOATS)), ORDERS, ORDERS, st.data())
def test_every_float_comes_back_bit_for_bit(kind: str, words: str, swapped: str, data: st.DataObject) -> None:
    raw = data.draw(st.floats(width=32 if kind == "float32" else 64, allow_nan=False, allow_infinity=False))
    p = point(type=kind, word_order=words, byte_order=swapped)
    assert decode(p, encode(p, raw)) == (raw, GOOD)


@pytest.mark.parametrize(
    ("word_order", "byte_order", "letters"),
    [("big", "big", "ABCD"), ("little", "big", "CDAB"), ("big", "little", "BADC"), ("little", "little", "DCBA")],
)
def test_the_orders_are_those_that_manuals_name_by_letters(word_order: str, byte_order: str, letters: str) -> None:
    a_to_d = dict(zip("ABCD", struct.pack(">f", 1234.5), strict=True))
    wire = bytes(a_to_d[letter] for letter in letters)
    words = list(struct.unpack(">HH", wire))
    p = point(type="float32", word_order=word_order, byte_order=byte_order)
    assert decode(p, words) == (1234.5, GOOD)
    assert encode(p, 1234.5) == words


def test_a_decimal_scale_gives_the_decimal_number() -> None:
    for raw in range(10_000):
        assert decode(point(scale=0.01), [raw])[0] == float(f"{raw // 100}.{raw % 100:02d}")


@pytest.mark.parametrize("kind", sorted(INTEGERS))
@pytest.mark.parametrize("beyond", [-1, 1])
def test_a_value_that_does_not_fit_is_refused_by_name(kind: str, beyond: int) -> None:
    signed = INTEGERS[kind].islower()
    bits = 8 * struct.calcsize(INTEGERS[kind])
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    with pytest.raises(ValueError, match=f"does not fit {kind}"):
        encode(point(type=kind), (high if beyond > 0 else low) + beyond)


@given(st.sampled_from(sorted(INTEGERS | FLOATS)), st.sampled_from([math.nan, math.inf, -math.inf]))
def test_what_is_not_a_number_is_never_coded(kind: str, value: float) -> None:
    with pytest.raises(ValueError, match="not a number"):
        encode(point(type=kind), value)


@given(st.sampled_from(sorted(INTEGERS | FLOATS)), SCALES, st.floats(allow_nan=False, allow_infinity=False))
def test_coding_gives_registers_or_words_and_nothing_else(kind: str, scale: float, value: float) -> None:
    p = point(type=kind, scale=scale)
    try:
        words = encode(p, value)
    except ValueError:
        return
    assert len(words) == p.width
    assert all(0 <= word <= 65535 for word in words)


@pytest.mark.parametrize("raw", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("kind", sorted(FLOATS))
def test_a_float_that_is_no_number_is_a_sensor_failure(kind: str, raw: float) -> None:
    data = struct.pack(FLOATS[kind], raw)
    value, quality = decode(point(type=kind), list(struct.unpack(f">{len(data) // 2}H", data)))
    assert math.isnan(value)
    assert quality == BAD_SENSOR_FAILURE


def test_sentinels_are_sensor_failures_and_are_never_written() -> None:
    p = point(type="int16", scale=0.1, invalid=[32767, -32768])
    assert decode(p, [32767])[1] == decode(p, [32768])[1] == BAD_SENSOR_FAILURE
    assert decode(p, [32766]) == (3276.6, GOOD)
    with pytest.raises(ValueError, match="failed sensor"):
        encode(p, 3276.7)


def test_bits_of_a_register_are_read_one_by_one() -> None:
    points = [point(bit=bit) for bit in range(16)]
    value, quality = np.zeros(16), np.zeros(16, dtype=np.uint32)
    BlockDecoder(points, coalesce(points, 125, 2000, 0)[0]).decode([0b1000_0000_0000_0101], value, quality)
    assert value.tolist() == [1, 0, 1] + 12 * [0] + [1]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"table": "coil", "type": "uint16"}, "type must be bool"),
        ({"table": "discrete", "type": "bool", "bit": 1}, "leave bit out"),
        ({"type": "bool"}, "needs bit"),
        ({"type": "int32", "bit": 1}, "bit goes with"),
        ({"type": "bool", "bit": 1, "scale": 0.1}, "no scale"),
        ({"scale": 0}, "scale must lie"),
        ({"table": "input", "writable": True}, "cannot be written"),
        ({"bit": 3, "writable": True}, "without touching the others"),
        ({"address": 65535, "type": "int32"}, "beyond address 65535"),
        ({"adress": 3}, "adress"),
    ],
)
def test_a_point_that_makes_no_sense_is_a_mistake_in_the_plant_file(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        point(**fields)


POINTS = st.lists(
    st.builds(
        lambda table, address, kind: ModbusPoint(
            table=table, address=address, type="bool" if table in BIT_TABLES else kind
        ),
        st.sampled_from(sorted(Table)),
        st.integers(0, 300),
        st.sampled_from(sorted(INTEGERS | FLOATS)),
    ),
    max_size=60,
)


@given(POINTS, st.integers(4, 125), st.integers(0, 10))
def test_blocks_cover_every_point_once_within_limit_and_gap(points: list[ModbusPoint], limit: int, gap: int) -> None:
    blocks = coalesce(points, limit, limit, gap)
    assert sorted(i for block in blocks for i in block.members) == list(range(len(points)))
    for block in blocks:
        assert block.count <= limit
        asked: set[int] = set()
        for i in block.members:
            p = points[i]
            assert p.table is block.table
            assert block.address <= p.address
            assert p.address + p.width <= block.address + block.count
            asked |= set(range(p.address, p.address + p.width))
        empty = 0
        for address in range(block.address, block.address + block.count):
            empty = 0 if address in asked else empty + 1
            assert empty <= gap


@given(POINTS, st.integers(4, 125), st.integers(0, 10))
def test_taking_a_block_apart_ends_with_single_points(points: list[ModbusPoint], limit: int, gap: int) -> None:
    todo = coalesce(points, limit, limit, gap)
    alone = []
    while todo:
        block = todo.pop()
        if len(block.members) == 1:
            alone += block.members
            continue
        parts = apart(points, block)
        assert len(parts) > 1
        todo += parts
    assert sorted(alone) == list(range(len(points)))


def test_neighbours_share_a_request_and_gaps_are_not_read_unasked() -> None:
    points = [point(address=a) for a in (0, 1, 2, 4, 5)]
    assert [(b.address, b.count) for b in coalesce(points, 125, 2000, 0)] == [(0, 3), (4, 2)]
    assert [(b.address, b.count) for b in coalesce(points, 125, 2000, 1)] == [(0, 6)]
    assert [(b.address, b.count) for b in coalesce(points, 4, 2000, 1)] == [(0, 3), (4, 2)]


def test_a_block_with_a_gap_is_first_taken_apart_at_the_gap() -> None:
    points = [point(address=a) for a in (0, 1, 2, 4)]
    (block,) = coalesce(points, 125, 2000, 1)
    assert [b.members for b in apart(points, block)] == [(0, 1, 2), (3,)]
