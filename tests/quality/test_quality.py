import numpy as np
import pytest
from asyncua.ua.status_codes import code_to_name_doc
from hypothesis import given
from hypothesis import strategies as st

from evcontrol import quality
from evcontrol.quality import Ne107, Severity, good_mask, is_bad, is_good, ne107, opc_ua, reason, severity, text, worst

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
CHECKED = {
    f"{severity}_{word}"
    for severity in ("UNCERTAIN", "BAD")
    for word in ("FROZEN", "JUMPED", "CONTRADICTED", "IMPLAUSIBLE")
}
OWN = {"GOOD_DYNAMIC", "BAD_STALE", "UNCERTAIN_EXPIRED"} | CHECKED
# fmt: off
DATA_ACCESS = [
    "GoodClamped", "GoodLocalOverride", "GoodSubNormal", "GoodEdited", "GoodDependentValueChanged",
    "UncertainNoCommunicationLastUsableValue", "UncertainLastUsableValue", "UncertainSubstituteValue",
    "UncertainInitialValue", "UncertainSensorNotAccurate", "UncertainEngineeringUnitsExceeded", "UncertainSubNormal",
    "UncertainSimulatedValue", "UncertainSensorCalibration", "UncertainTransducerInManual",
    "UncertainConfigurationError", "UncertainDominantValueChanged", "UncertainDependentValueChanged",
    "BadConfigurationError", "BadNotConnected", "BadDeviceFailure", "BadSensorFailure", "BadOutOfService",
    "BadDeadbandFilterInvalid", "BadNoCommunication", "BadWaitingForInitialData", "BadDominantValueChanged",
    "BadDependentValueChanged", "BadNodeIdUnknown", "BadNodeIdInvalid", "BadAttributeIdInvalid", "BadNotReadable",
    "BadUserAccessDenied", "BadOutOfRange", "BadTypeMismatch", "BadNotSupported", "BadIndexRangeNoData", "BadTimeout",
    "BadInternalError", "BadUnexpectedError", "BadResourceUnavailable", "BadCommunicationError", "BadServerHalted",
    "BadShutdown", "BadSessionIdInvalid", "BadConnectionClosed", "BadSecureChannelClosed", "BadTooManyMonitoredItems",
    "BadNoData", "BadDataLost", "BadInvalidState", "BadServerTooBusy",
]
# fmt: on
"""What OPC 10000-8 names for values of data access, and the general codes with which a server refuses a reading."""

codes = st.integers(0, 2**32 - 1)


def test_codes_are_those_of_opc_ua() -> None:
    assert {name: code for name, code in CODES.items() if name not in OWN} == OPC_UA


def test_codes_are_distinct_and_named() -> None:
    assert len(set(CODES.values())) == len(CODES)
    assert len({text(code) for code in CODES.values()}) == len(CODES)


def test_every_reason_has_a_code_of_opc_ua_or_is_declared_as_ours() -> None:
    own = {CODES[name] for name in OWN}
    assert set(quality._REASONS) - own <= set(code_to_name_doc)
    assert not own & set(code_to_name_doc)
    words = [text(code) for code in quality._REASONS]
    assert len(set(words)) == len(words)


@pytest.mark.parametrize("name", DATA_ACCESS)
def test_what_a_server_says_of_a_value_is_told_in_words(name: str) -> None:
    code = next(code for code, (known, _) in code_to_name_doc.items() if known == name)
    assert not reason(code).startswith("status 0x")


@pytest.mark.parametrize("name", sorted(CODES))
def test_what_goes_out_is_a_code_of_opc_ua_of_the_same_severity(name: str) -> None:
    code = CODES[name]
    assert opc_ua(code) in code_to_name_doc
    assert severity(opc_ua(code)) is severity(code)
    assert (opc_ua(code) == code) is (name not in OWN)


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
        (quality.UNCERTAIN_FROZEN, "Uncertain: frozen"),
        (0x80F0_0000, "Bad: no value"),
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
