import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcontrol import quality
from evcontrol.quality import Ne107, Severity, good_mask, is_bad, is_good, ne107, reason, severity, text, worst

CODES = {name: value for name, value in vars(quality).items() if name.startswith(("GOOD", "UNCERTAIN", "BAD"))}

# OPC 10000-4, 7.39 and OPC 10000-8, Annex A; the codes of OPC UA's own table, written out independently.
OPC_UA = {
    "GOOD": 0x00000000,
    "GOOD_LOCAL_OVERRIDE": 0x00960000,
    "UNCERTAIN": 0x40000000,
    "UNCERTAIN_SUBSTITUTE": 0x40910000,
    "UNCERTAIN_INITIAL": 0x40920000,
    "UNCERTAIN_SENSOR_NOT_ACCURATE": 0x40930000,
    "UNCERTAIN_RANGE_EXCEEDED": 0x40940000,
    "BAD": 0x80000000,
    "BAD_INTERNAL": 0x80020000,
    "BAD_DECODING": 0x80070000,
    "BAD_TIMEOUT": 0x800A0000,
    "BAD_NO_COMMUNICATION": 0x80310000,
    "BAD_WAITING_FOR_INITIAL": 0x80320000,
    "BAD_OUT_OF_RANGE": 0x803C0000,
    "BAD_CONFIGURATION": 0x80890000,
    "BAD_NOT_CONNECTED": 0x808A0000,
    "BAD_DEVICE_FAILURE": 0x808B0000,
    "BAD_SENSOR_FAILURE": 0x808C0000,
    "BAD_OUT_OF_SERVICE": 0x808D0000,
}
OWN = {"GOOD_DYNAMIC", "BAD_STALE"}

codes = st.integers(0, 2**32 - 1)


def test_codes_are_those_of_opc_ua() -> None:
    assert {name: code for name, code in CODES.items() if name not in OWN} == OPC_UA


def test_codes_are_distinct_and_named() -> None:
    assert len(set(CODES.values())) == len(CODES)
    assert len({reason(code) for code in CODES.values()}) == len(CODES)


@pytest.mark.parametrize("name", sorted(CODES))
def test_a_code_has_the_severity_of_its_name(name: str) -> None:
    code = CODES[name]
    wanted = Severity(name.split("_", maxsplit=1)[0].capitalize())
    assert severity(code) is wanted
    assert is_good(code) is (wanted is Severity.GOOD)
    assert is_bad(code) is (wanted is Severity.BAD)


@given(codes)
def test_severity_is_in_the_two_top_bits_and_the_reserved_pattern_is_bad(code: int) -> None:
    wanted = [Severity.GOOD, Severity.UNCERTAIN, Severity.BAD, Severity.BAD][code >> 30]
    assert severity(code) is wanted
    assert is_good(code) is (wanted is Severity.GOOD)
    assert is_bad(code) is (wanted is Severity.BAD)
    assert good_mask(np.array([code], dtype=np.uint32)).tolist() == [is_good(code)]


@given(st.lists(codes, min_size=1))
def test_the_worst_of_several_is_none_better_than_any(several: list[int]) -> None:
    order = [Severity.GOOD, Severity.UNCERTAIN, Severity.BAD]
    assert order.index(severity(worst(several))) == max(order.index(severity(code)) for code in several)
    assert worst(several) in several


def test_the_worst_of_none_is_good() -> None:
    assert worst([]) == quality.GOOD


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (quality.GOOD, "Good"),
        (quality.GOOD_DYNAMIC, "Good: in motion"),
        (quality.UNCERTAIN_INITIAL, "Uncertain: not yet settled"),
        (quality.BAD_NOT_CONNECTED, "Bad: not connected"),
        (0x80FF_0000, "Bad: status 0x80FF0000"),
        (0xC000_0000, "Bad: status 0xC0000000"),
    ],
)
def test_codes_in_words(code: int, words: str) -> None:
    assert text(code) == words


def test_flag_bits_below_do_not_hide_the_reason() -> None:
    assert reason(quality.BAD_NOT_CONNECTED | 0x0480) == "not connected"


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (quality.GOOD, Ne107.NORMAL),
        (quality.GOOD_DYNAMIC, Ne107.NORMAL),
        (quality.GOOD_LOCAL_OVERRIDE, Ne107.FUNCTION_CHECK),
        (quality.UNCERTAIN_SUBSTITUTE, Ne107.FUNCTION_CHECK),
        (quality.BAD_OUT_OF_SERVICE, Ne107.FUNCTION_CHECK),
        (quality.UNCERTAIN, Ne107.OUT_OF_SPECIFICATION),
        (quality.UNCERTAIN_RANGE_EXCEEDED, Ne107.OUT_OF_SPECIFICATION),
        (quality.BAD, Ne107.FAILURE),
        (quality.BAD_SENSOR_FAILURE, Ne107.FAILURE),
        (0xC000_0000, Ne107.FAILURE),
    ],
)
def test_ne_107_states(code: int, state: Ne107) -> None:
    assert ne107(code) is state
