"""The Modbus codec: every type, order and scale there and back, and blocks that cover what they should."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from pymodbus.client.mixin import ModbusClientMixin

from drivers.modbus_blocks import Block, apart, coalesce
from drivers.modbus_decode import PlanDecoder
from drivers.modbus_points import BIT_TABLES, ModbusPoint, Table, encode
from evcontrol.quality import BAD_CONFIGURATION, BAD_DECODING, BAD_OUT_OF_RANGE, BAD_SENSOR_FAILURE, GOOD

INTEGERS = {"int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I"}
FLOATS = {"float32": ">f", "float64": ">d"}
ORDERS = st.sampled_from(["big", "little"])
SCALES = st.sampled_from([1.0, 0.1, 0.01, 0.001, 2.0, 0.25, 10.0, -0.1, 1 / 3, 0.0625])


def point(**fields: Any) -> ModbusPoint:
    return ModbusPoint.model_validate({"table": "holding", "address": 0, "type": "uint16"} | fields)


def decode(given_point: ModbusPoint, words: list[int]) -> tuple[float, int]:
    blocks = coalesce([given_point], 125, 2000, 0)
    value, quality = np.zeros(1), np.zeros(1, dtype=np.uint32)
    PlanDecoder([given_point], blocks).decode([struct.pack(f">{len(words)}H", *words)], value, quality)
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
    points = [point(address=i, scale=0.01) for i in range(100)]
    decoder = PlanDecoder(points, coalesce(points, 125, 2000, 0))
    value, quality = np.zeros(100), np.zeros(100, dtype=np.uint32)
    for hundreds in range(100):
        decoder.decode([struct.pack(">100H", *range(100 * hundreds, 100 * hundreds + 100))], value, quality)
        assert value.tolist() == [float(f"{hundreds}.{rest:02d}") for rest in range(100)]


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
    PlanDecoder(points, coalesce(points, 125, 2000, 0)).decode([b"\x80\x05"], value, quality)
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
        ({"bit": 3, "bits": 2, "writable": True}, "without touching the others"),
        ({"bits": 2}, "bits needs bit"),
        ({"bit": 15, "bits": 2}, "beyond the register"),
        ({"type": "bool", "bit": 0, "bits": 2}, "must be uint16"),
        ({"type": "int64", "bit": 1}, "bit goes with"),
        ({"type": "string"}, "a string needs it"),
        ({"length": 3}, "goes with type string"),
        ({"type": "string", "length": 0}, "length"),
        ({"type": "string", "length": 126}, "length"),
        ({"type": "string", "length": 2, "scale": 0.1}, "has no scale"),
        ({"type": "string", "length": 2, "invalid": [1]}, "no invalid"),
        ({"type": "string", "length": 2, "writable": True}, "cannot be written"),
        ({"type": "string", "length": 3, "address": 65534}, "beyond address 65535"),
        ({"unit_id": 256}, "unit_id"),
        ({"address": 65535, "type": "int32"}, "beyond address 65535"),
        ({"adress": 3}, "adress"),
    ],
)
def test_a_point_that_makes_no_sense_is_a_mistake_in_the_plant_file(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        point(**fields)


LIMIT = 2**53
LONG = {"int64": ">q", "uint64": ">Q"}


@given(st.sampled_from(sorted(LONG)), ORDERS, ORDERS, st.data())
def test_long_integers_come_back_exactly_or_are_out_of_range(
    kind: str, words: str, swapped: str, data: st.DataObject
) -> None:
    low, high = (-(2**63), 2**63 - 1) if kind == "int64" else (0, 2**64 - 1)
    near = st.sampled_from([LIMIT - 1, LIMIT, LIMIT + 1, -LIMIT, -LIMIT - 1, low, high, 0])
    raw = data.draw((near | st.integers(low, high)).filter(lambda number: low <= number <= high))
    p = point(type=kind, word_order=words, byte_order=swapped)
    registers = laid_out(struct.pack(LONG[kind], raw), words, swapped)
    value, quality = decode(p, registers)
    if abs(raw) > LIMIT:
        assert math.isnan(value)
        assert quality == BAD_OUT_OF_RANGE
    else:
        assert (value, quality) == (raw, GOOD)
        assert encode(p, float(raw)) == registers


@pytest.mark.parametrize(
    ("kind", "value"), [("int64", 2.0**54), ("int64", -(2.0**54)), ("uint64", 2.0**54), ("uint64", -1)]
)
def test_a_long_integer_that_a_tag_cannot_carry_is_refused(kind: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"does not fit {kind}"):
        encode(point(type=kind), value)


def test_the_code_of_a_failed_sensor_may_be_a_number_that_is_out_of_range() -> None:
    p = point(type="int64", invalid=[-(2**63)])
    assert decode(p, [0x8000, 0, 0, 0])[1] == BAD_SENSOR_FAILURE
    assert decode(p, [0x7FFF, 0xFFFF, 0xFFFF, 0xFFFF])[1] == BAD_OUT_OF_RANGE


def laid_out(data: bytes, words: str, swapped: str) -> list[int]:
    """Registers by the definition of the orders: bytes in pairs, which are turned round and swapped."""
    pairs = [data[i : i + 2] for i in range(0, len(data), 2)]
    pairs = pairs[::-1] if words == "little" else pairs
    return [int.from_bytes(pair[::-1] if swapped == "little" else pair, "big") for pair in pairs]


NUMBERS = INTEGERS | FLOATS | LONG


@given(st.sampled_from(sorted(NUMBERS)), ORDERS, ORDERS, st.data())
def test_any_registers_decode_as_pymodbus_and_struct_decode_them(
    kind: str, words: str, swapped: str, data: st.DataObject
) -> None:
    size = struct.calcsize(NUMBERS[kind])
    octets = data.draw(st.binary(min_size=size, max_size=size))
    registers = laid_out(octets, words, swapped)
    expected = struct.unpack(NUMBERS[kind], octets)[0]
    unswapped = laid_out(octets, words, "big")
    theirs = ModbusClientMixin.convert_from_registers(
        unswapped, ModbusClientMixin.DATATYPE[kind.upper()], word_order="little" if words == "little" else "big"
    )
    value, quality = decode(point(type=kind, word_order=words, byte_order=swapped), registers)
    if math.isnan(expected) or math.isinf(expected):
        assert quality == BAD_SENSOR_FAILURE
    elif kind in LONG and abs(expected) > LIMIT:
        assert quality == BAD_OUT_OF_RANGE
    else:
        assert (value, quality) == (expected, GOOD) == (theirs, GOOD)


@pytest.mark.parametrize(
    ("word_order", "byte_order", "letters"),
    [
        ("big", "big", "ABCDEFGH"),
        ("little", "big", "GHEFCDAB"),
        ("big", "little", "BADCFEHG"),
        ("little", "little", "HGFEDCBA"),
    ],
)
def test_the_orders_of_64_bits_are_those_that_manuals_name_by_letters(
    word_order: str, byte_order: str, letters: str
) -> None:
    by_letter = dict(zip("ABCDEFGH", struct.pack(">d", 1234.5), strict=True))
    words = list(struct.unpack(">4H", bytes(by_letter[letter] for letter in letters)))
    p = point(type="float64", word_order=word_order, byte_order=byte_order)
    assert decode(p, words) == (1234.5, GOOD)
    assert encode(p, 1234.5) == words


@given(st.integers(0, 65535), st.integers(0, 15), st.integers(1, 16))
def test_a_field_of_bits_is_a_small_unsigned_integer(register: int, bit: int, bits: int) -> None:
    if bit + bits > 16:
        return
    expected = int(f"{register:016b}"[::-1][bit : bit + bits][::-1], 2)
    assert decode(point(bit=bit, bits=bits), [register]) == (expected, GOOD)


def test_a_field_of_bits_may_be_scaled_and_have_a_code_for_a_failed_sensor() -> None:
    p = point(bit=4, bits=4, scale=0.5, offset=-1, invalid=[15])
    assert decode(p, [0x0060]) == (2.0, GOOD)
    assert decode(p, [0x00F0])[1] == BAD_SENSOR_FAILURE


def text_of(words: list[int], **fields: Any) -> tuple[str, int]:
    p = point(type="string", length=len(words), **fields)
    texts: list[str] = []

    def code(text: str) -> float:
        texts.append(text)
        return 7.0

    value, quality = np.zeros(1), np.zeros(1, dtype=np.uint32)
    decoder = PlanDecoder([p], coalesce([p], 125, 2000, 0), {0: code})
    for _ in range(2):
        decoder.decode([struct.pack(f">{len(words)}H", *words)], value, quality)
        assert (value[0] == 7.0) is (quality[0] == GOOD)
    assert len(texts) <= 1  # what has not changed is not decoded again
    return "".join(texts), int(quality[0])


@given(
    st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\x7f"), max_size=20),
    ORDERS,
    ORDERS,
    st.sampled_from([b"\0", b" "]),
)
def test_a_text_comes_back_whatever_its_padding_and_order(text: str, words: str, swapped: str, padding: bytes) -> None:
    octets = text.encode()
    octets += padding * (42 - len(octets) if len(octets) < 42 else len(octets) % 2)
    registers = laid_out(octets, words, swapped)
    assert text_of(registers, word_order=words, byte_order=swapped) == (text.rstrip(" "), GOOD)


@pytest.mark.parametrize(
    ("octets", "read"),
    [
        (b"AB\0\0", "AB"),
        (b"A   ", "A"),
        (b"AB\0x", "AB"),
        (b"\0\0", ""),
        (b"  ", ""),
        (b" A", " A"),
        ("µL".encode() + b" ", "µL"),
    ],
)
def test_a_text_ends_at_its_first_nul_and_without_the_spaces_behind_it(octets: bytes, read: str) -> None:
    assert text_of(laid_out(octets, "big", "big")) == (read, GOOD)


@pytest.mark.parametrize("octets", [b"\xff\xff", b"A\xb5", b"\xc2\0", b"A\n", b"\x1b[", b"A\x7f"])
def test_bytes_that_are_no_text_are_unreadable(octets: bytes) -> None:
    assert text_of(laid_out(octets, "big", "big")) == ("", BAD_DECODING)


@given(st.binary(min_size=2, max_size=60).filter(lambda octets: len(octets) % 2 == 0))
def test_any_bytes_are_a_text_or_unreadable(octets: bytes) -> None:
    text, quality = text_of(laid_out(octets, "big", "big"))
    assert quality in (GOOD, BAD_DECODING)
    assert all(sign >= " " for sign in text)


def test_a_text_of_labels_that_is_none_of_them_is_a_wrong_configuration() -> None:
    p = point(type="string", length=1)
    value, quality = np.zeros(1), np.zeros(1, dtype=np.uint32)
    decoder = PlanDecoder([p], coalesce([p], 125, 2000, 0), {0: lambda text: float(("ON", "NO").index(text))})
    decoder.decode([b"NO"], value, quality)
    assert (value[0], quality[0]) == (1.0, GOOD)
    decoder.decode([b"??"], value, quality)
    assert math.isnan(value[0])
    assert quality[0] == BAD_CONFIGURATION


MIXED = st.lists(
    st.builds(
        lambda table, address, kind, unit: ModbusPoint(
            table=table,
            address=address,
            type="bool" if table in BIT_TABLES else kind,
            length=2 if kind == "string" and table not in BIT_TABLES else None,
            unit_id=unit,
        ),
        st.sampled_from(sorted(Table)),
        st.integers(0, 60),
        st.sampled_from(["int16", "uint16", "int32", "uint32", "string"]),
        st.sampled_from([None, 2, 7]),
    ),
    max_size=40,
)


@settings(deadline=None)
@given(MIXED, st.integers(4, 125), st.integers(0, 10), st.data())
def test_a_whole_plan_decodes_every_point_from_its_own_unit_and_address_and_leaves_the_unanswered_alone(
    points: list[ModbusPoint], limit: int, gap: int, data: st.DataObject
) -> None:
    """Each register holds a hash of its unit, table and address; what it should be is worked out point by point."""
    blocks = coalesce(points, limit, limit, gap, unit_id=1)
    unanswered = data.draw(st.sets(st.sampled_from(blocks))) if blocks else set()

    def word(block: Block, address: int) -> int:
        return (block.unit * 7919 + sorted(Table).index(block.table) * 104729 + address * 31) % 65536

    def answer(block: Block) -> bytes:
        words = [word(block, block.address + i) for i in range(block.count)]
        if block.table not in BIT_TABLES:
            return struct.pack(f">{block.count}H", *words)
        return sum((each & 1) << i for i, each in enumerate(words)).to_bytes((block.count + 7) // 8, "little")

    value, quality = np.full(len(points), -5.0), np.full(len(points), 99, dtype=np.uint32)
    texts = {i: (lambda _: 3.0) for i, p in enumerate(points) if p.type == "string"}
    answers = [None if block in unanswered else answer(block) for block in blocks]
    PlanDecoder(points, blocks, texts).decode(answers, value, quality)
    for block in blocks:
        for i in block.members:
            p = points[i]
            words = [word(block, p.address + k) for k in range(p.width)]
            assert block.unit == (p.unit_id or 1)
            if block in unanswered:
                assert (value[i], quality[i]) == (-5.0, 99)
            elif p.table in BIT_TABLES:
                assert (value[i], quality[i]) == (words[0] & 1, GOOD)
            elif p.type == "string":
                assert quality[i] in (GOOD, BAD_DECODING)
            else:
                assert value[i] == struct.unpack(INTEGERS[p.type], struct.pack(f">{p.width}H", *words))[0]


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
