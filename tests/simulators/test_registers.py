"""Values in registers."""

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.devices.registers import Form, Register, wrapped

integers = st.sampled_from([Form.INT16, Form.UINT16, Form.UINT32_ABCD])


@given(integers, st.sampled_from([0.01, 0.1, 1.0]), st.floats(-1e12, 1e12))
def test_a_value_comes_back_to_its_resolution_or_at_the_end_of_its_range(
    form: Form, scale: float, value: float
) -> None:
    register = Register(0, "X", form, scale)
    words = register.encode(value)
    assert len(words) == register.words
    assert all(0 <= word <= 0xFFFF for word in words)
    low, high = {Form.INT16: (-0x8000, 0x7FFF), Form.UINT16: (0, 0xFFFF), Form.UINT32_ABCD: (0, 0xFFFFFFFF)}[form]
    expected = min(max(value, low * scale), high * scale)
    assert abs(register.decode(words) - expected) <= scale * 0.5 * (1 + 1e-6)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_comes_back_exactly(value: float) -> None:
    register = Register(0, "X", Form.FLOAT32_CDAB)
    assert register.decode(register.encode(value)) == value


def test_word_orders() -> None:
    assert Register(0, "X", Form.UINT32_ABCD).encode(0x00010002) == [1, 2]
    high, low = struct.unpack(">HH", struct.pack(">f", 12.5))
    assert Register(0, "X", Form.FLOAT32_CDAB).encode(12.5) == [low, high]


@pytest.mark.parametrize(("value", "shown"), [(0.0, 0), (9.9999999, 10), (9.99, 9), (10.0, 10), (16.0, 0), (17.5, 1)])
def test_a_counter_wraps_and_never_shows_too_much(value: float, shown: int) -> None:
    assert wrapped(value, 16) == shown


def test_a_negative_integer_is_in_twos_complement() -> None:
    assert Register(0, "X", Form.INT16, 0.01).encode(-0.01) == [0xFFFF]
    assert math.isclose(Register(0, "X", Form.INT16, 0.01).decode([0xFFFF]), -0.01)
