"""Whatever an instrument delivers comes back bit for bit, and in the bytes of its own type."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcontrol.history import codec
from evcontrol.quality import BAD
from evcontrol.signals import FloatArray

any_bits = st.integers(0, 2**64 - 1).map(lambda bits: float(np.uint64(bits).view(np.float64)))
narrow = st.floats(width=32, allow_nan=False)
decimals = st.builds(lambda k, d: k / 10**d, st.integers(-(10**7), 10**7), st.integers(0, 6))
wires = st.sampled_from(
    [any_bits, narrow, decimals, st.sampled_from([0.0, -0.0]), st.integers(-(2**53), 2**53).map(float)]
)


@settings(deadline=None, max_examples=200)
@given(wires.flatmap(lambda wire: st.lists(st.tuples(wire, st.sampled_from([0, 0, 0, BAD])), min_size=1, max_size=40)))
def test_any_column_comes_back_bit_for_bit(readings: list[tuple[float, int]]) -> None:
    values = np.array([[np.nan if q == BAD and v > 0 else v] for v, q in readings])
    quality = np.array([[q] for _, q in readings], dtype=np.uint32)
    (kind,) = codec.value_codecs(values, quality).tolist()
    stored = values[:, 0] if kind == codec.BITS else values[quality[:, 0] < BAD, 0]
    back = codec.unpack_values(codec.pack_values(stored, kind), kind, len(stored))
    assert back.view(np.uint64).tolist() == stored.view(np.uint64).tolist()
    left_out = values[quality[:, 0] >= BAD, 0] if kind != codec.BITS else np.empty(0)
    assert np.isnan(left_out).all()


@settings(deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=40))
def test_any_times_come_back(times: list[int]) -> None:
    values = np.array(times, dtype=np.int64)
    assert codec.unpack_integers(codec.pack_integers(values), len(values)).tolist() == times


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=40))
def test_any_qualities_come_back(codes: list[int]) -> None:
    quality = np.array(codes, dtype=np.uint32)
    assert codec.unpack_quality(codec.pack_quality(quality), len(codes)).tolist() == codes


def _noise() -> FloatArray:
    return np.random.default_rng(5).normal(37.0, 0.05, 300)


@pytest.mark.parametrize(
    ("values", "kind", "most"),
    [
        (_noise().astype(np.float32).astype(np.float64), codec.FLOAT32, 2.3),
        (np.rint(_noise() * 100) * 1 / 100, codec.DECIMAL + 2, 1.0),
        (np.rint(_noise() * 1000), codec.DECIMAL, 1.3),
        (np.full(300, 4.2), codec.CONSTANT, 0.03),
    ],
)
def test_the_wires_type_is_found_and_is_small(values: npt.NDArray[np.float64], kind: int, most: float) -> None:
    found = codec.value_codecs(values[:, None], np.zeros((300, 1), dtype=np.uint32)).tolist()
    assert found == [kind]
    assert len(codec.pack_values(values, kind)) / 300 <= most


def test_a_damaged_block_is_an_error_and_no_number() -> None:
    blob = codec.pack_values(_noise(), codec.FLOAT64)
    with pytest.raises(ValueError, match="damaged"):
        codec.unpack_values(blob[: len(blob) // 2], codec.FLOAT64, 300)
    with pytest.raises(ValueError, match="300 values, not 299"):
        codec.unpack_values(blob, codec.FLOAT64, 299)
